import { Writer } from '../bytes/writer.ts';
import { formatSetting, quoteValue } from '../config/torrc.ts';
import { PosternBug, PosternError } from '../errors.ts';
import { ipToBytes } from '../pt/address.ts';
import type { EngineEvent } from './engine.ts';
import {
  AddressType,
  EventCode,
  eventStatuses,
  FRAME_HEADER_BYTES,
  MAX_BODY_BYTES,
  MessageType,
  OldTorSignalCode,
  SignalCode,
  type AddressMapping,
  type ConfEntry,
  type ConfSetting,
  type ControlReply,
  type ControlRequest,
  type MappedAddress,
} from './messages.ts';

/**
 * A message on the wire: length, type, body (TC 2), as one fresh array.
 *
 * @throws PosternError `ERR_CONTROL_TOO_LONG` over 65535 octets of body
 */
export function encodeFrame(type: number, body: Uint8Array = EMPTY): Buffer {
  if (body.length > MAX_BODY_BYTES) {
    throw new PosternError(
      'ERR_CONTROL_TOO_LONG',
      `a message of ${body.length} bytes; ${MAX_BODY_BYTES} are the most`,
    );
  }
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length);
  frame.writeUInt16BE(body.length, 0);
  frame.writeUInt16BE(type, 2);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * A client's message.
 *
 * @param options `oldTor`: the signal numbers that a Tor of January 2005 really knew
 * @throws PosternError `ERR_CONTROL_TOO_LONG`, `ERR_CONTROL_UNENCODABLE`
 */
export function encodeRequest(
  request: ControlRequest,
  { oldTor = false }: { readonly oldTor?: boolean } = {},
): Buffer {
  switch (request.type) {
    case 'setConf':
      return encodeFrame(MessageType.setConf, encodeLines(request.lines));
    case 'getConf':
      return encodeFrame(MessageType.getConf, encodeKeys(request.keys));
    case 'setEvents': {
      const body = new Writer();
      for (const kind of request.kinds) body.uint16(EventCode[kind]);
      return encodeFrame(MessageType.setEvents, body.finish());
    }
    case 'authenticate':
      return encodeFrame(MessageType.authenticate, request.secret);
    case 'saveConf':
      return encodeFrame(MessageType.saveConf);
    case 'signal': {
      const code =
        (oldTor ? OldTorSignalCode[request.signal] : undefined) ?? SignalCode[request.signal];
      return encodeFrame(MessageType.signal, Uint8Array.of(code));
    }
    case 'mapAddress':
      return encodeFrame(MessageType.mapAddress, encodeMapping(request.mapping));
    case 'getAllMappings':
      return encodeFrame(MessageType.getAllMappings);
  }
}

/**
 * The lines of a SETCONF: `Key Value NL`, or `Key NL` for a return to the default. A value that would
 * not read back as it is, such as one with a `#`, is quoted.
 *
 * @throws PosternError `ERR_CONFIG_SYNTAX` for a key with white space or nothing in it, and for a
 *   control character anywhere
 */
export function formatConfSettings(settings: readonly ConfSetting[]): string {
  return settings.map(({ key, value = '' }) => `${formatSetting({ key, value })}\n`).join('');
}

/**
 * A server's reply. The text of an ERROR is cut where it would not fit.
 *
 * @throws PosternError `ERR_CONTROL_TOO_LONG`
 */
export function encodeReply(reply: ControlReply): Buffer {
  switch (reply.type) {
    case 'error': {
      const text = truncateUtf8(Buffer.from(reply.text, 'utf8'), MAX_BODY_BYTES - 2);
      const body = new Writer().uint16(reply.code).bytes(text).finish();
      return encodeFrame(MessageType.error, body);
    }
    case 'done':
      return DONE;
    case 'confValue':
      return encodeFrame(MessageType.confValue, encodeConfEntries(reply.entries));
    case 'addressMapped':
      return encodeFrame(MessageType.addressMapped, encodeMapping(reply.mapping));
  }
}

/**
 * An EVENT. Texts lose what cannot be in them (NUL) and are cut where they would not fit; counts are
 * capped at 2^32 - 1; a log message loses the newline at its end.
 */
export function encodeEvent(event: EngineEvent): Buffer {
  const body = new Writer().uint16(EventCode[event.type]);
  switch (event.type) {
    case 'circuit':
      body.uint8(statusNumber(eventStatuses.circuit, event.status)).uint32(event.id);
      body.bytes(cString(event.path.join(',')));
      break;
    case 'stream':
      body.uint8(statusNumber(eventStatuses.stream, event.status)).uint32(event.id);
      body.bytes(cString(event.target));
      break;
    case 'orConnection':
      body.uint8(statusNumber(eventStatuses.orConnection, event.status));
      body.bytes(cString(event.name));
      break;
    case 'bandwidth':
      body.uint32(Math.min(event.read, MAX_UINT32)).uint32(Math.min(event.written, MAX_UINT32));
      break;
    case 'log':
      body.bytes(cString(event.message.replace(/\n+$/, '')));
      break;
  }
  return encodeFrame(MessageType.event, body.finish());
}

function statusNumber<Name>(names: readonly Name[], name: Name): number {
  return names.indexOf(name);
}

function encodeMapping({ original, replacement }: AddressMapping): Buffer {
  return Buffer.concat([encodeAddress(original), encodeAddress(replacement)]);
}

/** Type octet and address; a name ends with NUL. */
function encodeAddress({ kind, host }: MappedAddress): Uint8Array {
  const type = AddressType[kind];
  if (kind === 'name') {
    if (!/^[\x21-\x7e]{1,255}$/.test(host)) {
      throw unencodable('a host name takes 1 to 255 printable ASCII characters');
    }
    return Buffer.from([type, ...Buffer.from(host, 'latin1'), 0]);
  }
  const bytes = ipToBytes(host);
  if (bytes?.length !== (kind === 'ipv4' ? 4 : 16)) {
    throw unencodable(`the address is not an ${kind === 'ipv4' ? 'IPv4' : 'IPv6'} address`);
  }
  return Buffer.from([type, ...bytes]);
}

function encodeLines(lines: string): Buffer {
  if (lines.includes('\0')) throw unencodable('configuration lines cannot contain a NUL');
  return Buffer.from(lines, 'utf8');
}

function encodeKeys(keys: readonly string[]): Buffer {
  if (keys.length === 0) throw unencodable('GETCONF needs at least one key');
  if (!keys.every((key) => /^[^\s\0]+$/.test(key))) {
    throw unencodable('a configuration key cannot be empty or contain white space');
  }
  return Buffer.from(keys.map((key) => `${key}\n`).join(''), 'utf8');
}

function encodeConfEntries(entries: readonly ConfEntry[]): Buffer {
  for (const { key } of entries) {
    if (!/^\S+$/.test(key)) {
      throw new PosternBug('an engine gave a configuration key that is not one word');
    }
  }
  // A line end in a value would end its line here: in quotes, as Tor has it.
  const lines = entries.map(
    ({ key, value }) => `${key} ${/(?!\t)\p{Cc}/u.test(value) ? quoteValue(value) : value}\n`,
  );
  return Buffer.from(lines.join(''), 'utf8');
}

/** A text and its NUL, as the last field of an EVENT. */
function cString(text: string): Buffer {
  const bytes = truncateUtf8(Buffer.from(text.replaceAll('\0', ''), 'utf8'), MAX_EVENT_TEXT_BYTES);
  return Buffer.concat([bytes, Buffer.of(0)]);
}

/** At most `maxBytes` of a text, cut between characters. */
function truncateUtf8(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length <= maxBytes) return bytes;
  let end = maxBytes;
  while ((bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

function unencodable(message: string): PosternError {
  return new PosternError('ERR_CONTROL_UNENCODABLE', message);
}

const EMPTY = new Uint8Array(0);
const DONE = encodeFrame(MessageType.done);
const MAX_UINT32 = 0xffff_ffff;

/** Code, status, identifier and NUL leave this much of a body for the text. */
const MAX_EVENT_TEXT_BYTES = MAX_BODY_BYTES - 2 - 1 - 4 - 1;
