/**
 * Bridge lines, as bridges hand them out and torrc has them.
 *
 *     [Bridge] [transport] ip[:port] [fingerprint] [k=v …]
 *
 *     Bridge obfs4 192.0.2.3:443 0123456789ABCDEF0123456789ABCDEF01234567 cert=… iat-mode=0
 */
import { PosternError } from '../errors.ts';
import {
  formatEndpoint,
  isDocumentation,
  isUnspecified,
  parseIpEndpoint,
  type Endpoint,
} from './address.ts';
import type { KeyValues } from './key-value.ts';
import { isTransportName } from './names.ts';
import { wordsOfPastedLine } from './pasted-line.ts';
import { encodeSocksArguments, maxSocks5ArgumentBytes } from './socks-arguments.ts';

/** One bridge: where it is, what it speaks, and what a client must know to use it. */
export interface BridgeLine {
  /** Undefined for a plain bridge without a pluggable transport. */
  readonly transport?: string;
  readonly endpoint: Endpoint;
  /** 40 hexadecimal digits, upper case: the identity of the Tor bridge behind it. */
  readonly fingerprint?: string;
  readonly args: KeyValues;
}

/** The port of a line that names none, as tor has it. */
const defaultPort = 443;

/**
 * Reads a line by tor's rules (parse_bridge_line in config.c): a first word that is a C identifier is
 * the transport; the address is an IP address; arguments need a transport. What a paste brings along is
 * taken off before (pasted-line.ts).
 *
 * @throws PosternError `ERR_PT_BRIDGE_LINE`; no message quotes the address or an argument's value
 */
export function parseBridgeLine(line: string): BridgeLine {
  const bridge = parseWords(wordsOfPastedLine(line));
  // As a bridge prints it that listens on all addresses.
  if (isUnspecified(bridge.endpoint.host)) {
    throw fault('the address is a wildcard; put in the one at which the bridge is reached');
  }
  return bridge;
}

function parseWords(given: readonly string[]): BridgeLine {
  const words = [...given];
  if (words.some((word) => word.includes('\0'))) throw fault('the line contains NUL');
  const transport = isTransportName(words[0] ?? '') ? words.shift() : undefined;
  const endpoint = parseAddress(words.shift(), transport);
  const fingerprint =
    words[0]?.includes('=') === false ? parseFingerprint(takeFingerprint(words)) : undefined;
  const args = words.map(parseArgument);
  if (transport === undefined && args.length > 0) {
    throw fault('there are arguments but no transport before the address');
  }
  checkLength(args);
  return {
    ...(transport !== undefined && { transport }),
    endpoint,
    ...(fingerprint !== undefined && { fingerprint }),
    args,
  };
}

/** The fingerprint off the front of `words`: one word, or groups of four digits, as tor prints and takes it. */
function takeFingerprint(words: string[]): string {
  const other = words.findIndex((word) => !/^[0-9a-f]{4}$/i.test(word));
  const groups = other === -1 ? words.length : other;
  return words.splice(0, Math.max(groups, 1)).join('');
}

/**
 * The line, without `Bridge` at its beginning.
 *
 * @throws PosternError `ERR_PT_BRIDGE_LINE` for what `parseBridgeLine` would not read back
 */
export function formatBridgeLine(bridge: BridgeLine): string {
  const words = [
    ...(bridge.transport === undefined ? [] : [bridge.transport]),
    formatEndpoint(bridge.endpoint),
    ...(bridge.fingerprint === undefined ? [] : [bridge.fingerprint]),
    ...bridge.args.map(([key, value]) => `${key}=${value}`),
  ];
  if (bridge.transport !== undefined && !isTransportName(bridge.transport)) {
    throw fault('the transport name is not a C identifier');
  }
  if (bridge.args.some(([key]) => key.includes('='))) throw fault("an argument's key contains '='");
  if (words.some((word) => /\s/.test(word))) throw fault('a word of the line contains white space');
  const line = words.join(' ');
  if (wordsOfPastedLine(line).join(' ') !== line) {
    throw fault('a word of the line would be taken for what a paste brings along');
  }
  parseWords(words);
  return line;
}

/**
 * The lines to hand out for a bridge that listens where `line` says: one for each public address, if those are
 * known; else, where it listens on both families, one for each to put the address into.
 */
export function publicLines(
  line: BridgeLine,
  publicAddresses: readonly string[],
): readonly BridgeLine[] {
  const { host, port } = line.endpoint;
  // What a transport has stand there is no address, and whoever reads the line knows where to go.
  if (isDocumentation(host)) return [line];
  const hosts = host === '::' ? ['0.0.0.0', '::'] : [host];
  return (publicAddresses.length > 0 ? publicAddresses : hosts).map((at) => ({
    ...line,
    endpoint: { host: at, port },
  }));
}

function parseAddress(word: string | undefined, transport: string | undefined): Endpoint {
  if (word === undefined) {
    throw fault(
      transport === undefined
        ? 'the line is empty'
        : `there is no address after the word ${transport.slice(0, 40)} (a host name cannot stand for one)`,
    );
  }
  const endpoint = parseIpEndpoint(word) ?? parseIpEndpoint(`${word}:${defaultPort}`);
  if (endpoint === undefined || endpoint.port === 0) {
    throw fault(
      'the address is not ip or ip:port with a port of 1..65535 (IPv6 in brackets, no host names)',
    );
  }
  return endpoint;
}

function parseFingerprint(word: string): string {
  if (!/^[0-9a-fA-F]{40}$/.test(word)) {
    throw fault(
      'after the address there must be a fingerprint of 40 hexadecimal digits, or key=value arguments',
    );
  }
  return word.toUpperCase();
}

function parseArgument(word: string, index: number): readonly [string, string] {
  const equals = word.indexOf('=');
  if (equals === -1) throw fault(`argument ${index + 1} has no '='`);
  if (equals === 0) throw fault(`argument ${index + 1} has an empty key`);
  return [word.slice(0, equals), word.slice(equals + 1)];
}

function checkLength(args: KeyValues): void {
  const { length } = encodeSocksArguments(args);
  if (length > maxSocks5ArgumentBytes) {
    throw fault(
      `the arguments take ${length} bytes; SOCKS carries at most ${maxSocks5ArgumentBytes}`,
    );
  }
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_BRIDGE_LINE', message);
}
