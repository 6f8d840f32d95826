/**
 * Reads the heads of requests, as strictly as nginx does and with its answers: a prober must find a web server
 * like millions of others.
 */
import { NEED_MORE, type Decoded } from '../../bytes/decoded.ts';
import { limits } from '../../limits.ts';
import { headLength, parseHeaderFields, type HeaderFields } from './header-fields.ts';

/** A request without its body. */
export interface RequestHead {
  readonly method: string;
  /** As it was written, without a scheme and a host before it: it begins with a slash. */
  readonly target: string;
  /** HTTP/0.9 has neither a version nor fields. */
  readonly version: '0.9' | '1.0' | '1.1';
  readonly fields: HeaderFields;
  /** Where the target named a host, that. */
  readonly host: string;
}

/** Why a request is refused before it is looked at: a status, and what nginx calls it where that is not its name. */
export interface BadRequest {
  readonly status: 400 | 414 | 501 | 505;
  readonly reason?: string;
}

/** The head at the front of what has come. Told of a fault as soon as the bytes show it. */
export function decodeRequestHead(
  bytes: Buffer,
): Decoded<RequestHead | BadRequest> | typeof NEED_MORE {
  let skipped = 0;
  // Empty lines before a request are passed over (RFC 9112, section 2.2).
  while (bytes[skipped] === 0x0d || bytes[skipped] === 0x0a) skipped += 1;
  const text = bytes.toString('latin1', skipped, skipped + limits.webHeadBytes);
  const bad = (message: BadRequest): Decoded<BadRequest> => ({ message, length: bytes.length });
  const lineEnd = text.indexOf('\n');
  const line = lineEnd === -1 ? text : text.slice(0, lineEnd).replace(/\r$/, '');
  if (line.length >= limits.webLineBytes) return bad({ status: 414 });
  if (lineEnd === -1) return PARTIAL_LINE.test(line) ? NEED_MORE : bad({ status: 400 });
  const start = parseRequestLine(line);
  if (start === undefined) return bad({ status: 400 });
  if (typeof start === 'number') return bad({ status: start });
  if (start.version === '0.9') {
    return { message: { ...start, fields: new Map() }, length: skipped + lineEnd + 1 };
  }
  // The end of the request line may be that of the head.
  const length = headLength(text.slice(lineEnd));
  const lines = text
    .slice(lineEnd + 1, length === undefined ? undefined : lineEnd + length)
    .split(/\r?\n/);
  if (lines.some((field) => field.length >= limits.webLineBytes)) return bad(TOO_LARGE);
  if (lines.some((field) => field.includes('\0'))) return bad({ status: 400 });
  if (length === undefined) {
    return text.length >= limits.webHeadBytes ? bad(TOO_LARGE) : NEED_MORE;
  }
  const fields = parseHeaderFields(lines);
  const fault = faultOf(fields, start);
  if (fault !== undefined) return bad(fault);
  return { message: { ...start, fields }, length: skipped + lineEnd + length };
}

const TOO_LARGE: BadRequest = { status: 400, reason: 'Request Header Or Cookie Too Large' };

/** What may still become a request line. */
const PARTIAL_LINE: RegExp =
  /^[A-Z_-]*(?:(?<=.) +(?:[/A-Za-z][\x21-\x7e\x80-\xff]*(?: +[HTP/0-9. ]*\r?)?)?)?$/;

/** A request line; a status where only the version is at fault; undefined where it is none. */
function parseRequestLine(line: string): Omit<RequestHead, 'fields'> | 505 | undefined {
  const match =
    /^([A-Z_-]+) +([\x21-\x7e\x80-\xff]+)(?: +HTTP\/([0-9]{1,3})\.([0-9]{1,3}) *)?$/.exec(line);
  if (match === null) return undefined;
  const [, method, written, major, minor] = match;
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]+)(.*)$/.exec(written!);
  const target = absolute === null ? written! : absolute[2]!.replace(/^(?!\/)/, '/');
  if (!target.startsWith('/')) return undefined;
  if (major === undefined && method !== 'GET') return undefined;
  if (major !== undefined && Number(major) < 1) return undefined;
  if (Number(major ?? 1) > 1) return 505;
  const version = major === undefined ? '0.9' : minor === '0' ? '1.0' : '1.1';
  return { method: method!, target, version, host: absolute?.[1] ?? '' };
}

/** What nginx refuses of fields that are well-formed. */
function faultOf(
  fields: HeaderFields,
  { version, host }: Pick<RequestHead, 'version' | 'host'>,
): BadRequest | undefined {
  const hosts = fields.get('host') ?? [];
  if (hosts.length > 1 || (version === '1.1' && hosts.length === 0 && host === '')) {
    return { status: 400 };
  }
  if (hosts.some((name) => !isHost(name))) return { status: 400 };
  const lengths = fields.get('content-length') ?? [];
  if (lengths.length > 1 || lengths.some((value) => !/^[0-9]{1,15}$/.test(value))) {
    return { status: 400 };
  }
  const encodings = fields.get('transfer-encoding') ?? [];
  if (encodings.length === 0) return undefined;
  if (encodings.length > 1 || version === '1.0' || lengths.length > 0) return { status: 400 };
  return encodings[0]!.toLowerCase() === 'chunked' ? undefined : { status: 501 };
}

function isHost(value: string): boolean {
  return value === '' || (/^[\x21-\x2e\x30-\x7e\x80-\xff]+$/.test(value) && !value.includes('..'));
}
