/** Debian's tor as the parent of both sides: descriptors come through our pair, and we end with it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { closedPort } from '../support/sockets.ts';
import {
  bridgeLines,
  bridgeTorrc,
  createPlugin,
  openIdle,
  Tor,
  torMissing,
  torTransports,
} from '../support/tor.ts';

describe('under tor', { skip: torMissing, concurrency: true }, () => {
  test('[PT-1-01] tor gets a bridge’s descriptor through our client and server, by obfs3 and obfs4', async (t) => {
    const serverPlugin = await createPlugin(t);
    const { torrc, addresses } = await bridgeTorrc(serverPlugin.exec);
    const bridge = new Tor(t, torrc);
    const lines = await bridgeLines(bridge, addresses);

    await Promise.all(
      torTransports.map(async (name) => {
        const plugin = await createPlugin(t);
        const client = new Tor(t, [
          'UseBridges 1',
          'SocksPort auto',
          `ClientTransportPlugin ${name} ${plugin.exec}`,
          lines[name],
        ]);
        await client.line(/new bridge descriptor/);
        assert.deepEqual(client.complaints, []);
        const { gone } = await plugin.started;
        // One tor is asked to end, the other is killed: neither leaves our process behind.
        client.process.kill(name === 'obfs3' ? 'SIGTERM' : 'SIGKILL');
        await gone;
      }),
    );

    // A handshake that never comes keeps nobody from ending.
    await openIdle(t, addresses.obfs4);
    assert.deepEqual(bridge.complaints, []);
    const { gone } = await serverPlugin.started;
    bridge.process.kill('SIGKILL');
    await gone;
  });

  test('one torrc with both roles runs us twice over one state directory', async (t) => {
    const [serverPlugin, clientPlugin] = [await createPlugin(t), await createPlugin(t)];
    const { torrc, addresses } = await bridgeTorrc(serverPlugin.exec);
    const bridge = new Tor(t, [
      ...torrc,
      `ClientTransportPlugin ${torTransports.join(',')} ${clientPlugin.exec}`,
      // tor starts the plugin of a client only when some bridge needs it. It never goes there: a relay
      // may not use bridges.
      'Bridge obfs3 127.0.0.1:2',
    ]);
    await bridgeLines(bridge, addresses);
    for (const name of torTransports) await bridge.line(new RegExp(`CMETHOD ${name} socks5`));
    await bridge.line(/\(CMETHODS DONE\)/);
    assert.deepEqual(bridge.complaints, []);
    const processes = await Promise.all([serverPlugin.started, clientPlugin.started]);
    bridge.process.kill('SIGTERM');
    await Promise.all(processes.map(({ gone }) => gone));
  });

  test('tor passes on what we log about a bridge that is not there', async (t) => {
    const plugin = await createPlugin(t);
    const client = new Tor(t, [
      'UseBridges 1',
      'SocksPort auto',
      `ClientTransportPlugin obfs3 ${plugin.exec}`,
      `Bridge obfs3 ${formatEndpoint(await closedPort())} ${'0'.repeat(40)}`,
    ]);
    await client.line(/\[warn\] Managed proxy ".*": obfs3: .*ERR_DIAL_REFUSED/);
    assert.deepEqual(
      client.complaints.filter((line) => !/ERR_DIAL_REFUSED|Proxy Client: unable/.test(line)),
      [],
    );
  });
});
