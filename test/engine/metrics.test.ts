/** `MetricsPort`, `MetricsPortPolicy` and the heartbeat of a daemon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/limits.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { connectThrough, startBridge, startClient, startEngine } from '../support/engine.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { dial, echo, listen, readAll } from '../support/sockets.ts';

test('MetricsPort answers whom MetricsPortPolicy accepts, and only then', async (t) => {
  const started = await startEngine(t, '');
  await started.engine.setConf('MetricsPort auto prometheus\n');
  await started.until((event) => event.type === 'log' && /accepts nobody/.test(event.message));
  const [endpoint] = started.engine.endpoints.metrics!;
  const url = `http://${formatEndpoint(endpoint!)}/metrics`;
  // Whom no rule names is rejected.
  const refused = await dial(endpoint!);
  assert.equal((await readAll(refused).catch(() => '')).length, 0);
  const accept = 'MetricsPort auto\nMetricsPortPolicy reject 192.0.2.0/24,accept 127.0.0.1\n';
  await started.engine.setConf(accept);
  assert.match(await (await fetch(url)).text(), /^postern_links 0$/m);
  await started.engine.setConf('MetricsPortPolicy reject 127.0.0.0/8,accept *\n');
  await assert.rejects(fetch(url));
  await started.engine.setConf('MetricsPort\n');
  await assert.rejects(dial(endpoint!), { code: 'ERR_DIAL_REFUSED' });
});

test('the figures of a daemon: links, circuits and streams, at both ends', async (t) => {
  const metrics = 'MetricsPort auto\nMetricsPortPolicy accept 127.0.0.1\n';
  const bridge = await startBridge(t, metrics);
  const client = await startClient(t, [bridge], metrics);
  const target = await listen(t, echo);
  const stream = await connectThrough(client, target.endpoint);
  t.after(() => void stream.destroy());
  const scrape = async ({ engine }: typeof client): Promise<string> =>
    (await fetch(`http://${formatEndpoint(engine.endpoints.metrics![0]!)}/metrics`)).text();
  const text = await scrape(client);
  for (const name of ['links', 'circuits', 'streams']) {
    assert.match(text, new RegExp(`^postern_${name} 1$`, 'm'));
  }
  const bridges = await scrape(bridge);
  assert.match(bridges, /^postern_bridge_links 8$/m);
  assert.match(bridges, /^postern_bridge_streams 8$/m);
  assert.ok(!text.includes(String(target.endpoint.port)));
});

test('each six hours the log says that it lives', async (t) => {
  const timers = new HandTimers();
  const started = await startEngine(t, '', { timers });
  await timers.fire(limits.heartbeatMs);
  await timers.fire(limits.heartbeatMs);
  await started.until(
    (event) =>
      event.type === 'log' && /^Heartbeat: running for 12 hours, with 0 links/.test(event.message),
  );
});
