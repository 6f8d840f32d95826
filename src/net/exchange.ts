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
  const { peer, codes } = exchange;
  return new Promise((resolve, reject) => {
    let isOver = false;
    let isWaiting = false;
    const settle = (settlement: () => void): void => {
      isOver = true;
      clearTimeout(deadline);
      abortion?.[Symbol.dispose]();
      stream.off('readable', onReadable).off('end', onEnd);
      stream.off('close', onEnd).off('error', onError);
      settlement();
    };
    const fail = (error: unknown, close: () => void = () => stream.destroy()): void => {
      if (isOver) return;
      settle(() => reject(error));
      stream.on('error', ignore);
      close();
    };
    const run = (step: () => readonly ExchangeAction<Result>[]): void => {
      try {
        perform(step());
      } catch (error) {
        // Not what the peer did: whoever judges its words in there has a fault.
        fail(error);
      }
    };
    const perform = (actions: readonly ExchangeAction<Result>[]): void => {
      let wasTold = stream.writableLength > 0;
      for (const action of actions) {
        if (action.type === 'send') {
          wasTold = true;
          stream.write(action.bytes);
        } else if (action.type === 'patience') {
          clearTimeout(deadline);
          deadline = setTimeout(onTimeout, action.ms, action.ms);
        } else if (action.type === 'wait') {
          isWaiting = true;
          afterDrain(stream, () => unawaited(() => work(action.work), fail));
        } else if (action.type === 'failed') {
          fail(action.error, wasTold ? () => closeGently(stream) : undefined);
        } else {
          settle(() => resolve(action.result));
          if (action.leftover.length > 0) stream.unshift(action.leftover);
        }
      }
    };
    const work = async (start: Waiting<Result>['work']): Promise<void> => {
      const actions = await start();
      isWaiting = false;
      if (isOver) return;
      perform(actions);
      onReadable();
      if (stream.readableEnded) onEnd();
    };
    const failClosed = (cause?: Error): void =>
      fail(
        new PosternError(codes.closed, `${peer} closed before the exchange was over`, { cause }),
        // It may still read what it asked for.
        stream.writableLength > 0 && !stream.destroyed ? () => closeGently(stream) : undefined,
      );
    // 'readable' and not 'data': when its listener goes, the stream is as if nobody had listened,
    // and not paused, so that its next reader may be of any kind.
    const onReadable = (): void => {
      let chunk: Buffer | null;
      while (!isOver && !isWaiting && (chunk = stream.read() as Buffer | null) !== null) {
        const bytes = chunk;
        run(() => exchange.receive(bytes));
      }
    };
    const onEnd = (): void => {
      if (!isWaiting || stream.destroyed) failClosed();
    };
    const onError = (error: Error): void => failClosed(error);
    const onTimeout = (ms: number): void =>
      fail(new PosternError(codes.timedOut, `${peer} took more than ${ms} ms`));
    let deadline = setTimeout(onTimeout, timeoutMs, timeoutMs);
    const abortion = signal && addAbortListener(signal, () => fail(signal.reason));
    if (signal?.aborted === true) {
      fail(signal.reason);
    } else if (stream.destroyed || stream.readableEnded) {
      failClosed(stream.errored ?? undefined);
    } else {
      stream.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onEnd);
      run(() => exchange.start());
    }
  });
}

type Waiting<Result> = Extract<ExchangeAction<Result>, { readonly type: 'wait' }>;

/** When there is room for more; never, where the stream closes before. */
function afterDrain(stream: Duplex, callback: () => void): void {
  if (stream.writableNeedDrain) stream.once('drain', callback);
  else callback();
}

/** It has failed already, and 'close' follows. */
function ignore(): void {}
