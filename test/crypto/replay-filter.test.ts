import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  REPLAY_FILTER_CAPACITY,
  REPLAY_FILTER_TTL_MS,
  ReplayFilter,
} from '../../src/crypto/replay-filter.ts';
import { seededRng } from '../support/rng.ts';

function createFilter(): ReplayFilter {
  return new ReplayFilter(seededRng('replay filter'));
}

function macOf(number: number): Buffer {
  const mac = Buffer.alloc(16);
  mac.writeUInt32BE(number, 12);
  return mac;
}

test('a MAC is new once, and again when its time to live is over', () => {
  const filter = createFilter();
  assert.equal(filter.testAndSet(macOf(1), 1000), false);
  assert.equal(filter.testAndSet(macOf(1), 1000), true);
  assert.equal(filter.testAndSet(macOf(2), 2000), false);
  // Being seen again does not lengthen its life.
  assert.equal(filter.testAndSet(macOf(1), 1000 + REPLAY_FILTER_TTL_MS - 1), true);
  assert.equal(filter.testAndSet(macOf(1), 1000 + REPLAY_FILTER_TTL_MS), false);
  assert.equal(filter.testAndSet(macOf(2), 1000 + REPLAY_FILTER_TTL_MS), true);
});

test('every byte of a MAC counts', () => {
  const filter = createFilter();
  filter.testAndSet(Buffer.alloc(16), 0);
  for (let index = 0; index < 16; index += 1) {
    const mac = Buffer.alloc(16);
    mac[index] = 1;
    assert.equal(filter.testAndSet(mac, 0), false);
    assert.equal(filter.testAndSet(mac, 0), true);
  }
});

test('a full filter forgets the oldest MAC for each new one', () => {
  const filter = createFilter();
  for (let number = 0; number < REPLAY_FILTER_CAPACITY; number += 1) {
    filter.testAndSet(macOf(number), number);
  }
  assert.equal(filter.size, REPLAY_FILTER_CAPACITY);
  assert.equal(filter.testAndSet(macOf(0), REPLAY_FILTER_CAPACITY), true);
  const extra = REPLAY_FILTER_CAPACITY + 5;
  for (let number = REPLAY_FILTER_CAPACITY; number < extra; number += 1) {
    assert.equal(filter.testAndSet(macOf(number), number), false);
  }
  assert.equal(filter.size, REPLAY_FILTER_CAPACITY);
  assert.equal(filter.testAndSet(macOf(5), extra), true);
  assert.equal(filter.testAndSet(macOf(4), extra), false);
});

test('a clock that was set back empties the filter', () => {
  const filter = createFilter();
  filter.testAndSet(macOf(1), 5000);
  filter.testAndSet(macOf(2), 6000);
  assert.equal(filter.testAndSet(macOf(1), 5000), true);
  assert.equal(filter.testAndSet(macOf(1), 4999), false);
  assert.equal(filter.size, 1);
});

test('the entries rebuild an equal filter', () => {
  const filter = createFilter();
  for (let number = 0; number < 200; number += 1) filter.testAndSet(macOf(number), number);
  const copy = new ReplayFilter(seededRng('another key'));
  for (const [mac, seenAtMs] of filter.entries()) {
    assert.equal(copy.testAndSet(mac, seenAtMs), false);
  }
  assert.deepEqual([...copy.entries()], [...filter.entries()]);
  assert.deepEqual([...copy.entries()][7], [macOf(7), 7]);
});

test('the filter behaves as a plain list does, over any course of MACs and times', () => {
  const event = fc.tuple(fc.nat(60), fc.integer({ min: -1, max: 40 }));
  fc.assert(
    fc.property(fc.array(event, { maxLength: 400 }), (events) => {
      const filter = createFilter();
      let list: { number: number; seenAtMs: number }[] = [];
      let nowMs = 0;
      for (const [number, step] of events) {
        nowMs += (step * REPLAY_FILTER_TTL_MS) / 200;
        if (list.length > 0 && nowMs < list[0]!.seenAtMs) list = [];
        // Times can fall behind the newest entry, so only the front of the list is looked at.
        while (list.length > 0 && nowMs - list[0]!.seenAtMs >= REPLAY_FILTER_TTL_MS) list.shift();
        const seen = list.some((entry) => entry.number === number);
        assert.equal(filter.testAndSet(macOf(number), nowMs), seen);
        if (!seen) list.push({ number, seenAtMs: nowMs });
        assert.equal(filter.size, list.length);
      }
    }),
    { numRuns: 200, seed: 8 },
  );
});
