/** What a user of the library can import says what it is, and docs/api has it. */
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { test } from 'node:test';
import { readSource } from '../support/sources.ts';

const { exports } = JSON.parse(readSource('package.json').text) as {
  exports: Record<string, string>;
};

/** Each subpath with the file that it is and its page of docs/api. */
const subpaths = Object.entries(exports)
  .filter(([, target]) => target.endsWith('.js'))
  .map(([, target]) => target.replace('./dist/', '').replace(/js$/, 'ts'))
  .map((file) => {
    const name = file.replace(/^src\//, '').replace(/(?:\/index)?\.ts$/, '');
    const page = name === 'transports/compliance' ? name : name.split('/')[0]!;
    return { file, page: `docs/api/${page}.md` };
  });

/** A declaration with the comment before it. */
interface Declaration {
  readonly file: string;
  readonly name: string;
  readonly comment: string;
  /** From its first line to its last. */
  readonly text: string;
}

/** What a file declares and exports, and what it passes on. */
function exportsOf(file: string): Declaration[] {
  const { text } = readSource(file);
  // A declaration goes on until the next line that begins at the margin with a word or a comment.
  const own = text.split(/^(?=\/\*\*|(?<!\*\/\n)\w)/m).flatMap((piece) => {
    const comment = /^\/\*\*(?:(?!\*\/)[^])*\*\/\n(?=\w)/.exec(piece)?.[0] ?? '';
    const head = /^export (?:abstract |async )*(?:function\*?|class|interface|type|const) (\w+)/;
    const name = head.exec(piece.slice(comment.length))?.[1];
    return name === undefined ? [] : [{ file, name, comment, text: piece }];
  });
  const passedOn = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm)].flatMap(
    ([, names, from]) => {
      const there = exportsOf(posix.join(posix.dirname(file), from!));
      return names!
        .split(',')
        .map((name) => name.trim().replace(/^type /, ''))
        .filter((name) => name !== '')
        .map((name) => {
          const [original, alias = original] = name.split(' as ');
          const found = there.find((each) => each.name === original);
          assert.ok(found !== undefined, `${original} in ${from}, for ${file}`);
          return { ...found, name: alias! };
        });
    },
  );
  return [...own, ...passedOn];
}

test('every export of a subpath has a comment that says what it is', () => {
  for (const { file } of subpaths) {
    const declarations = exportsOf(file);
    assert.ok(declarations.length > 0, file);
    // Of the two that share a name, a value and its type, one says it.
    const documented = new Set(
      declarations.filter(({ comment }) => comment !== '').map(({ name }) => name),
    );
    for (const { name, file: where } of declarations) {
      assert.ok(documented.has(name), `${name} in ${where}`);
    }
  }
});

test('every exported function that throws says what', () => {
  for (const { file } of subpaths) {
    for (const { name, comment, text, file: where } of exportsOf(file)) {
      if (!/^export (?:async )?function/m.test(text)) continue;
      const body = text.slice(comment.length);
      if (!/\bthrow (?:new PosternError|\w+Error\()|\breject\(/.test(body)) continue;
      assert.match(comment, /@throws|rejects? with/, `${name} in ${where}`);
    }
  }
});

/** What may stand before the name of a member. */
const MODIFIERS = /(?<=^  )(?:async |readonly |get )+/;

test('what lives and ends has the same four ways to its end', () => {
  const ways = ['close(', 'abort(', 'closed', '[Symbol.asyncDispose]('];
  for (const { file } of subpaths) {
    for (const { name, text, file: where } of exportsOf(file)) {
      // What is asked of somebody else's program, and a listener with something more.
      if (['Supervised', 'ExtOrListener'].includes(name)) continue;
      const has = (way: string): boolean =>
        text.split('\n').some((line) => line.replace(MODIFIERS, '').startsWith(`  ${way}`));
      if (!has('closed') && !has('abort(') && !has('[Symbol.asyncDispose](')) continue;
      for (const way of ways) assert.ok(has(way), `${name} in ${where} has no ${way}`);
    }
  }
});

test('docs/api has every export', () => {
  for (const { file, page } of subpaths) {
    const text = readSource(page).text.replaceAll('\\_', '_');
    for (const { name } of exportsOf(file)) {
      const isThere = new RegExp(`^### (?:abstract )?${name}\\b`, 'mi').test(text);
      assert.ok(isThere, `${name} is not in ${page}: run \`npm run docs:api\``);
    }
  }
});
