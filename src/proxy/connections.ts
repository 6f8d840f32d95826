import type { Duplex } from 'node:stream';
import { relay } from '../net/relay.ts';

/** The connections that carry payload at the moment: what a draining proxy waits for. */
export class Connections {
  readonly #onEmpty: (() => void)[] = [];
  #count = 0;

  /** Joins two streams until both directions have ended; resolves then, with what broke them. */
  async carry(a: Duplex, b: Duplex): Promise<Error | undefined> {
    this.#count += 1;
    const failure = await relay(a, b);
    this.#count -= 1;
    if (this.#count === 0) for (const callback of this.#onEmpty.splice(0)) callback();
    return failure;
  }

  /** Resolves when no connection is left. */
  async drained(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => void this.#onEmpty.push(resolve));
  }
}
