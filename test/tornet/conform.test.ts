/** `postern-conform tc` against `Engine tor` as a client of a Tor network of our own, with traffic. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEndpoint } from '../../src/pt/address.ts';
import { examineTc } from '../support/kit.ts';
import { startTorNetwork, tornetMissing } from '../support/tornet.ts';
import { NetworkDaemon } from '../support/tornet-daemon.ts';

test('Engine tor breaks no clause of TC on a Tor network', { skip: tornetMissing }, async (t) => {
  await using network = await startTorNetwork();
  const daemon = await NetworkDaemon.start(t, network);
  await daemon.process.line(/Bootstrapped 100%/);
  const address = await daemon.process.address(/Controllers connect to (\S+)/);
  const socks = await daemon.process.address(/Applications connect to (\S+) \(SOCKS\)/);
  const words = ['--socks', formatEndpoint(socks), '--shutdown'];
  const report = await examineTc(t, address, words);
  assert.deepEqual(report.broken, []);
  const shown = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13].map(
    (number) => `TC-3.7-${String(number).padStart(2, '0')}`,
  );
  const missing = [...shown, 'TC-3.10-03', 'TC-3.11-05'].filter((id) => !report.holds.includes(id));
  assert.deepEqual(missing, []);
  await daemon.gone();
});
