/** The running client daemon with bridges that mean it ill, and one good bridge among them. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import type { BridgeLine } from '../../src/pt/bridge-line.ts';
import { systemClock } from '../../src/time.ts';
import { obfs4 } from '../../src/transports/obfs4/index.ts';
import { GoodClient } from '../support/good-client.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { ProbedBridge } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { closedPort, listen, readBytes, socksConnect } from '../support/sockets.ts';

type Place = Pick<BridgeLine, 'endpoint' | 'args'>;

const line = ({ endpoint, args }: Place): string =>
  `Bridge obfs4 ${[formatEndpoint(endpoint), ...args.map((pair) => pair.join('='))].join(' ')}`;

/** A bridge that knows the handshake, and then does as it is told. */
async function startHostile(
  t: TestContext,
  onConnection: (stream: Duplex) => void,
): Promise<Place> {
  const bridge = await startTransportServer({
    transport: obfs4,
    endpoint: { host: '127.0.0.1', port: 0 },
    context: { rng: systemRng, clock: systemClock, state: new MemoryState(), notify() {} },
    onConnection: (stream) => onConnection(stream.on('error', () => {})),
  });
  t.after(() => bridge.abort());
  return { endpoint: bridge.endpoint, args: bridge.clientArguments };
}

/** A byte now and then, for as long as somebody listens. */
function drip(stream: Duplex): void {
  const timer = setInterval(() => stream.write(Buffer.of(0)), 200);
  stream.once('close', () => clearInterval(timer));
}

test('no stream fails with one good bridge among silent, dripping and refusing ones, and nothing is left', async (t) => {
  const good = await ProbedBridge.start(t);
  const { args } = good.bridgeLine('obfs4');
  const mute = await listen(t, (socket) => void socket.resume());
  const dripping = await listen(t, drip);
  const hostile: Place[] = [
    { endpoint: mute.endpoint, args },
    { endpoint: dripping.endpoint, args },
    { endpoint: await closedPort(), args },
    // Here the handshake is right, and no link comes of it.
    await startHostile(t, (stream) => void stream.resume()),
    await startHostile(t, drip),
    await startHostile(t, (stream) => void stream.end()),
    await startHostile(t, (stream) => void stream.write(Buffer.alloc(100_000, 'x'))),
  ];
  const directory = temporaryDirectory(t);
  const torrc = [
    `DataDirectory ${directory}`,
    'SocksPort auto',
    'UseBridges 1',
    'ClientTransportPlugin obfs4 builtin',
    'Log info stdout',
    ...hostile.map(line),
    line(good.bridgeLine('obfs4')),
    '',
  ];
  writeFileSync(join(directory, 'torrc'), torrc.join('\n'));
  const daemon = new ProbedProcess(t, ['run', '-f', join(directory, 'torrc')]);
  const socks = await daemon.address(/SocksPort (\S+) is open/);
  const serveOne = async (): Promise<number> => {
    const startMs = performance.now();
    const stream = await socksConnect(socks, good.targets.echo);
    stream.write('ping');
    assert.equal((await readBytes(stream, 4)).toString(), 'ping');
    stream.destroy();
    return Math.round(performance.now() - startMs);
  };
  // All at once, before any circuit stands; then one behind the other.
  const first = await Promise.all(Array.from({ length: 8 }, serveOne));
  const before = await daemon.holdings();
  const client = await GoodClient.start(() => socksConnect(socks, good.targets.echo));
  for (let count = 0; count < 20; count += 1) await client.serve();
  client.close();
  const after = await daemon.holdings();
  t.diagnostic(`first streams ${first.join(', ')} ms; later, ${client.report()}`);
  t.diagnostic(JSON.stringify({ before, after }));
  assert.ok(daemon.log.length < 60, daemon.log.join('\n'));
  // A dial to one that is hostile may stand or not.
  assert.ok(after.files <= before.files + hostile.length);
});
