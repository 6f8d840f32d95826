/** Bridge lines, checked: the good ones, and everything that can be in the way. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, test, type TestContext } from 'node:test';
import { checkBridges, type CheckOptions } from '../../src/check/check.ts';
import type { BridgeReport } from '../../src/check/report.ts';
import { listen as listenTransport } from '../../src/index.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { closedPort, echo, listen } from '../support/sockets.ts';

/** A bridge of ours, and its line. */
async function startBridge(
  t: TestContext,
  transport: string,
  onConnection: (stream: Duplex) => void = echo,
): Promise<string> {
  const bridge = await listenTransport(
    { transport, host: '127.0.0.1', port: 0, stateDir: temporaryDirectory(t) },
    onConnection,
  );
  t.after(() => bridge.abort());
  return bridge.bridgeLine;
}

async function checkOne(line: string, options: CheckOptions = {}): Promise<BridgeReport> {
  const [report] = await checkBridges([line], options);
  return report!;
}

/** Enough for loopback, and what is silent is waited for so long. */
const timeoutMs = 3000;

describe('checkBridges', { concurrency: true }, () => {
  for (const { name } of builtinTransports) {
    test(`${name}: a good bridge is well, with the time of each step`, async (t) => {
      const report = await checkOne(await startBridge(t, name));
      assert.equal(report.outcome, 'well', report.failure?.message);
      assert.equal(report.transport, name);
      assert.deepEqual(
        report.steps.map((step) => step.name),
        ['tcp', 'handshake'],
      );
      assert.ok(report.steps.every(({ ms }) => ms >= 0));
      assert.ok(report.roundTripMs! <= report.steps[1]!.ms);
      assert.deepEqual(report.notes, []);
    });
  }

  test('a port that is closed', async () => {
    const { failure } = await checkOne(`obfs3 ${formatEndpoint(await closedPort())}`);
    assert.equal(failure?.kind, 'refused');
    assert.equal(failure.step, 'tcp');
    assert.equal(failure.code, 'ERR_DIAL_REFUSED');
  });

  test('an address that nothing comes back from', async () => {
    // As where packets are dropped: the dial goes on until it is given up.
    const dial: CheckOptions['dial'] = (_, { signal } = {}) =>
      new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => reject(signal!.reason as Error));
      });
    const { failure } = await checkOne('obfs3 192.0.2.3:443', { dial, timeoutMs: 50 });
    assert.equal(failure?.kind, 'filtered');
    assert.equal(failure.step, 'tcp');
  });

  test('a service that says nothing', async (t) => {
    const silent = await listen(t, (socket) => void socket.resume());
    const { failure, steps } = await checkOne(`obfs3 ${silent.text}`, { timeoutMs });
    assert.equal(failure?.kind, 'silent');
    assert.deepEqual(
      steps.map(({ name }) => name),
      ['tcp'],
    );
  });

  test('a service that closes at once', async (t) => {
    const closing = await listen(t, (socket) => void socket.resume().end());
    assert.equal((await checkOne(`obfs4 ${closing.text} ${anyCert}`)).failure?.kind, 'closes');
  });

  test('a service that is another one, by its first words', async (t) => {
    const ssh = await listen(
      t,
      (socket) => void socket.resume().write('SSH-2.0-OpenSSH_9.2p1\r\n'),
    );
    const { failure } = await checkOne(`obfs3 ${ssh.text}`, { timeoutMs });
    assert.equal(failure?.kind, 'stranger');
    assert.match(failure.message, /^SSH answers there/);
  });

  test('the port of another transport', async (t) => {
    const obfs3 = await startBridge(t, 'obfs3');
    const [, address] = obfs3.split(' ');
    const { failure } = await checkOne(`obfs4 ${address} ${anyCert}`, { timeoutMs });
    assert.equal(failure?.kind, 'mismatch');
    const obfs4 = await startBridge(t, 'obfs4');
    const other = await checkOne(`obfs3 ${obfs4.split(' ')[1]}`, { timeoutMs });
    assert.equal(other.failure?.kind, 'silent');
  });

  test('a cert that is another bridge’s', async (t) => {
    const line = await startBridge(t, 'obfs4');
    const wrong = line.replace(/cert=\S+/, anyCert.split(' ')[0]!);
    assert.equal((await checkOne(wrong, { timeoutMs })).failure?.kind, 'silent');
    // The same, and the clock is known to be wrong.
    const known = await checkOne(wrong, { timeoutMs, clockAheadMs: -2 * 3_600_000 - 180_000 });
    assert.equal(known.failure?.kind, 'clock');
    assert.match(known.failure.message, /2 h 3 min behind/);
  });

  test('an upstream proxy that is gone', async (t) => {
    const line = await startBridge(t, 'obfs3');
    const upstreamProxy = `socks5://${formatEndpoint(await closedPort())}`;
    const { failure } = await checkOne(line, { upstreamProxy });
    assert.equal(failure?.kind, 'proxy');
    assert.equal(failure.step, 'proxy');
  });

  test('a bridge before something that is gone is well, and that it closed is said', async (t) => {
    const report = await checkOne(await startBridge(t, 'obfs4', (stream) => stream.end()));
    assert.equal(report.outcome, 'well');
    assert.match(report.notes.join(), /closed behind the handshake/);
  });

  test('what speaks first behind a bridge is told', async (t) => {
    const line = await startBridge(t, 'obfs4', (stream) => stream.write('SSH-2.0-x\r\n'));
    assert.match((await checkOne(line)).notes.join(), /behind the bridge SSH speaks first/);
  });

  test('no Tor behind the bridge', async (t) => {
    const closing = await checkOne(await startBridge(t, 'obfs4', (stream) => stream.end()), {
      tor: true,
    });
    assert.equal(closing.failure?.kind, 'behind');
    assert.equal(closing.failure.code, 'ERR_TOR_LINK_CLOSED');
    const ssh = await startBridge(t, 'obfs4', (stream) => stream.write('SSH-2.0-OpenSSH\r\n'));
    const other = await checkOne(ssh, { tor: true });
    assert.equal(other.failure?.code, 'ERR_TOR_LINK_PROTOCOL');
    assert.equal(other.failure?.step, 'tls');
  });

  test('lines that cannot be read have their report in their place', async (t) => {
    const good = await startBridge(t, 'obfs3');
    const reports = await checkBridges([
      'obfs4 0.0.0.0:443 cert=x',
      good,
      'snowflake 192.0.2.3:80',
      'obfs4 192.0.2.3:443',
    ]);
    assert.deepEqual(
      reports.map(({ outcome, failure }) => failure?.kind ?? outcome),
      ['unreadable', 'well', 'foreign', 'unreadable'],
    );
    assert.deepEqual(
      reports.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.ok(!JSON.stringify(reports).includes('192.0.2.3'));
  });

  test('fifty lines at once', async (t) => {
    const good = await startBridge(t, 'obfs4');
    const closed = `obfs3 ${formatEndpoint(await closedPort())}`;
    const lines = Array.from({ length: 50 }, (_, index) => (index % 5 === 0 ? closed : good));
    let heard = 0;
    const reports = await checkBridges(lines, { onReport: () => (heard += 1) });
    assert.equal(heard, 50);
    assert.deepEqual(
      reports.map(({ outcome }) => outcome),
      lines.map((line) => (line === good ? 'well' : 'unwell')),
    );
  });

  test('it can be given up', async (t) => {
    const silent = await listen(t, (socket) => void socket.resume());
    const stop = new AbortController();
    const checking = checkBridges([`obfs3 ${silent.text}`], { signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(checking, /enough/);
  });
});

/** Of a bridge that is nowhere. */
const anyCert =
  'cert=ssH+9rP8dG2NLDN2XuFw63hIO/9MNNinLmxQDpVa+7kTOa9/m+tGWT1SmSYpQ9uTBGa6Hw iat-mode=0';
