import { MemoryState } from '../../src/transports/memory-state.ts';

/** A state store in memory; `fail` makes every write reject with it. */
export class FailingState extends MemoryState {
  fail: Error | undefined = undefined;

  override async write(file: string, content: Uint8Array): Promise<void> {
    if (this.fail) throw this.fail;
    await super.write(file, content);
  }

  override async append(file: string, content: Uint8Array): Promise<void> {
    if (this.fail) throw this.fail;
    await super.append(file, content);
  }
}
