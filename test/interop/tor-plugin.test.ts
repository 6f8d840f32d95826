/** The example plugin under Debian's tor, on both sides. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { closedPort } from '../support/sockets.ts';
import { createPlugin, lonelyBridge, Tor, torMissing } from '../support/tor.ts';

const ROT_BY_N = join(packageRoot, 'examples', 'rot-by-n.mjs');

test(
  'tor gets a bridge’s descriptor through rot_by_N, loaded by --plugin on both sides',
  { skip: torMissing },
  async (t) => {
    const address = formatEndpoint(await closedPort());
    const serverPlugin = await createPlugin(t);
    const bridge = new Tor(t, [
      ...lonelyBridge,
      `ServerTransportPlugin rot_by_N ${serverPlugin.exec} --plugin ${ROT_BY_N}`,
      `ServerTransportListenAddr rot_by_N ${address}`,
    ]);
    await bridge.line(/SMETHOD rot_by_N \S+ ARGS:N=13/);
    await bridge.line(/Registered server transport 'rot_by_N'/);
    const file = readFileSync(join(bridge.dataDirectory, 'fingerprint'), 'latin1');
    const fingerprint = file.trim().split(' ')[1]!;

    const clientPlugin = await createPlugin(t);
    const client = new Tor(t, [
      'UseBridges 1',
      'SocksPort auto',
      `ClientTransportPlugin rot_by_N ${clientPlugin.exec} --plugin ${ROT_BY_N}`,
      `Bridge rot_by_N ${address} ${fingerprint} N=13`,
    ]);
    await client.line(/new bridge descriptor/);
    assert.deepEqual([...bridge.complaints, ...client.complaints], []);
  },
);
