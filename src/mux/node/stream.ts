import { PayloadStream } from '../../net/payload-stream.ts';
import type { MuxStreamState } from '../stream-state.ts';

/** What a stream asks of its connection. */
export interface StreamPort {
  /** The chunk is lent for the call. @returns whether all of it is gone; else `written` is called when it is */
  write(state: MuxStreamState<MuxStream>, chunk: Uint8Array): boolean;
  /** `written` is called when the end has gone out. */
  end(state: MuxStreamState<MuxStream>): void;
  consumed(state: MuxStreamState<MuxStream>, bytes: number): void;
  closed(state: MuxStreamState<MuxStream>): void;
}

/** One stream. */
export class MuxStream extends PayloadStream {
  readonly #port: StreamPort;
  readonly #state: MuxStreamState<MuxStream>;
  #onWritten: (() => void) | undefined;

  constructor(port: StreamPort, state: MuxStreamState<MuxStream>) {
    super(STREAM_BUFFER_BYTES);
    this.#port = port;
    this.#state = state;
    this.on('error', ignore);
  }

  override get unsentBytes(): number {
    return this.#state.pending?.length ?? 0;
  }

  /** What was written, or the end, has gone out. */
  written(): void {
    const callback = this.#onWritten;
    this.#onWritten = undefined;
    callback?.();
  }

  protected override transmit(bytes: Uint8Array, onDrained: () => void): boolean {
    if (this.#port.write(this.#state, bytes)) return true;
    this.#onWritten = onDrained;
    return false;
  }

  override deliver(bytes: Uint8Array): boolean {
    const isDone = super.deliver(bytes);
    this.taken();
    return isDone;
  }

  override deliverEnd(): void {
    super.deliverEnd();
  }

  protected override transmitEnd(onSent: () => void): void {
    this.#onWritten = onSent;
    this.#port.end(this.#state);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#port.closed(this.#state);
    callback(error);
  }

  protected override taken(): void {
    const bytes = this.#state.heldBytes - this.waitingBytes;
    if (bytes > 0) this.#port.consumed(this.#state, bytes);
  }
}

/** As much as a relay takes from a socket at once, twice. */
const STREAM_BUFFER_BYTES = 65_536;

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
