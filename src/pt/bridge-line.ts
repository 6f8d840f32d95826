/**
 * Bridge lines, as bridges hand them out and torrc has them.
 *
 *     [Bridge] [transport] ip[:port] [fingerprint] [k=v …]
 *
 *     Bridge obfs4 192.0.2.3:443 0123456789ABCDEF0123456789ABCDEF01234567 cert=… iat-mode=0
 */
import { PosternError } from '../errors.ts';
import { formatEndpoint, parseIpEndpoint, type Endpoint } from './address.ts';
import type { KeyValues } from './key-value.ts';
import { isTransportName } from './names.ts';
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
 * the transport; the address is an IP address; arguments need a transport.
 *
 * @throws PosternError `ERR_PT_BRIDGE_LINE`; no message quotes the address or an argument's value
 */
export function parseBridgeLine(line: string): BridgeLine {
  if (line.includes('\0')) throw fault('the line contains NUL');
  const words = line.split(/\s+/).filter((word) => word !== '');
  if (words[0]?.toLowerCase() === 'bridge') words.shift();
  const transport = isTransportName(words[0] ?? '') ? words.shift() : undefined;
  const endpoint = parseAddress(words.shift(), transport);
  const fingerprint =
    words[0]?.includes('=') === false ? parseFingerprint(words.shift()!) : undefined;
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
  parseBridgeLine(words.join(' '));
  return words.join(' ');
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
