import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startBridge, startClient } from '../support/engine.ts';
import { echo, listen, readAll, socksConnect } from '../support/sockets.ts';

test('a stream goes from the SOCKS port through a circuit to its target and back', async (t) => {
  const target = await listen(t, echo);
  const bridge = await startBridge(t);
  const client = await startClient(t, [bridge]);
  const stream = await socksConnect(client.engine.endpoints.socks[0]!, target.endpoint);
  stream.end('hello');
  assert.equal((await readAll(stream)).toString(), 'hello');
  await client.until((event) => event.type === 'stream' && event.status === 'closed');
});
