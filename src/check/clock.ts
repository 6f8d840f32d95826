/** The time elsewhere: with a wrong clock, bridges of obfs4 and scramblesuit do not answer, and do not say why. */
import { request } from 'node:http';
import { connect } from 'node:tls';
import { PosternError } from '../errors.ts';
import type { Dialer } from '../net/dialer.ts';

/**
 * How far this machine's clock is ahead of a web server's, by the Date header of its answer.
 *
 * @param dial reaches the server
 * @returns milliseconds, to the second; negative when it is behind
 * @throws PosternError `ERR_CHECK_CLOCK`; what `dial` throws; `signal.reason`
 */
export async function measureClock(
  url: URL,
  dial: Dialer,
  { signal }: { readonly signal: AbortSignal },
): Promise<number> {
  const isTls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  const wire = await dial({ host, port }, { signal });
  // Not verified: by a wrong clock no certificate is valid, and the time of day is no secret.
  const stream = isTls
    ? connect({ socket: wire, servername: host, rejectUnauthorized: false })
    : wire;
  try {
    const date = await new Promise<string | undefined>((resolve, reject) => {
      stream.on('error', reject);
      const asking = request(url, { method: 'HEAD', signal, createConnection: () => stream });
      asking.on('error', reject);
      asking.on('response', (response) => resolve(response.headers.date));
      asking.end();
    });
    const theirs = Date.parse(date ?? '');
    if (Number.isNaN(theirs)) throw new Error('its answer has no Date');
    return Math.round((Date.now() - theirs) / 1000) * 1000;
  } catch (cause) {
    signal.throwIfAborted();
    throw new PosternError('ERR_CHECK_CLOCK', 'the server does not say what time it is', { cause });
  } finally {
    stream.destroy();
    wire.destroy();
  }
}
