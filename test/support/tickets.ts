import type { TestContext } from 'node:test';
import { TicketIssuer } from '../../src/transports/scramblesuit/tickets.ts';

/** Tells how many tickets the scramblesuit servers of this process have taken so far. */
export function countTickets(t: TestContext): () => number {
  const { mock } = t.mock.method(TicketIssuer.prototype, 'open');
  return () => mock.calls.filter(({ result }) => result !== undefined).length;
}
