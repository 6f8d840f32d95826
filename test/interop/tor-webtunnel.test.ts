/** Debian's tor as the parent of a webtunnel bridge and its client. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { closedPort, dial } from '../support/sockets.ts';
import { createPlugin, lonelyBridge, Tor, torMissing } from '../support/tor.ts';
import { askForTor, clientsIn, tellingClients } from '../support/tor-clients.ts';
import { TorProcess } from '../support/tor-process.ts';
import { makeSite } from '../support/web-server.ts';

const bridgeLines = [
  `DirAuthority none orport=1 v3ident=${'0'.repeat(39)}1 127.0.0.1:1 ${'0'.repeat(39)}2`,
  'UseDefaultFallbackDirs 0',
  ...lonelyBridge,
];

/** A client of tor’s that gets the bridge’s descriptor. */
async function checkBridge(t: TestContext, line: string): Promise<void> {
  const plugin = await createPlugin(t);
  const client = new Tor(t, [
    'UseBridges 1',
    'SocksPort auto',
    `ClientTransportPlugin webtunnel ${plugin.exec}`,
    `Bridge webtunnel ${line}`,
  ]);
  await client.line(/new bridge descriptor/);
  assert.deepEqual(client.complaints, []);
  await client.kill();
}

function fingerprintOf({ dataDirectory }: TorProcess): string {
  return readFileSync(join(dataDirectory, 'fingerprint'), 'latin1').trim().split(' ')[1]!;
}

test(
  'a bridge that is told no address keeps its port when tor hands back what stands for it',
  { skip: torMissing },
  async (t) => {
    const directory = join(temporaryDirectory(t), 'data');
    const url = 'http://bridge.example/secret';
    const lines = new Set<string>();
    for (let starts = 0; starts < 3; starts += 1) {
      const plugin = await createPlugin(t);
      const bridge = new TorProcess('bridge', directory, [
        ...bridgeLines,
        `ServerTransportPlugin webtunnel ${plugin.exec}`,
        `ServerTransportOptions webtunnel url=${url}`,
      ]);
      t.after(() => bridge.kill());
      const [, synthetic] = await bridge.line(/SMETHOD webtunnel (\S+) ARGS:/);
      await bridge.line(/Registered server transport 'webtunnel'/);
      const kept = readFileSync(join(directory, 'pt_state', 'webtunnel_port.json'), 'utf8');
      const { port } = JSON.parse(kept) as { port: number };
      // The same line as before the restart, with the same port in it.
      const line = `${synthetic} ${fingerprintOf(bridge)} url=${url} addr=127.0.0.1:${port} ver=0.0.3`;
      lines.add(line);
      await checkBridge(t, line);
      assert.deepEqual(
        bridge.log.filter((text) => /\[(?:warn|err)\].*(?:proxy|transport)/i.test(text)),
        [],
      );
      bridge.process.kill('SIGTERM');
      await (
        await plugin.started
      ).gone;
      await bridge.ended;
    }
    assert.equal(lines.size, 1);
  },
);

test(
  '[PT-3.2.3-19] tor takes the client that a trusted front tells of for the connection’s, and no other',
  { skip: torMissing },
  async (t) => {
    const plugin = await createPlugin(t);
    const at = await closedPort();
    const bridge = new Tor(t, [
      ...bridgeLines,
      ...tellingClients,
      `ServerTransportPlugin webtunnel ${plugin.exec}`,
      `ServerTransportListenAddr webtunnel ${formatEndpoint(at)}`,
      'ServerTransportOptions webtunnel url=https://bridge.example/secret',
    ]);
    await bridge.line(/Registered server transport 'webtunnel'/);
    const askedFor = [
      ['198.51.100.7', '198.51.100.7:1'],
      ['192.0.2.1, 192.0.2.2,198.51.100.8', '198.51.100.8:1'],
      ['198.51.100.9:4321', '198.51.100.9:4321'],
      ['[2001:db8::7]:4321', '2001:db8::7:4321'],
      ['::ffff:198.51.100.10', '198.51.100.10:1'],
      // A front that says nothing of use: its own address would be wrong.
      [undefined, undefined],
      ['198.51.100.7, unknown', undefined],
      ['198.51.100.11', '198.51.100.11:1'],
    ] as const;
    for (const [forwardedFor] of askedFor) {
      await askForTor(await dial(at), '/secret', forwardedFor);
    }
    assert.deepEqual(
      clientsIn(bridge),
      askedFor.flatMap(([, client]) => client ?? []),
    );
    assert.deepEqual(bridge.complaints, []);
  },
);

test(
  'a bridge that is a web site, with a certificate of its own',
  { skip: torMissing },
  async (t) => {
    const plugin = await createPlugin(t);
    const at = formatEndpoint(await closedPort());
    const bridge = new Tor(t, [
      ...bridgeLines,
      `ServerTransportPlugin webtunnel ${plugin.exec}`,
      `ServerTransportListenAddr webtunnel ${at}`,
      `ServerTransportOptions webtunnel url=https://${at}/secret site=${makeSite(temporaryDirectory(t))}`,
    ]);
    const [, synthetic, args] = await bridge.line(/SMETHOD webtunnel (\S+) ARGS:([^)]*)/);
    await bridge.line(/Registered server transport 'webtunnel'/);
    const pairs = args!.replaceAll(',', ' ').replaceAll('\\=', '=');
    await checkBridge(t, `${synthetic} ${fingerprintOf(bridge)} ${pairs}`);
    assert.deepEqual(bridge.complaints, []);
  },
);
