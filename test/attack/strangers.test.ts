/** The running bridge under strangers who have no secret, and a good client beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { GoodClient } from '../support/good-client.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { letStrangersCome } from '../support/strangers-process.ts';
import { ProbedBridge } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { dial, readBytes, socksConnect } from '../support/sockets.ts';

const COUNT = 20_000;

test('20,000 silent connections keep no client out, fill no log, and leave nothing behind', async (t) => {
  const bridge = await ProbedBridge.start(t);
  const good = await GoodClient.start(() => bridge.openEcho('obfs4'));
  const before = await bridge.process.holdings();
  const logLength = bridge.process.log.length;

  // Two processes, for each may open as many files as the bridge.
  const endpoint = bridge.bridgeLine('obfs4').endpoint;
  const coming = Promise.all([
    letStrangersCome(t, endpoint, COUNT / 2),
    letStrangersCome(t, endpoint, COUNT / 2),
  ]);
  await good.serveDuring(coming);
  const strangers = await coming;
  t.diagnostic(`while they come, ${good.report()}`);
  for (let time = 0; time < 5; time += 1) await good.serve();
  t.diagnostic(`beside all that stand, ${good.report()}`);

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
    const ways = [way, 'obfs4'];
    const goods = await Promise.all(
      ways.map((other) => GoodClient.start(() => bridge.openEcho(other))),
    );
    const before = await bridge.process.holdings();
    const endpoint = way === 'ORPort' ? bridge.orPort : bridge.extOrPort;
    const coming = letStrangersCome(t, endpoint, COUNT / 2);
    await Promise.all(goods.map((good) => good.serveDuring(coming)));
    const strangers = await coming;
    for (const [index, good] of goods.entries()) {
      t.diagnostic(`while they come, by ${ways[index]}, ${good.report()}`);
      await good.serve();
      t.diagnostic(`beside all that stand, by ${ways[index]}, ${good.report()}`);
    }
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
  const goods = [
    await GoodClient.start(() => socksConnect(socks, target)),
    await GoodClient.start(async () => {
      const stream = await dial(tunnel);
      stream.write(`CONNECT ${formatEndpoint(target)} HTTP/1.1\r\n\r\n`);
      assert.match((await readBytes(stream, 39)).toString(), /^HTTP\/1.1 200 /);
      return stream;
    }),
  ];
  const before = await daemon.holdings();
  for (const endpoint of [socks, tunnel]) {
    const coming = letStrangersCome(t, endpoint, COUNT / 2);
    await Promise.all(goods.map((good) => good.serveDuring(coming)));
    const strangers = await coming;
    for (const good of goods) {
      await good.serve();
      t.diagnostic(good.report());
    }
    t.diagnostic(JSON.stringify({ before, during: await daemon.holdings() }));
    await strangers.kill();
    t.diagnostic(JSON.stringify({ after: await daemon.comesBackTo(before, 12e6) }));
  }
});

const POURED_BYTES = 100e6;

test('strangers who pour what nobody reads keep no client out, and cost no memory', async (t) => {
  const bridge = await ProbedBridge.start(t);
  const good = await GoodClient.start(() => bridge.openEcho('obfs4'));
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
  let mostMemory = 0;
  do {
    await good.serve();
    mostMemory = Math.max(mostMemory, (await bridge.process.holdings()).memoryBytes);
  } while (!isOver);
  await pouring;
  t.diagnostic(`${good.report()}; ${JSON.stringify({ before, mostMemory })}`);
  assert.ok(mostMemory < before.memoryBytes + 8e6);
  t.diagnostic(JSON.stringify({ after: await bridge.process.comesBackTo(before, 8e6) }));
});
