import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { parseTorEvent } from './event-parser.ts';
import type { TorEvent } from './events.ts';
import { encodeCommand } from './format.ts';
import type { TorReply } from './messages.ts';
import { ReplyParser } from './reply-parser.ts';

/** What the machine asks its driver to do, in order. */
export type TorControlAction =
  /** The oldest command that waits is answered, with a refusal perhaps. */
  | { readonly type: 'reply'; readonly reply: TorReply }
  | { readonly type: 'event'; readonly event: TorEvent }
  /** The connection is over; commands that still wait fail with `error`. */
  | { readonly type: 'closed'; readonly error: PosternError };

/**
 * The controller's side of one connection: commands go out as fast as they come, and replies come
 * back in the same order, with events between them.
 *
 * It closes with `ERR_TOR_CONTROL_CLOSED`, `ERR_TOR_CONTROL_PROTOCOL` or `ERR_BYTES_OVERFLOW`.
 */
export class TorControlMachine {
  readonly #parser = new ReplyParser();
  #waiting = 0;
  #closed = false;

  /** How many commands wait for their replies. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * The bytes of a command, which now waits for its reply.
   *
   * @throws PosternError `ERR_TOR_CONTROL_COMMAND`, `ERR_TOR_CONTROL_BUSY`; nothing waits then
   */
  command(line: string, data?: string): Uint8Array {
    const bytes = encodeCommand(line, data);
    if (this.#waiting >= limits.torControlCommands) {
      throw new PosternError('ERR_TOR_CONTROL_BUSY', `${this.#waiting} commands wait for replies`);
    }
    this.#waiting += 1;
    return bytes;
  }

  /** Bytes from Tor, borrowed for the call. */
  receive(chunk: Uint8Array): readonly TorControlAction[] {
    const actions: TorControlAction[] = [];
    if (this.#closed) return actions;
    for (const action of this.#parser.receive(chunk)) {
      if (action.type === 'event') {
        actions.push({ type: 'event', event: parseTorEvent(action.lines) });
      } else if (action.type === 'failed') {
        actions.push(this.#close(action.error));
      } else if (this.#waiting > 0) {
        this.#waiting -= 1;
        actions.push(action);
      } else {
        const message = 'Tor sent a reply to no command';
        actions.push(this.#close(new PosternError('ERR_TOR_CONTROL_PROTOCOL', message)));
        break;
      }
    }
    return actions;
  }

  /** The connection ended, in whatever way. */
  receiveEnd(): readonly TorControlAction[] {
    if (this.#closed) return [];
    return [this.#close(new PosternError('ERR_TOR_CONTROL_CLOSED', 'Tor ended the connection'))];
  }

  #close(error: PosternError): TorControlAction {
    this.#closed = true;
    return { type: 'closed', error };
  }
}
