/** Whether sessions keep more memory than they need. */
import { randomBytes } from '../../crypto/rng.ts';
import { type CheckContext, demand, NotApplicable } from './checks.ts';

/** What connections cost: that are idle, and of strangers that send what they like. */
export function checkMemory({ measureMemory, ...context }: CheckContext): void {
  if (measureMemory === undefined) {
    throw new NotApplicable('no measureMemory was given');
  }
  // Node cuts small buffers from a pool of 8 KiB, since version 24 of 64 KiB, and whoever keeps one keeps
  // all of that. It is no transport's doing: here each buffer counts for itself.
  const { poolSize } = Buffer;
  Buffer.poolSize = 0;
  try {
    checkKeptBytes(context, measureMemory);
  } finally {
    Buffer.poolSize = poolSize;
  }
}

function checkKeptBytes(
  { bridge, setup, sessionBytes }: Omit<CheckContext, 'measureMemory'>,
  measureMemory: () => number,
): void {
  const measure = (what: string, count: number, make: () => unknown): void => {
    const warm = Array.from({ length: 20 }, make);
    const before = measureMemory();
    const kept = Array.from({ length: count }, make);
    const perSession = (measureMemory() - before) / kept.length;
    demand(
      perSession <= sessionBytes && warm.length > 0,
      `${what} keeps ${Math.round(perSession)} bytes; ${sessionBytes} are allowed`,
    );
  };
  const idle = (): unknown => {
    const pair = bridge.connect().establish();
    pair.write(pair.client, randomBytes(setup.rng, 20_000));
    pair.write(pair.server, randomBytes(setup.rng, 20_000));
    // The sessions alone: what they sent is not theirs.
    return [pair.client.session, pair.server.session];
  };
  measure('a pair of sessions that carried payload and is idle', 200, idle);
  const flood = randomBytes(setup.rng, 500_000);
  const stranger = (): unknown => {
    const { server } = bridge.connect();
    server.start();
    for (let at = 0; at < flood.length && server.isLive; at += 1000) {
      server.receive(flood.subarray(at, at + 1000));
    }
    return server.session;
  };
  measure('a server session that a stranger floods', 50, stranger);
}
