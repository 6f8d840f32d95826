import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import type { ClientHandshake } from '../bytes/handshake.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { DialOptions } from './dialer.ts';

/**
 * Runs a client handshake over a connected stream. What came behind it is put back, so that the
 * stream's next reader sees payload from its first byte. A stream whose handshake fails is closed.
 *
 * @throws PosternError what the handshake failed with, `ERR_TUNNEL_CLOSED`, `ERR_TUNNEL_TIMED_OUT`
 */
export function runClientHandshake(
  stream: Duplex,
  handshake: ClientHandshake,
  {
    signal,
    timeoutMs = limits.tunnelTimeoutMs,
  }: DialOptions & { readonly timeoutMs?: number } = {},
): Promise<void> {
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (settlement: () => void): void => {
      settled = true;
      clearTimeout(deadline);
      abortion?.[Symbol.dispose]();
      stream.off('readable', onReadable).off('end', onEnd);
      stream.off('close', onClose).off('error', onError);
      settlement();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      stream.on('error', () => {}).destroy();
    };
    const run = (actions: ReturnType<ClientHandshake['start']>): void => {
      for (const action of actions) {
        if (action.type === 'send') stream.write(action.bytes);
        else if (action.type === 'failed') fail(action.error);
        else {
          settle(resolve);
          if (action.leftover.length > 0) stream.unshift(action.leftover);
        }
      }
    };
    const closed = (cause?: Error): PosternError =>
      new PosternError('ERR_TUNNEL_CLOSED', 'the proxy broke the connection off', { cause });
    // 'readable' and not 'data': when its listener goes, the stream is as if nobody had listened,
    // and not paused, so that its next reader may be of any kind.
    const onReadable = (): void => {
      let chunk: Buffer | null;
      while (!settled && (chunk = stream.read() as Buffer | null) !== null) {
        run(handshake.receive(chunk));
      }
    };
    const onEnd = (): void => run(handshake.receiveEnd());
    const onError = (error: Error): void => fail(closed(error));
    const onClose = (): void => fail(closed());
    const deadline = setTimeout(
      () => fail(new PosternError('ERR_TUNNEL_TIMED_OUT', `no answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const abortion = signal && addAbortListener(signal, () => fail(signal.reason));
    stream.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onClose);
    run(handshake.start());
  });
}
