import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { ExitCode } from '../../src/cli/context.ts';
import { loadPlugin } from '../../src/cli/plugin.ts';
import { PosternError } from '../../src/errors.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { checkTransport } from '../../src/transports/compliance/index.ts';
import { startCommand } from '../support/command.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { startPtClient, startPtServer, postern } from '../support/pt-programs.ts';
import { seededRng } from '../support/rng.ts';
import { dial, echo, listen, readAll } from '../support/sockets.ts';

const ROT_BY_N = join(packageRoot, 'examples', 'rot-by-n.mjs');
const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A module with this text. */
function moduleOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('--plugin', () => {
  test('loads the example, which keeps to the contract', async () => {
    const [rotByN, ...others] = await loadPlugin(ROT_BY_N);
    assert.equal(rotByN?.name, 'rot_by_N');
    assert.deepEqual(others, []);
    const reason = 'it has no handshake';
    const results = await checkTransport(rotByN, {
      wrongArguments: [[['N', '0']], [['N', 'thirteen']]],
      wrongOptions: [[['N', '256']]],
      notApplicable: { probing: reason, replay: reason },
    });
    assert.deepEqual(
      results.filter(({ outcome }) => outcome === 'broken'),
      [],
    );
  });

  test('loads each transport of a module once, whatever else it exports', async () => {
    const path = moduleOf(
      'several.mjs',
      `const make = (name) => ({ name, summary: 's', warning: 'w', client() {}, async server() {} });
       export const one = make('one'), two = make('two'), text = 'x', nothing = null;
       export default one;`,
    );
    const transports = await loadPlugin(path);
    assert.deepEqual(transports.map(({ name }) => name).sort(), ['one', 'two']);
    assert.equal(transports[0]!.warning, 'w');
  });

  test('says what is wrong with a module', async () => {
    for (const [specifier, reason] of [
      [join(folder, 'missing.mjs'), /cannot be loaded/],
      ['postern-transport-that-nobody-has-written', /cannot be loaded/],
      [moduleOf('broken.mjs', 'export const = 1;'), /cannot be loaded/],
      [moduleOf('empty.mjs', 'export const name = "x";'), /exports no transport/],
      [
        moduleOf('half.mjs', 'export const x = { name: "x", client() {} };'),
        /exports no transport/,
      ],
    ] as const) {
      await assert.rejects(() => loadPlugin(specifier), { name: 'UsageError', message: reason });
    }
  });

  test('takes what another copy of Postern throws for its own', async () => {
    const path = moduleOf(
      'throwing.mjs',
      `export const throwing = {
         name: 'throwing',
         summary: 's',
         client() { throw Object.assign(new Error('no N'), { code: 'ERR_TRANSPORT_ARGUMENT' }); },
         async server() { throw Object.assign(new Error('no disk'), { code: 'ERR_TRANSPORT_STATE' }); },
       };`,
    );
    const [throwing] = await loadPlugin(path);
    const environment = { rng: seededRng(1), clock: { epochMs: () => 0 } };
    assert.throws(
      () => throwing!.client([], environment),
      (error) => error instanceof PosternError && error.code === 'ERR_TRANSPORT_ARGUMENT',
    );
    const state = new MemoryState();
    await assert.rejects(
      () => throwing!.server([], { ...environment, state, notify: () => {} }),
      (error) => error instanceof PosternError && error.code === 'ERR_TRANSPORT_STATE',
    );
  });

  test('serves verbs: a bridge and a client of its transport', async (t) => {
    const service = await listen(t, echo);
    const bridge = startCommand([
      ...['bridge', '--plugin', ROT_BY_N, '--transport', 'rot_by_N', '--option', 'N=7'],
      ...['--listen', '127.0.0.1:0', '--forward', service.text, '--state', folder],
    ]);
    t.after(() => bridge.stop());
    const [, bridgeLine] = await bridge.stdout.match(/^(rot_by_N .* N=7)\n/);
    // Both run in this process, which knows the transport from now on.
    const client = startCommand(['client', bridgeLine!, '--forward-from', '127.0.0.1:0']);
    t.after(() => client.stop());
    const [, address] = await client.stderr.match(/Listening on (\S+) for/);
    const stream = await dial(parseIpEndpoint(address!)!);
    stream.end('rotated');
    assert.equal((await readAll(stream)).toString(), 'rotated');
  });

  test('serves the managed proxy, both roles', async (t) => {
    const service = await listen(t, echo);
    const [file, ...args] = postern.command;
    const program = {
      name: 'postern --plugin',
      command: [file, ...args, '--plugin', ROT_BY_N],
    } as const;
    const { endpoint, args: published } = await startPtServer(t, program, {
      transport: 'rot_by_N',
      orPort: service.endpoint,
    });
    assert.deepEqual(published, [['N', '13']]);
    const { dialer } = await startPtClient(t, program, 'rot_by_N');
    const stream = await dialer(published)(endpoint);
    stream.end('rotated');
    assert.equal((await readAll(stream)).toString(), 'rotated');
  });

  test('that cannot be loaded ends the command with a usage error', async () => {
    const command = startCommand(['--plugin', './nowhere.js', '--version']);
    assert.equal(await command.exitCode, ExitCode.usage);
    assert.match(command.stderr.text, /--plugin \.\/nowhere\.js: the module cannot be loaded/);
  });
});
