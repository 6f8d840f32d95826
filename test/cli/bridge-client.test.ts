import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ExitCode } from '../../src/cli/context.ts';
import { formatEndpoint, parseIpEndpoint } from '../../src/pt/address.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { type RunningCommand, startCommand } from '../support/command.ts';
import { fakePt } from '../support/fake-pt.ts';
import { temporaryDirectory } from '../support/managed.ts';
import {
  closedPort,
  dial,
  echo,
  listen,
  readAll,
  readBytes,
  socksConnect,
} from '../support/sockets.ts';
import { createRot } from '../support/test-transport.ts';
import { countTickets } from '../support/tickets.ts';
import { startVerb } from '../support/verb.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
// Where the command makes its temporary directories.
process.env['TMPDIR'] = folder;
after(() => rmSync(folder, { recursive: true, force: true }));
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

function start(t: TestContext, args: readonly string[]): RunningCommand {
  const command = startCommand(args, { PATH: process.env['PATH'] ?? '' });
  t.after(async () => {
    command.stop();
    // The next bridge has the same directory, which is locked until this one has ended.
    await command.exitCode;
  });
  return command;
}

/** A bridge before `forward`. */
async function startBridge(t: TestContext, forward: string, ...options: string[]) {
  const state = mkdtempSync(join(folder, 'state-'));
  const args = ['--listen', '127.0.0.1:0', '--forward', forward, '--state', state, ...options];
  const bridge = start(t, ['bridge', ...args]);
  const [, bridgeLine] = await bridge.stdout.match(/^(.+)\n/);
  return { bridge, bridgeLine: bridgeLine! };
}

/** A client of a bridge, and where it listens. */
async function startClient(t: TestContext, bridgeLine: string, ...options: string[]) {
  const client = start(t, ['client', bridgeLine, ...options]);
  const [, address] = await client.stderr.match(/Listening on (\S+) for/);
  return { client, endpoint: parseIpEndpoint(address!)! };
}

/** Resolves when nothing more comes from a stream, whichever way it was ended. */
async function over(stream: Duplex): Promise<void> {
  stream.on('error', () => {}).resume();
  await new Promise((resolve) => void stream.once('end', resolve).once('close', resolve));
}

describe('postern bridge and postern client', () => {
  test('carry a connection, half-close included, for TCP and SOCKS clients', async (t) => {
    const service = await listen(t, echo);
    const { bridge, bridgeLine } = await startBridge(t, service.text);
    assert.match(bridgeLine, /^obfs4 127\.0\.0\.1:\d+ cert=\S+ iat-mode=0$/);

    const plain = await startClient(t, bridgeLine, '--forward-from', '127.0.0.1:0');
    const stream = await dial(plain.endpoint);
    stream.end('through TCP');
    assert.equal((await readAll(stream)).toString(), 'through TCP');

    const socks = await startClient(t, bridgeLine, '--socks', '127.0.0.1:0');
    // Whatever target is asked for, the connection goes to the service.
    const asked = await socksConnect(socks.endpoint, { host: 'nowhere.invalid', port: 1 });
    asked.end('through SOCKS');
    assert.equal((await readAll(asked)).toString(), 'through SOCKS');

    for (const command of [plain.client, socks.client, bridge]) {
      command.drain();
      assert.equal(await command.exitCode, ExitCode.ok);
    }
  });

  test('a bridge keeps its identity from one start to the next', async (t) => {
    const state = ['--state', join(folder, 'kept')];
    const first = await startBridge(t, '127.0.0.1:9', ...state);
    first.bridge.stop();
    await first.bridge.exitCode;
    const second = await startBridge(t, '127.0.0.1:9', ...state, '--option', 'iat-mode=1');
    const certOf = (line: string): string => /cert=\S+/.exec(line)![0];
    assert.equal(certOf(second.bridgeLine), certOf(first.bridgeLine));
    assert.match(second.bridgeLine, /iat-mode=1$/);
  });

  test('the bridge line has the public address, and says how to give it where it has none', async (t) => {
    const run = async (listen: string, ...options: string[]) => {
      const args = ['--forward', '127.0.0.1:9', '--transport', 'obfs3', ...options];
      const bridge = start(t, ['bridge', '--listen', listen, ...args]);
      await bridge.stderr.match(/The bridge runs/);
      bridge.stop();
      assert.equal(await bridge.exitCode, ExitCode.ok);
      return [bridge.stdout.text.replaceAll(/:\d+$/gm, ''), bridge.stderr.text] as const;
    };
    const [unknown, advice] = await run('0.0.0.0:0', '--state', join(folder, 'p1'));
    assert.equal(unknown, 'obfs3 0.0.0.0\n');
    assert.match(advice, /Replace 0\.0\.0\.0 in the bridge line .* --public ADDRESS/);
    const [known, quiet] = await run(
      ...(['0.0.0.0:0', '--state', join(folder, 'p2'), '--public', '192.0.2.3'] as const),
      ...['--public', '[2001:DB8::3]'],
    );
    assert.equal(known, 'obfs3 192.0.2.3\nobfs3 [2001:db8::3]\n');
    assert.doesNotMatch(quiet, /Replace/);
  });

  test('draining lets a connection finish; a second request ends it', async (t) => {
    let accept: (socket: Socket) => void;
    const accepted = new Promise<Socket>((resolve) => (accept = resolve));
    const service = await listen(t, (socket) => accept(socket));
    const { bridge, bridgeLine } = await startBridge(t, service.text);
    const { client, endpoint } = await startClient(t, bridgeLine, '--forward-from', '127.0.0.1:0');
    const stream = await dial(endpoint);
    stream.write('still here');
    const served = await accepted;
    assert.equal((await readBytes(served, 10)).toString(), 'still here');

    bridge.drain();
    client.drain();
    await client.stderr.match(/Ending/);
    await bridge.stderr.match(/Ending/);
    // Both have stopped listening, and the connection still works.
    await assert.rejects(dial(endpoint), { code: 'ERR_DIAL_REFUSED' });
    stream.write(', still heard');
    assert.equal((await readBytes(served, 13)).toString(), ', still heard');

    const ended = over(stream);
    client.stop();
    bridge.stop();
    assert.deepEqual(await Promise.all([client.exitCode, bridge.exitCode]), [0, 0]);
    await ended;
    stream.destroy();
  });

  test('a forward target that refuses is told at the bridge, once', async (t) => {
    const gone = await listen(t, () => {});
    gone.abort();
    const { bridge, bridgeLine } = await startBridge(t, gone.text);
    const { endpoint } = await startClient(t, bridgeLine, '--forward-from', '127.0.0.1:0');
    for (let count = 1; count <= 3; count += 1) {
      const stream = await dial(endpoint);
      await over(stream);
      stream.destroy();
    }
    await bridge.stderr.match(/cannot forward to \S+: .*\(ERR_DIAL_REFUSED\)\. Check/);
    assert.equal(bridge.stderr.text.split('cannot forward').length, 2);
  });

  test('a bridge that is not there: SOCKS clients get the reason, a person the remedy', async (t) => {
    const gone = await listen(t, () => {});
    gone.abort();
    const { client, endpoint } = await startClient(
      t,
      `obfs3 ${gone.text}`,
      '--socks',
      '127.0.0.1:0',
    );
    await assert.rejects(socksConnect(endpoint, { host: '192.0.2.1', port: 1 }), {
      code: 'ERR_DIAL_REFUSED',
    });
    await client.stderr.match(/cannot connect through the bridge: .*\(ERR_DIAL_REFUSED\)\. Check/);
    assert.ok(!client.stderr.text.includes(gone.text), 'the address of the bridge is not shown');
  });

  test('an upstream proxy that is gone fails the connection, and nothing goes around it', async (t) => {
    let connections = 0;
    const bridge = await listen(t, () => (connections += 1));
    const gone = await listen(t, () => {});
    gone.abort();
    const upstream = ['--upstream', `socks5://user:secret@${gone.text}`];
    const args = ['--forward-from', '127.0.0.1:0', ...upstream];
    const { client, endpoint } = await startClient(t, `obfs3 ${bridge.text}`, ...args);
    const stream = await dial(endpoint);
    await over(stream);
    stream.destroy();
    await client.stderr.match(/cannot connect through the bridge: .*\(ERR_TUNNEL_UNREACHABLE\)/);
    assert.equal(connections, 0);
    assert.ok(!client.stderr.text.includes('secret'));
  });

  test('a port in use is named, and so is the remedy', async (t) => {
    const taken = await listen(t, () => {});
    for (const args of [
      ['bridge', '--listen', taken.text, '--forward', 'localhost:1', '--state', join(folder, 'x')],
      ['client', 'obfs3 192.0.2.1:1', '--socks', taken.text],
    ]) {
      const command = start(t, args);
      assert.equal(await command.exitCode, ExitCode.failed);
      assert.ok(command.stderr.text.includes(taken.text));
      assert.match(command.stderr.text, /ERR_LISTEN_IN_USE\)\n {2}What to do: /);
    }
  });

  test('a transport with a danger says so at both ends', async (t) => {
    builtinTransports.register(createRot({ warning: 'hides nothing' }));
    const options = ['--transport', 'rot', '--option', 'key=7'];
    const { bridge, bridgeLine } = await startBridge(t, '127.0.0.1:9', ...options);
    await bridge.stderr.match(/Warning: rot: hides nothing\n/);
    const { client } = await startClient(t, bridgeLine, '--socks', '127.0.0.1:0');
    await client.stderr.match(/Warning: rot: hides nothing\n/);
  });
});

describe('postern client --state', () => {
  test('tickets outlive the process, by default in a place by transport and port', async (t) => {
    const ticketsTaken = countTickets(t);
    const stateHome = temporaryDirectory(t);
    const service = await listen(t, echo);
    const { bridgeLine } = await startBridge(t, service.text, '--transport', 'scramblesuit');
    const entrance = await closedPort();
    const state = join(stateHome, 'postern', `client-scramblesuit-${entrance.port}`);
    const args = ['client', bridgeLine, '--forward-from', formatEndpoint(entrance)];
    process.env['XDG_STATE_HOME'] = stateHome;
    t.after(() => delete process.env['XDG_STATE_HOME']);
    for (const [options, expected] of [
      [[], 0],
      [['--state', state], 1],
    ] as const) {
      const client = startVerb(t, [...args, ...options]);
      await client.match(/Listening on/);
      const stream = await dial(entrance);
      stream.end('once');
      assert.equal((await readAll(stream)).toString(), 'once');
      assert.equal(ticketsTaken(), expected);
      await client.stop();
    }
    assert.deepEqual(readdirSync(state).sort(), ['scramblesuit_tickets.json']);
  });

  test('is the state directory of another program', async (t) => {
    const service = await listen(t, echo);
    const { bridgeLine } = await startBridge(t, service.text, '--transport', 'scramblesuit');
    const state = temporaryDirectory(t);
    const pt = `'${process.execPath}' '${MAIN}'`;
    const options = ['--forward-from', '127.0.0.1:0', '--pt', pt, '--state', state];
    const { client, endpoint } = await startClient(t, bridgeLine, ...options);
    const stream = await dial(endpoint);
    stream.end('through a child');
    assert.equal((await readAll(stream)).toString(), 'through a child');
    client.drain();
    assert.equal(await client.exitCode, ExitCode.ok);
    assert.ok(readdirSync(state).includes('scramblesuit_tickets.json'));
  });
});

test('postern client warns of an argument that the transport does not know, and of a program’s own not', async (t) => {
  const line = 'obfs3 127.0.0.1:9 colour=red';
  const warning = /Warning: obfs3 does not know `colour` in the bridge line, and goes without\./;
  const { client } = await startClient(t, line, '--socks', '127.0.0.1:0');
  assert.match(client.stderr.text, warning);
  const pt = `'${process.execPath}' '${MAIN}'`;
  const { client: parent } = await startClient(t, line, '--socks', '127.0.0.1:0', '--pt', pt);
  assert.doesNotMatch(parent.stderr.text, warning);
});

describe('postern client --pt', () => {
  test('goes through another program, and leaves nothing behind', async (t) => {
    const service = await listen(t, echo);
    const { bridgeLine } = await startBridge(t, service.text);
    const pt = `'${process.execPath}' '${MAIN}'`;
    const { client, endpoint } = await startClient(
      t,
      bridgeLine,
      '--forward-from',
      '127.0.0.1:0',
      '--pt',
      pt,
    );
    const stream = await dial(endpoint);
    stream.end('through a child');
    assert.equal((await readAll(stream)).toString(), 'through a child');
    client.drain();
    assert.equal(await client.exitCode, ExitCode.ok);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('postern-client-')),
      [],
    );
  });

  test('listens before its program is ready, and ends with it; what is asked meanwhile waits', async (t) => {
    const pt = fakePt({ stdout: 'VERSION 1\n' })
      .map((word) => `'${word}'`)
      .join(' ');
    const options = ['--forward-from', '127.0.0.1:0', '--pt', pt];
    const { client, endpoint } = await startClient(t, 'obfs3 192.0.2.1:1', ...options);
    assert.match(client.stderr.text, /The bridge is not tried yet/);
    const waiting = over(await dial(endpoint));
    client.stop();
    assert.equal(await client.exitCode, ExitCode.ok);
    await waiting;
  });

  test('says how the first connection went: here that nobody is at the bridge', async (t) => {
    const pt = `'${process.execPath}' '${MAIN}'`;
    const line = `obfs3 ${formatEndpoint(await closedPort())}`;
    const options = ['--forward-from', '127.0.0.1:0', '--pt', pt];
    const { client, endpoint } = await startClient(t, line, ...options);
    await over(await dial(endpoint));
    await client.stderr.match(/cannot connect through the bridge: .*ERR_/);
    client.stop();
    assert.equal(await client.exitCode, ExitCode.ok);
  });

  test('a program that cannot be started is a failure that names the reason', async (t) => {
    const client = start(t, [
      'client',
      'obfs4 192.0.2.1:1 cert=x',
      '--socks',
      '127.0.0.1:0',
      '--pt',
      '/nonexistent/pt',
    ]);
    assert.equal(await client.exitCode, ExitCode.failed);
    assert.match(client.stderr.text, /the transport’s program does not start: .*ERR_PARENT_SPAWN/);
  });

  test('a program without the transport is a failure as well', async (t) => {
    const client = start(t, [
      'client',
      'unheard_of 192.0.2.1:1',
      '--socks',
      '127.0.0.1:0',
      '--pt',
      `'${process.execPath}' '${MAIN}'`,
    ]);
    assert.equal(await client.exitCode, ExitCode.failed);
    assert.match(client.stderr.text, /transport unheard_of: .*ERR_PARENT_TRANSPORT/);
  });
});
