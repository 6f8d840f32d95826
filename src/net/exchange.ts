import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { unawaited } from '../unawaited.ts';
import { closeGently } from './close-gently.ts';
import type { DialOptions } from './dialer.ts';

/** How long an exchange may take. */
export interface ExchangeOptions extends DialOptions {
  /** The patience with the other end, in milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Runs an exchange over a connected stream. What came behind it is put back, so that the stream's next
 * reader, of whatever kind, sees payload from its first byte.
 *
 * A stream whose exchange fails is closed: gently where the other end was told why, else at once.
 *
 * @returns what the exchange found out
 * @throws PosternError what the exchange failed with, and its two codes for a stream that ends before
 *   it is over or has ended already, and for a peer that takes too long; `signal.reason`
 */
export function runExchange<Result>(
  stream: Duplex,
  exchange: Exchange<Result>,
  { signal, timeoutMs = limits.tunnelTimeoutMs }: ExchangeOptions = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    new Run(stream, exchange, resolve, reject).start(timeoutMs, signal);
  });
}

/** An exchange that runs. */
class Run<Result> {
  readonly #stream: Duplex;
  readonly #exchange: Exchange<Result>;
  readonly #resolve: (result: Result) => void;
  readonly #reject: (reason: unknown) => void;
  #deadline: NodeJS.Timeout | undefined;
  #abortion: Disposable | undefined;
  #isOver = false;
  /** Until work is done that the exchange waits for itself. */
  #isWaiting = false;

  constructor(
    stream: Duplex,
    exchange: Exchange<Result>,
    resolve: (result: Result) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#stream = stream;
    this.#exchange = exchange;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(timeoutMs: number, signal: AbortSignal | undefined): void {
    const stream = this.#stream;
    if (signal?.aborted === true) return this.#fail(signal.reason);
    if (stream.destroyed || stream.readableEnded) {
      return this.#failClosed(stream.errored ?? undefined);
    }
    this.#abortion = signal && addAbortListener(signal, () => this.#fail(signal.reason));
    this.#setDeadline(timeoutMs);
    stream.on('readable', this.#onReadable).on('end', this.#onEnd);
    stream.on('error', this.#failClosed).on('close', this.#onEnd);
    this.#run(() => this.#exchange.start());
  }

  // 'readable' and not 'data': when its listener goes, the stream is as if nobody had listened, and not
  // paused, so that its next reader may be of any kind.
  readonly #onReadable = (): void => {
    let chunk: Buffer | null;
    while (
      !this.#isOver &&
      !this.#isWaiting &&
      (chunk = this.#stream.read() as Buffer | null) !== null
    ) {
      const bytes = chunk;
      this.#run(() => this.#exchange.receive(bytes));
    }
  };

  readonly #onEnd = (): void => {
    if (!this.#isWaiting || this.#stream.destroyed) this.#failClosed();
  };

  readonly #failClosed = (cause?: Error): void => {
    const { peer, codes } = this.#exchange;
    this.#fail(
      new PosternError(codes.closed, `${peer} closed before the exchange was over`, { cause }),
      // It may still read what it asked for.
      this.#stream.writableLength > 0 && !this.#stream.destroyed,
    );
  };

  #setDeadline(ms: number): void {
    clearTimeout(this.#deadline);
    const { peer, codes } = this.#exchange;
    this.#deadline = setTimeout(() => {
      this.#fail(new PosternError(codes.timedOut, `${peer} took more than ${ms} ms`));
    }, ms);
  }

  #run(step: () => readonly ExchangeAction<Result>[]): void {
    try {
      this.#perform(step());
    } catch (error) {
      // Not the peer's doing: our own code has failed.
      this.#fail(error);
    }
  }

  #perform(actions: readonly ExchangeAction<Result>[]): void {
    const stream = this.#stream;
    let wasTold = stream.writableLength > 0;
    for (const action of actions) {
      if (action.type === 'send') {
        wasTold = true;
        stream.write(action.bytes);
      } else if (action.type === 'patience') {
        this.#setDeadline(action.ms);
      } else if (action.type === 'wait') {
        this.#isWaiting = true;
        afterDrain(stream, () => {
          unawaited(
            () => this.#work(action.work),
            (error) => this.#fail(error),
          );
        });
      } else if (action.type === 'failed') {
        this.#fail(action.error, wasTold);
      } else {
        this.#settle();
        this.#resolve(action.result);
        if (action.leftover.length > 0) stream.unshift(action.leftover);
      }
    }
  }

  async #work(start: Waiting<Result>['work']): Promise<void> {
    const actions = await start();
    this.#isWaiting = false;
    if (this.#isOver) return;
    this.#perform(actions);
    this.#onReadable();
    if (this.#stream.readableEnded) this.#onEnd();
  }

  /** @param gently whether the other end is to read what it was sent */
  #fail(error: unknown, gently = false): void {
    if (this.#isOver) return;
    this.#settle();
    this.#reject(error);
    this.#stream.on('error', ignore);
    if (gently) closeGently(this.#stream);
    else this.#stream.destroy();
  }

  #settle(): void {
    const stream = this.#stream;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#abortion?.[Symbol.dispose]();
    stream.off('readable', this.#onReadable).off('end', this.#onEnd);
    stream.off('error', this.#failClosed).off('close', this.#onEnd);
  }
}

type Waiting<Result> = Extract<ExchangeAction<Result>, { readonly type: 'wait' }>;

/** When there is room for more; never, where the stream closes before. */
function afterDrain(stream: Duplex, callback: () => void): void {
  if (stream.writableNeedDrain) stream.once('drain', callback);
  else callback();
}

/** It has failed already, and 'close' follows. */
function ignore(): void {}
