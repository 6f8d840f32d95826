/**
 * Finds out of which kind a proxy is that does not answer: an HTTP proxy waits for the end of what it takes
 * for a request, and many SOCKS proxies hang up on one.
 *
 * It is asked in the other language on a second connection: further bytes on the first one could confuse a
 * slow proxy of the right kind.
 */
import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { UpstreamProxy } from '../pt/upstream-proxy.ts';
import { IS_HTTP } from '../socks/decode.ts';
import { encodeGreeting } from '../socks/encode.ts';
import { SocksMethod } from '../socks/messages.ts';
import type { Dialer, DialOptions } from './dialer.ts';
import { runExchange } from './exchange.ts';
import { IS_SOCKS } from './http-connect.ts';

/** What tells the kinds apart. */
interface Kind {
  readonly question: Uint8Array;
  /** How an answer begins. */
  readonly answer: Uint8Array;
  /** What a user is told who took it for the other kind. */
  readonly advice: string;
}

/** Every HTTP proxy answers this, most of them that it is wrong. */
const http: Kind = {
  question: Buffer.from('HEAD / HTTP/1.0\r\n\r\n'),
  answer: Buffer.from('HTTP/'),
  advice: IS_HTTP,
};
const socks: Kind = {
  question: encodeGreeting([SocksMethod.none, SocksMethod.usernamePassword]),
  answer: Uint8Array.of(5),
  advice: IS_SOCKS,
};

/** The error for a proxy of the other kind. */
function otherKind(type: UpstreamProxy['type']): PosternError {
  return new PosternError('ERR_TUNNEL_MALFORMED', (type === 'http' ? socks : http).advice);
}

/**
 * Runs an exchange with a proxy, and asks it for its kind when it is silent for a while, or hangs up without
 * a word.
 *
 * @param stream leads to the proxy
 * @param dial makes another one
 * @throws what `runExchange` throws; PosternError `ERR_TUNNEL_MALFORMED` for a proxy of the other kind
 */
export async function runProxyExchange(
  { type, endpoint }: UpstreamProxy,
  stream: Duplex,
  dial: Dialer,
  exchange: Exchange<void>,
  { signal }: DialOptions,
): Promise<void> {
  const kind = type === 'http' ? socks : http;
  const attempt = new AbortController();
  using _ = signal && addAbortListener(signal, () => attempt.abort(signal.reason));
  let question: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    const isOther = await answersAs(kind, attempt.signal, () => dial(endpoint, attempt));
    if (isOther) attempt.abort(otherKind(type));
  };
  const silence = setTimeout(() => {
    question = ask();
  }, limits.proxySilenceMs);
  let hasSpoken = false;
  const heard: Exchange<void> = {
    ...exchange,
    start: () => exchange.start(),
    receive(chunk) {
      hasSpoken = true;
      clearTimeout(silence);
      return exchange.receive(chunk);
    },
  };
  try {
    await runExchange(stream, heard, { signal: attempt.signal });
  } catch (error) {
    const hungUp = error instanceof PosternError && error.code === exchange.codes.closed;
    if (hungUp && !hasSpoken) await (question ?? ask());
    attempt.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(silence);
    // A question that is still open is not waited for.
    attempt.abort(new Error('the proxy has answered'));
  }
}

async function answersAs(
  kind: Kind,
  signal: AbortSignal,
  connect: () => ReturnType<Dialer>,
): Promise<boolean> {
  try {
    const stream = await connect();
    const timeoutMs = limits.proxySilenceMs;
    const isOfKind = await runExchange(stream, createQuestion(kind), { signal, timeoutMs });
    stream.destroy();
    return isOfKind;
  } catch {
    return false;
  }
}

function createQuestion({ question, answer }: Kind): Exchange<boolean> {
  let count = 0;
  return {
    peer: 'the proxy',
    codes: { closed: 'ERR_TUNNEL_CLOSED', timedOut: 'ERR_TUNNEL_TIMED_OUT' },
    start: () => [{ type: 'send', bytes: question }],
    receive(chunk): readonly ExchangeAction<boolean>[] {
      const leftover = new Uint8Array(0);
      for (const byte of chunk) {
        if (byte !== answer[count]) return [{ type: 'done', result: false, leftover }];
        count += 1;
        if (count === answer.length) return [{ type: 'done', result: true, leftover }];
      }
      return [];
    },
  };
}
