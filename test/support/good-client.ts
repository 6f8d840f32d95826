/** A client that means no harm, beside an attack: how long it takes to connect, and there and back. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { readBytes } from './sockets.ts';

/** It holds one connection, and makes others. */
export class GoodClient {
  readonly #connect: () => Promise<Duplex>;
  readonly #standing: Duplex;
  readonly #connectMs: number[] = [];
  readonly #tripMs: number[] = [];

  private constructor(connect: () => Promise<Duplex>, standing: Duplex) {
    this.#connect = connect;
    this.#standing = standing;
  }

  /** @param connect makes a connection to an echo */
  static async start(connect: () => Promise<Duplex>): Promise<GoodClient> {
    const client = new GoodClient(connect, await connect());
    await roundTrip(client.#standing);
    return client;
  }

  /** @throws Error unless all goes well: on the connection that stands, and on one that it makes now */
  async serve(): Promise<void> {
    const startMs = performance.now();
    await roundTrip(this.#standing);
    const backMs = performance.now();
    const stream = await this.#connect();
    await roundTrip(stream);
    stream.destroy();
    this.#tripMs.push(backMs - startMs);
    this.#connectMs.push(performance.now() - backMs);
  }

  /** Serves until the attack is over, once at least. */
  async serveDuring(attack: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = attack.finally(() => (isOver = true));
    do await this.serve();
    while (!isOver);
    await over;
  }

  /** What it has seen since it was asked last. */
  report(): string {
    const lines = [describe('round trips', this.#tripMs), describe('connects', this.#connectMs)];
    this.#tripMs.length = 0;
    this.#connectMs.length = 0;
    return `a good client: ${lines.join('; ')}`;
  }

  /** Ends the connection that it holds. */
  close(): void {
    this.#standing.destroy();
  }
}

async function roundTrip(stream: Duplex): Promise<void> {
  stream.write('ping');
  assert.equal((await readBytes(stream, 4)).toString(), 'ping');
}

function describe(what: string, timesMs: number[]): string {
  timesMs.sort((a, b) => a - b);
  const [median, slowest] = [timesMs[timesMs.length >> 1], timesMs.at(-1)].map((ms) =>
    ms?.toFixed(1),
  );
  return `${timesMs.length} ${what}, median ${median} ms, slowest ${slowest} ms`;
}
