/** What the documents show is what runs: code stands in examples/, commands are carried out. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { buildRoot, packageRoot } from '../../scripts/paths.ts';
import { startEngine } from '../support/engine.ts';
import { startPtClient, startPtServer } from '../support/pt-programs.ts';
import { echo, listen, readAll } from '../support/sockets.ts';
import { readSource, sourceFiles } from '../support/sources.ts';
import { startControlledTor, torMissing } from '../support/tor.ts';

const run = promisify(execFile);
// What is generated from comments shows how something is called, and no whole files.
const written = sourceFiles('docs', '.md').filter(({ path }) => !path.startsWith('docs/api/'));
const pages = [readSource('README.md'), ...written];
const main = join(buildRoot, 'src', 'cli', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'postern-examples-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Each fenced block, with its language and the comment line that stands before it. */
function fencesOf(text: string): { language: string; mark: string; code: string }[] {
  const pattern = /(?:<!-- (.*) -->\n\n?)?^```([a-z]*)\n([\s\S]*?)^```$/gm;
  return [...text.matchAll(pattern)].map(([, mark, language, code]) => ({
    language: language!,
    mark: mark ?? '',
    code: code!,
  }));
}

test('every JavaScript block of the documents is a whole file of examples/, and says its name', () => {
  const examples = new Map(sourceFiles('examples', '.mjs').map(({ path, text }) => [path, text]));
  for (const { path, text } of pages) {
    for (const { language, mark, code } of fencesOf(text)) {
      if (!['ts', 'js', 'typescript', 'javascript'].includes(language)) continue;
      assert.equal(code, examples.get(mark), `${path}: a block marked "${mark}"`);
      assert.ok(code.startsWith(`// ${basename(mark)}: `), `${path}: how is it to be saved?`);
    }
  }
});

test('every command of the documents that is marked to be run works', async () => {
  const command = join(folder, 'postern');
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
  const marked = pages.flatMap(({ path, text }) =>
    fencesOf(text)
      .filter(({ mark }) => mark === 'run')
      .map(({ code }) => ({ path, code })),
  );
  assert.ok(marked.length > 0);
  for (const { path, code } of marked) {
    await run('bash', ['-euc', code], { cwd: folder, env }).catch((error: unknown) => {
      assert.fail(`${path}: ${code}${String(error)}`);
    });
  }
});

describe('examples', () => {
  // As a newcomer has it: saved under its name beside what `npm init -y` and `npm install` make.
  writeFileSync(join(folder, 'package.json'), '{ "name": "mine", "type": "commonjs" }');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(packageRoot, join(folder, 'node_modules', 'postern'));
  for (const { path, text } of sourceFiles('examples', '.mjs')) {
    writeFileSync(join(folder, basename(path)), text);
  }

  /** The path of an example. */
  function saved(name: string): string {
    return join(folder, `${name}.mjs`);
  }

  test('server.mjs, client.mjs and run-any-pt.mjs talk to each other', async () => {
    const server = spawn(process.execPath, [saved('server')], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface(server.stdout);
      const [bridgeLine = ''] = (await Promise.race([
        once(lines, 'line'),
        once(lines, 'close'),
      ])) as [string?];
      assert.match(bridgeLine, /^obfs4 127\.0\.0\.1:\d+ cert=\S+ iat-mode=0$/);
      const { stdout } = await run(process.execPath, [saved('client'), bridgeLine]);
      assert.equal(stdout, 'Hello through the bridge\n');
      const other = [saved('run-any-pt'), bridgeLine, process.execPath, main];
      assert.deepEqual(
        (await run(process.execPath, other, { cwd: folder })).stdout,
        'Hello through another program\n',
      );
    } finally {
      server.kill();
    }
  });

  test('control.mjs changes an option of a daemon and hears of it', async (t) => {
    const { engine } = await startEngine(t, 'ControlPort auto\nNickname gate\n');
    const { port } = engine.endpoints.control[0]!;
    const { stdout } = await run(process.execPath, [saved('control'), String(port)]);
    assert.equal(stdout, 'BandwidthRate 1048576\nNickname gate\n0 links, 0 circuits, 0 streams\n');
  });

  test('tor-control.mjs asks a Tor and hears of it', { skip: torMissing }, async (t) => {
    const { port } = await startControlledTor(t);
    const { stdout } = await run(process.execPath, [saved('tor-control'), String(port)]);
    assert.match(stdout, /^Tor 0\.4\.\S+\nMaxCircuitDirtiness 300\nsignal CLEARDNSCACHE\n$/);
  });

  test('keep-tor-control.mjs follows a Tor', { skip: torMissing }, async (t) => {
    const { tor, port } = await startControlledTor(t);
    const example = spawn(process.execPath, [saved('keep-tor-control'), String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => void example.kill());
    const lines = createInterface(example.stdout)[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'bootstrap: 0 %');
    assert.equal((await lines.next()).value, 'connected');
    tor.process.kill('SIGKILL');
    const { value } = await lines.next();
    assert.match(String(value), /^disconnected, trying again in \d+ ms$/);
  });

  test('own-transport.mjs carries a line and ends', async () => {
    const { stdout } = await run(process.execPath, [saved('own-transport')], { cwd: folder });
    assert.equal(stdout, 'Hello through my own transport\n');
  });

  test('own-wire.mjs carries a line and ends', async () => {
    const { stdout } = await run(process.execPath, [saved('own-wire')]);
    assert.equal(stdout, 'Hello over a wire of my own\n');
  });

  test('pt-program.mjs is a PT program, client and server', async (t) => {
    const program = {
      name: 'pt-program',
      command: [process.execPath, saved('pt-program')],
    } as const;
    const service = await listen(t, echo);
    const server = await startPtServer(t, program, {
      transport: 'flip',
      orPort: service.endpoint,
    });
    const { dialer } = await startPtClient(t, program, 'flip');
    const stream = await dialer(server.args)(server.endpoint);
    stream.end('flipped twice');
    assert.equal((await readAll(stream)).toString(), 'flipped twice');
    await server.stop();
  });

  test('check-bridges.mjs says whether bridges work', async (t) => {
    const closing = await listen(t, (socket) => socket.end());
    const { stdout } = await run(process.execPath, [
      saved('check-bridges'),
      `obfs4 ${closing.text}`,
      `obfs3 ${closing.text}`,
    ]);
    assert.match(stdout, /^1: unreadable, obfs4: `cert` is missing\n2: unwell, the connection was/);
  });

  test('check-transport.mjs finds nothing broken', async () => {
    // A runner of its own: as a part of this one it would report to it instead of by its exit code.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
    await run(process.execPath, [saved('check-transport')], { env });
  });
});
