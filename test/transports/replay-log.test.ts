import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REPLAY_FILTER_CAPACITY } from '../../src/crypto/replay-filter.ts';
import { randomBytes } from '../../src/crypto/rng.ts';
import { ReplayLog } from '../../src/transports/replay-log.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { seededRng } from '../support/rng.ts';

const RECORD_BYTES = 20;
const HOUR_S = 3600;
const rng = seededRng('replay log');

/** A log, how long its file is, and how long it ever was. */
async function openLog(state: MemoryState, clock: { nowS: number }) {
  let longestBytes = 0;
  const watched = Object.assign(Object.create(state) as MemoryState, {
    async append(file: string, content: Uint8Array) {
      await state.append(file, content);
      longestBytes = Math.max(longestBytes, state.files.get(file)!.length);
    },
  });
  const log = await ReplayLog.open('obfs4', {
    rng,
    clock: { epochMs: () => clock.nowS * 1000 },
    state: watched,
    notify: (notice) => assert.fail(notice),
  });
  return { log, longestRecords: () => longestBytes / RECORD_BYTES };
}

test('the file of a server that runs for days holds about twice what is remembered, and no more', async () => {
  const state = new MemoryState();
  const clock = { nowS: 1_000_000 };
  const { log, longestRecords } = await openLog(state, clock);
  const macs: Buffer[] = [];
  // One handshake a second, for a day.
  for (let second = 0; second < 24 * HOUR_S; second += 1) {
    clock.nowS += 1;
    const mac = randomBytes(rng, 16);
    macs.push(mac);
    assert.equal(log.testAndSet(mac), false);
    if (second % 64 === 0) await log.close();
  }
  await log.close();
  assert.ok(longestRecords() <= 2 * 3 * HOUR_S, `${longestRecords()} records`);

  // What is rewritten is all that counts.
  const { log: restarted } = await openLog(state, clock);
  for (const mac of macs.slice(-3 * HOUR_S + 1)) assert.equal(restarted.testAndSet(mac), true);
});

test('a burst beyond what can be remembered makes the file no longer either', async () => {
  const state = new MemoryState();
  const clock = { nowS: 1_000_000 };
  const { log, longestRecords } = await openLog(state, clock);
  for (let count = 0; count < 3 * REPLAY_FILTER_CAPACITY; count += 1) {
    log.testAndSet(randomBytes(rng, 16));
    if (count % 4096 === 0) await log.close();
  }
  await log.close();
  assert.ok(longestRecords() <= 2 * REPLAY_FILTER_CAPACITY, `${longestRecords()} records`);
});
