/** Who may import whom: a room knows only the rooms it stands on, and pure rooms touch no machine. */
import assert from 'node:assert/strict';
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { describe, test } from 'node:test';
import { readSource, sourceFiles } from '../support/sources.ts';

const ground = ['bytes', 'errors.ts', 'limits.ts', 'tallies.ts', 'unawaited.ts'];
const carrying = [
  ...ground,
  'log-limiter.ts',
  'time.ts',
  'turns.ts',
  'crypto',
  'pt',
  'socks',
  'transports',
  'version.ts',
];

/** For each room, what it may import besides itself. Single files stand as rooms of their own. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'limits.ts': [],
  'log-limiter.ts': [],
  'tallies.ts': ['errors.ts'],
  'unawaited.ts': ['errors.ts'],
  'time.ts': [],
  'turns.ts': ['bytes'],
  'version.ts': [],
  bytes: ['errors.ts', 'unawaited.ts'],
  crypto: ground,
  pt: ground,
  socks: [...ground, 'pt'],
  extor: [...ground, 'crypto', 'pt'],
  transports: [...ground, 'time.ts', 'crypto', 'pt'],
  mux: [...ground, 'time.ts', 'net', 'turns.ts'],
  state: carrying,
  net: [...carrying, 'state'],
  proxy: [...carrying, 'extor', 'net', 'state'],
  parent: [...carrying, 'extor', 'net', 'state'],
  config: [...ground, 'crypto', 'pt', 'state'],
  control: [...ground, 'time.ts', 'config', 'crypto', 'net', 'pt', 'state'],
  'tor-control': [...ground, 'time.ts', 'control', 'crypto', 'net', 'pt'],
  metrics: [...carrying, 'net'],
  engine: [
    ...carrying,
    'config',
    'control',
    'extor',
    'metrics',
    'mux',
    'net',
    'parent',
    'proxy',
    'state',
    'tor-control',
  ],
  'index.ts': [...carrying, 'net', 'state'],
  view: [...ground, 'control', 'time.ts'],
  check: [...carrying, 'index.ts', 'net', 'parent', 'state'],
  cli: [
    ...carrying,
    'check',
    'config',
    'control',
    'engine',
    'metrics',
    'net',
    'parent',
    'proxy',
    'state',
    'view',
    'index.ts',
  ],
};

/** Rooms that may reach for sockets, files, processes and timers. */
const impure: ReadonlySet<string> = new Set([
  'state',
  'log-limiter.ts',
  'turns.ts',
  'net',
  'proxy',
  'parent',
  'engine',
  'index.ts',
  'check',
  'metrics',
  'cli',
]);

/** The drivers of rooms that are pure otherwise: `node.ts`, or the files of a folder `node`. */
const driver = /^src\/(?:config|control|mux|view|tor-control)\/node(?:\.ts$|\/)/;

function isImpure(path: string): boolean {
  return impure.has(roomOf(path)) || driver.test(path);
}

/** What the rest may take from Node: computation, no machine. */
const pureBuiltins: ReadonlySet<string> = new Set([
  'node:buffer',
  'node:path',
  'node:util',
  // `bytes/give-back.ts` needs them on Node 20.
  'node:v8',
  'node:vm',
]);

/** Packages, and the one room that each is for. */
const packages: Readonly<Record<string, string>> = {
  'node:crypto': 'crypto',
  'node:module': 'crypto', // a native library may be missing, and then a JavaScript one serves
  'node-forge': 'crypto',
  'sodium-native': 'crypto',
  '@noble/ciphers': 'crypto',
  '@noble/curves': 'crypto',
  commander: 'cli',
  'prom-client': 'metrics',
};

const files = sourceFiles('src', '.ts');

function roomOf(path: string): string {
  return path.split('/')[1]!;
}

function importsOf(text: string): string[] {
  const statement = /(?:^(?:import|export)\b[^;']*\bfrom|^import|\bimport\()\s*'([^']+)'/gm;
  return [...text.matchAll(statement)].map((match) => match[1]!);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

describe('rooms', () => {
  test('every file of src stands in a room of the table', () => {
    for (const { path } of files) assert.ok(roomOf(path) in rooms, path);
  });

  test('docs/architecture.md has the same table', () => {
    const { text } = readSource('docs/architecture.md');
    const rows = [...text.matchAll(/^\| `([^`]+)` +\| \S.*\| ([^|]+?) +\|$/gm)].filter(
      ([, room]) => !room!.includes('/'),
    );
    const written = rows.map(([, room, imports]) => {
      const names = [...imports!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
      const shorthand: Readonly<Record<string, readonly string[]>> = { ground, carrying };
      return [room, names.flatMap((name) => shorthand[name] ?? name).sort()];
    });
    const held = Object.entries(rooms).map(([room, imports]) => [room, [...imports].sort()]);
    assert.deepEqual(
      new Map(written as [string, string[]][]),
      new Map(held as [string, string[]][]),
    );
    const [, spelled = ''] = /`carrying` for (.*?)\.\n\n/s.exec(text) ?? [];
    for (const name of carrying.filter((each) => !ground.includes(each))) {
      assert.ok(spelled.includes(`\`${name}\``), name);
    }
  });

  test('a file imports only from its own room and from the rooms that the table allows', () => {
    for (const { path, text } of files) {
      const allowed = [roomOf(path), ...rooms[roomOf(path)]!];
      for (const specifier of importsOf(text).filter((name) => name.startsWith('.'))) {
        const target = roomOf(posix.join(posix.dirname(path), specifier));
        assert.ok(allowed.includes(target), `${path} imports ${specifier}`);
      }
    }
  });

  test('pure rooms import nothing that reaches the machine', () => {
    for (const { path, text } of files.filter((file) => !isImpure(file.path))) {
      for (const specifier of importsOf(text).filter((name) => !name.startsWith('.'))) {
        const own = packages[packageOf(specifier)] === roomOf(path);
        // A type costs nothing at run time, but it says that the room knows of sockets.
        assert.ok(own || pureBuiltins.has(specifier), `${path} imports ${specifier}`);
      }
      // The one place where time comes from, and the one where faults go that nobody hears of.
      if (path === 'src/time.ts' || path === 'src/unawaited.ts') continue;
      const code = withoutComments(text);
      assert.ok(!/\b(?:setTimeout|setInterval|setImmediate)\(|\bprocess\./.test(code), path);
      assert.ok(!/\b(?:Date\.now|new Date|Math\.random|performance\.now)\(/.test(code), path);
    }
  });

  test('pure files import no file that reaches the machine', () => {
    // What only passes on what others export holds nothing back, and does nothing.
    const pure = files.filter(({ path }) => !isImpure(path) && posix.basename(path) !== 'index.ts');
    for (const { path, text } of pure) {
      for (const specifier of importsOf(text).filter((name) => name.startsWith('.'))) {
        const target = posix.join(posix.dirname(path), specifier);
        assert.ok(!isImpure(target), `${path} imports ${specifier}`);
      }
    }
  });

  test('each package is imported by the one room that it is for', () => {
    for (const { path, text } of files) {
      for (const specifier of importsOf(text).filter((name) => !name.startsWith('.'))) {
        const name = packageOf(specifier);
        if (specifier.startsWith('node:') && !(specifier in packages)) {
          assert.ok(builtinModules.includes(specifier.slice(5)), `${path} imports ${specifier}`);
        } else {
          assert.equal(packages[name], roomOf(path), `${path} imports ${specifier}`);
        }
      }
    }
  });

  test('the kit shares the vocabulary with the rest, and nothing that it examines', () => {
    const kit = sourceFiles('conform', '.ts').filter(({ path }) => !path.includes('/dist/'));
    for (const { path, text } of kit) {
      for (const specifier of importsOf(text)) {
        const isInside = specifier.startsWith('.')
          ? posix.join(posix.dirname(path), specifier).startsWith('conform/')
          : specifier.startsWith('node:');
        const isShared = ['postern/pt', 'postern/extor', 'commander'].includes(specifier);
        assert.ok(isInside || isShared, `${path} imports ${specifier}`);
      }
    }
  });

  test('nothing outside the kit imports it', () => {
    const folders = ['src', 'test', 'scripts', 'bench', 'examples'];
    const others = folders.flatMap((folder) => [
      ...sourceFiles(folder, '.ts'),
      ...sourceFiles(folder, '.mjs'),
    ]);
    for (const { path, text } of others) {
      for (const specifier of importsOf(text)) {
        assert.doesNotMatch(specifier, /^postern-conform|^(?:\.\.\/)+conform\//, path);
      }
    }
  });
});
