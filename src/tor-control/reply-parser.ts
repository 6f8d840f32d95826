import { ByteQueue } from '../bytes/queue.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { TorReply, TorReplyLine } from './messages.ts';

/** What comes out of the parser, in order. */
export type ReplyAction =
  /** The answer to the oldest command that waits. */
  | { readonly type: 'reply'; readonly reply: TorReply }
  /** An event: lines with status 6xx. */
  | { readonly type: 'event'; readonly lines: readonly TorReplyLine[] }
  /** The stream is of no use any more; nothing comes out after this. */
  | { readonly type: 'failed'; readonly error: PosternError };

/**
 * Cuts what Tor sends into replies and events.
 *
 * ```
 * 250-version=0.4.9.11        650 BW 0 0
 * 250+config-text=
 * ControlPort auto
 * ..a line that begins with one dot
 * .
 * 250 OK
 * ```
 *
 * Only CR LF ends a line ("Tor, however, MUST NOT generate LF instead of CRLF"): a lone LF is a part
 * of the text, so that no value that Tor passes on can pretend to be a line. Text is UTF-8; what is
 * none becomes U+FFFD.
 *
 * Fails with `ERR_TOR_CONTROL_PROTOCOL` or `ERR_BYTES_OVERFLOW`.
 */
export class ReplyParser {
  readonly #line = new ByteQueue();
  /** The lines of the reply that has begun. */
  #lines: TorReplyLine[] = [];
  /** The line whose data is being read, and the data so far. */
  #open: { readonly line: TorReplyLine; readonly data: string[] } | undefined;
  #byteCount = 0;
  #lineCount = 0;
  #failed = false;

  /** Bytes from Tor, borrowed for the call. */
  receive(chunk: Uint8Array): readonly ReplyAction[] {
    const actions: ReplyAction[] = [];
    let rest = chunk;
    try {
      while (!this.#failed && rest.length > 0) {
        const end = rest.indexOf(LF) + 1 || rest.length;
        this.#append(rest.subarray(0, end));
        rest = rest.subarray(end);
        if (!this.#isLineComplete()) continue;
        const action = this.#takeLine(this.#line.peek(0, this.#line.length - 2).toString('utf8'));
        this.#line.skip(this.#line.length);
        if (action !== undefined) actions.push(action);
      }
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      this.#failed = true;
      this.#reset();
      this.#line.skip(this.#line.length);
      actions.push({ type: 'failed', error });
    }
    return actions;
  }

  #append(piece: Uint8Array): void {
    if (this.#line.length + piece.length > limits.torControlLineBytes) {
      throw new PosternError('ERR_BYTES_OVERFLOW', 'Tor sent a line that is too long');
    }
    this.#byteCount += piece.length;
    if (this.#byteCount > limits.torControlReplyBytes) {
      throw new PosternError('ERR_BYTES_OVERFLOW', 'Tor sent a reply that is too long');
    }
    this.#line.push(piece);
  }

  #isLineComplete(): boolean {
    const [cr, lf] = this.#line.peek(this.#line.length - 2);
    return cr === CR && lf === LF;
  }

  /** A reply or an event, when this line ends one. */
  #takeLine(text: string): ReplyAction | undefined {
    this.#lineCount += 1;
    if (this.#lineCount > limits.torControlReplyLines) {
      throw new PosternError('ERR_BYTES_OVERFLOW', 'Tor sent a reply of too many lines');
    }
    if (this.#open !== undefined) {
      this.#takeDataLine(this.#open, text);
      return undefined;
    }
    const match = /^([2456][0-9]{2})([-+ ])(.*)$/s.exec(text);
    if (match === null) throw protocolError('a line that belongs to no reply');
    const line: TorReplyLine = { status: Number(match[1]), text: match[3]! };
    // Events stand between replies, never between the lines of one.
    if (this.#lines.length > 0 && isEvent(line) !== isEvent(this.#lines[0]!)) {
      throw protocolError('an event within a reply');
    }
    if (match[2] === '+') {
      this.#open = { line, data: [] };
      return undefined;
    }
    this.#lines.push(line);
    return match[2] === '-' ? undefined : this.#finish(line);
  }

  /** Data ends at a line of a single dot; a dot before any other line is taken away. */
  #takeDataLine(
    open: { readonly line: TorReplyLine; readonly data: string[] },
    text: string,
  ): void {
    if (text === '.') {
      this.#lines.push({ ...open.line, data: open.data.join('\n') });
      this.#open = undefined;
    } else {
      open.data.push(text.startsWith('.') ? text.slice(1) : text);
    }
  }

  #finish({ status, text }: TorReplyLine): ReplyAction {
    const lines = this.#lines;
    this.#reset();
    return isEvent(lines[0]!)
      ? { type: 'event', lines }
      : { type: 'reply', reply: { status, text, lines } };
  }

  #reset(): void {
    this.#lines = [];
    this.#open = undefined;
    this.#byteCount = 0;
    this.#lineCount = 0;
  }
}

function isEvent({ status }: TorReplyLine): boolean {
  return status >= 600;
}

function protocolError(what: string): PosternError {
  return new PosternError('ERR_TOR_CONTROL_PROTOCOL', `Tor sent ${what}`);
}

const CR = 0x0d;
const LF = 0x0a;
