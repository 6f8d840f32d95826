/** TC messages: type numbers, codes, and what each message carries. Numbers are big-endian. */
import { PosternError } from '../errors.ts';

/** The type numbers of section 2; client to server unless noted. */
export const MessageType = {
  /** Server to client. */
  error: 0x0000,
  /** Server to client. */
  done: 0x0001,
  setConf: 0x0002,
  getConf: 0x0003,
  /** Server to client. */
  confValue: 0x0004,
  setEvents: 0x0005,
  /** Server to client. */
  event: 0x0006,
  authenticate: 0x0007,
  saveConf: 0x0008,
  signal: 0x0009,
  mapAddress: 0x000a,
  /** Server to client. */
  addressMapped: 0x000b,
  getAllMappings: 0x000c,
} as const;

/** Length and type: four octets before each body. */
export const FRAME_HEADER_BYTES = 4;

/** What a length field of two octets can say. There are no fragments in this protocol. */
export const MAX_BODY_BYTES = 0xffff;

/** A message whose body has not been looked at. */
export interface Frame {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The codes of an ERROR, section 3.1. */
export const ReplyCode = {
  unspecified: 0x0000,
  internal: 0x0001,
  unrecognizedType: 0x0002,
  syntax: 0x0003,
  unrecognizedKey: 0x0004,
  invalidValue: 0x0005,
  unrecognizedByteCode: 0x0006,
  unauthorized: 0x0007,
  authenticationFailed: 0x0008,
  resourceExhausted: 0x0009,
} as const;

/** One of the ten codes that this protocol defines. */
export type ReplyCode = (typeof ReplyCode)[keyof typeof ReplyCode];

/** The codes of events, section 3.7. */
export const EventCode = {
  circuit: 0x0001,
  stream: 0x0002,
  orConnection: 0x0003,
  bandwidth: 0x0004,
  log: 0x0005,
} as const;

/** A kind of event. */
export type EventKind = keyof typeof EventCode;

/** The statuses of the three kinds that have one, each at the index that is its number. */
export const eventStatuses = {
  circuit: ['launched', 'built', 'extended', 'failed', 'closed'],
  stream: ['sentConnect', 'sentResolve', 'succeeded', 'failed', 'closed'],
  orConnection: ['launched', 'connected', 'failed', 'closed'],
} as const;

/** The names of the statuses, by kind of event. */
export type EventStatus = {
  readonly [Kind in keyof typeof eventStatuses]: (typeof eventStatuses)[Kind][number];
};

/** What a SIGNAL asks for: section 3.10. */
export type Signal = 'reload' | 'shutdown' | 'dump' | 'debug' | 'halt';

/** The octet that a client sends for each signal. */
export const SignalCode: Readonly<Record<Signal, number>> = {
  /** Read the configuration again. */
  reload: 0x01,
  /** Controlled shutdown: at once as a client, after a delay as a bridge. */
  shutdown: 0x02,
  /** Write statistics to the log. */
  dump: 0x10,
  /** Switch all logs to debug. */
  debug: 0x12,
  /** Clean up and exit now. */
  halt: 0x15,
};

/**
 * Unix signal numbers in decimal, which the draft printed with a `0x` before them by mistake: a Tor of
 * its time knew 10, 12 and 15 only. The server takes both readings; they do not collide.
 */
export const OldTorSignalCode: Readonly<Partial<Record<Signal, number>>> = {
  dump: 10,
  debug: 12,
  halt: 15,
};

/** An address that is mapped or mapped to, section 3.11. */
export interface MappedAddress {
  readonly kind: 'ipv4' | 'ipv6' | 'name';
  /** An IP address in canonical text without brackets, or a host name. */
  readonly host: string;
}

/** The octet before an address. */
export const AddressType = { ipv4: 0x01, ipv6: 0x02, name: 0x03 } as const;

/** The null address of each kind: as an original it leaves the choice to the server. */
export const nullHosts: Readonly<Record<MappedAddress['kind'], string>> = {
  ipv4: '0.0.0.0',
  ipv6: '::',
  name: '.',
};

/** Connections for `original` go to `replacement`. */
export interface AddressMapping {
  readonly original: MappedAddress;
  readonly replacement: MappedAddress;
}

/** A configuration option and its value, which may be empty. */
export interface ConfEntry {
  readonly key: string;
  readonly value: string;
}

/** A line of SETCONF; without a value it returns the option to its default. */
export interface ConfSetting {
  readonly key: string;
  readonly value?: string;
}

/** What a client can ask for, body decoded. */
export type ControlRequest =
  | { readonly type: 'setConf'; readonly lines: string }
  | { readonly type: 'getConf'; readonly keys: readonly string[] }
  | { readonly type: 'setEvents'; readonly kinds: readonly EventKind[] }
  | { readonly type: 'authenticate'; readonly secret: Uint8Array }
  | { readonly type: 'saveConf' }
  | { readonly type: 'signal'; readonly signal: Signal }
  | { readonly type: 'mapAddress'; readonly mapping: AddressMapping }
  | { readonly type: 'getAllMappings' };

/** Why a request was not carried out; a client may meet a `code` that it does not know. */
export interface ErrorReply {
  readonly type: 'error';
  readonly code: number;
  /** For people; possibly empty. */
  readonly text: string;
}

/** What a server sends in answer, body decoded. */
export type ControlReply =
  | ErrorReply
  | { readonly type: 'done' }
  | { readonly type: 'confValue'; readonly entries: readonly ConfEntry[] }
  | { readonly type: 'addressMapped'; readonly mapping: AddressMapping };

/** An event as a client gets it. */
export type ControlEvent =
  | {
      readonly type: 'circuit';
      /** `unknown`: a number that the draft does not define. */
      readonly status: EventStatus['circuit'] | 'unknown';
      readonly id: number;
      readonly path: readonly string[];
    }
  | {
      readonly type: 'stream';
      readonly status: EventStatus['stream'] | 'unknown';
      readonly id: number;
      readonly target: string;
    }
  | {
      readonly type: 'orConnection';
      readonly status: EventStatus['orConnection'] | 'unknown';
      readonly name: string;
    }
  | { readonly type: 'bandwidth'; readonly read: number; readonly written: number }
  | { readonly type: 'log'; readonly message: string }
  /** An event of a kind that the draft does not define. */
  | { readonly type: 'unknown'; readonly code: number; readonly body: Uint8Array }
  /** An event whose body does not have the form of its kind; the session goes on. */
  | { readonly type: 'malformed'; readonly problem: string };

/**
 * A request that was answered with an ERROR: what the client throws, and what an engine may throw to
 * choose the code of the ERROR itself.
 */
export class ControlRefusal extends PosternError {
  /** The code of section 3.1, or one that the draft does not know. */
  readonly replyCode: number;

  constructor(replyCode: number, text: string) {
    super('ERR_CONTROL_REFUSED', text);
    this.replyCode = replyCode;
  }
}
