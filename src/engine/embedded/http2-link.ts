/**
 * What both ends of a link share: HTTP/2 (RFC 9113) over a disguised connection, each stream of it a
 * CONNECT (section 8.5), so that any HTTP/2 proxy can stand at the far end.
 */
import type { Duplex } from 'node:stream';
import type { Http2Session, SecureClientSessionOptions } from 'node:http2';
import { PosternError, type ErrorCode } from '../../errors.ts';
import { limits } from '../../limits.ts';

/** Settings that both ends send. Windows are large: a link crosses continents. */
export const linkSettings: Pick<SecureClientSessionOptions, 'settings' | 'maxSessionMemory'> = {
  settings: {
    enablePush: false,
    initialWindowSize: limits.linkStreamWindowBytes,
    maxConcurrentStreams: limits.linkStreams,
  },
  // In megabytes. Past it Node refuses streams; the windows and the number of streams bound it first.
  maxSessionMemory: Math.ceil((limits.linkStreamWindowBytes * limits.linkStreams) / 1e6),
};

/** Lets a session's streams together have more on the way than RFC 9113's 65535 bytes. */
export function openWindow(session: Http2Session): void {
  session.setLocalWindowSize(limits.linkWindowBytes);
}

/** Ends the session when its stream goes, however it goes; Node watches for an orderly end only. */
export function followStream(session: Http2Session, stream: Duplex): void {
  stream.once('close', () => endSession(session));
}

/** Ends a session now. Its streams break: without an error Node would let them end as if all was well. */
export function endSession(session: Http2Session): void {
  if (!session.destroyed) session.destroy(new PosternError('ERR_LINK_FAILED', 'the link ended'));
}

/** What `Proxy-Status` (RFC 9209) says about a target that could not be reached, and the HTTP status. */
const answers: readonly (readonly [code: ErrorCode, status: number, error: string])[] = [
  ['ERR_DIAL_REFUSED', 502, 'connection_refused'],
  ['ERR_DIAL_HOST_UNREACHABLE', 502, 'destination_ip_unroutable'],
  ['ERR_DIAL_NAME_NOT_FOUND', 502, 'dns_error'],
  ['ERR_DIAL_TIMED_OUT', 504, 'connection_timeout'],
  ['ERR_EXIT_POLICY', 403, 'destination_ip_prohibited'],
  ['ERR_DIAL_FAILED', 502, 'destination_unavailable'],
];

/** The answer to a CONNECT that failed. */
export function refusalFor(error: unknown): { ':status': number; 'proxy-status': string } {
  const code = error instanceof PosternError ? error.code : 'ERR_DIAL_FAILED';
  const similar = code === 'ERR_DIAL_NETWORK_UNREACHABLE' ? 'ERR_DIAL_HOST_UNREACHABLE' : code;
  const [, status, reason] = answers.find(([known]) => known === similar) ?? answers.at(-1)!;
  return { ':status': status, 'proxy-status': `postern; error=${reason}` };
}

/** What an answer other than success says, with or without the header. */
export function errorFromAnswer(status: number, proxyStatus: string | undefined): PosternError {
  const reason = /;\s*error=([a-z_]+)/.exec(proxyStatus ?? '')?.[1];
  const known =
    answers.find(([, , name]) => name === reason) ??
    answers.find(([, number]) => number === status);
  // 502 alone says that something is wrong behind the bridge, not what.
  const code = reason === undefined && status === 502 ? 'ERR_DIAL_FAILED' : known?.[0];
  return code === undefined
    ? new PosternError('ERR_HTTP_PROXY_REFUSED', `the bridge answered with status ${status}`)
    : new PosternError(code, 'the bridge could not reach the target');
}
