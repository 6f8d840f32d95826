import { workInTurn } from '../turns.ts';

/**
 * How much of the event loop one connection may take before the others have their turn.
 *
 * A peer chooses how much work its bytes are: the frames of one read may be a few or thousands. So a read
 * is worked off in slices, whose length follows what the last ones cost, and a connection that has used
 * up its share waits for the next turn.
 */
export class TurnShare {
  #sliceBytes = FIRST_SLICE_BYTES;
  #usedMs = 0;
  #idleSinceMs = 0;

  /** How much to work off next, at most. */
  get sliceBytes(): number {
    return this.#sliceBytes;
  }

  /** Whether what is left is for the next turn. */
  get isUsedUp(): boolean {
    return this.#usedMs >= SHARE_MS;
  }

  /** Works off one slice. */
  spend(bytes: number, work: () => void): void {
    // While this connection had nothing to do, the others had their turn.
    this.#usedMs = Math.max(0, this.#usedMs - (performance.now() - this.#idleSinceMs));
    const tookMs = workInTurn(work);
    this.#idleSinceMs = performance.now();
    this.#usedMs += tookMs;
    if (tookMs > SHARE_MS / 2) {
      this.#sliceBytes = Math.max(MIN_SLICE_BYTES, Math.floor(bytes / 2));
    } else if (bytes === this.#sliceBytes && tookMs < SHARE_MS / 8) {
      this.#sliceBytes = Math.min(MAX_SLICE_BYTES, 2 * this.#sliceBytes);
    }
  }

  /** A new turn has begun. */
  renew(): void {
    this.#usedMs = 0;
  }
}

const SHARE_MS = 2;
const MIN_SLICE_BYTES = 2048;
const FIRST_SLICE_BYTES = 16_384;
/** More than what is read at once. */
const MAX_SLICE_BYTES = 131_072;
