import { NEED_MORE, type Decoded } from '../bytes/decoded.ts';
import { Reader } from '../bytes/reader.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { bytesToIp } from '../pt/address.ts';
import {
  AddressType,
  ReplyCode,
  EventCode,
  eventStatuses,
  FRAME_HEADER_BYTES,
  MAX_BODY_BYTES,
  MessageType,
  OldTorSignalCode,
  SignalCode,
  type AddressMapping,
  type ConfEntry,
  type ControlEvent,
  type ControlReply,
  type ControlRequest,
  type ErrorReply,
  type EventKind,
  type EventStatus,
  type Frame,
  type MappedAddress,
  type Signal,
} from './messages.ts';

/**
 * One message from the front of a stream: length, type, body (TC 2).
 *
 * @param maxBodyBytes the longest body that is taken; a longer one is refused by its header alone,
 *   before anything of it is kept
 * @returns the frame, whose body is a view of `bytes`, or NEED_MORE
 * @throws PosternError `ERR_BYTES_OVERFLOW`
 */
export function decodeFrame(
  bytes: Uint8Array,
  maxBodyBytes: number = MAX_BODY_BYTES,
): Decoded<Frame> | typeof NEED_MORE {
  if (bytes.length < 2) return NEED_MORE;
  const bodyBytes = (bytes[0]! << 8) | bytes[1]!;
  if (bodyBytes > maxBodyBytes) {
    throw new PosternError(
      'ERR_BYTES_OVERFLOW',
      `a message of ${bodyBytes} bytes where at most ${maxBodyBytes} are taken`,
    );
  }
  const length = FRAME_HEADER_BYTES + bodyBytes;
  if (bytes.length < length) return NEED_MORE;
  const type = (bytes[2]! << 8) | bytes[3]!;
  return { message: { type, body: bytes.subarray(FRAME_HEADER_BYTES, length) }, length };
}

/**
 * A client's message, or the ERROR that answers it. Nothing of the result is a view of the frame.
 */
export function decodeRequest({ type, body }: Frame): ControlRequest | ErrorReply {
  switch (type) {
    case MessageType.setConf: {
      const lines = decodeText(body);
      return typeof lines === 'string' ? { type: 'setConf', lines } : lines;
    }
    case MessageType.getConf: {
      const text = decodeText(body);
      if (typeof text !== 'string') return text;
      const keys = text.split('\n').map((line) => line.trim());
      return { type: 'getConf', keys: keys.filter((key) => key !== '') };
    }
    case MessageType.setEvents:
      return decodeSetEvents(body);
    case MessageType.authenticate:
      return { type: 'authenticate', secret: Uint8Array.from(body) };
    case MessageType.saveConf:
      return { type: 'saveConf' };
    case MessageType.signal:
      return decodeSignal(body);
    case MessageType.mapAddress:
      try {
        return { type: 'mapAddress', mapping: decodeWholeMapping(body) };
      } catch (error) {
        if (!(error instanceof PosternError)) throw error;
        return refuse(ReplyCode.syntax, `MAPADDRESS cannot be read: ${error.message}.`);
      }
    case MessageType.getAllMappings:
      return { type: 'getAllMappings' };
    case MessageType.error:
    case MessageType.done:
    case MessageType.confValue:
    case MessageType.event:
    case MessageType.addressMapped:
      return refuse(ReplyCode.unrecognizedType, 'Only a server sends messages of this type.');
    default:
      return refuse(
        ReplyCode.unrecognizedType,
        'Unrecognized message type; this port knows types 0x0000 to 0x000C.',
      );
  }
}

/**
 * A server's reply.
 *
 * @returns undefined for every type that is not a reply: a client ignores those (EVENT aside)
 * @throws PosternError `ERR_BYTES_TRUNCATED`, `ERR_CONTROL_PROTOCOL` when the body is malformed
 */
export function decodeReply({ type, body }: Frame): ControlReply | undefined {
  switch (type) {
    case MessageType.error: {
      const reader = new Reader(body);
      const code = reader.uint16();
      // Tors of every age put a NUL behind the text, and some two.
      return { type: 'error', code, text: toText(reader.rest()).replace(/\0+$/, '') };
    }
    case MessageType.done:
      return { type: 'done' };
    case MessageType.confValue:
      return { type: 'confValue', entries: decodeConfEntries(body) };
    case MessageType.addressMapped:
      return { type: 'addressMapped', mapping: readMapping(new Reader(body)) };
    default:
      return undefined;
  }
}

/** The body of an EVENT; what cannot be read comes back as `malformed` or `unknown`. */
export function decodeEvent(body: Uint8Array): ControlEvent {
  try {
    return readEvent(new Reader(body));
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    return { type: 'malformed', problem: error.message };
  }
}

/** The body of MAPADDRESS (TC 3.11), of which no octet may be left over. */
function decodeWholeMapping(body: Uint8Array): AddressMapping {
  const reader = new Reader(body);
  const mapping = readMapping(reader);
  if (reader.remaining > 0) throw malformed('bytes behind the second address');
  return mapping;
}

/**
 * Two addresses, as in MAPADDRESS and ADDRESSMAPPED (TC 3.11, 3.12).
 *
 * @throws PosternError `ERR_BYTES_TRUNCATED`, `ERR_CONTROL_PROTOCOL`
 */
function readMapping(reader: Reader): AddressMapping {
  return { original: readAddress(reader), replacement: readAddress(reader) };
}

function readAddress(reader: Reader): MappedAddress {
  switch (reader.uint8()) {
    case AddressType.ipv4:
      return { kind: 'ipv4', host: bytesToIp(reader.bytes(4)) };
    case AddressType.ipv6:
      return { kind: 'ipv6', host: bytesToIp(reader.bytes(16)) };
    case AddressType.name: {
      const host = toText(readCString(reader, limits.socksHostBytes));
      if (!/^[\x21-\x7e]+$/.test(host)) throw malformed('an empty or unprintable host name');
      return { kind: 'name', host };
    }
    default:
      throw malformed('an unknown address type');
  }
}

/** The octets up to the next NUL, at most `maxBytes` of them; the NUL is consumed. */
function readCString(reader: Reader, maxBytes = MAX_BODY_BYTES): Uint8Array {
  const bytes: number[] = [];
  for (;;) {
    const byte = reader.uint8();
    if (byte === 0) return Uint8Array.from(bytes);
    if (bytes.length === maxBytes) throw malformed(`a text of more than ${maxBytes} bytes`);
    bytes.push(byte);
  }
}

/** The last text of a message, which its NUL must end; what a server puts behind that is not used. */
function readLastCString(reader: Reader): string {
  const bytes = reader.rest();
  const end = bytes.indexOf(0);
  if (end === -1) throw malformed('a text without its NUL');
  return toText(bytes.subarray(0, end));
}

function decodeSetEvents(body: Uint8Array): ControlRequest | ErrorReply {
  if (body.length % 2 !== 0) {
    return refuse(ReplyCode.syntax, 'SETEVENTS takes event codes of two octets each.');
  }
  const kinds: EventKind[] = [];
  const reader = new Reader(body);
  while (reader.remaining > 0) {
    const code = reader.uint16();
    const kind = eventKinds.get(code);
    if (kind === undefined) {
      return refuse(
        ReplyCode.unrecognizedByteCode,
        'Unrecognized event code; 0x0001 to 0x0005 are known. The list of events stays as it was.',
      );
    }
    if (!kinds.includes(kind)) kinds.push(kind);
  }
  return { type: 'setEvents', kinds };
}

function decodeSignal(body: Uint8Array): ControlRequest | ErrorReply {
  if (body.length !== 1) return refuse(ReplyCode.syntax, 'SIGNAL takes a body of one octet.');
  const signal = signals.get(body[0]!);
  if (signal !== undefined) return { type: 'signal', signal };
  return refuse(
    ReplyCode.unrecognizedByteCode,
    'Unrecognized signal; 0x01, 0x02, 0x10, 0x12 and 0x15 are known.',
  );
}

/** The text of SETCONF and GETCONF. */
function decodeText(body: Uint8Array): string | ErrorReply {
  // A Tor of January 2005 silently dropped what came behind a NUL: half a request carried out.
  if (body.includes(0)) return refuse(ReplyCode.syntax, 'The text must not contain a NUL.');
  try {
    return strictUtf8.decode(body);
  } catch {
    return refuse(ReplyCode.syntax, 'The text must be UTF-8.');
  }
}

/** `Key SP Value NL`, any number of times (TC 3.5). */
function decodeConfEntries(body: Uint8Array): ConfEntry[] {
  const text = toText(body);
  if (text === '') return [];
  if (!text.endsWith('\n')) throw malformed('a configuration line without its newline');
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const match = /^(\S+) (.*)$/s.exec(line);
      if (match === null) throw malformed('a configuration line without key and space');
      return { key: match[1]!, value: match[2]! };
    });
}

function readEvent(reader: Reader): ControlEvent {
  const code = reader.uint16();
  switch (code) {
    case EventCode.circuit: {
      const status = readStatus(reader, 'circuit');
      const id = reader.uint32();
      const rest = reader.rest();
      const path = readLastCString(new Reader(rest));
      // TC 3.7 as clause TC-3.7-03 reads it: of this event alone more is a fault.
      if (rest.indexOf(0) < rest.length - 1) throw malformed('bytes behind the NUL of a text');
      return { type: 'circuit', status, id, path: path === '' ? [] : path.split(',') };
    }
    case EventCode.stream: {
      const status = readStatus(reader, 'stream');
      return { type: 'stream', status, id: reader.uint32(), target: readLastCString(reader) };
    }
    case EventCode.orConnection: {
      const status = readStatus(reader, 'orConnection');
      if (reader.remaining === 0) throw malformed('an OR connection without a name');
      // A Tor of January 2005 forgot this one's NUL.
      const name = toText(reader.rest()).replace(/\0.*$/s, '');
      return { type: 'orConnection', status, name };
    }
    case EventCode.bandwidth:
      return { type: 'bandwidth', read: reader.uint32(), written: reader.uint32() };
    case EventCode.log:
      // The same Tor ended each message with LF.
      return { type: 'log', message: readLastCString(reader).replace(/\n$/, '') };
    default:
      return { type: 'unknown', code, body: Uint8Array.from(reader.rest()) };
  }
}

function readStatus<Kind extends keyof EventStatus>(
  reader: Reader,
  kind: Kind,
): EventStatus[Kind] | 'unknown' {
  const names = eventStatuses[kind] as readonly EventStatus[Kind][];
  return names[reader.uint8()] ?? 'unknown';
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

function refuse(code: ReplyCode, text: string): ErrorReply {
  return { type: 'error', code, text };
}

function malformed(problem: string): PosternError {
  return new PosternError('ERR_CONTROL_PROTOCOL', problem);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const eventKinds: ReadonlyMap<number, EventKind> = new Map(
  Object.entries(EventCode).map(([kind, code]) => [code, kind as EventKind]),
);

const signals: ReadonlyMap<number, Signal> = new Map(
  [SignalCode, OldTorSignalCode].flatMap((codes) =>
    Object.entries(codes).map(([signal, code]) => [code, signal as Signal] as const),
  ),
);
