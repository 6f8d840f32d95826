import type { PosternError } from '../errors.ts';

/**
 * The client's side of an exchange that comes before payload on the same connection: SOCKS, HTTP
 * CONNECT, Extended ORPort. Bytes in, actions out; one driver runs them all.
 *
 * Chunks handed in are borrowed for the call. No method is called again once `established` or
 * `failed` came out.
 */
export interface ClientHandshake {
  /** The connection is there. */
  start(): readonly HandshakeAction[];
  /** Bytes from the other end. */
  receive(chunk: Uint8Array): readonly HandshakeAction[];
  /** The other end will send no more. */
  receiveEnd(): readonly HandshakeAction[];
}

/** What a client handshake asks its driver to do, in order. */
export type HandshakeAction =
  /** Put bytes on the wire, in one write. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Payload may flow; `leftover`, owned, is the start of what the other end sent. */
  | { readonly type: 'established'; readonly leftover: Uint8Array }
  /** The connection is of no use: close it. */
  | { readonly type: 'failed'; readonly error: PosternError };
