/** Programs that do the same in turns, each as a client and a server. */
import {
  measureHandshakes,
  measureMemory,
  measureRoundTrips,
  measureTransfer,
  nothingMeasured,
  type Measured,
  type Measurement,
} from './measure.ts';
import { options, progress, share } from './options.ts';
import type { Pair } from './pair.ts';

/**
 * Even, so that each program comes as often first as last; many, for Node forgets what its compiler has learned
 * while a process does nothing for 8 seconds.
 */
const ROUNDS = options.quick ? 2 : 8;
const TRANSFER_BYTES: number = 2e9 * share;
const HANDSHAKES: number = 2000 * share;
const ROUND_TRIPS: number = 10_000 * share;
const IDLE_CONNECTIONS = options.quick ? 200 : 1000;
/**
 * In the turns before those that are counted: what the just-in-time compiler needs to know the code, half of the
 * bytes up, half down. The quick form shows that the benchmark works, not how fast anything is.
 */
const WARM_UP = { bytes: 5e8 * share, handshakes: 4000 * share, roundTrips: 10_000 * share };

/** Starts a pair of each program that takes part, one after another. */
export type Entrants = Readonly<Record<string, () => Promise<Pair>>>;

/**
 * All of them in turns, there and back, so that whatever else the machine does hits all.
 *
 * @returns by the same names
 */
export async function compete(
  subject: string,
  entrants: Entrants,
): Promise<Readonly<Record<string, Measured>>> {
  const measured: Readonly<Record<string, Measured>> = Object.fromEntries(
    Object.keys(entrants).map((name) => [name, nothingMeasured()]),
  );
  await withPairs(entrants, async (pairs) => {
    const inTurns = async (
      what: string,
      measure: Measurement,
      amount: number,
      warmUp: number,
    ): Promise<void> => {
      progress(`${subject}: ${what}`);
      const amountOfRound = amount / ROUNDS;
      for (let round = -Math.ceil(warmUp / amountOfRound); round < ROUNDS; round += 1) {
        for (const [name, pair] of round % 2 === 0 ? pairs : pairs.toReversed()) {
          await measure(pair, round < 0 ? nothingMeasured() : measured[name]!, amountOfRound);
        }
      }
    };
    await inTurns('transfers', measureTransfer, TRANSFER_BYTES, WARM_UP.bytes);
    await inTurns('handshakes', measureHandshakes, HANDSHAKES, WARM_UP.handshakes);
    await inTurns('round trips', measureRoundTrips, ROUND_TRIPS, WARM_UP.roundTrips);
  });
  // In fresh processes: what the transfers left behind would hide what connections take.
  await withPairs(entrants, async (pairs) => {
    progress(`${subject}: memory`);
    await Promise.all(
      pairs.map(([name, pair]) => measureMemory(pair, measured[name]!, IDLE_CONNECTIONS)),
    );
  });
  return measured;
}

/** Runs a pair of each program as long as `work` takes. */
async function withPairs(
  entrants: Entrants,
  work: (pairs: readonly (readonly [string, Pair])[]) => Promise<void>,
): Promise<void> {
  const pairs: [string, Pair][] = [];
  try {
    for (const [name, start] of Object.entries(entrants)) pairs.push([name, await start()]);
    await work(pairs);
  } finally {
    for (const [, pair] of pairs) pair.stop();
  }
}

/** What the figures are, for below a table. */
export const legend: string = `- *CPU per GB*: user and system time for 10^9 bytes, half of them up, half down, after ${WARM_UP.bytes / 2e6} MB each
  way that are not counted.
- *CPU per handshake*: a SOCKS request, the transport's handshake, one byte each way, the close; after
  ${WARM_UP.handshakes} that are not counted. A Node program learns for that long, and anew when it was idle: its first ones cost more.
- *memory per idle connection*: what a process that has just started grows by with ${IDLE_CONNECTIONS} connections
  open; *private* is what it alone has and has written to, *resident* is all that is mapped in.
- *round trip*: 64 bytes to an echo behind the server, one after another, after ${WARM_UP.roundTrips} that are not counted.
`;
