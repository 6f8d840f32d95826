/** `postern check` before bridges that we did not write. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkBridges } from '../../src/check/check.ts';
import { formatBridgeLine } from '../../src/pt/bridge-line.ts';
import { startObfs4proxyServer } from '../support/interop.ts';
import { obfs4proxy, obfs4proxyMissing, postern, startPtServer } from '../support/pt-programs.ts';
import { echo, listen } from '../support/sockets.ts';
import { bridgeLines, bridgeTorrc, createPlugin, Tor, torMissing } from '../support/tor.ts';

describe('checkBridges', { concurrency: true }, () => {
  test('obfs4proxy’s bridges are well', { skip: obfs4proxyMissing }, async (t) => {
    const service = await listen(t, echo);
    const lines = await Promise.all(
      ['obfs4', 'scramblesuit'].map(async (transport) => {
        // scramblesuit has no server in obfs4proxy: ours stands there.
        const program = transport === 'obfs4' ? obfs4proxy : postern;
        const options = [['password', 'A'.repeat(32)]] as const;
        const { endpoint, args } = await startPtServer(t, program, {
          transport,
          orPort: service.endpoint,
          ...(transport === 'scramblesuit' && { options }),
        });
        return formatBridgeLine({ transport, endpoint, args });
      }),
    );
    for (const transport of ['obfs2', 'obfs3']) {
      const endpoint = await startObfs4proxyServer(t, transport, service.endpoint);
      lines.push(formatBridgeLine({ transport, endpoint, args: [] }));
    }
    for (const program of [undefined, obfs4proxy, postern]) {
      const env = { PATH: process.env['PATH'] };
      const reports = await checkBridges(
        lines,
        program === undefined ? {} : { program: { command: program.command, env } },
      );
      for (const report of reports) assert.equal(report.outcome, 'well', report.failure?.message);
    }
  });

  test(
    'the Tor behind a bridge proves who it is, and takes traffic',
    { skip: torMissing },
    async (t) => {
      const plugin = await createPlugin(t);
      const { torrc, addresses } = await bridgeTorrc(plugin.exec);
      const bridge = new Tor(t, torrc);
      const { obfs3, obfs4 } = await bridgeLines(bridge, addresses);
      const [, orPort] = await bridge.line(/Opened OR listener.* 127\.0\.0\.1:(\d+)/);
      const [fingerprint] = /[0-9A-F]{40}/.exec(obfs4)!;
      const reports = await checkBridges(
        [
          obfs3,
          obfs4,
          `127.0.0.1:${orPort} ${fingerprint}`,
          obfs4.replace(fingerprint, ''),
          obfs4.replace(fingerprint, 'A'.repeat(40)),
        ],
        { tor: true, trafficBytes: 200_000 },
      );
      assert.deepEqual(
        reports.map(({ outcome, tor }) => [outcome, tor?.isNamed]),
        [
          ['well', true],
          ['well', true],
          ['well', true],
          ['well', null],
          ['unwell', false],
        ],
      );
      assert.equal(reports[4]!.failure?.kind, 'identity');
      assert.deepEqual(
        reports[1]!.steps.map(({ name }) => name),
        ['tcp', 'handshake', 'tls', 'link', 'traffic'],
      );
      for (const { tor } of reports) assert.ok(Math.abs(tor!.clockDifferenceMs) < 60_000);
      assert.deepEqual(bridge.complaints, []);
    },
  );
});
