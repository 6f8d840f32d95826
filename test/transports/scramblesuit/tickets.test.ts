import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock } from '../../../src/time.ts';
import {
  createTicketKeys,
  TICKET_BYTES,
  TICKET_LIFETIME_SECONDS,
  TicketIssuer,
  type TicketKeyRing,
} from '../../../src/transports/scramblesuit/tickets.ts';
import { seededRng } from '../../support/rng.ts';

const START_MS = 1_700_000_000_000;

/** An issuer whose clock can be turned. */
function createIssuer(): {
  issuer: TicketIssuer;
  clock: { nowMs: number } & Clock;
  rotations: TicketKeyRing[];
  advanceSeconds: (seconds: number) => void;
} {
  const rng = seededRng('tickets');
  const clock = { nowMs: START_MS, epochMs: () => clock.nowMs };
  const rotations: TicketKeyRing[] = [];
  const issuer = new TicketIssuer([createTicketKeys(rng, clock)], { rng, clock }, (keys) => {
    rotations.push(keys);
  });
  return {
    issuer,
    clock,
    rotations,
    advanceSeconds(seconds) {
      clock.nowMs += seconds * 1000;
    },
  };
}

describe('ScrambleSuit’s tickets', () => {
  test('open to their master key for their issuer, for seven days', () => {
    const { issuer, advanceSeconds } = createIssuer();
    const { ticket, masterKey } = issuer.issue();
    assert.equal(ticket.length, TICKET_BYTES);
    assert.ok(!Buffer.from(ticket).includes(Buffer.from(masterKey)));
    assert.deepEqual(issuer.open(ticket), masterKey);
    advanceSeconds(TICKET_LIFETIME_SECONDS - 1);
    assert.deepEqual(issuer.open(ticket), masterKey);
    advanceSeconds(1);
    assert.equal(issuer.open(ticket), undefined);
  });

  test('differ from one another in all their parts', () => {
    const { issuer } = createIssuer();
    const [one, two] = [issuer.issue(), issuer.issue()];
    assert.notDeepEqual(one.masterKey, two.masterKey);
    assert.notDeepEqual(one.ticket.subarray(0, 16), two.ticket.subarray(0, 16));
  });

  test('of the keys before the last rotation are taken, of those before them not', () => {
    const { issuer, rotations, advanceSeconds } = createIssuer();
    advanceSeconds(TICKET_LIFETIME_SECONDS - 10);
    const late = issuer.issue();
    advanceSeconds(20);
    const next = issuer.issue();
    assert.equal(rotations.length, 1);
    assert.notDeepEqual(rotations[0]![0].hmacKey, rotations[0]![1]!.hmacKey);
    assert.deepEqual(issuer.open(late.ticket), late.masterKey);
    assert.deepEqual(issuer.open(next.ticket), next.masterKey);
    // The keys live for seven days from when they were made, and not from their first use on.
    advanceSeconds(TICKET_LIFETIME_SECONDS - 1);
    issuer.issue();
    assert.equal(rotations.length, 1);
    advanceSeconds(1);
    issuer.issue();
    assert.equal(rotations.length, 2);
    assert.deepEqual(rotations[1]![1], rotations[0]![0]);
  });

  test('of another issuer, and with a single bit changed, are none', () => {
    const { issuer } = createIssuer();
    const ticket = Buffer.from(issuer.issue().ticket);
    const rng = seededRng('another');
    const clock = { epochMs: () => START_MS };
    const other = new TicketIssuer([createTicketKeys(rng, clock)], { rng, clock }, () => {});
    assert.equal(other.open(ticket), undefined);
    for (let bit = 0; bit < 8 * ticket.length; bit += 1) {
      ticket[bit >>> 3]! ^= 1 << (bit & 7);
      assert.equal(issuer.open(ticket), undefined, `bit ${bit}`);
      ticket[bit >>> 3]! ^= 1 << (bit & 7);
    }
  });
});
