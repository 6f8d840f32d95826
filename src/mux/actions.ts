import type { PosternError } from '../errors.ts';
import type { MuxStreamState } from './stream-state.ts';

/** What a session asks its driver to do, in order. */
export type MuxAction<Owner = unknown> =
  /** The peer opened a stream. */
  | { readonly type: 'opened'; readonly stream: MuxStreamState<Owner> }
  /** The peer took a stream of ours. */
  | { readonly type: 'acked' }
  /** Payload for a stream's reader, a part of what was pushed; `consumed` takes it off the books. */
  | { readonly type: 'deliver'; readonly stream: MuxStreamState<Owner>; readonly bytes: Buffer }
  /** The peer will send no more on a stream. */
  | { readonly type: 'end'; readonly stream: MuxStreamState<Owner> }
  /** A stream broke; the session has forgotten it. */
  | {
      readonly type: 'broken';
      readonly stream: MuxStreamState<Owner>;
      readonly error: PosternError;
    }
  /** The peer answered our ping. */
  | { readonly type: 'pong' }
  /** The peer takes no new streams. */
  | { readonly type: 'draining' }
  /** The peer broke the rules: send what `produce` still gives, and close. */
  | { readonly type: 'failed'; readonly error: PosternError };

/** What a session is given. */
export interface MuxSessionOptions {
  /** The client opens odd streams, the server even ones. */
  readonly role: 'client' | 'server';
  /** Milliseconds that only ever grow. */
  readonly now: () => number;
  /** Whether the process holds so much that windows are not to grow. */
  readonly isTight?: () => boolean;
}
