import type { ErrorCode, PosternError } from '../errors.ts';

/**
 * One side of an exchange that comes before payload on the same connection: SOCKS, HTTP CONNECT,
 * Extended ORPort. Bytes in, actions out; `net/exchange.ts` is the one driver that runs them all.
 *
 * Chunks handed in are borrowed for the call. No method is called again once `done` or `failed` came
 * out.
 */
export interface Exchange<Result> {
  /** Who is at the other end, for messages, as `the SOCKS proxy`. */
  readonly peer: string;
  /** The codes to fail with when the other end closes early, or takes too long. */
  readonly codes: { readonly closed: ErrorCode; readonly timedOut: ErrorCode };
  /** The connection is there. */
  start(): readonly ExchangeAction<Result>[];
  /** Bytes from the other end. */
  receive(chunk: Uint8Array): readonly ExchangeAction<Result>[];
}

/** What an exchange asks its driver to do, in order. */
export type ExchangeAction<Result> =
  /** Put bytes on the wire, in one write. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** From now on the other end has this long, whatever it had left. */
  | { readonly type: 'patience'; readonly ms: number }
  /**
   * Once all that was sent is on its way, do slow work, and then what its result asks for. No bytes are handed
   * in until then. The work is finished even if the connection ends meanwhile.
   */
  | {
      readonly type: 'wait';
      /** What is waited for. */
      readonly work: () => Promise<readonly ExchangeAction<Result>[]>;
    }
  /**
   * This side has heard all that it waits for. `leftover`, owned, is what came behind it: the start of
   * the payload.
   */
  | { readonly type: 'done'; readonly result: Result; readonly leftover: Uint8Array }
  /** The connection is of no use: close it once everything before this is sent. */
  | { readonly type: 'failed'; readonly error: PosternError };
