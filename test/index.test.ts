/** The library’s front door: `connect`, `bridgeDialer` and `listen`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { buildRoot } from '../scripts/paths.ts';
import { bridgeDialer, connect, listen, type ListenOptions, PosternError } from '../src/index.ts';
import type { Dialer } from '../src/net/dialer.ts';
import { parseBridgeLine } from '../src/pt/bridge-line.ts';
import type { Transport } from '../src/transports/contract.ts';
import { TransportRegistry } from '../src/transports/registry.ts';
import { temporaryDirectory } from './support/managed.ts';
import {
  closedPort,
  dial,
  echo,
  listen as listenPlain,
  readAll,
  readBytes,
} from './support/sockets.ts';
import { createRot } from './support/test-transport.ts';

const loopback = { host: '127.0.0.1', port: 0 } as const;

/** A bridge that echoes, until the test has ended. */
async function startBridge(
  t: TestContext,
  options: Partial<ListenOptions> = {},
  onConnection: (stream: Duplex) => unknown = echo,
) {
  const bridge = await listen({ transport: 'obfs3', ...loopback, ...options }, onConnection);
  t.after(() => bridge.abort());
  return bridge;
}

/** What a descriptor of this process leads to. */
function readlinkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined; // it was that of the folder itself
  }
}

async function checkEcho(stream: Duplex): Promise<void> {
  stream.end('hello');
  assert.equal((await readAll(stream)).toString(), 'hello');
}

test('a bridge line leads to the bridge, for every built-in transport', async (t) => {
  for (const transport of ['obfs2', 'obfs3', 'obfs4', 'scramblesuit']) {
    const stateDir = temporaryDirectory(t);
    const bridge = await startBridge(t, { transport, stateDir, onNotice: () => {} });
    assert.equal(parseBridgeLine(bridge.bridgeLine).endpoint.port, bridge.address.port);
    await checkEcho(await connect(bridge.bridgeLine));
    await bridge.close();
  }
});

test('transports of one’s own are reached by name, and no others', async (t) => {
  const transports = new TransportRegistry([createRot()]);
  const bridge = await startBridge(t, {
    transport: 'rot',
    transports,
    options: [['key', '7']],
    stateDir: temporaryDirectory(t),
    onNotice: () => {},
  });
  assert.equal(bridge.bridgeLine, `rot 127.0.0.1:${bridge.address.port} key=7`);
  await checkEcho(await connect(bridge.bridgeLine, { transports }));
  await assert.rejects(connect(bridge.bridgeLine), { code: 'ERR_TRANSPORT_UNKNOWN' });
  await assert.rejects(startBridge(t, { transports }), { code: 'ERR_TRANSPORT_UNKNOWN' });
});

test('a dialer of one’s own is the only way out; an upstream proxy is reached by it', async (t) => {
  const bridge = await startBridge(t);
  const asked: unknown[] = [];
  const recording: Dialer = (target, options) => {
    asked.push(target);
    return dial(target, options);
  };
  await checkEcho(await connect(bridge.bridgeLine, { dial: recording }));
  assert.deepEqual(asked, [bridge.address]);

  const upstream = await closedPort();
  const upstreamProxy = `socks5://${upstream.host}:${upstream.port}`;
  await assert.rejects(connect(bridge.bridgeLine, { dial: recording, upstreamProxy }), {
    code: 'ERR_TUNNEL_UNREACHABLE',
  });
  assert.deepEqual(asked, [bridge.address, upstream]);

  const failure = new Error('no way out');
  await assert.rejects(
    connect(bridge.bridgeLine, { dial: () => Promise.reject(failure) }),
    failure,
  );
});

test('what cannot be right fails before anything is sent', async () => {
  let dials = 0;
  const never: Dialer = async () => {
    dials += 1;
    throw new Error('dialled');
  };
  for (const [line, code] of [
    ['nonsense', 'ERR_PT_BRIDGE_LINE'],
    ['127.0.0.1:1', 'ERR_PT_BRIDGE_LINE'],
    ['nosuch 127.0.0.1:1', 'ERR_TRANSPORT_UNKNOWN'],
    ['obfs4 127.0.0.1:1', 'ERR_TRANSPORT_ARGUMENT'],
  ] as const) {
    await assert.rejects(connect(line, { dial: never }), { code });
  }
  await assert.rejects(connect('obfs3 127.0.0.1:1', { dial: never, upstreamProxy: 'ftp://x' }), {
    code: 'ERR_PT_UPSTREAM_PROXY',
  });
  assert.equal(dials, 0);
});

test('an attempt ends with its signal, and with its own time', async (t) => {
  const hanging = await listenPlain(t, (socket) => socket.resume());
  const line = `obfs3 ${hanging.text}`;
  const controller = new AbortController();
  const connecting = connect(line, { signal: controller.signal });
  controller.abort(null);
  assert.equal(await connecting.catch((reason: unknown) => reason), null);

  await assert.rejects(connect(line, { timeoutMs: 1 }), {
    code: 'ERR_HANDSHAKE_TIMED_OUT',
    message: /within 1 ms/,
  });
  const dialBridge = bridgeDialer(parseBridgeLine(line), { timeoutMs: 1 });
  await assert.rejects(dialBridge(hanging.endpoint), { code: 'ERR_HANDSHAKE_TIMED_OUT' });
  // A connection that was made in time does not end with it.
  const bridge = await startBridge(t);
  const mocked = t.mock.timers;
  mocked.enable({ apis: ['setTimeout'] });
  const stream = await connect(bridge.bridgeLine, { timeoutMs: 1000 });
  mocked.tick(1000);
  mocked.reset();
  await checkEcho(stream);
});

test('a bridge needs a directory where its transport keeps an identity, and nowhere else', async (t) => {
  await checkEcho(await connect((await startBridge(t, { transport: 'obfs3' })).bridgeLine));
  for (const transport of ['obfs4', 'scramblesuit']) {
    await assert.rejects(startBridge(t, { transport }), {
      code: 'ERR_TRANSPORT_STATE',
      message: /give a stateDir/,
    });
  }
});

test('a start that fails leaves no file open that its transport has written to', async (t) => {
  const rot = createRot();
  const appends: Transport = {
    ...rot,
    async server(options, environment) {
      await environment.state.append('log', Buffer.from('started\n'));
      return rot.server(options, environment);
    },
  };
  const stateDir = temporaryDirectory(t);
  const bridge = await startBridge(t);
  const options = {
    transport: 'rot',
    transports: new TransportRegistry([appends]),
    stateDir,
    ...bridge.address,
  };
  const isOpen = (file: string): boolean =>
    readdirSync('/proc/self/fd').some((fd) => readlinkOf(fd) === file);
  await assert.rejects(startBridge(t, options), { code: 'ERR_LISTEN_IN_USE' });
  assert.deepEqual(readdirSync(stateDir), ['log', 'rot.key']);
  assert.ok(!isOpen(join(stateDir, 'log')));
});

test('a start that fails leaves its port closed and its directory alone', async (t) => {
  const address = await closedPort();
  const stateDir = temporaryDirectory(t);
  // No bridge line can carry it: that shows when it listens already.
  const options = [['shared-secret', 'two words']] as const;
  await assert.rejects(startBridge(t, { transport: 'obfs2', ...address, stateDir, options }), {
    code: 'ERR_PT_BRIDGE_LINE',
  });
  await assert.rejects(dial(address), { code: 'ERR_DIAL_REFUSED' });
  assert.deepEqual(readdirSync(stateDir), []);
  const { address: taken } = await startBridge(t);
  await assert.rejects(startBridge(t, taken), { code: 'ERR_LISTEN_IN_USE' });
  await assert.rejects(startBridge(t, { signal: AbortSignal.abort('not now') }), (reason) => {
    assert.equal(reason, 'not now');
    return true;
  });
});

test('a stranger that establishes and fails in one breath ends neither close nor abort', async (t) => {
  for (const end of ['close', 'abort'] as const) {
    let connections = 0;
    const bridge = await startBridge(t, {}, () => (connections += 1));
    const stranger = await dial(bridge.address);
    // A public key, and more than an obfs3 server looks through for the magic value.
    stranger.write(Buffer.alloc(192 + 9000, 1));
    stranger.resume();
    await once(stranger, 'data');
    await bridge[end]();
    await bridge.closed;
    assert.equal(connections, 0);
    stranger.destroy();
  }
});

test('close waits for what stands, abort and the signal do not; each may be repeated', async (t) => {
  const streams: Duplex[] = [];
  const controller = new AbortController();
  const bridge = await startBridge(t, { signal: controller.signal }, (stream) => {
    streams.push(stream);
  });
  const stream = await connect(bridge.bridgeLine);
  while (streams.length === 0) await new Promise(setImmediate);
  let isClosed = false;
  void bridge.closed.then(() => (isClosed = true));
  const closing = bridge.close();
  await assert.rejects(dial(bridge.address), { code: 'ERR_DIAL_REFUSED' });
  stream.write('x');
  assert.equal((await readBytes(streams[0]!, 1)).toString(), 'x');
  assert.ok(!isClosed);
  controller.abort();
  await Promise.all([closing, bridge.closed, bridge.close(), bridge[Symbol.asyncDispose]()]);
  bridge.abort();
  await finished(stream.resume(), { writable: false }).catch(() => {});
});

test('a handler that throws costs its connection, and becomes a warning', async (t) => {
  const warned = once(process, 'warning') as Promise<[Error]>;
  let isBroken = true;
  const bridge = await startBridge(t, {}, (stream) => {
    if (!isBroken) return echo(stream);
    throw new PosternError('ERR_DIAL_REFUSED', 'on purpose');
  });
  const stream = await connect(bridge.bridgeLine);
  await finished(stream.resume(), { writable: false }).catch(() => {});
  assert.match((await warned)[0].message, /on purpose/);
  isBroken = false;
  await checkEcho(await connect(bridge.bridgeLine));
});

test('an error that nobody catches shows what to do about it', async () => {
  const script = `
    import { connect } from '${join(buildRoot, 'src/index.js')}';
    await connect('obfs4 192.0.2.1:1');
  `;
  const [error, stderr] = await new Promise<[Error | null, string]>((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', script], (failure, _stdout, text) =>
      resolve([failure, text]),
    );
  });
  assert.ok(error !== null);
  assert.match(stderr, /ERR_TRANSPORT_ARGUMENT/);
  assert.match(stderr, /remedy: 'Copy the bridge line again, whole/);
});
