import { Fifo } from '../bytes/fifo.ts';

/** What takes turns. */
export interface Scheduled {
  isQueued: boolean;
  /** The round in which it last went ahead of the others. */
  servedInRound: number;
}

/**
 * Whose turn it is to send. Turns are of equal length, and everyone who has something gets one a round.
 * Who comes anew goes ahead of those who wait for their next turn, once a round: a key press
 * does not wait behind five hundred downloads, and who sends little by little gets no more than they.
 */
export class Schedule<T extends Scheduled> {
  readonly #fresh = new Fifo<T>();
  readonly #busy = new Fifo<T>();
  #round = 0;
  #turnsLeft = 0;

  /** It has something to send. @param hadTurn it has just had a turn, and wants another one */
  add(item: T, hadTurn: boolean): void {
    item.isQueued = true;
    if (this.#busy.length === 0) {
      this.#round += 1;
      this.#turnsLeft = 0;
    }
    const isFresh = !hadTurn && item.servedInRound !== this.#round;
    if (isFresh) item.servedInRound = this.#round;
    (isFresh ? this.#fresh : this.#busy).push(item);
  }

  /** Who sends now; to be added again when it has more. */
  next(): T | undefined {
    const item = this.#fresh.shift() ?? this.#nextBusy();
    if (item !== undefined) item.isQueued = false;
    return item;
  }

  #nextBusy(): T | undefined {
    if (this.#turnsLeft === 0) {
      this.#round += 1;
      this.#turnsLeft = this.#busy.length;
    }
    if (this.#turnsLeft > 0) this.#turnsLeft -= 1;
    return this.#busy.shift();
  }
}
