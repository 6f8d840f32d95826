import { NEED_MORE } from '../bytes/decoded.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { decodeFrame, decodeRequest } from './decode.ts';
import { encodeReply } from './encode.ts';
import {
  ReplyCode,
  MAX_BODY_BYTES,
  MessageType,
  type ControlRequest,
  type EventKind,
  type Frame,
} from './messages.ts';

/** What the server's side of one connection needs. */
export interface ControlServerMachineOptions {
  /** Whether the body of an AUTHENTICATE is right at this moment. */
  readonly isAuthentic: (secret: Uint8Array) => boolean;
  /** The operating system has already decided who may connect: no AUTHENTICATE is needed. */
  readonly open?: boolean;
}

/** A request that the engine carries out. */
export type EngineRequest = Exclude<ControlRequest, { type: 'authenticate' | 'setEvents' }>;

/** What the machine asks its driver to do, in order. */
export type ControlServerAction =
  /** Put bytes on the wire. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Carry a request out and call `answer`; until then nothing more is taken from the wire. */
  | { readonly type: 'perform'; readonly request: EngineRequest }
  /** The controller has authenticated: stop the clock that `expire` would be called by. */
  | { readonly type: 'opened' }
  /** Close once everything before this is sent. `reason` is for the log; none for a normal end. */
  | { readonly type: 'close'; readonly reason?: string };

/**
 * The server's side of one TC connection.
 *
 * Requests are carried out strictly one after another, so replies come in the order of the requests
 * and a GETCONF sees the SETCONF before it. The whole reply to a request is one `send`, so an event
 * can only come between replies.
 */
export interface ControlServerMachine {
  /** Bytes from the controller, borrowed for the call. */
  receive(chunk: Uint8Array): readonly ControlServerAction[];
  /** The controller will send no more; what it asked is still answered. */
  receiveEnd(): readonly ControlServerAction[];
  /** The reply, all of it, to the request that was performed; `ending`: close without one. */
  answer(reply: Uint8Array | 'ending'): readonly ControlServerAction[];
  /** Whether the controller asked for events of this kind, which then go out as they come. */
  wants(kind: EventKind): boolean;
  /** The controller had its time to authenticate. */
  expire(): readonly ControlServerAction[];
  /** The controller had its time to send the rest of a message. */
  expireMessage(): readonly ControlServerAction[];
  /** A request is being carried out: hold back what comes from the wire. */
  readonly busy: boolean;
  /** A message has begun and is not complete: `expireMessage` comes when it stays so. */
  readonly incomplete: boolean;
}

/** A server machine for one connection. */
export function createControlServerMachine(
  options: ControlServerMachineOptions,
): ControlServerMachine {
  return new TcServerMachine(options);
}

class TcServerMachine implements ControlServerMachine {
  readonly #isAuthentic: (secret: Uint8Array) => boolean;
  readonly #queue = new ByteQueue();
  /** On a socket file, which no web page can reach, the first message may be one of the textual protocol. */
  #isSilent: boolean;
  #open: boolean;
  #busy = false;
  #closed = false;
  #ended = false;
  #events: readonly EventKind[] = [];
  #refusedMessages = 0;
  #wrongSecrets = 0;

  constructor({ isAuthentic, open = false }: ControlServerMachineOptions) {
    this.#isAuthentic = isAuthentic;
    this.#isSilent = open;
    this.#open = open;
  }

  get incomplete(): boolean {
    return !this.#busy && this.#queue.length > 0;
  }

  get busy(): boolean {
    return this.#busy;
  }

  receive(chunk: Uint8Array): readonly ControlServerAction[] {
    if (this.#closed) return [];
    this.#queue.push(chunk);
    return this.#advance();
  }

  receiveEnd(): readonly ControlServerAction[] {
    this.#ended = true;
    return this.#advance();
  }

  answer(reply: Uint8Array | 'ending'): readonly ControlServerAction[] {
    this.#busy = false;
    if (this.#closed) return [];
    if (reply === 'ending') return [this.#close()];
    return [send(reply), ...this.#advance()];
  }

  wants(kind: EventKind): boolean {
    return !this.#closed && this.#events.includes(kind);
  }

  expire(): readonly ControlServerAction[] {
    if (this.#open || this.#closed) return [];
    return [this.#close('the controller did not authenticate in time')];
  }

  expireMessage(): readonly ControlServerAction[] {
    if (!this.incomplete || this.#closed) return [];
    return [this.#close('the controller did not end a message in time')];
  }

  /** Takes frame after frame, until one has to be carried out or the bytes run out. */
  #advance(): ControlServerAction[] {
    const actions: ControlServerAction[] = [];
    while (!this.#busy && !this.#closed) {
      const bytes = this.#queue.peek();
      if (this.#isSilent && isText(bytes)) {
        actions.push(send(TEXT_REFUSAL), this.#close(TEXT_REASON));
        break;
      }
      try {
        const maxBodyBytes = this.#open ? MAX_BODY_BYTES : limits.controlUnauthenticatedBodyBytes;
        const decoded = decodeFrame(bytes, maxBodyBytes);
        if (decoded === NEED_MORE) break;
        const { message } = decoded;
        this.#isSilent = false;
        actions.push(...(this.#open ? this.#handle(message) : this.#handleLocked(message)));
        this.#queue.skip(decoded.length);
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        actions.push(...this.#refuseTooLong(bytes));
      }
    }
    // A message that the end cuts short is never acted on (TC 1).
    if (this.#ended && !this.#busy && !this.#closed) actions.push(this.#close());
    return actions;
  }

  #refuseTooLong(bytes: Uint8Array): ControlServerAction[] {
    // A web page can make a browser send requests to loopback ports. Its method, and the command of
    // the textual control protocol, is a length that is too long: not one more byte of it is read.
    if (isCapital(bytes[0]!) && isCapital(bytes[1]!)) return [this.#close(TEXT_REASON)];
    return [
      refuse(
        ReplyCode.resourceExhausted,
        'A message before AUTHENTICATE takes at most 1024 octets; connect again.',
      ),
      this.#close('the controller sent too long a message before it authenticated'),
    ];
  }

  /** Before authentication every type but AUTHENTICATE is refused, unknown ones included. */
  #handleLocked(frame: Frame): ControlServerAction[] {
    if (frame.type === MessageType.authenticate) return this.#authenticate(frame.body);
    const refusal = refuse(
      ReplyCode.unauthorized,
      'Authentication required; send AUTHENTICATE first.',
    );
    this.#refusedMessages += 1;
    return this.#refusedMessages < limits.controlRefusedMessages
      ? [refusal]
      : [refusal, this.#close('the controller sent too many messages before it authenticated')];
  }

  #handle(frame: Frame): ControlServerAction[] {
    const request = decodeRequest(frame);
    switch (request.type) {
      case 'error':
        return [send(encodeReply(request))];
      case 'authenticate':
        return this.#authenticate(request.secret);
      case 'setEvents':
        this.#events = request.kinds;
        return [send(DONE)];
      default:
        this.#busy = true;
        return [{ type: 'perform', request }];
    }
  }

  #authenticate(secret: Uint8Array): ControlServerAction[] {
    if (this.#isAuthentic(secret)) {
      const opens = !this.#open;
      this.#open = true;
      return opens ? [{ type: 'opened' }, send(DONE)] : [send(DONE)];
    }
    const refusal = refuse(
      ReplyCode.authenticationFailed,
      'Authentication failed; send the content of the cookie file or the passphrase, ' +
        'or nothing where neither is configured.',
    );
    // On a connection that is open already a failed AUTHENTICATE changes nothing.
    if (this.#open) return [refusal];
    this.#wrongSecrets += 1;
    return this.#wrongSecrets < limits.controlWrongSecrets
      ? [refusal]
      : [refusal, this.#close('the controller sent too many wrong secrets')];
  }

  #close(reason?: string): ControlServerAction {
    this.#closed = true;
    this.#queue.skip(this.#queue.length);
    return reason === undefined ? { type: 'close' } : { type: 'close', reason };
  }
}

/**
 * Whether a message begins like a command of the textual protocol, `PROTOCOLINFO 1`: it would be a long
 * one, of a type that there is not.
 */
function isText(bytes: Uint8Array): boolean {
  const isLetter = (octet: number): boolean => isCapital(octet & ~0x20);
  const isStart = bytes.length >= 4 && bytes.subarray(0, 3).every(isLetter);
  return isStart && (bytes[3] === 0x20 || isLetter(bytes[3]!));
}

/** Whether an octet is an upper-case ASCII letter, as in `GET` and `AUTHENTICATE`. */
function isCapital(octet: number): boolean {
  return octet >= 0x41 && octet <= 0x5a;
}

const TEXT_REASON = 'a browser or a controller of the textual protocol connected';

/** As the textual protocol refuses a command. */
const TEXT_REFUSAL = Buffer.from(
  '510 This is TC, Tor’s original binary control protocol: use postern ctl, or the ControlPort of a Tor.\r\n',
);

function send(bytes: Uint8Array): ControlServerAction {
  return { type: 'send', bytes };
}

function refuse(code: ReplyCode, text: string): ControlServerAction {
  return send(encodeReply({ type: 'error', code, text }));
}

const DONE = encodeReply({ type: 'done' });
