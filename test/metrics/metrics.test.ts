/** Figures for Prometheus: who is answered, in which form, and what never stands in them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectBridge, listen as listenTransport } from '../../src/index.ts';
import { serveMetrics, type MetricsOptions } from '../../src/metrics/server.ts';
import { formatEndpoint, isLoopback } from '../../src/pt/address.ts';
import { countWire, totals, traffic } from '../../src/tallies.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { dial, echo, readAll, readBytes, socketPair } from '../support/sockets.ts';

async function start(t: TestContext, options: Partial<MetricsOptions> = {}): Promise<string> {
  const endpoint = { host: '127.0.0.1', port: 0 };
  const listener = await serveMetrics({ endpoint, accepts: isLoopback, ...options });
  t.after(() => listener.abort());
  return `http://${formatEndpoint(listener.endpoint)}/metrics`;
}

/** The value of a sample, by all that stands before it. */
function valueOf(text: string, sample: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

const figures = () => ({ links: 1, circuits: 2, streams: 3, bridgeLinks: 1, bridgeStreams: 9 });
const promtool = peerProgram('promtool');

describe('metrics', () => {
  test('handshakes, connections and bytes of a bridge under load, counts in steps of eight', async (t) => {
    const url = await start(t);
    const bridge = await listenTransport(
      { transport: 'obfs4', host: '127.0.0.1', port: 0, stateDir: temporaryDirectory(t) },
      echo,
    );
    t.after(() => bridge.abort());
    const before = await (await fetch(url)).text();
    const streams = await Promise.all(
      Array.from({ length: 9 }, () => connectBridge(bridge.bridgeLine)),
    );
    for (const stream of streams) {
      stream.write(Buffer.alloc(100_000));
      await readBytes(stream, 100_000);
    }
    const text = await (await fetch(url)).text();
    const server = (name: string, rest = '') => `${name}{side="server",transport="obfs4"${rest}}`;
    const client = (name: string, rest = '') => `${name}{side="client",transport="obfs4"${rest}}`;
    const established = ',outcome="established"';
    assert.equal(valueOf(text, client('postern_connections')), 9);
    assert.equal(valueOf(text, server('postern_connections')), 16);
    assert.equal(valueOf(text, server('postern_handshakes_total', established)), 16);
    assert.equal(valueOf(text, client('postern_handshakes_total', established)), 9);
    for (const direction of ['read', 'written']) {
      const sample = `postern_traffic_bytes_total{direction="${direction}"}`;
      const grown = valueOf(text, sample)! - valueOf(before, sample)!;
      // Both ends are in this process.
      assert.ok(grown >= 2 * 9 * 100_000 - 65_536, `${direction}: ${grown}`);
      assert.equal(valueOf(text, sample)! % 65_536, 0);
    }
    assert.ok(!/127\.0\.0\.1|\bcert\b/.test(text));

    const closed = streams.map((stream) => once(stream, 'close'));
    for (const stream of streams) stream.destroy();
    await Promise.all(closed);
    const after = await (await fetch(url)).text();
    assert.equal(valueOf(after, client('postern_connections')), 0);
  });

  test('the bytes of webtunnel, which leaves them to TLS, while a connection stands and afterwards', async (t) => {
    const options = [
      ['url', 'https://bridge.example/tea'],
      ['tls-cert', 'self-signed'],
    ] as const;
    const bridge = await listenTransport(
      {
        transport: 'webtunnel',
        host: '127.0.0.1',
        port: 0,
        stateDir: temporaryDirectory(t),
        options,
      },
      echo,
    );
    t.after(() => bridge.abort());
    const before = traffic();
    const grown = (): readonly number[] => {
      const { readBytes, writtenBytes } = traffic();
      return [readBytes - before.readBytes, writtenBytes - before.writtenBytes];
    };
    const stream = await connectBridge(
      `${bridge.bridgeLine} addr=${formatEndpoint(bridge.address)}`,
    );
    stream.write(Buffer.alloc(100_000));
    await readBytes(stream, 100_000);
    const standing = grown();
    // Both ends are in this process; TLS adds some.
    for (const bytes of standing) assert.ok(bytes >= 200_000 && bytes < 250_000, `${bytes}`);
    const closed = once(stream, 'close');
    stream.destroy();
    await closed;
    for (const [index, bytes] of grown().entries()) assert.ok(bytes >= standing[index]!);
  });

  test('the bytes of a connection that has gone already are added up at once', async (t) => {
    const [near, far] = await socketPair(t);
    far.end('12345');
    await readAll(near);
    near.destroy();
    await once(near, 'close');
    const { readBytes } = totals;
    countWire(near);
    assert.equal(totals.readBytes - readBytes, 5);
  });

  test('what fails is counted by how it failed', async (t) => {
    const url = await start(t);
    const bridge = await listenTransport({ transport: 'obfs3', host: '127.0.0.1', port: 0 }, echo);
    t.after(() => bridge.abort());
    const probe = await dial(bridge.address);
    probe.end();
    await readAll(probe);
    const text = await (await fetch(url)).text();
    const sample = 'postern_handshakes_total{side="server",transport="obfs3",outcome="closed"}';
    assert.equal(valueOf(text, sample), 8);
  });

  test('the two formats, by what Accept asks for', async (t) => {
    const url = await start(t, { figures });
    const plain = await fetch(url);
    assert.equal(plain.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.doesNotMatch(await plain.text(), /# EOF/);
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
    const open = await fetch(url, { headers: { accept } });
    assert.match(
      open.headers.get('content-type')!,
      /^application\/openmetrics-text; version=1\.0\.0/,
    );
    const text = await open.text();
    assert.match(text, /# EOF\n$/);
    assert.equal(valueOf(text, 'postern_circuits'), 2);
    assert.equal(valueOf(text, 'postern_bridge_links'), 8);
    assert.equal(valueOf(text, 'postern_bridge_streams'), 16);
  });

  test('nothing else is answered than GET of /metrics', async (t) => {
    const url = await start(t);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    assert.equal((await fetch(url.replace('metrics', ''))).status, 404);
    const head = await fetch(url, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
  });

  test('who may not ask is closed before a word', async (t) => {
    const asked: string[] = [];
    const url = await start(t, { accepts: (host) => asked.push(host) < 0 });
    const { port } = new URL(url);
    const stream = await dial({ host: '127.0.0.1', port: Number(port) });
    assert.deepEqual(await readAll(stream).catch(() => Buffer.alloc(0)), Buffer.alloc(0));
    assert.deepEqual(asked, ['127.0.0.1']);
  });

  test(
    'promtool finds nothing wrong with the names and the form',
    { skip: promtool === undefined ? 'promtool is not installed' : false },
    async (t) => {
      const input = await (await fetch(await start(t, { figures }))).text();
      const { status, stdout, stderr } = spawnSync(promtool!, ['check', 'metrics'], { input });
      assert.equal(`${String(stdout)}${String(stderr)}`, '');
      assert.equal(status, 0);
    },
  );
});
