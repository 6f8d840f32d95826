/** The connections that are being served, which a draining proxy waits for. */
export class Connections {
  readonly #onEmpty: (() => void)[] = [];
  #count = 0;

  /** Serves one connection, which counts until `task` settles. */
  async serve<T>(task: () => Promise<T>): Promise<T> {
    this.#count += 1;
    try {
      return await task();
    } finally {
      this.#count -= 1;
      if (this.#count === 0) for (const callback of this.#onEmpty.splice(0)) callback();
    }
  }

  /** Resolves when no connection is left. */
  async drained(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }
}
