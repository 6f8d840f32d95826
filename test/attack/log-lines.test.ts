/** Everybody who can reach a listener writes few lines into the log, whatever they do. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { GoodClient } from '../support/good-client.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { ProbedBridge } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { startProbedServer } from '../support/probed-server.ts';
import { closedPort } from '../support/sockets.ts';
import { letStrangersCome } from '../support/strangers-process.ts';

const MOST_LINES = 20;

test('10,000 connections of strangers to each listener of a daemon write fewer than 20 lines', async (t) => {
  const bridge = await ProbedBridge.start(t);
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  const lines = ['SocksPort auto', 'HTTPTunnelPort auto', 'UseBridges 1', 'Log info stdout'];
  writeFileSync(
    torrc,
    [`DataDirectory ${directory}`, ...lines, `Bridge ${formatEndpoint(bridge.orPort)}`, ''].join(
      '\n',
    ),
  );
  const daemon = new ProbedProcess(t, ['run', '-f', torrc]);
  const attacked = [
    [daemon, await daemon.address(/SocksPort (\S+) is open/)],
    [daemon, await daemon.address(/HTTPTunnelPort (\S+) is open/)],
    [bridge.process, bridge.orPort],
    [bridge.process, bridge.extOrPort],
    [bridge.process, bridge.bridgeLine('obfs2').endpoint],
  ] as const;
  const good = await GoodClient.start(() => bridge.openEcho('obfs4'));
  for (const [process, endpoint] of attacked) {
    const before = await process.holdings();
    const logLength = process.log.length;
    const coming = letStrangersCome(t, endpoint, 10_000, 600);
    await good.serveDuring(coming);
    const during = await process.holdings();
    await (await coming).kill();
    const after = await process.comesBackTo(before, 12e6);
    t.diagnostic(`${good.report()}; ${JSON.stringify({ before, during, after })}`);
    const written = process.log.slice(logLength);
    assert.ok(written.length < MOST_LINES, `${written.length}: ${written.slice(0, 30).join('\n')}`);
  }
});

test('clients of a bridge whose ORPort is dead cost a line and a count', async (t) => {
  const { process: bridge, connect } = await startProbedServer(t, await closedPort());
  const connectOnce = (): Promise<void> =>
    assert.rejects(connect(), /ended after 0 bytes|EPIPE|ECONNRESET/);
  await connectOnce();
  await bridge.line(/cannot forward to the parent/);
  const logLength = bridge.log.length;
  for (let count = 0; count < 300; count += 1) await connectOnce();
  await bridge.holdings();
  assert.ok(bridge.log.length - logLength <= 1, bridge.log.slice(logLength, 20).join('\n'));
  bridge.process.kill('SIGTERM');
  await bridge.line(/cannot forward to the parent.* more like it within a minute/, {
    from: logLength,
  });
  assert.deepEqual(await bridge.ended, { exitCode: 0, signal: null });
});
