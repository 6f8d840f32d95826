import { ByteQueue } from '../bytes/queue.ts';
import { copyTightly, isTight } from '../bytes/tightly.ts';

/**
 * Bytes that wait for a reader. They hold no more memory than about twice their number: a peer may send them
 * in tiny pieces, each of which would keep a large buffer alive.
 */
export class DeliveryQueue {
  readonly #parts: Uint8Array[] = [];
  /** Where small pieces are gathered, behind all parts. */
  #gathered: ByteQueue | undefined;
  #length = 0;

  /** How many bytes wait. */
  get length(): number {
    return this.#length;
  }

  /** @param bytes owned from now on */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length >= MIN_PART_BYTES && isTight(bytes)) {
      this.#finishGathered();
      this.#parts.push(bytes);
      return;
    }
    this.#gathered ??= new ByteQueue();
    this.#gathered.push(bytes);
    if (this.#gathered.length >= MAX_GATHERED_BYTES) this.#finishGathered();
  }

  /** Takes the next bytes out, owned; undefined when none wait. */
  shift(): Uint8Array | undefined {
    if (this.#parts.length === 0) this.#finishGathered();
    const part = this.#parts.shift();
    this.#length -= part?.length ?? 0;
    return part;
  }

  #finishGathered(): void {
    if (this.#gathered !== undefined) this.#parts.push(copyTightly(this.#gathered.peek()));
    this.#gathered = undefined;
  }
}

/** Copying pieces smaller than this together costs less than keeping them apart. */
const MIN_PART_BYTES = 4096;
const MAX_GATHERED_BYTES = 65_536;
