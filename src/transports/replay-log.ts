/**
 * The replay filter's memory across restarts: an append-only file of the handshakes seen.
 *
 * All other implementations forget them when they stop: after a restart a recorded handshake works again for up
 * to an hour and a half, and an attacker may be able to cause a restart.
 */
import {
  REPLAY_FILTER_CAPACITY,
  REPLAY_FILTER_TTL_MS,
  ReplayFilter,
} from '../crypto/replay-filter.ts';
import type { ServerContext, StateStore } from './contract.ts';
import { reasonOf } from './kept-state.ts';

const MAC_BYTES = 16;
/** A record: the second of the handshake (4 bytes, big-endian), then its MAC. */
const RECORD_BYTES: number = 4 + MAC_BYTES;
/** A file that is written anew for fewer records than this would be written anew too often. */
const MIN_COMPACTED_RECORDS = 4096;

/** The handshakes that a server has seen, in memory and on disk. */
export class ReplayLog {
  readonly #transport: string;
  readonly #context: ServerContext;
  readonly #filter: ReplayFilter;
  /** Records that wait until the append under way is done. */
  #waiting: Buffer[] = [];
  /** How many records the file holds, until it is rewritten also those that are too old. */
  #fileRecords: number;
  #appending: Promise<void> | undefined;
  #failed = false;

  private constructor(transport: string, context: ServerContext, filter: ReplayFilter) {
    this.#transport = transport;
    this.#context = context;
    this.#filter = filter;
    this.#fileRecords = filter.size;
  }

  /**
   * Loads what an earlier run has seen; the file is written anew.
   *
   * A file that is cut or damaged costs its damaged records only: the filter is a second line of
   * defence, and no reason to keep a bridge from starting.
   *
   * @param transport whose log it is: the file bears its name
   */
  static async open(transport: string, context: ServerContext): Promise<ReplayLog> {
    const { state, clock } = context;
    const filter = new ReplayFilter(context.rng);
    const saved = Buffer.from((await state.read(fileOf(transport))) ?? []);
    const nowMs = clock.epochMs();
    for (let at = 0; at + RECORD_BYTES <= saved.length; at += RECORD_BYTES) {
      const seenAtMs = saved.readUInt32BE(at) * 1000;
      const isCurrent = seenAtMs <= nowMs && nowMs - seenAtMs < REPLAY_FILTER_TTL_MS;
      if (isCurrent) filter.testAndSet(saved.subarray(at + 4, at + RECORD_BYTES), seenAtMs);
    }
    const log = new ReplayLog(transport, context, filter);
    if (saved.length > 0) await log.#compact();
    return log;
  }

  /** Whether a valid MAC was seen before; remembers it. */
  testAndSet(mac: Uint8Array): boolean {
    const nowMs = this.#context.clock.epochMs();
    const seen = this.#filter.testAndSet(mac, nowMs);
    if (!seen) {
      const record = Buffer.allocUnsafe(RECORD_BYTES);
      writeRecord(record, 0, mac, nowMs);
      this.#append(record);
    }
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
    while (this.#waiting.length > 0) {
      const { length } = this.#waiting;
      const currentRecords = Math.max(this.#filter.size, MIN_COMPACTED_RECORDS);
      if (this.#fileRecords + length > 2 * currentRecords) {
        // What waits is in the filter too.
        this.#waiting = [];
        await this.#compact();
        continue;
      }
      const records = Buffer.concat(this.#waiting);
      this.#waiting = [];
      await this.#save((state, file) => state.append(file, records));
      this.#fileRecords += length;
    }
    this.#appending = undefined;
  }

  /** Writes the file anew, without what is too old. */
  async #compact(): Promise<void> {
    const { size } = this.#filter;
    const records = Buffer.allocUnsafe(size * RECORD_BYTES);
    let at = 0;
    for (const [mac, seenAtMs] of this.#filter.entries()) {
      at = writeRecord(records, at, mac, seenAtMs);
    }
    await this.#save((state, file) => state.write(file, records));
    this.#fileRecords = size;
  }

  /** A bridge runs on a full disk too; its operator hears of it once. */
  async #save(write: (state: StateStore, file: string) => Promise<void>): Promise<void> {
    const { state, notify } = this.#context;
    try {
      await write(state, fileOf(this.#transport));
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) {
        const what = 'handshakes cannot be remembered beyond a restart';
        notify(`${this.#transport}: ${what}: ${reasonOf(error)}`);
      }
      this.#failed = true;
    }
  }
}

function fileOf(transport: string): string {
  return `${transport}_replay_filter`;
}

/** Returns the record's end. */
function writeRecord(target: Buffer, at: number, mac: Uint8Array, seenAtMs: number): number {
  target.writeUInt32BE(Math.floor(seenAtMs / 1000), at);
  target.set(mac, at + 4);
  return at + RECORD_BYTES;
}
