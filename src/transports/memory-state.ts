import type { StateStore } from './contract.ts';

/** State that lives as long as the process. */
export class MemoryState implements StateStore {
  readonly #files = new Map<string, Uint8Array>();

  async read(file: string): Promise<Uint8Array | undefined> {
    return this.#files.get(file);
  }

  async write(file: string, content: Uint8Array): Promise<void> {
    this.#files.set(file, Uint8Array.from(content));
  }

  async append(file: string, content: Uint8Array): Promise<void> {
    this.#files.set(file, Buffer.concat([this.#files.get(file) ?? new Uint8Array(0), content]));
  }

  describe(file: string): string {
    return `memory:${file}`;
  }
}
