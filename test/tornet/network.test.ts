/** On a Tor network of our own: Debian's tor, and `Engine tor` under the eyes of a TC client. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporaryDirectory } from '../support/managed.ts';
import { socksConnect } from '../support/sockets.ts';
import { TorProcess } from '../support/tor-process.ts';
import { createPlugin } from '../support/tor.ts';
import { startTorNetwork, tornetMissing, type TorNetwork } from '../support/tornet.ts';
import { COMMENT, NetworkDaemon } from '../support/tornet-daemon.ts';
import { fetchDigest, startWebServer } from '../support/web.ts';

const BYTES = 8 << 20;
const loopback = { kind: 'ipv4', host: '127.0.0.1' } as const;
const webName = { kind: 'name', host: 'web.example' } as const;
const isEnd = (status: string): boolean => status === 'failed' || status === 'closed';
const done = { exitCode: 0, signal: null };

describe('on a Tor network', { skip: tornetMissing, concurrency: true }, () => {
  let network: TorNetwork;
  before(async () => void (network = await startTorNetwork()));
  after(() => network?.close());

  test('tor with our obfs4 as its transport fetches 8 MB byte for byte', async (t) => {
    const web = await startWebServer(t, BYTES);
    const plugin = await createPlugin(t);
    const client = new TorProcess('client', join(temporaryDirectory(t), 'client'), [
      ...network.clientLines,
      'SocksPort 127.0.0.1:auto',
      'UseBridges 1',
      network.bridgeLine,
      `ClientTransportPlugin obfs4 ${plugin.exec}`,
    ]);
    t.after(() => client.kill());
    const [, port] = await client.line(/Socks listener listening on port (\d+)/);
    await client.line(/Bootstrapped 100%/);
    const stream = await socksConnect({ host: '127.0.0.1', port: Number(port) }, web.endpoint);
    assert.equal(await fetchDigest(stream), web.digest);
    await client.kill();
    await (
      await plugin.started
    ).gone;
  });

  test('a controller follows Engine tor, maps addresses, sets and saves options, and ends it', async (t) => {
    const web = await startWebServer(t, BYTES);
    const daemon = await NetworkDaemon.start(t, network);
    const { control, events } = await daemon.control(t);
    await daemon.process.line(/Bootstrapped 100%/);

    // A circuit through the bridge and two relays, from its first step to its last.
    const built = await events.until(
      'a circuit of three relays is built',
      (event) => event.type === 'circuit' && event.status === 'built' && event.path.length === 3,
    );
    assert.ok(built.type === 'circuit');
    assert.equal(built.path[0], 'bridge');
    assert.match(built.path[2]!, /^exit\d$/);
    assert.deepEqual(events.statuses('circuit', built.id).slice(0, 5), [
      'launched',
      'extended',
      'extended',
      'extended',
      'built',
    ]);
    for (const status of ['launched', 'connected'] as const) {
      await events.until(
        `an OR connection is ${status}`,
        (event) => event.type === 'orConnection' && event.status === status,
      );
    }

    const picked = await control.mapAddress({ kind: 'ipv4', host: '0.0.0.0' }, loopback);
    const named = await control.mapAddress(webName, loopback);
    for (const { original } of [picked, named]) {
      const target = { host: original.host, port: web.endpoint.port };
      assert.equal(await fetchDigest(await daemon.connect(target)), web.digest);
      const closed = await events.until(
        `the stream to ${original.host} is closed`,
        (event) =>
          event.type === 'stream' &&
          event.status === 'closed' &&
          event.target === `${target.host}:${target.port}`,
      );
      assert.ok(closed.type === 'stream');
      assert.deepEqual(events.statuses('stream', closed.id), [
        'sentConnect',
        'succeeded',
        'closed',
      ]);
    }
    let readBytes = 0;
    await events.until('both transfers are counted', (event) => {
      if (event.type === 'bandwidth') readBytes += event.read;
      return readBytes >= 2 * BYTES;
    });

    await control.setConf([{ key: 'MaxCircuitDirtiness', value: '20 minutes' }]);
    assert.deepEqual(await control.getConf(['MaxCircuitDirtiness']), [
      { key: 'MaxCircuitDirtiness', value: '1200' },
    ]);
    const before = daemon.torrc;
    await control.saveConf();
    assert.match(daemon.torrc, /^MaxCircuitDirtiness /m);
    for (const line of [COMMENT, ...network.clientLines, network.bridgeLine]) {
      assert.ok(daemon.torrc.split('\n').includes(line), line);
    }
    assert.equal(daemon.file('torrc.previous'), before);

    await control.sendSignal('shutdown');
    assert.deepEqual(await daemon.gone(), done);
    assert.deepEqual(daemon.files, ['data', 'home', 'tmp', 'torrc', 'torrc.previous']);
  });

  test('a tor that is killed in the middle of a transfer is missed, and Engine tor replaces it', async (t) => {
    const web = await startWebServer(t, BYTES);
    const daemon = await NetworkDaemon.start(t, network);
    const { control, events } = await daemon.control(t);
    await daemon.process.line(/Bootstrapped 100%/);
    await control.mapAddress(webName, loopback);
    const target = { host: webName.host, port: web.endpoint.port };
    const isOurs = (event: { readonly target: string }): boolean =>
      event.target === `${target.host}:${target.port}`;

    const half = web.nextHalf();
    const interrupted = assert.rejects(fetchDigest(await daemon.connect(target), '/half'));
    await half;
    const open = events.openCircuits();
    const [seenEvents, seenLines] = [events.events.length, daemon.process.log.length];
    daemon.killTor();
    await interrupted;
    const failed = await events.until(
      'the stream has failed',
      (event) => event.type === 'stream' && event.status === 'failed' && isOurs(event),
      seenEvents,
    );
    assert.ok(failed.type === 'stream');
    assert.deepEqual(events.statuses('stream', failed.id), ['sentConnect', 'succeeded', 'failed']);
    assert.notEqual(open.length, 0);
    const ends: string[] = [];
    for (const id of open) {
      const end = await events.until(
        `circuit ${id} has ended`,
        (event) => event.type === 'circuit' && event.id === id && isEnd(event.status),
        seenEvents,
      );
      ends.push((end as { readonly status: string }).status);
    }
    // One may have been closed by Tor, as the last thing that it did.
    assert.ok(ends.includes('failed'), ends.join());

    for (const pattern of [
      /Tor is gone: .* Trying again in/,
      /Tor \S+ runs/,
      /Bootstrapped 100%/,
    ]) {
      await daemon.process.line(pattern, { from: seenLines });
    }
    assert.deepEqual(await control.mappings(), [{ original: webName, replacement: loopback }]);
    const again = await daemon.connect(target);
    assert.equal(await fetchDigest(again), web.digest);
    await events.until(
      'a stream of the new Tor has succeeded',
      (event) => event.type === 'stream' && event.status === 'succeeded' && isOurs(event),
      seenEvents,
    );

    daemon.process.process.kill('SIGTERM');
    assert.deepEqual(await daemon.gone(), done);
    assert.deepEqual(daemon.files, ['data', 'home', 'tmp', 'torrc']);
  });
});
