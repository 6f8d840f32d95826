/** Two programs that talk over a connection as badly as programs do, and see every byte of it. */
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import type { Dice } from '../fuzz/dice.ts';

/** How one end came out of it. */
interface EndOfTalk {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Whether it said that there is no more, behind all that it had to say. */
  readonly saidEnd: boolean;
  readonly heardEnd: boolean;
  /** Whether it left in the middle. */
  readonly broke: boolean;
}

/** What ends talk about, long enough that a piece in the wrong place shows. */
const TEXT = Buffer.from(
  Uint32Array.from({ length: 25_013 }, (_, n) => (n * 2_654_435_761) >>> 0).buffer,
);

/**
 * Carries a conversation to its end.
 *
 * @param near and far: the two ends of a connection over whatever is to be tried
 * @param most how many bytes each may have to say, at most
 * @returns when both are closed
 * @throws Error when bytes are wrong, missing or too many, or when an end hangs
 */
export async function converse(
  near: Duplex,
  far: Duplex,
  dice: Dice,
  patienceMs: number,
  most: number = Infinity,
): Promise<void> {
  const scale = Math.min(most, dice.pick([100, 10_000, 300_000, 300_000, 2_000_000]));
  const talks = [near, far].map((stream, index) => new Talk(stream, dice, scale, index));
  const abandoned = setTimeout(() => {
    for (const talk of talks) talk.abandon();
  }, patienceMs);
  const [a, b] = await Promise.all(talks.map((talk) => talk.over));
  clearTimeout(abandoned);
  const told = (): string => `${JSON.stringify(a)} ${JSON.stringify(b)}`;
  if (talks.some((talk) => talk.isAbandoned)) throw new Error(`it hangs: ${told()}`);
  const fault = talks.find((talk) => talk.fault !== undefined)?.fault;
  if (fault !== undefined) throw new Error(`${fault}: ${told()}`);
  if (a!.broke || b!.broke) return;
  const isWhole = (from: EndOfTalk, to: EndOfTalk): boolean =>
    from.saidEnd && to.heardEnd && from.sentBytes === to.receivedBytes;
  if (!isWhole(a!, b!) || !isWhole(b!, a!)) throw new Error(`not whole: ${told()}`);
}

/** One end. */
class Talk {
  /** Resolves when its stream is closed. */
  readonly over: Promise<EndOfTalk>;
  isAbandoned = false;
  /** What was wrong with what it heard. */
  fault: string | undefined;
  readonly #stream: Duplex;
  readonly #dice: Dice;
  readonly #totalBytes: number;
  readonly #breakAt: number;
  readonly #from: number;
  #sentBytes = 0;
  #receivedBytes = 0;
  #saidEnd = false;
  #heardEnd = false;
  #broke = false;

  constructor(stream: Duplex, dice: Dice, scale: number, index: number) {
    this.#stream = stream;
    this.#dice = dice;
    this.#totalBytes = dice.percent(10) ? 0 : dice.below(scale);
    this.#breakAt = dice.percent(15) ? dice.below(this.#totalBytes + 1) : Infinity;
    this.#from = index;
    stream.on('error', () => {});
    stream.on('data', (bytes: Buffer) => this.#hear(bytes));
    stream.on('end', () => (this.#heardEnd = true));
    this.over = new Promise((resolve) => {
      const close = (): void =>
        resolve({
          sentBytes: this.#sentBytes,
          receivedBytes: this.#receivedBytes,
          saidEnd: this.#saidEnd,
          heardEnd: this.#heardEnd,
          broke: this.#broke,
        });
      if (stream.closed) close();
      else stream.on('close', close);
    });
    this.#say();
  }

  abandon(): void {
    if (this.#stream.closed) return;
    this.isAbandoned = true;
    this.#stream.destroy();
  }

  #hear(bytes: Buffer): void {
    // Each direction begins elsewhere, so that one's bytes are not taken for the other's.
    for (let at = 0; at < bytes.length && this.fault === undefined;) {
      const start = (this.#receivedBytes + 17 * (1 - this.#from)) % TEXT.length;
      const length = Math.min(bytes.length - at, TEXT.length - start);
      if (TEXT.compare(bytes, at, at + length, start, start + length) !== 0) {
        this.fault = `wrong bytes behind ${this.#receivedBytes}`;
      }
      at += length;
      this.#receivedBytes += length;
    }
    if (this.#dice.percent(5)) {
      this.#stream.pause();
      setTimeout(() => this.#stream.resume(), this.#dice.below(30));
    }
  }

  #say(): void {
    const stream = this.#stream;
    for (let pieces = 0; !stream.destroyed; pieces += 1) {
      if (this.#sentBytes >= this.#breakAt) return this.#leave();
      if (this.#sentBytes === this.#totalBytes) return this.#end();
      const start = (this.#sentBytes + 17 * this.#from) % TEXT.length;
      const most = this.#dice.pick([1, 10, 1500, 65_536, 100_000]);
      const length = Math.min(
        1 + this.#dice.below(most),
        TEXT.length - start,
        this.#totalBytes - this.#sentBytes,
      );
      this.#sentBytes += length;
      const goesOn = stream.write(TEXT.subarray(start, start + length));
      if (!goesOn) return void stream.once('drain', () => this.#say());
      if (this.#dice.percent(20) || pieces > 50) {
        setTimeout(() => this.#say(), this.#dice.below(10));
        return;
      }
    }
  }

  #end(): void {
    const end = (): void => {
      this.#saidEnd = !this.#stream.destroyed;
      this.#stream.end();
    };
    if (this.#dice.percent(30)) setTimeout(end, this.#dice.below(50));
    else end();
  }

  #leave(): void {
    this.#broke = true;
    const reset = this.#stream instanceof Socket && this.#dice.percent(50);
    if (reset) (this.#stream as Socket).resetAndDestroy();
    else this.#stream.destroy();
  }
}
