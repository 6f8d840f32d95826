/**
 * TC messages as bytes, once more: what examines a server shares no codec with it. It also sends what
 * no client should, and reads what no server should send.
 */
import { bytesToIp, ipToBytes } from 'postern/pt';
import { shown } from '../findings.ts';

/** The message types (TC 2 and 3). */
export const Type = {
  error: 0x0000,
  done: 0x0001,
  setConf: 0x0002,
  getConf: 0x0003,
  confValue: 0x0004,
  setEvents: 0x0005,
  event: 0x0006,
  authenticate: 0x0007,
  saveConf: 0x0008,
  signal: 0x0009,
  mapAddress: 0x000a,
  addressMapped: 0x000b,
  getAllMappings: 0x000c,
} as const;

/** The event codes (TC 3.7). */
export const Code = {
  circuit: 0x0001,
  stream: 0x0002,
  orConnection: 0x0003,
  bandwidth: 0x0004,
  log: 0x0005,
} as const;

/** The most that a body can hold. */
export const MAX_BODY = 65_535;

/** A message. */
export interface Frame {
  readonly type: number;
  readonly body: Buffer;
}

/** A message to the server; a text is sent as UTF-8. */
export function message(type: number, body: Uint8Array | string = ''): Frame {
  return { type, body: Buffer.from(body) };
}

/** Each on a line of its own, as GETCONF and SETCONF take them. */
export function asLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** GETCONF of keys, each on a line of its own. */
export function getConf(...keys: readonly string[]): Frame {
  return message(Type.getConf, asLines(keys));
}

/** SETCONF. */
export function setConf(body: Uint8Array | string = ''): Frame {
  return message(Type.setConf, body);
}

/** SIGNAL, as a rule of one octet. */
export function signal(...octets: readonly number[]): Frame {
  return message(Type.signal, Buffer.from(octets));
}

/** The bytes of a message. */
export function encode({ type, body }: Frame): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(body.length, 0);
  head.writeUInt16BE(type, 2);
  return Buffer.concat([head, body]);
}

/** SETEVENTS. */
export function setEvents(...codes: readonly number[]): Frame {
  const body = Buffer.alloc(2 * codes.length);
  codes.forEach((code, index) => body.writeUInt16BE(code, 2 * index));
  return message(Type.setEvents, body);
}

/** MAPADDRESS, from IP addresses and host names as text. */
export function mapAddress(original: string, replacement: string): Frame {
  return message(
    Type.mapAddress,
    Buffer.concat([encodeAddress(original), encodeAddress(replacement)]),
  );
}

/** The type octet and the address of MAPADDRESS. */
export function encodeAddress(host: string): Buffer {
  const bytes = ipToBytes(host);
  if (bytes === undefined) return Buffer.from(`\x03${host}\0`);
  return Buffer.concat([Buffer.of(bytes.length === 4 ? 1 : 2), bytes]);
}

/** Two addresses, the first mapped to the second. */
export type Pair = readonly [original: string, replacement: string];

/** The two addresses of MAPADDRESS and ADDRESSMAPPED; undefined when the body is malformed. */
export function decodePair(body: Buffer): Pair | undefined {
  const first = decodeAddress(body);
  const second = first && decodeAddress(first.rest);
  return first !== undefined && second?.rest.length === 0 ? [first.host, second.host] : undefined;
}

function decodeAddress(body: Buffer): { readonly host: string; readonly rest: Buffer } | undefined {
  const type = body[0];
  if (type === 3) {
    const end = body.indexOf(0, 1);
    if (end < 2) return undefined;
    return { host: body.toString('utf8', 1, end), rest: body.subarray(end + 1) };
  }
  const length = { 1: 4, 2: 16 }[type ?? 0];
  if (length === undefined || body.length < 1 + length) return undefined;
  return { host: bytesToIp(body.subarray(1, 1 + length)), rest: body.subarray(1 + length) };
}

/** The lines of a CONFVALUE; undefined when the body is not `Key SP Value NL` throughout. */
export function confLines({ type, body }: Frame): readonly string[] | undefined {
  const text = body.toString('utf8');
  if (type !== Type.confValue || (text !== '' && !text.endsWith('\n'))) return undefined;
  const lines = text.split('\n').slice(0, -1);
  return lines.every((line) => /^\S+ /.test(line)) ? lines : undefined;
}

/** The code of an ERROR or of an EVENT; undefined when the body is too short for one. */
export function codeOf({ body }: Frame): number | undefined {
  return body.length < 2 ? undefined : body.readUInt16BE(0);
}

/** An EVENT about a circuit, a stream or an OR connection. */
export interface Change {
  readonly status: number;
  /** Circuit ID or stream ID; none for an OR connection. */
  readonly id: number | undefined;
  /** Path, target or name. */
  readonly text: string;
}

/** What the EVENT of such a change says; undefined when its body is malformed. */
export function decodeChange(frame: Frame): Change | undefined {
  const { body } = frame;
  const code = codeOf(frame);
  const textAt = code === Code.orConnection ? 3 : 7;
  // The text ends with the first NUL, and the body with it.
  if (body.length <= textAt || body.indexOf(0, textAt) !== body.length - 1) return undefined;
  const id = code === Code.orConnection ? undefined : body.readUInt32BE(3);
  return { status: body[2]!, id, text: body.toString('utf8', textAt, body.length - 1) };
}

/** A code as the document writes it: `0x0006`. */
export function hex(code: number, digits = 4): string {
  return `0x${code.toString(16).toUpperCase().padStart(digits, '0')}`;
}

/** The name of a type, or its number. */
export function typeName(type: number): string {
  const name = Object.entries(Type).find(([, value]) => value === type)?.[0];
  return name?.toUpperCase() ?? `type ${hex(type)}`;
}

/** A message as evidence shows it. A secret is not shown. */
export function describeFrame(frame: Frame): string {
  const { type, body } = frame;
  const name = typeName(type);
  if (type === Type.authenticate) return `${name} (${body.length} octets)`;
  if (body.length === 0) return `${name} (no body)`;
  if (type === Type.error && body.length >= 2) {
    return `${name} ${hex(codeOf(frame)!)} “${shown(body.toString('utf8', 2))}”`;
  }
  if (type === Type.addressMapped || type === Type.mapAddress) {
    const pair = decodePair(body);
    if (pair !== undefined) return `${name} ${pair.map(shown).join(' → ')}`;
  }
  const isText = type === Type.setConf || type === Type.getConf || type === Type.confValue;
  if (isText) return `${name} “${shown(body.toString('utf8'))}”`;
  const bytes = body.subarray(0, SHOWN_OCTETS).toString('hex');
  const more = body.length > SHOWN_OCTETS ? `… (${body.length} octets)` : '';
  return `${name} ${bytes.replace(/(..)(?=.)/g, '$1 ')}${more}`;
}

const SHOWN_OCTETS = 40;
