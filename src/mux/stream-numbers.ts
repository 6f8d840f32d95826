import { limits } from '../limits.ts';
import { protocolError } from './decode.ts';

/** Which numbers streams have had, ours and the peer's: the client's are odd, the server's even. */
export class StreamNumbers {
  readonly #parity: number;
  #nextOfOurs: number;
  #lastOfPeer: number;
  /** Numbers below the peer's last one that it has not used yet. */
  readonly #skipped = new Set<number>();

  constructor(role: 'client' | 'server') {
    this.#parity = role === 'client' ? 1 : 0;
    this.#nextOfOurs = role === 'client' ? 1 : 2;
    this.#lastOfPeer = role === 'client' ? 0 : -1;
  }

  /** A number for a new stream of ours. */
  next(): number {
    const id = this.#nextOfOurs;
    this.#nextOfOurs += 2;
    return id;
  }

  /** Whether there has been a stream of that number. */
  hasBeen(id: number): boolean {
    if (id === 0) return false;
    if (this.#isOurs(id)) return id < this.#nextOfOurs;
    return id <= this.#lastOfPeer && !this.#skipped.has(id);
  }

  /**
   * The peer opens a stream. hashicorp/yamux numbers streams before it sends them: those of two threads
   * may come in any order.
   *
   * @throws PosternError `ERR_MUX_PROTOCOL` for a number that is not free, or far ahead
   */
  take(id: number): void {
    if (id === 0 || this.#isOurs(id) || this.hasBeen(id)) {
      throw protocolError('a stream was opened with a number that is not free');
    }
    if (this.#skipped.delete(id)) return;
    const skipped = (id - this.#lastOfPeer) / 2 - 1;
    if (this.#skipped.size + skipped > limits.muxUnackedStreams) {
      throw protocolError('a stream was opened with a number far ahead');
    }
    for (let next = this.#lastOfPeer + 2; next < id; next += 2) this.#skipped.add(next);
    this.#lastOfPeer = id;
  }

  #isOurs(id: number): boolean {
    return id % 2 === this.#parity;
  }
}
