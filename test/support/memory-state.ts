import type { StateStore } from '../../src/transports/contract.ts';

/** A state store in memory; `fail` makes every write reject with it. */
export class MemoryState implements StateStore {
  readonly files: Map<string, Buffer> = new Map();
  fail: Error | undefined = undefined;

  async read(file: string): Promise<Uint8Array | undefined> {
    return this.files.get(file);
  }

  async write(file: string, content: Uint8Array): Promise<void> {
    if (this.fail) throw this.fail;
    this.files.set(file, Buffer.from(content));
  }

  async append(file: string, content: Uint8Array): Promise<void> {
    if (this.fail) throw this.fail;
    this.files.set(file, Buffer.concat([this.files.get(file) ?? Buffer.alloc(0), content]));
  }

  describe(file: string): string {
    return `/state/${file}`;
  }
}
