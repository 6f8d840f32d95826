/** Debian's tor as a client of the network, with our obfs4 on both ends of its way to the bridge. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/managed.ts';
import { socksConnect } from '../support/sockets.ts';
import { TorProcess } from '../support/tor-process.ts';
import { createPlugin } from '../support/tor.ts';
import { startTorNetwork, tornetMissing } from '../support/tornet.ts';
import { fetchDigest, startWebServer } from '../support/web.ts';

test(
  'tor bootstraps through our obfs4 and fetches 8 MB byte for byte',
  { skip: tornetMissing },
  async (t) => {
    const started = performance.now();
    const onProgress = (text: string): void =>
      t.diagnostic(`after ${((performance.now() - started) / 1000).toFixed(1)} s ${text}`);
    await using network = await startTorNetwork({ onProgress });
    const web = await startWebServer(t, 8 << 20);
    const plugin = await createPlugin(t);
    const client = new TorProcess('client', join(temporaryDirectory(t), 'client'), [
      ...network.clientLines,
      'SocksPort 127.0.0.1:auto',
      'UseBridges 1',
      network.bridgeLine,
      `ClientTransportPlugin obfs4 ${plugin.exec}`,
    ]);
    try {
      const [, port] = await client.line(/Socks listener listening on port (\d+)/);
      await client.line(/Bootstrapped 100%/);
      onProgress('the client has bootstrapped');
      const proxy = { host: '127.0.0.1', port: Number(port) };
      const stream = await socksConnect(proxy, web.endpoint);
      assert.equal(await fetchDigest(stream), web.digest);
      onProgress('the client has fetched 8 MB');
    } finally {
      await client.kill();
    }
    await (
      await plugin.started
    ).gone;
  },
);
