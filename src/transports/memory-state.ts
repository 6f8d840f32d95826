import type { StateStore } from './contract.ts';

/** State that lives as long as the process. */
export class MemoryState implements StateStore {
  /** The content of each file, by its name. */
  readonly files: Map<string, Buffer> = new Map();

  async read(file: string): Promise<Uint8Array | undefined> {
    return this.files.get(file);
  }

  async write(file: string, content: Uint8Array): Promise<void> {
    this.files.set(file, Buffer.from(content));
  }

  async append(file: string, content: Uint8Array): Promise<void> {
    this.files.set(file, Buffer.concat([this.files.get(file) ?? Buffer.alloc(0), content]));
  }

  describe(file: string): string {
    return `memory:${file}`;
  }
}
