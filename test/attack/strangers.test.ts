/** The running bridge under strangers who have no secret, and a good client beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { letStrangersCome } from '../support/strangers-process.ts';
import { checkStream, ProbedBridge } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { dial, readBytes, socksConnect } from '../support/sockets.ts';

const COUNT = 20_000;

test('20,000 silent connections keep no client out, fill no log, and leave nothing behind', async (t) => {
  const bridge = await ProbedBridge.start(t);
  await bridge.serveOne('obfs4');
  const before = await bridge.process.holdings();
  const logLength = bridge.process.log.length;

  // Two processes, for each may open as many files as the bridge.
  let isOver = false;
  const endpoint = bridge.bridgeLine('obfs4').endpoint;
  const coming = Promise.all([
    letStrangersCome(t, endpoint, COUNT / 2),
    letStrangersCome(t, endpoint, COUNT / 2),
  ]).finally(() => (isOver = true));
  let served = 0;
  const longestMs = [0];
  do {
    const startMs = performance.now();
    await bridge.serveOne('obfs4');
    longestMs.push(performance.now() - startMs);
    served += 1;
  } while (!isOver);
  const strangers = await coming;
  const standingMs: number[] = [];
  for (let time = 0; time < 5; time += 1) {
    const startMs = performance.now();
    await bridge.serveOne('obfs4');
    standingMs.push(Math.round(performance.now() - startMs));
  }
  t.diagnostic(
    `${served} good clients, the slowest in ${Math.round(Math.max(...longestMs))} ms; ` +
      `five beside all that stand in ${standingMs.join(', ')} ms`,
  );

  const during = await bridge.process.holdings();
  t.diagnostic(JSON.stringify({ before, during }));
  assert.ok(during.files < before.files + COUNT / 2, 'the oldest have made room');
  assert.ok(during.memoryBytes < before.memoryBytes + COUNT * 4096);
  const lines = bridge.process.log.slice(logLength);
  assert.match(lines.join('\n'), /too many connections wait/);
  assert.ok(lines.length < 20, `${lines.length} lines`);

  for (const { process } of strangers) process.kill('SIGKILL');
  const after = await bridge.process.comesBackTo(before, 8e6);
  t.diagnostic(JSON.stringify({ after }));
});

for (const way of ['ORPort', 'ExtORPort']) {
  test(`10,000 silent connections at a bridge's ${way} keep no client out, whichever way it comes`, async (t) => {
    const bridge = await ProbedBridge.start(t);
    for (const other of [way, 'obfs4']) await bridge.serveOne(other);
    const before = await bridge.process.holdings();
    const endpoint = way === 'ORPort' ? bridge.orPort : bridge.extOrPort;
    const strangers = await letStrangersCome(t, endpoint, COUNT / 2);
    for (const other of [way, 'obfs4']) await bridge.serveOne(other);
    t.diagnostic(JSON.stringify({ before, during: await bridge.process.holdings() }));
    await strangers.kill();
    t.diagnostic(JSON.stringify({ after: await bridge.process.comesBackTo(before, 12e6) }));
  });
}

test('10,000 silent applications at a SocksPort or an HTTPTunnelPort keep no other one out', async (t) => {
  const bridge = await ProbedBridge.start(t);
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  const lines = ['SocksPort auto', 'HTTPTunnelPort auto', 'UseBridges 1'];
  writeFileSync(
    torrc,
    `DataDirectory ${directory}\n${lines.join('\n')}\nBridge ${formatEndpoint(bridge.orPort)}\n`,
  );
  const daemon = new ProbedProcess(t, ['run', '-f', torrc]);
  const socks = await daemon.address(/SocksPort (\S+) is open/);
  const tunnel = await daemon.address(/HTTPTunnelPort (\S+) is open/);
  const target = bridge.targets.echo;
  const serveBoth = async (): Promise<void> => {
    await checkStream(await socksConnect(socks, target));
    const stream = await dial(tunnel);
    stream.write(`CONNECT ${formatEndpoint(target)} HTTP/1.1\r\n\r\n`);
    assert.match((await readBytes(stream, 39)).toString(), /^HTTP\/1.1 200 /);
    await checkStream(stream);
  };
  await serveBoth();
  const before = await daemon.holdings();
  for (const endpoint of [socks, tunnel]) {
    const strangers = await letStrangersCome(t, endpoint, COUNT / 2);
    await serveBoth();
    t.diagnostic(JSON.stringify({ before, during: await daemon.holdings() }));
    await strangers.kill();
    t.diagnostic(JSON.stringify({ after: await daemon.comesBackTo(before, 12e6) }));
  }
});

const POURED_BYTES = 100e6;

test('strangers who pour what nobody reads keep no client out, and cost no memory', async (t) => {
  const bridge = await ProbedBridge.start(t);
  await bridge.serveOne('obfs4');
  const before = await bridge.process.holdings();
  let isOver = false;
  const pour = async (): Promise<void> => {
    const socket = (await dial(bridge.bridgeLine('obfs4').endpoint)) as Socket;
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let sent = 0; sent < POURED_BYTES; sent += chunk.length) {
      if (!socket.write(chunk)) await once(socket, 'drain');
    }
    // It is discarded to its end, and the end is answered.
    socket.resume().end();
    await once(socket, 'close');
  };
  const pouring = Promise.all([pour(), pour(), pour()]).finally(() => (isOver = true));
  let served = 0;
  let mostMemory = 0;
  do {
    await bridge.serveOne('obfs4');
    served += 1;
    mostMemory = Math.max(mostMemory, (await bridge.process.holdings()).memoryBytes);
  } while (!isOver);
  await pouring;
  t.diagnostic(`${served} served; ${JSON.stringify({ before, mostMemory })}`);
  assert.ok(mostMemory < before.memoryBytes + 8e6);
  t.diagnostic(JSON.stringify({ after: await bridge.process.comesBackTo(before, 8e6) }));
});
