/** docs/architecture.md leads a reader through the code: what it names is there. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { readSource } from '../support/sources.ts';

/** Paragraphs, and the items of lists: what is said together. */
const blocks = readSource('docs/architecture.md')
  .text.split(/\n\n|\n(?=\d+\. |\*\*)/)
  .map((block) => block.replace(/\s+/g, ' '));

/** The files of this checkout that a piece of text names. */
function filesIn(text: string): string[] {
  return [...text.matchAll(/`((?:src|test|scripts|docs|conform)\/[^`\s]*)`/g)].map(
    ([, path]) => path!,
  );
}

/** Whether a file defines a function, a method, a class, a type or a constant of that name. */
function defines(path: string, name: string): boolean {
  const definition = new RegExp(
    `^ *(?:(?:export|default|async|static|override|abstract|readonly|get) )*` +
      `(?:(?:function|class|interface|type|const) ${name}\\b|#?${name}[<(](?:.*[{(;,])?$)`,
    'm',
  );
  return definition.test(readSource(path).text);
}

test('every file that the page names exists', () => {
  const named = blocks.flatMap(filesIn);
  assert.ok(named.length > 60);
  for (const path of named) assert.ok(existsSync(join(packageRoot, path)), path);
});

test('every name that it finds in a file is defined there', () => {
  let found = 0;
  for (const block of blocks) {
    for (const [, name, path] of block.matchAll(/`(\w+)(?:\(\))?` (?:in|of) `(src\/[^`]+\.ts)`/g)) {
      found += 1;
      assert.ok(defines(path!, name!), `${name} in ${path}`);
    }
  }
  assert.ok(found > 40);
});

test('every function that it names is defined in a file that it names beside it', () => {
  for (const block of blocks) {
    const files = filesIn(block).filter((path) => path.endsWith('.ts'));
    for (const [, name] of block.matchAll(/`(\w+)\(\)`/g)) {
      assert.ok(
        files.some((path) => defines(path, name!)),
        `${name}() in: ${block}`,
      );
    }
  }
});
