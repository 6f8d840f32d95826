import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkNames,
  checkTransport,
  type CheckName,
  type ComplianceOptions,
} from '../../../src/transports/compliance/index.ts';
import type { Transport } from '../../../src/transports/contract.ts';
import { measureMemory } from '../../support/memory.ts';
import { keyStreamRng } from '../../support/rng.ts';
import { createFaulty, faults, type Fault } from './faulty.ts';

/** The check that each fault must fail, and what its reason must say. */
const breaks: Readonly<Record<Fault, readonly [CheckName, RegExp]>> = {
  'takes no key': ['arguments', /took wrong arguments/],
  'throws another error': ['arguments', /did not throw ERR_TRANSPORT_ARGUMENT/],
  'quotes the key': ['arguments', /quotes the value of key/],
  'takes any option': ['arguments', /server took wrong arguments \(wrong\)/],
  'needs the hello in one chunk': ['fragmentation', /refused the handshake/],
  'loses bytes of small chunks': ['fragmentation', /never ended/],
  'drops what follows the hello': ['leftover', /0 bytes/],
  'ends both directions at once': ['half-close', /ended its own direction as well/],
  'keeps an end to itself': ['half-close', /did not end its direction/],
  'holds bytes back for ever': ['back-pressure', /without a timer/],
  'holds bytes back without a word': ['back-pressure', /neither sent/],
  'holds bytes back without bounds': ['back-pressure', /holds 655360/],
  'waits for ever': ['abort', /without a timer/],
  'does not notice an end': ['abort', /does not notice that the wire ended/],
  'does not notice an end of payload': ['abort', /keeps silent about/],
  'answers strangers': ['probing', /answered/],
  'closes strangers at once': ['probing', /closes at once/],
  'reads strangers without end': ['probing', /still reads/],
  'takes any hello': ['probing', /for a client’s handshake/],
  'rejects too early': ['probing', /rejectAfterMs/],
  'takes replays': ['replay', /a second time/],
  'answers replays': ['replay', /answered a recorded handshake/],
  'keeps lent chunks': ['ownership', /right|delivered/],
  'uses its buffer again': ['ownership', /changed afterwards/],
  'hands over its memory twice': ['ownership', /memory that the server sent was sent before/],
  'corrupts the second megabyte': ['transfer', /the first 0 are right/],
  'throws in the data phase': ['transfer', /receive threw: Error: a defect/],
  'is large when idle': ['memory', /idle keeps/],
  'is large when flooded': ['memory', /floods keeps/],
};

const options: ComplianceOptions = {
  wrongArguments: [[], [['key', 'a secret of the wrong length']]],
  wrongOptions: [[['wrong', 'x']]],
  transferBytes: 1_500_000,
  measureMemory,
};

/** A check's outcome, and its reason if it has one. */
async function run(
  transport: Transport,
  only: readonly CheckName[],
  more: ComplianceOptions = {},
): Promise<Record<string, string>> {
  const rng = keyStreamRng('faulty');
  const results = await checkTransport(transport, { ...options, rng, only, ...more });
  return Object.fromEntries(
    results.map((result) => [
      result.check,
      result.outcome === 'holds' ? 'holds' : `${result.outcome}: ${result.reason}`,
    ]),
  );
}

describe('the compliance suite', () => {
  test('finds nothing wrong with a transport that keeps to the contract', async () => {
    const outcomes = await run(createFaulty(), checkNames);
    assert.deepEqual(outcomes, Object.fromEntries(checkNames.map((name) => [name, 'holds'])));
  });

  for (const fault of faults) {
    const [check, reason] = breaks[fault];
    test(`fails \`${check}\` for a transport that ${fault}`, async () => {
      const outcomes = await run(createFaulty(fault), [check]);
      assert.match(outcomes[check]!, /^broken: /);
      assert.match(outcomes[check]!, reason);
    });
  }

  test('has a fault for each of its checks', () => {
    const checked = new Set(Object.values(breaks).map(([check]) => check));
    assert.deepEqual([...checked].sort(), [...checkNames].sort());
  });

  test('says why a check is not applicable, and does not run it', async () => {
    const outcomes = await run(createFaulty('takes replays'), ['replay', 'memory'], {
      notApplicable: { replay: 'by design' },
      measureMemory: undefined as never,
    });
    assert.deepEqual(outcomes, {
      replay: 'not applicable: by design',
      memory: 'not applicable: no measureMemory was given',
    });
  });

  test('judges `memory` alike whatever pool Node cuts small buffers from', async () => {
    const { poolSize } = Buffer;
    try {
      // Up to Node 22, from Node 24 on, and none.
      for (Buffer.poolSize of [8192, 65_536, 0]) {
        const chosen = Buffer.poolSize;
        assert.deepEqual(await run(createFaulty(), ['memory']), { memory: 'holds' });
        assert.equal(Buffer.poolSize, chosen);
      }
    } finally {
      Buffer.poolSize = poolSize;
    }
  });

  test('never rejects: whatever a transport throws is its own fault', async () => {
    const throwing: Transport = {
      ...createFaulty(),
      server: () => Promise.reject(new Error('no disk')),
    };
    const outcomes = await run(throwing, ['transfer']);
    assert.equal(outcomes['transfer'], 'broken: it threw: Error: no disk');
    const misnamed: Transport = { ...createFaulty(), name: 'not-a-name' };
    assert.match((await run(misnamed, ['arguments']))['arguments']!, /C identifier/);
  });
});
