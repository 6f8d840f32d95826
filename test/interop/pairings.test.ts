/**
 * Our programs, Debian's obfs4proxy and lyrebird, both ways round, as real processes. `npm run test:interop` does
 * the same at full size.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nameOf, pairingMissing, pairings, runPairing } from '../support/pairings.ts';

/** With `iat-mode` a write takes 5 ms, so these carry less. */
const SHAPED_BYTES = 100_000;
const BYTES = 4_000_000;
const HANDSHAKES = 20;

describe('pairings with obfs4proxy and lyrebird', { concurrency: true }, () => {
  for (const pairing of pairings) {
    test(nameOf(pairing), { skip: pairingMissing(pairing) }, async (t) => {
      const bytes = (pairing.iatMode ?? 0) === 0 ? BYTES : SHAPED_BYTES;
      const { failures } = await runPairing(t, pairing, { bytes, handshakes: HANDSHAKES });
      assert.deepEqual(failures, []);
    });
  }
});
