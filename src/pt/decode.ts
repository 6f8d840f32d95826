import { PosternError } from '../errors.ts';
import { parseIpEndpoint, type Endpoint } from './address.ts';
import { parseCString } from './c-string.ts';
import type { KeyValues } from './key-value.ts';
import {
  logSeverities,
  type ErrorMessage,
  type Message,
  type ReceivedMessage,
} from './messages.ts';
import { isTransportName } from './names.ts';
import { parseSmethodArgs } from './smethod-args.ts';
import { isVersion } from './versions.ts';

/**
 * Reads one line, without its NL. Never throws.
 *
 * The first word must be a keyword exactly: `CMETHODX a b c` is unknown (tor, which compares prefixes,
 * aborts on it). One CR at the end is dropped, as tor does: programs on Windows write it. Bytes are read
 * as UTF-8, since LOG lines of some programs hold it raw.
 */
export function parseLine(line: Uint8Array | string): ReceivedMessage {
  const text = typeof line === 'string' ? line : Buffer.from(line).toString('utf8');
  const body = text.endsWith('\r') ? text.slice(0, -1) : text;
  // PT 3.3: <Line> ::= <Keyword> <OptArgs> <NL>; <OptArgs> ::= <Args>*; <Args> ::= <SP> <ArgChar>+
  const space = body.indexOf(' ');
  const keyword = space === -1 ? body : body.slice(0, space);
  const parse = parsers.get(keyword);
  if (parse === undefined) return { kind: 'unknown', line: text };
  const result = parse(space === -1 ? '' : body.slice(space + 1));
  return typeof result === 'string'
    ? { kind: 'malformed', keyword, reason: result, line: text }
    : result;
}

/** Reads the text after the first space; a string says what is wrong with it. */
type Parser = (rest: string) => Message | string;

const parsers: ReadonlyMap<string, Parser> = new Map<string, Parser>([
  ['VERSION', parseVersion],
  ['VERSION-ERROR', errorParser('VERSION-ERROR')],
  ['ENV-ERROR', errorParser('ENV-ERROR')],
  ['PROXY-ERROR', errorParser('PROXY-ERROR')],
  ['PROXY', (rest) => (rest === 'DONE' ? { kind: 'PROXY DONE' } : notDone)],
  ['CMETHODS', (rest) => (rest === 'DONE' ? { kind: 'CMETHODS DONE' } : notDone)],
  ['SMETHODS', (rest) => (rest === 'DONE' ? { kind: 'SMETHODS DONE' } : notDone)],
  ['CMETHOD', parseCmethod],
  ['CMETHOD-ERROR', methodErrorParser('CMETHOD-ERROR')],
  ['SMETHOD', parseSmethod],
  ['SMETHOD-ERROR', methodErrorParser('SMETHOD-ERROR')],
  ['LOG', parseLog],
  ['STATUS', parseStatus],
]);

const notDone = 'the argument is not DONE';
const badName = 'the transport name is not a C identifier';
const badAddress = 'the address is not ip:port with a port of 1..65535';

function parseVersion(rest: string): Message | string {
  return isVersion(rest) ? { kind: 'VERSION', version: rest } : 'there is not exactly one version';
}

function errorParser(kind: ErrorMessage['kind']): Parser {
  return (text) => (text === '' ? 'the error text is missing' : { kind, text });
}

/** `CMETHOD <transport> <'socks4','socks5'> <address:port>` (PT 3.3.2). */
function parseCmethod(rest: string): Message | string {
  const [transport, protocol, address, ...extra] = rest.split(' ');
  if (transport === undefined || protocol === undefined || address === undefined) {
    return 'there are fewer than three arguments';
  }
  if (extra.length > 0) return 'there are more than three arguments';
  if (!isTransportName(transport)) return badName;
  if (protocol !== 'socks4' && protocol !== 'socks5') return 'the protocol is not socks4 or socks5';
  const endpoint = parseAddress(address);
  return endpoint === undefined ? badAddress : { kind: 'CMETHOD', transport, protocol, endpoint };
}

/** `SMETHOD <transport> <address:port> [options]` (PT 3.3.3); unknown options are ignored. */
function parseSmethod(rest: string): Message | string {
  const [transport, address, ...options] = rest.split(' ');
  if (transport === undefined || address === undefined) return 'there are fewer than two arguments';
  if (!isTransportName(transport)) return badName;
  const endpoint = parseAddress(address);
  if (endpoint === undefined) return badAddress;
  if (options.includes('')) return 'an option is empty';
  const lists = options.filter((option) => option.startsWith('ARGS:'));
  if (lists.length > 1) return 'ARGS appears twice';
  if (lists[0] === undefined) return { kind: 'SMETHOD', transport, endpoint, args: [] };
  try {
    return { kind: 'SMETHOD', transport, endpoint, args: parseSmethodArgs(lists[0].slice(5)) };
  } catch (error) {
    if (error instanceof PosternError) return `in ARGS, ${error.message}`;
    throw error;
  }
}

function methodErrorParser(kind: 'CMETHOD-ERROR' | 'SMETHOD-ERROR'): Parser {
  return (rest) => {
    const space = rest.indexOf(' ');
    const transport = space === -1 ? rest : rest.slice(0, space);
    if (!isTransportName(transport)) return badName;
    const text = space === -1 ? '' : rest.slice(space + 1);
    return text === '' ? 'the error text is missing' : { kind, transport, text };
  };
}

/** `LOG SEVERITY=notice MESSAGE="…"`, keys in either order, others ignored. */
function parseLog(rest: string): Message | string {
  const pairs = parsePairs(rest);
  if (pairs === undefined) return notPairs;
  const named = pairs.find(([key]) => key === 'SEVERITY')?.[1];
  const severity = logSeverities.find((known) => known === named);
  const text = pairs.find(([key]) => key === 'MESSAGE')?.[1];
  if (severity === undefined) return 'SEVERITY is missing or unknown';
  return text === undefined ? 'MESSAGE is missing' : { kind: 'LOG', severity, text };
}

function parseStatus(rest: string): Message | string {
  const pairs = parsePairs(rest);
  return pairs === undefined ? notPairs : { kind: 'STATUS', pairs };
}

const notPairs = 'the arguments are not KEY=value pairs';

/** `KEY=word KEY="quoted string"`, at least one; undefined when anything else stands between. */
function parsePairs(text: string): KeyValues | undefined {
  const pairs: (readonly [string, string])[] = [];
  const pattern = /([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: +|$)/sy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const value = match[2]!.startsWith('"') ? parseCString(match[2]!) : match[2]!;
    if (value === undefined) return undefined;
    pairs.push([match[1]!, value]);
  }
  return pairs.length === 0 ? undefined : pairs;
}

function parseAddress(text: string): Endpoint | undefined {
  const endpoint = parseIpEndpoint(text);
  return endpoint === undefined || endpoint.port === 0 ? undefined : endpoint;
}
