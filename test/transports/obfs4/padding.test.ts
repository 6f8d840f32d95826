/** What a client's handshake looks like to the classifier of fully encrypted traffic (Wu et al., USENIX Security 2023). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRng } from '../../../src/crypto/rng.ts';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import { systemClock } from '../../../src/time.ts';
import { obfs4 } from '../../../src/transports/obfs4/index.ts';
import { MemoryState } from '../../../src/transports/memory-state.ts';
import { SessionPair } from '../../../src/transports/compliance/session-pair.ts';

const sources = { rng: systemRng, clock: systemClock };
const SEGMENT_BYTES = 1448;
const TRIES = 120;

const isPrintable = (byte: number): boolean => byte >= 0x20 && byte <= 0x7e;

/** Its exemptions 3 and 4: more than half printable, and more than 20 printable in a row. */
function isExempt(segment: Uint8Array): boolean {
  let printable = 0;
  let run = 0;
  let longest = 0;
  for (const byte of segment) {
    run = isPrintable(byte) ? run + 1 : 0;
    longest = Math.max(longest, run);
    printable += isPrintable(byte) ? 1 : 0;
  }
  return printable > segment.length / 2 && longest > 20;
}

async function exemptTries(...more: KeyValues): Promise<number> {
  const server = await obfs4.server([], {
    ...sources,
    state: new MemoryState(),
    notify: assert.fail,
  });
  const createSession = obfs4.client([...server.clientArguments, ...more], sources);
  let exempt = 0;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const pair = new SessionPair(createSession(), server.createSession()).open();
    assert.ok(pair.client.established && pair.server.established);
    if (isExempt(pair.client.sent[0]!.subarray(0, SEGMENT_BYTES))) exempt += 1;
  }
  return exempt;
}

test('with padding=printable the first segment is exempt in every try, and else in none', async () => {
  assert.equal(await exemptTries(['padding', 'printable']), TRIES);
  assert.equal(await exemptTries(), 0);
  assert.throws(
    () =>
      obfs4.client(
        [
          ['cert', 'x'],
          ['iat-mode', '0'],
          ['padding', 'none'],
        ],
        sources,
      ),
    {
      code: 'ERR_TRANSPORT_ARGUMENT',
    },
  );
});
