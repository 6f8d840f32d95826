/** The Tor behind a bridge: its TLS, its link, who it is, and whether traffic gets through. */
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { randomBytes, systemRng } from '../crypto/rng.ts';
import { type TorIdentity, verifyTorIdentity } from '../crypto/tor-certificates.ts';
import { PosternError } from '../errors.ts';
import { runExchange } from '../net/exchange.ts';
import type { Course } from './course.ts';
import { createTorLinkHello, createTorTraffic, type TorLinkHello } from './tor-link.ts';

/** What the Tor behind a bridge has said of itself, verified. */
export interface TorBehind extends Pick<TorLinkHello, 'clockMs'> {
  readonly identity: TorIdentity;
}

/**
 * Does what a client of Tor does at the beginning of a link, and sends padding if asked to.
 *
 * @param stream the bridge's, which is closed whatever comes of it
 * @param address the bridge's own
 * @throws PosternError `ERR_TOR_*`; the reason of the course's signal
 */
export async function meetTor(
  stream: Duplex,
  address: string,
  course: Course,
  trafficBytes: number,
): Promise<TorBehind> {
  course.enter('tls');
  const tls = await openTls(stream, course.signal);
  try {
    course.enter('link');
    const options = { signal: course.signal, timeoutMs: PATIENCE_MS };
    const { certificates, clockMs } = await runExchange(tls, createTorLinkHello(address), options);
    const identity = verifyTorIdentity(certificates, tls.getPeerX509Certificate()!.raw);
    course.leave();
    if (trafficBytes > 0) {
      course.enter('traffic', TRAFFIC_MS * Math.ceil(trafficBytes / TRAFFIC_BYTES));
      await runExchange(tls, createTorTraffic(trafficBytes, systemRng), options);
      course.leave();
    }
    return { identity, clockMs };
  } finally {
    tls.destroy();
    stream.destroy();
  }
}

/** The check's own clock ends an exchange. */
const PATIENCE_MS = 2 ** 31 - 1;
/** More time for more bytes: a slow path is not a broken one. */
const TRAFFIC_MS = 30_000;
const TRAFFIC_BYTES = 131_072;

/** The certificate proves nothing by itself: the relay proves on the link who it is. */
function openTls(stream: Duplex, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    // A name as Tor's own clients make one up.
    const label = randomBytes(systemRng, 8).toString('hex');
    const tls = connect({
      socket: stream,
      servername: `www.${label}.com`,
      rejectUnauthorized: false,
    });
    const onAbort = (): void => {
      reject(signal.reason as Error);
      tls.destroy();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    tls.on('error', (cause) => reject(tlsError(cause)));
    tls.once('close', () => reject(tlsError()));
    tls.once('secureConnect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(tls);
    });
  });
}

/** OpenSSL's words for bytes that are no TLS; everything else is a connection that ended. */
function tlsError(cause?: Error): PosternError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
  const isStranger = /^ERR_SSL_/.test(code);
  return isStranger
    ? new PosternError('ERR_TOR_LINK_PROTOCOL', 'what is behind the bridge does not speak TLS', {
        cause,
      })
    : new PosternError('ERR_TOR_LINK_CLOSED', 'what is behind the bridge closed the connection', {
        cause,
      });
}
