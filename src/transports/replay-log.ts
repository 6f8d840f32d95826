/**
 * The replay filter's memory across restarts: an append-only file of the handshakes seen.
 *
 * Every other implementation forgets them when it stops, so that a recorded handshake works again for up to
 * an hour and a half after a restart, and restarts can be provoked.
 */
import { Writer } from '../bytes/writer.ts';
import {
  REPLAY_FILTER_CAPACITY,
  REPLAY_FILTER_TTL_MS,
  ReplayFilter,
} from '../crypto/replay-filter.ts';
import type { ServerEnvironment } from './contract.ts';
import { reasonOf } from './kept-state.ts';

const MAC_BYTES = 16;
/** A record: the second of the handshake (4 bytes, big-endian), then its MAC. */
const RECORD_BYTES: number = 4 + MAC_BYTES;

/** The handshakes that a server has seen, in memory and on disk. */
export class ReplayLog {
  readonly #transport: string;
  readonly #environment: ServerEnvironment;
  readonly #filter: ReplayFilter;
  /** Records that wait until the append under way is done. */
  #waiting: Buffer[] = [];
  #appending: Promise<void> | undefined;
  #failed = false;

  private constructor(transport: string, environment: ServerEnvironment, filter: ReplayFilter) {
    this.#transport = transport;
    this.#environment = environment;
    this.#filter = filter;
  }

  /**
   * Loads what an earlier run has seen; the file is written anew, without what is too old.
   *
   * A file that is cut or damaged costs its damaged records only: the filter is a second line of
   * defence, and no reason to keep a bridge from starting.
   *
   * @param transport whose log it is: the file bears its name
   */
  static async open(transport: string, environment: ServerEnvironment): Promise<ReplayLog> {
    const { state, clock } = environment;
    const filter = new ReplayFilter(environment.rng);
    const saved = Buffer.from((await state.read(fileOf(transport))) ?? []);
    const nowMs = clock.epochMs();
    for (let at = 0; at + RECORD_BYTES <= saved.length; at += RECORD_BYTES) {
      const seenAtMs = saved.readUInt32BE(at) * 1000;
      const isCurrent = seenAtMs <= nowMs && nowMs - seenAtMs < REPLAY_FILTER_TTL_MS;
      if (isCurrent) filter.testAndSet(saved.subarray(at + 4, at + RECORD_BYTES), seenAtMs);
    }
    const log = new ReplayLog(transport, environment, filter);
    const records = [...filter.entries()].map(([mac, seenAtMs]) => encodeRecord(mac, seenAtMs));
    if (saved.length > 0) await state.write(fileOf(transport), Buffer.concat(records));
    return log;
  }

  /** Whether a valid MAC was seen before; remembers it. */
  testAndSet(mac: Uint8Array): boolean {
    const nowMs = this.#environment.clock.epochMs();
    const seen = this.#filter.testAndSet(mac, nowMs);
    if (!seen) this.#append(encodeRecord(mac, nowMs));
    return seen;
  }

  /** Waits until all is on disk. */
  async close(): Promise<void> {
    await this.#appending;
  }

  #append(record: Buffer): void {
    // A disk that does not keep up costs the oldest records, not memory.
    if (this.#waiting.length === REPLAY_FILTER_CAPACITY) this.#waiting.shift();
    this.#waiting.push(record);
    this.#appending ??= this.#drain();
  }

  async #drain(): Promise<void> {
    const { state, notify } = this.#environment;
    while (this.#waiting.length > 0) {
      const records = Buffer.concat(this.#waiting);
      this.#waiting = [];
      try {
        await state.append(fileOf(this.#transport), records);
        this.#failed = false;
      } catch (error) {
        // The bridge goes on with the filter in memory; its operator hears of it once.
        if (!this.#failed) {
          const what = 'handshakes cannot be remembered beyond a restart';
          notify(`${this.#transport}: ${what}: ${reasonOf(error)}`);
        }
        this.#failed = true;
      }
    }
    this.#appending = undefined;
  }
}

function fileOf(transport: string): string {
  return `${transport}_replay_filter`;
}

function encodeRecord(mac: Uint8Array, seenAtMs: number): Buffer {
  return new Writer()
    .uint32(Math.floor(seenAtMs / 1000))
    .bytes(mac)
    .finish();
}
