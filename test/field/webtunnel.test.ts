/** webtunnel's own programs and lyrebird at the other end, before and behind web servers, as they are installed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { formatEndpoint } from '../../src/pt/address.ts';
import { fronts } from '../support/fronts.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { createPlugin, lonelyBridge, Tor, torMissing } from '../support/tor.ts';
import { askForTor, clientsIn, tellingClients } from '../support/tor-clients.ts';
import { makeSite } from '../support/web-server.ts';
import {
  type Authority,
  makeAuthority,
  nameOfPair,
  pairMissing,
  placeMissing,
  publicEndpoint,
  runWebtunnelPair,
  webtunnelPairs,
} from '../support/webtunnel.ts';

const LOAD = { bytes: 64_000_000, handshakes: 200 };

describe('webtunnel with other programs', { skip: placeMissing }, () => {
  let authority: Authority;
  const cleanups: (() => void | Promise<void>)[] = [];
  before(() => {
    authority = makeAuthority(
      temporaryDirectory({ after: (callback) => void cleanups.push(callback) }),
    );
  });
  after(async () => void (await Promise.all(cleanups.map(async (callback) => callback()))));

  for (const pair of webtunnelPairs) {
    test(nameOfPair(pair), { skip: pairMissing(pair) }, async (t) => {
      const { failures } = await runWebtunnelPair(t, pair, authority, LOAD);
      assert.deepEqual([...new Set(failures)], [], `${failures.length} failures`);
    });
  }

  for (const front of fronts.filter(({ missing }) => missing === false)) {
    test(
      `[PT-3.2.3-19] tor behind ${front.name} learns the client’s address, whatever the client says of it`,
      { skip: torMissing },
      async (t) => {
        const plugin = await createPlugin(t);
        const at = publicEndpoint();
        const behind = { host: '127.0.0.1', port: at.port };
        const options = [['url', 'https://bridge.example/secret'], ...(front.options ?? [])];
        const bridge = new Tor(t, [
          ...lonelyBridge,
          ...tellingClients,
          `ServerTransportPlugin webtunnel ${plugin.exec}`,
          `ServerTransportListenAddr webtunnel ${formatEndpoint(behind)}`,
          `ServerTransportOptions webtunnel ${options.map((pair) => pair.join('=')).join(' ')}`,
        ]);
        await bridge.line(/Registered server transport 'webtunnel'/);
        const folder = temporaryDirectory(t);
        const { certificate } = authority;
        const [site, secret] = [makeSite(folder), '/secret'];
        await front.start(t, { folder, certificate, site, listen: at, secret, bridge: behind });
        const wire = connectTls({ ...at, servername: 'bridge.example', rejectUnauthorized: false });
        await once(wire, 'secureConnect');
        // A whole handshake: HAProxy lets no other through.
        await askForTor(wire, secret, '192.0.2.1');
        assert.deepEqual(clientsIn(bridge), [`${at.host}:1`]);
      },
    );
  }
});
