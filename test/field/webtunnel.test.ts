/** webtunnel's own programs and lyrebird at the other end, before and behind web servers, as they are installed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { temporaryDirectory } from '../support/managed.ts';
import {
  type Authority,
  makeAuthority,
  nameOfPair,
  pairMissing,
  placeMissing,
  runWebtunnelPair,
  webtunnelPairs,
} from '../support/webtunnel.ts';

const LOAD = { bytes: 64_000_000, handshakes: 200 };

describe('webtunnel with other programs', { skip: placeMissing }, () => {
  let authority: Authority;
  const cleanups: (() => void | Promise<void>)[] = [];
  before(() => {
    authority = makeAuthority(
      temporaryDirectory({ after: (callback) => void cleanups.push(callback) }),
    );
  });
  after(async () => void (await Promise.all(cleanups.map(async (callback) => callback()))));

  for (const pair of webtunnelPairs) {
    test(nameOfPair(pair), { skip: pairMissing(pair) }, async (t) => {
      const { failures } = await runWebtunnelPair(t, pair, authority, LOAD);
      assert.deepEqual([...new Set(failures)], [], `${failures.length} failures`);
    });
  }
});
