/** Bridge lines, checked: the good ones, and everything that can be in the way. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import { after, before, describe, test, type TestContext } from 'node:test';
import { checkBridges, type CheckOptions } from '../../src/check/check.ts';
import type { BridgeReport } from '../../src/check/report.ts';
import { derOfPem, hashOfChain } from '../../src/crypto/certificates.ts';
import { listen as listenTransport } from '../../src/index.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { handshakes } from '../../src/tallies.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { makeTestCertificate, type TestCertificateOptions } from '../support/certificates.ts';
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

/** A web site of ours with a bridge in it, and its line, which leads there by `addr`. */
async function startWebtunnel(
  t: TestContext,
  certificate?: TestCertificateOptions,
): Promise<string> {
  const options: [string, string][] = [['url', 'https://bridge.example/tea']];
  if (certificate === undefined) {
    options.push(['tls-cert', 'self-signed']);
  } else {
    const folder = temporaryDirectory(t);
    const { cert, key } = makeTestCertificate(certificate);
    for (const [name, text] of [
      ['tls-cert', cert],
      ['tls-key', key],
    ] as const) {
      const path = join(folder, name);
      writeFileSync(path, text, { mode: 0o600 });
      options.push([name, path]);
    }
  }
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
  return `${bridge.bridgeLine} addr=${formatEndpoint(bridge.address)}`;
}

async function checkOne(line: string, options: CheckOptions = {}): Promise<BridgeReport> {
  const [report] = await checkBridges([line], options);
  return report!;
}

/** Enough for loopback, and what is silent is waited for so long. */
const timeoutMs = 3000;

describe('checkBridges', { concurrency: true }, () => {
  for (const { name } of builtinTransports) {
    if (name === 'webtunnel') continue;
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

  test('a program that says nothing, no longer than a step may take', async (t) => {
    const path = join(temporaryDirectory(t), 'pt');
    writeFileSync(path, '#!/bin/sh\nread -r _\n', { mode: 0o755 });
    const program: CheckOptions['program'] = { command: [path], env: process.env };
    const { failure } = await checkOne('obfs3 192.0.2.3:443', { program, timeoutMs: 50 });
    assert.equal(failure?.step, 'program');
    assert.match(failure.message, /longer than 0\.05 s/);
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

describe('checkBridges of webtunnel', () => {
  const issuer = makeTestCertificate();
  const cleanups: (() => void | Promise<void>)[] = [];
  before(() => {
    const folder = temporaryDirectory({ after: (callback) => void cleanups.push(callback) });
    const path = join(folder, 'root.pem');
    writeFileSync(path, issuer.cert);
    // Read once in the life of a process, when the first certificate is judged.
    process.env['SSL_CERT_FILE'] = path;
  });
  after(async () => {
    for (const cleanup of cleanups) await cleanup();
  });

  const names = (report: BridgeReport): readonly string[] => report.steps.map(({ name }) => name);

  test('a good bridge is well, TLS a step of its own; its handshake is counted', async (t) => {
    const line = await startWebtunnel(t);
    const key = 'client webtunnel established';
    const count = handshakes.get(key) ?? 0;
    const report = await checkOne(line);
    assert.equal(report.outcome, 'well', report.failure?.message);
    assert.deepEqual(names(report), ['tcp', 'https', 'handshake']);
    assert.ok(report.roundTripMs! <= report.steps[2]!.ms);
    assert.deepEqual(report.notes, []);
    assert.equal(handshakes.get(key), count + 1);
  });

  test('a host name is looked up in a step of its own', async (t) => {
    const named = (await startWebtunnel(t)).replace('addr=127.0.0.1:', 'addr=localhost:');
    assert.deepEqual(names(await checkOne(named)), ['lookup', 'tcp', 'https', 'handshake']);
    const { failure } = await checkOne('webtunnel 192.0.2.3:443 url=https://nowhere.invalid/tea');
    assert.equal(failure?.kind, 'lookup');
    assert.equal(failure.step, 'lookup');
  });

  test('another certificate than that of `cert`', async (t) => {
    const line = await startWebtunnel(t);
    const wrong = line.replace(/ cert=\S+/, ` cert=${Buffer.alloc(32, 7).toString('base64')}`);
    const key = 'client webtunnel failed';
    const count = handshakes.get(key) ?? 0;
    const report = await checkOne(wrong);
    assert.equal(report.failure?.code, 'ERR_TLS_PIN');
    assert.equal(report.failure.step, 'https');
    assert.equal(report.failure.kind, 'identity');
    assert.deepEqual(names(report), ['tcp']);
    assert.equal(handshakes.get(key), count + 1);
    // Of two names, each of which is tried, there is one course.
    const both = await checkOne(`${wrong} servername=a.example,b.example`);
    assert.equal(both.failure?.step, 'https');
    assert.deepEqual(names(both), ['tcp']);
  });

  test('of two names the verdict is about the last, the step and what came included', async (t) => {
    const certificate = makeTestCertificate({ names: ['a.example'] });
    const server = createServer(
      {
        ...certificate,
        SNICallback: (name, done) => done(name === 'a.example' ? null : new Error('not here')),
      },
      (socket) => {
        socket.on('error', () => {});
        socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'));
      },
    );
    server.on('tlsClientError', () => {});
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => void server.close());
    const { port } = server.address() as { port: number };
    const pin = hashOfChain([derOfPem(certificate.cert)]).toString('base64');
    const line = `webtunnel 192.0.2.3:443 url=https://a.example/tea addr=127.0.0.1:${port} cert=${pin} servername=a.example,b.example`;
    // By chance, whose order it is.
    const verdicts = new Set<string>();
    for (let tries = 0; tries < 60 && verdicts.size < 2; tries += 1) {
      const { failure, roundTripMs } = await checkOne(line);
      verdicts.add(`${failure?.step} ${failure?.code} ${roundTripMs !== undefined}`);
    }
    assert.deepEqual([...verdicts].toSorted(), [
      'handshake ERR_UPGRADE_REFUSED true',
      'https ERR_HANDSHAKE_CLOSED false',
    ]);
  });

  test('certificates of every kind', async (t) => {
    const names = ['bridge.example'];
    const certificates: readonly TestCertificateOptions[] = [
      { names, issuer },
      { names, issuer, validFrom: -9, validTo: -2 },
      { names: ['other.example'], issuer },
      { names },
    ];
    const lines = await Promise.all(certificates.map((each) => startWebtunnel(t, each)));
    const reports = await checkBridges(lines);
    assert.deepEqual(
      reports.map(({ outcome, failure }) => [
        failure?.step,
        failure?.code,
        failure?.kind ?? outcome,
      ]),
      [
        [undefined, undefined, 'well'],
        ['https', 'ERR_TLS_EXPIRED', 'expired'],
        ['https', 'ERR_TLS_NAME', 'certificate'],
        ['https', 'ERR_TLS_UNTRUSTED', 'certificate'],
      ],
    );
  });

  test('a path that is none of the bridge', async (t) => {
    const { failure } = await checkOne((await startWebtunnel(t)).replace('/tea', '/coffee'));
    assert.equal(failure?.step, 'handshake');
    assert.equal(failure.kind, 'path');
    assert.match(failure.message, /404/);
  });

  test('what is no web server', async (t) => {
    const ssh = await listen(t, (socket) => void socket.resume().write('SSH-2.0-x\r\n'));
    const { failure } = await checkOne(
      `webtunnel 192.0.2.3:443 url=https://bridge.example/tea addr=${ssh.text}`,
    );
    assert.equal(failure?.step, 'https');
    assert.equal(failure.kind, 'web');
    assert.equal(failure.code, 'ERR_TLS_FAILED');
  });
});

/** Of a bridge that is nowhere. */
const anyCert =
  'cert=ssH+9rP8dG2NLDN2XuFw63hIO/9MNNinLmxQDpVa+7kTOa9/m+tGWT1SmSYpQ9uTBGa6Hw iat-mode=0';
