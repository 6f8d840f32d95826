/** The values of options, as people type them. */
import type { MappedAddress } from '../control/messages.ts';
import type { ControlAddress } from '../control/node/dial.ts';
import type { Endpoint } from '../pt/address.ts';
import { bytesToIp, ipToBytes, parseIpEndpoint, parseReachableIp } from '../pt/address.ts';
import type { KeyValues } from '../pt/key-value.ts';
import { UsageError } from './report-error.ts';

/** `--listen`, `--socks`, `--forward-from`: an address of this machine, port 0 for any free one. */
export function parseListenAddress(option: string, text: string): Endpoint {
  const endpoint = parseIpEndpoint(text);
  if (endpoint === undefined) {
    throw new UsageError(
      `${option} takes an IP address and a port, like 127.0.0.1:1080 or [::1]:1080`,
    );
  }
  return endpoint;
}

/** `--public`: where clients reach a bridge. Brackets are taken; ports are those that it listens on. */
export function parsePublicAddresses(texts: readonly string[]): readonly string[] {
  return texts.map((text) => {
    const address = parseReachableIp(text);
    if (address !== undefined) return address;
    throw new UsageError(
      '--public takes an IP address without a port, like 192.0.2.3 or 2001:db8::3',
    );
  });
}

/** `--forward`: where a connection goes to; the host may be a name. */
export function parseForwardTarget(option: string, text: string): Endpoint {
  const endpoint = parseIpEndpoint(text) ?? parseNameEndpoint(text);
  if (endpoint === undefined || endpoint.port === 0) {
    throw new UsageError(`${option} takes a host and a port, like 127.0.0.1:22 or localhost:80`);
  }
  return endpoint;
}

/** `--option k=v`, given any number of times: the first `=` ends the key. */
export function parseOptions(texts: readonly string[]): KeyValues {
  return texts.map((text) => {
    const equals = text.indexOf('=');
    if (equals < 1) throw new UsageError('--option takes key=value, like iat-mode=1');
    return [text.slice(0, equals), text.slice(equals + 1)] as const;
  });
}

/**
 * `--pt`: a program and its arguments, separated by white space. Quotes of either kind keep white space
 * in a word; nothing else that a shell does is done.
 */
export function parseCommand(option: string, text: string): readonly [string, ...string[]] {
  const words = [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(
      /"([^"]*)"|'([^']*)'/g,
      (_, double?: string, single?: string) => double ?? single!,
    ),
  );
  const [program, ...args] = words;
  const unquoted = text.replace(/"[^"]*"|'[^']*'/g, '');
  if (program === undefined || program === '' || /["']/.test(unquoted)) {
    throw new UsageError(`${option} takes a command, like "snowflake-client -log-to-state-dir"`);
  }
  return [program, ...args];
}

/** `--control`: where a daemon's control port or control socket is. */
export function parseControlAddress(option: string, text: string): ControlAddress {
  if (text.startsWith('unix:/')) return { socketPath: text.slice('unix:'.length) };
  const endpoint = parseIpEndpoint(text);
  if (endpoint === undefined || endpoint.port === 0) {
    throw new UsageError(
      `${option} takes an IP address and a port, like 127.0.0.1:9051, or unix:/path`,
    );
  }
  return endpoint;
}

/** An address of a mapping: an IP address, with or without brackets, or a host name. */
export function parseMappedAddress(text: string): MappedAddress {
  const bytes = ipToBytes(text.replace(/^\[(.*)\]$/, '$1'));
  if (bytes !== undefined) {
    return { kind: bytes.length === 4 ? 'ipv4' : 'ipv6', host: bytesToIp(bytes) };
  }
  // A colon means a port or a mistyped IP address: neither belongs in a name.
  if (text === '' || /[\s:[\]/]|^[0-9.]+[0-9]$/.test(text)) {
    throw new UsageError('mapaddress takes two IP addresses or host names, without ports');
  }
  return { kind: 'name', host: text };
}

function parseNameEndpoint(text: string): Endpoint | undefined {
  const match = /^([a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?):([0-9]{1,5})$/.exec(text);
  // A name that is all digits and dots is a mistyped IPv4 address.
  if (match === null || /^[0-9.]+$/.test(match[1]!)) return undefined;
  const port = Number(match[2]);
  return port > 65_535 ? undefined : { host: match[1]!, port };
}
