/**
 * What Tor's control port says (control-spec, "Message format"): replies to commands, and events, in
 * the same form.
 */
import { PosternError } from '../errors.ts';

/** One line of a reply or an event: `250-version=0.4.9.11`, or `250+config-text=` and its data. */
export interface TorReplyLine {
  /** 2xx done, 4xx and 5xx refused, 6xx an event. */
  readonly status: number;
  readonly text: string;
  /** The lines that follow a `+`, joined by LF, without the final one; absent otherwise. */
  readonly data?: string;
}

/** A whole reply, of at least one line. */
export interface TorReply {
  /** The status of the last line. Lines of one reply may differ, as those of MAPADDRESS do. */
  readonly status: number;
  /** The text of the last line. */
  readonly text: string;
  readonly lines: readonly TorReplyLine[];
}

/** Tor answered a command with an error: `ERR_TOR_CONTROL_REFUSED`. */
export class TorRefusal extends PosternError {
  override readonly name: string = 'TorRefusal';
  /** Tor's status of the first line that refuses: 4xx or 5xx. */
  readonly status: number;
  /** Tor's own words, those of several lines joined by `; `; fit for a terminal. */
  readonly text: string;
  /** The whole reply: a part of a MAPADDRESS may have succeeded. */
  readonly reply: TorReply;

  constructor(status: number, text: string, reply: TorReply) {
    super('ERR_TOR_CONTROL_REFUSED', `Tor answered ${status}: ${text}`);
    this.status = status;
    this.text = text;
    this.reply = reply;
  }
}

/** The refusal that a reply is, or undefined when it says that all was done. */
export function refusalOf(reply: TorReply): TorRefusal | undefined {
  const refused = reply.lines.filter(({ status }) => status >= 400);
  if (refused.length === 0) return undefined;
  // Tor's text may repeat what an application said: none of it shall reach a terminal as a command.
  const text = refused.map((line) => line.text.replace(/\p{Cc}+/gu, ' ')).join('; ');
  return new TorRefusal(refused[0]!.status, text, reply);
}
