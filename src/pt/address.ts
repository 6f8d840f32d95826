/**
 * IP addresses and endpoints as text and as bytes, without a name lookup anywhere.
 *
 * It stands here and not in `net/` because the environment, the stdout messages, bridge lines and
 * SOCKS all need it, and none of them may reach for a socket.
 */

/** A host and a port; `host` is an IP literal without brackets, or a name where names are allowed. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * `<ip>:<port>` with IPv6 in brackets; the host comes back in canonical form (RFC 5952).
 *
 * @returns undefined for host names, malformed addresses and ports outside 0..65535
 */
export function parseIpEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const bytes = match[1] === undefined ? parseIpv4(match[2]!) : parseIpv6(match[1]);
  const port = Number(match[3]);
  if (bytes === undefined || port > 65_535) return undefined;
  return { host: bytesToIp(bytes), port };
}

/** `host:port`, with an IPv6 host in brackets. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.host.includes(':')
    ? `[${endpoint.host}]:${endpoint.port}`
    : `${endpoint.host}:${endpoint.port}`;
}

/** The 4 or 16 bytes of an IP literal without brackets; undefined for anything else. */
export function ipToBytes(host: string): Uint8Array | undefined {
  return parseIpv4(host) ?? parseIpv6(host);
}

/** The canonical text of 4 or 16 address bytes (RFC 5952). */
export function bytesToIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isIpv4Mapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  );
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}

/** Whether `host` is an IP literal of this machine's own loopback: 127.0.0.0/8 or ::1. */
export function isLoopback(host: string): boolean {
  const bytes = ipToBytes(host);
  if (bytes === undefined) return false;
  if (bytes.length === 4) return bytes[0] === 127;
  if (isIpv4Mapped(bytes)) return bytes[12] === 127;
  return bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

/** An address at which something can be reached, brackets taken off, in canonical form; else undefined. */
export function parseReachableIp(text: string): string | undefined {
  const bytes = ipToBytes(text.replace(/^\[(.*:.*)\]$/s, '$1'));
  const host = bytes && bytesToIp(bytes);
  return host === undefined || isUnspecified(host) ? undefined : host;
}

/** Whether `host` is 0.0.0.0 or `::`: every address of a listener, and none that can be reached. */
export function isUnspecified(host: string): boolean {
  return ipToBytes(host)?.every((byte) => byte === 0) === true;
}

/** Whether `host` is of 2001:db8::/32, which no machine has (RFC 3849): it stands for something else. */
export function isDocumentation(host: string): boolean {
  const bytes = ipToBytes(host);
  return bytes?.length === 16 && documentation.every((byte, index) => bytes[index] === byte);
}

const documentation: readonly number[] = [0x20, 0x01, 0x0d, 0xb8];

function isIpv4Mapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 12).every((byte, index) => byte === (index < 10 ? 0 : 0xff));
}

function parseIpv4(text: string): Uint8Array | undefined {
  const fields = text.split('.');
  // Leading zeros are refused: some C libraries read them as octal, others as decimal.
  if (fields.length !== 4 || !fields.every((field) => /^(0|[1-9][0-9]{0,2})$/.test(field))) {
    return undefined;
  }
  const values = fields.map(Number);
  return values.every((value) => value <= 255) ? Uint8Array.from(values) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? ipv6Groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  // "::" stands for at least one group; without it nothing may be missing.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** The bytes of colon-separated groups; the last one may be a dotted IPv4 address. */
function ipv6Groups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const dotted = mayEndInIpv4 && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (dotted === undefined) return undefined;
    bytes.push(...dotted);
  }
  return bytes;
}

function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === '0') end += 1;
    if (end - start > best.length) best = { start, length: end - start };
    start = Math.max(start, end - 1);
  }
  return best;
}
