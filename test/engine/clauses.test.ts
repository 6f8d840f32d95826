/** What a controller of a daemon sees over time: identifiers, and what mapped addresses are good for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlEvent } from '../../src/control/messages.ts';
import { connectControl, type ControlClient } from '../../src/control/node/client.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { createSocksClient } from '../../src/socks/client.ts';
import { encodeReply5 } from '../../src/socks/encode.ts';
import { SocksReply } from '../../src/socks/messages.ts';
import { HandTimers } from '../support/hand-timers.ts';
import {
  bridgeLinesOf,
  connectThrough,
  socksFailure,
  startBridge,
  startEngine,
  startPlainBridge,
  type TestEngine,
} from '../support/engine.ts';
import { closedPort, dial, echo, listen, readAll } from '../support/sockets.ts';

/** A controller of this daemon, over its port. */
async function controllerOf({ engine }: TestEngine): Promise<ControlClient> {
  return connectControl(engine.endpoints.control[0]!);
}

/** Every event from now on; to be awaited once the controller is closed. */
async function record(control: ControlClient): Promise<readonly ControlEvent[]> {
  const events: ControlEvent[] = [];
  for await (const event of control.events()) events.push(event);
  return events;
}

test('[TC-3.7-05] no circuit ID is used twice, and all events of a circuit carry its own', async (t) => {
  const target = await listen(t, echo);
  const bridge = await startBridge(t);
  const timers = new HandTimers();
  const client = await startEngine(t, 'SocksPort auto\nControlPort auto\n', { timers });
  const control = await controllerOf(client);
  await control.setEvents(['circuit']);
  const told = record(control);

  const turnOn = `ClientTransportPlugin obfs4 builtin\nUseBridges 1\n${bridgeLinesOf(bridge)}`;
  const deadLine = `Bridge ${formatEndpoint(await closedPort())}\n`;
  // Counted without their IDs, or a number that comes twice would be waited for in vain.
  const count = (...statuses: readonly string[]): number =>
    client.events.filter((event) => event.type === 'circuit' && statuses.includes(event.status))
      .length;
  for (let turn = 0; turn < 3; turn += 1) {
    // A circuit that fails, and one that a change of the configuration ends, have had theirs as well.
    const failed = count('failed');
    await client.engine.setConf(`UseBridges 1\n${deadLine}`);
    await client.until(() => count('failed') > failed);
    await client.engine.setConf(turnOn);
    for (let round = 1; round <= 10; round += 1) {
      const stream = await connectThrough(client, target.endpoint);
      stream.end('hello');
      assert.equal((await readAll(stream)).toString(), 'hello');
      if (round < 10) await timers.fire(600_000);
    }
    await client.engine.setConf('UseBridges\nBridge\n');
    await client.until(() => count('launched') === count('failed', 'closed'));
  }
  await control.setEvents([]);
  await control.close();

  const histories = new Map<number, string[]>();
  for (const event of await told) {
    assert.ok(event.type === 'circuit');
    histories.set(event.id, [...(histories.get(event.id) ?? []), event.status]);
  }
  const all = [...histories.values()].map((history) => history.join(' '));
  // Had two circuits shared one, it would have been launched twice.
  for (const history of all) {
    assert.match(history, /^launched (?:extended built closed|(?:extended )?failed)$/);
  }
  assert.ok(all.filter((history) => history.endsWith('closed')).length >= 30);
  assert.ok(all.filter((history) => history.endsWith('failed')).length >= 3);
});

test('[TC-3.7-09] no stream ID is used twice, and all events of a stream carry its own', async (t) => {
  const target = await listen(t, echo);
  const refused = await closedPort();
  const bridge = await startBridge(t);
  const client = await startEngine(
    t,
    `SocksPort auto
ControlPort auto
UseBridges 1
ClientTransportPlugin obfs4 builtin
${bridgeLinesOf(bridge)}`,
  );
  const control = await controllerOf(client);
  await control.setEvents(['stream']);
  const told = record(control);

  // Each goes by a name of its own, which tells the streams apart whatever their numbers are.
  const count = 40;
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      control.mapAddress(
        { kind: 'name', host: `s${index}.example` },
        { kind: 'ipv4', host: '127.0.0.1' },
      ),
    ),
  );
  const one = async (index: number): Promise<void> => {
    const host = `s${index}.example`;
    if (index % 4 === 3) {
      await socksFailure(client.engine.endpoints.socks[0]!, { host, port: refused.port });
      return;
    }
    const stream = await connectThrough(client, { host, port: target.endpoint.port });
    stream.end(host);
    assert.equal((await readAll(stream)).toString(), host);
  };
  // Side by side, and then some more after all of those are gone.
  const indices = Array.from({ length: count }, (_, index) => index);
  await Promise.all(indices.slice(0, count / 2).map(one));
  for (const index of indices.slice(count / 2)) await one(index);
  for (const index of indices) {
    await client.until(
      (event) =>
        event.type === 'stream' &&
        event.target.startsWith(`s${index}.example:`) &&
        (event.status === 'closed' || event.status === 'failed'),
    );
  }
  await control.setEvents([]);
  await control.close();

  const histories = new Map<string, { readonly ids: Set<number>; readonly statuses: string[] }>();
  for (const event of await told) {
    assert.ok(event.type === 'stream');
    const history = histories.get(event.target) ?? { ids: new Set(), statuses: [] };
    histories.set(event.target, history);
    history.ids.add(event.id);
    history.statuses.push(event.status);
  }
  assert.equal(histories.size, count);
  const used = [...histories.values()].map(({ ids }) => [...ids]);
  assert.ok(used.every(({ length }) => length === 1));
  assert.equal(new Set(used.flat()).size, count);
  for (const [name, { statuses }] of histories) {
    const fails = name.endsWith(`:${refused.port}`);
    const whole = fails ? ['sentConnect', 'failed'] : ['sentConnect', 'succeeded', 'closed'];
    assert.deepEqual(statuses, whole, name);
  }
});

test('[TC-3.11-15] an application that knows only SOCKS 4 reaches a name by an address mapped to it', async (t) => {
  const asked: string[] = [];
  const bridge = await startPlainBridge(t, (stream, target) => {
    asked.push(formatEndpoint(target));
    stream.write(encodeReply5(SocksReply.succeeded));
    stream.end('from the service');
  });
  const client = await startEngine(
    t,
    `SocksPort auto\nControlPort auto\nUseBridges 1\n${bridge.line}`,
  );
  const control = await controllerOf(client);
  const service = { kind: 'name', host: 'x.onion' } as const;
  const chosen = { kind: 'ipv4', host: '192.0.2.7' } as const;
  await control.mapAddress(chosen, service);
  const picked = await control.mapAddress({ kind: 'ipv4', host: '0.0.0.0' }, service);
  await control.close();

  for (const { host } of [chosen, picked.original]) {
    const stream = await dial(client.engine.endpoints.socks[0]!);
    const request = { version: 'socks4', target: { host, port: 80 } } as const;
    await runExchange(stream, createSocksClient(request));
    assert.equal((await readAll(stream)).toString(), 'from the service');
    stream.destroy();
  }
  assert.deepEqual(asked, ['x.onion:80', 'x.onion:80']);
});
