/** The bridge's end of links: streams that clients ask for go on to their targets. */
import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import type { Dialer } from '../../net/dialer.ts';
import { ipToBytes, type Endpoint } from '../../pt/address.ts';
import { endSession, followStream, linkSettings, openWindow, refusalFor } from './http2-link.ts';
import { join } from './join.ts';

/** Serves any number of links. */
export class TunnelServer {
  readonly #dial: () => Dialer;
  readonly #sessions = new Set<ServerHttp2Session>();
  #streams = 0;

  /** @param dial reaches targets, or refuses to; asked for each stream, so that a policy can change */
  constructor(dial: () => Dialer) {
    this.#dial = dial;
  }

  /** How many links stand. */
  get linkCount(): number {
    return this.#sessions.size;
  }

  /** How many streams are on them. */
  get streamCount(): number {
    return this.#streams;
  }

  /** Serves one link until either end closes. */
  accept(stream: Duplex): void {
    stream.on('error', () => {});
    if (this.#sessions.size >= limits.tunnelLinks) {
      stream.destroy();
      return;
    }
    const session = performServerHandshake(stream, linkSettings);
    this.#sessions.add(session);
    session.on('error', () => {}); // 'close' follows
    session.on('close', () => {
      this.#sessions.delete(session);
      // After a GOAWAY the session ends with its last stream; the connection must end with it.
      stream.destroy();
    });
    followStream(session, stream);
    session.setTimeout(limits.tunnelIdleMs, () => {
      if (!session.destroyed) session.close();
    });
    openWindow(session);
    session.on('stream', (request, headers) => {
      this.#streams += 1;
      request.once('close', () => (this.#streams -= 1));
      void this.#serve(request, headers);
    });
  }

  /** Takes no new streams; links end with the last one that they have. */
  drain(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Ends all links now. */
  close(): void {
    for (const session of this.#sessions) endSession(session);
  }

  /** One stream, to its end. Never rejects. */
  async #serve(request: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const gone = new AbortController();
    request.on('error', () => {});
    request.once('close', () => gone.abort(new Error('the client gave the stream up')));
    const target = parseAuthority(headers[':authority']);
    if (headers[':method'] !== 'CONNECT' || target === undefined) {
      const status = target === undefined ? 400 : 405;
      request.respond({ ':status': status }, { endStream: true });
      request.close();
      return;
    }
    let onward: Duplex;
    try {
      onward = await this.#dial()(target, { signal: gone.signal });
    } catch (error) {
      if (request.destroyed) return;
      request.respond(refusalFor(error), { endStream: true });
      request.close();
      return;
    }
    if (request.destroyed) {
      onward.destroy();
      return;
    }
    request.respond({ ':status': 200 });
    await join(onward, request);
  }
}

/** `host:port`, both there, IPv6 in brackets. */
export function parseAuthority(text: string | undefined): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/?#@[\]\s]{1,255})):([0-9]{1,5})$/.exec(text ?? '');
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) return undefined;
  if (match[1] !== undefined && ipToBytes(match[1])?.length !== 16) return undefined;
  return { host: (match[1] ?? match[2])!, port };
}
