/** Small promises of the checkout as a whole. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { lines } from '../../scripts/lines.ts';
import { packageRoot } from '../../scripts/paths.ts';
import { version } from '../../src/version.ts';
import { readSource, sourceFiles } from '../support/sources.ts';

const code = ['src', 'test', 'scripts', 'bench', 'examples', 'conform']
  .filter((folder) => existsSync(join(packageRoot, folder)))
  .flatMap((folder) => sourceFiles(folder, '.ts'))
  .filter(({ path }) => !path.startsWith('conform/dist/'));
const pages = [
  ...['README', 'CHANGELOG', 'CONTRIBUTING', 'SECURITY', 'conform/README'].map((name) =>
    readSource(`${name}.md`),
  ),
  ...sourceFiles('docs', '.md'),
];
/** The manifest of the package beside ours. */
const kit = JSON.parse(readSource('conform/package.json').text) as {
  version: string;
  engines: { node: string };
  dependencies: Record<string, string>;
};
const manifest = JSON.parse(readSource('package.json').text) as {
  version: string;
  engines: { node: string };
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

test('no unfinished work is left in the code', () => {
  const marks = new RegExp(
    `\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`,
  );
  for (const { path, text } of code) assert.doesNotMatch(text, marks, path);
});

test('one file ends the process by force, which cuts its last lines short; no other does', () => {
  const lastResort = 'src/proxy/last-resort.ts';
  for (const { path, text } of code.filter((file) => /^(?:conform\/)?src\//.test(file.path))) {
    if (path === lastResort) continue;
    assert.doesNotMatch(text, /\bprocess\.(?:exit|abort|reallyExit)\(/, path);
  }
});

/** Unrolled for speed, with a plain twin in test/reference. */
const kernels = ['src/crypto/field25519-limbs.ts', 'src/crypto/siphash-drbg.ts'];

test('a function answers one question: none has a body of more than 60 lines', () => {
  // prettier puts the end of a body at the indentation of the line that opens it.
  const opens =
    /^(\s*)(?!\s|(?:\} )?(?:if|for|while|switch|catch|else|using|try|do)\b).*(?:=>|\)(?:: .+)?) \{$/;
  for (const { path, text } of code.filter((file) => /^(?:conform\/)?src\//.test(file.path))) {
    if (kernels.includes(path)) continue;
    const rows = text.split('\n');
    for (const [at, row] of rows.entries()) {
      const indentation = opens.exec(row)?.[1];
      if (indentation === undefined) continue;
      const end = rows.findIndex((line, index) => index > at && line.startsWith(`${indentation}}`));
      assert.ok(end - at - 1 <= 60, `${path}:${at + 1} has a body of ${end - at - 1} lines`);
    }
  }
});

const inTests = /^(?:conform\/)?test\//;

test('no test is switched off or singled out', () => {
  for (const { path, text } of code.filter((file) => inTests.test(file.path))) {
    assert.doesNotMatch(text, /\b(?:test|it|describe)\.(?:skip|todo|only)\(/, path);
  }
});

test('no test has a clock of its own, by which it would fail on a slow machine', () => {
  for (const { path, text } of code.filter((file) => inTests.test(file.path))) {
    assert.doesNotMatch(text, /\b(?:test|it|describe)\((?:(?!=>)[^])*?\btimeout:/, path);
  }
});

test('CHANGELOG.md has an entry for the version in package.json', () => {
  const heading = `## ${manifest.version}`;
  assert.ok(
    readSource('CHANGELOG.md')
      .text.split('\n')
      .some((line) => line.startsWith(heading)),
  );
});

test('the version that the command prints is that of package.json', () => {
  assert.equal(version, manifest.version);
});

test('the kit has our version, runs on our Nodes and asks for what we ask for', () => {
  assert.equal(kit.version, manifest.version);
  assert.deepEqual(kit.engines, manifest.engines);
  const { postern, ...others } = kit.dependencies;
  assert.equal(postern, `^${manifest.version}`);
  for (const [name, range] of Object.entries(others)) {
    assert.equal(range, manifest.dependencies[name], name);
  }
});

test('package.json alone says which Nodes are supported: pages, CI and types follow it', () => {
  const supported = /^\^(\d+\.\d+)\.0 \|\| >=((\d+)\.\d+)\.0$/.exec(manifest.engines.node);
  const [, oldest, next, nextMajor] = supported ?? assert.fail(manifest.engines.node);
  const sentence = `Node ${oldest} or later (of Node ${nextMajor}: ${next} or later)`;
  for (const { path, text } of pages.filter((page) => page.path !== 'CHANGELOG.md')) {
    for (const [named] of text.matchAll(/\bNode \d+(?:\.\d+)* or later(?: \(.*?\))?/g)) {
      assert.equal(named, sentence, path);
    }
  }
  assert.ok(readSource('README.md').text.includes(sentence));
  // The oldest line is tried in its first version, of the others the newest are.
  assert.equal(lines[0]!.version, `${oldest}.0`);
  const names = [oldest, ...lines.slice(1).map(({ major }) => String(major))];
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  for (const page of ['README.md', 'docs/testing.md']) {
    assert.ok(readSource(page).text.includes(`Node ${list}`), page);
  }
  assert.match(manifest.devDependencies['@types/node']!, new RegExp(`^\\^${oldest}\\.`));
});

test('README.md gives the reason for every dependency', () => {
  const readme = readSource('README.md').text;
  for (const name of Object.keys(manifest.dependencies)) {
    assert.match(readme, new RegExp(`^\\| .*\`?${name}\`?.* \\| .+ \\|$`, 'm'), name);
  }
});

test('package-lock.json names no registry, so that any mirror serves', () => {
  for (const folder of ['', '.ci/nodes/', '.ci/api/']) {
    assert.doesNotMatch(readSource(`${folder}package-lock.json`).text, /"resolved": "\w+:/);
  }
});

test('every relative link in the documents leads to a file', () => {
  for (const { path, text } of pages) {
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      assert.ok(
        existsSync(join(packageRoot, dirname(path), target!)),
        `${path} links to ${target}`,
      );
    }
  }
});

test('package-lock.json has every platform’s part of what is built for several, or npm ci fails', () => {
  const { packages } = JSON.parse(readSource('package-lock.json').text) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
  assert.deepEqual(missing, []);
});
