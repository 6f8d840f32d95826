/** Values that are addresses: ports to listen on, proxies, networks, mappings. */
import {
  bytesToIp,
  formatEndpoint,
  ipToBytes,
  parseIpEndpoint,
  parseReachableIp,
} from '../pt/address.ts';
import type { Endpoint } from '../pt/address.ts';
import { type ValueType, valueFault } from './value-types.ts';

/** The addresses whose first `prefixBits` bits are those of `base`. */
export interface Network {
  /** 4 or 16 bytes, zero behind the prefix. */
  readonly base: Uint8Array;
  readonly prefixBits: number;
}

/** `MapAddress`: whoever asks for `from` is taken to `to`. Names are in lower case. */
export interface Mapping {
  /** `*.` before it stands for all names below it, and itself. */
  readonly from: string;
  /** `*.` before it puts it in the place of `from`, behind what stood before that. */
  readonly to: string;
}

/** A line that Tor warns of and does not use. */
export interface UnusedLine {
  readonly text: string;
  /** Why, as a clause. */
  readonly unused: string;
}

/** Where to listen, and what Tor says of its ports beside that. */
export interface ListenPlace extends Endpoint {
  readonly flags?: readonly string[];
}

/**
 * Where to listen: undefined for nowhere, port 0 for any free port. Without an address it is
 * loopback, for `ORPort` too, where Tor takes 0.0.0.0: behind Tor's port every peer must prove
 * itself, behind ours stands a plain proxy.
 */
export const listenType: ValueType<ListenPlace | undefined> = {
  syntax: '[IP:]PORT, [IP:]auto, or 0 for none',
  parse(text) {
    if (/^unix:/i.test(text))
      throw valueFault('takes no Unix socket; SocksPort and ControlPort do');
    const [place, ...flags] = text.split(/[ \t]+/);
    if (place === '0') return undefined;
    const socketFlag = flags.find((flag) => socketFlags.test(flag));
    if (socketFlag !== undefined) throw valueFault(`${socketFlag} is for Unix sockets alone`);
    const endpoint = parsePort(place!, loopback);
    if (endpoint === undefined) {
      throw valueFault('must be a port, ip:port or auto (IPv6 in brackets), or 0 for none');
    }
    return flags.length === 0 ? endpoint : { ...endpoint, flags };
  },
  format(place) {
    if (place === undefined) return '0';
    const port = place.port === 0 ? 'auto' : String(place.port);
    const text = place.host === loopback ? port : formatEndpoint(place).replace(/[0-9]+$/, port);
    return [text, ...(place.flags ?? [])].join(' ');
  },
};

/** Port, or address and port; `auto` is a port. */
function parsePort(text: string, host: string): Endpoint | undefined {
  const isPort = /^(?:auto|0*[1-9][0-9]*)$/i.test(text);
  const full = (
    isPort ? formatEndpoint({ host, port: 0 }).replace(/0$/, text.replace(/^0+/, '')) : text
  )
    .replace(/:auto$/i, ':0')
    .replace(/^localhost:/i, `${loopback}:`);
  const endpoint = parseIpEndpoint(full);
  return endpoint?.port === 0 && full === text ? undefined : endpoint;
}

/** What only a file can have. */
export const socketFlags: RegExp = /^(?:GroupWritable|WorldWritable|RelaxDirModeCheck)$/i;

/** A port that has no flags, for Tor neither. */
export const plainPortType: ValueType<Endpoint | undefined> = {
  syntax: listenType.syntax,
  parse(text) {
    const place = listenType.parse(text);
    if (place?.flags !== undefined) throw valueFault('takes no flags');
    return place;
  },
  format: (place) => listenType.format(place),
};

/** `MetricsPort`: where to listen, and the format, of which there is one. */
export const metricsPortType: ValueType<Endpoint | undefined> = {
  syntax: `${plainPortType.syntax}; then prometheus or nothing`,
  parse: (text) => plainPortType.parse(text.replace(/[ \t]+prometheus$/i, '')),
  format: (place) => plainPortType.format(place),
};

/** `ORPort`, with what Tor says of the addresses that it tells others. */
export const orPortType: ValueType<ListenPlace | undefined> = {
  syntax: `${listenType.syntax}; then NoListen, NoAdvertise, IPv4Only, IPv6Only or nothing`,
  parse(text) {
    const place = listenType.parse(text);
    if (place === undefined) return undefined;
    const [isIpv4Only, isIpv6Only] = [hasFlag(place, 'IPv4Only'), hasFlag(place, 'IPv6Only')];
    if (isIpv4Only && isIpv6Only) throw valueFault('IPv4Only and IPv6Only contradict each other');
    if (hasFlag(place, 'NoListen') && hasFlag(place, 'NoAdvertise')) {
      throw valueFault('a port with NoListen and NoAdvertise would be for nothing');
    }
    const found = isIpv6Only && !/[:.]/.test(text) ? { ...place, host: '::1' } : place;
    const isIpv6 = found.host.includes(':');
    if (isIpv6 ? isIpv4Only : isIpv6Only) throw valueFault('the address is of the other family');
    return found;
  },
  format: (place) => listenType.format(place),
};

const loopback = '127.0.0.1';

/** Whether a port has a flag, in any letter case. */
export function hasFlag({ flags = [] }: ListenPlace, name: string): boolean {
  return flags.some((flag) => flag.toLowerCase() === name.toLowerCase());
}

/** An address without a port, at which somebody else reaches this machine; a name is in lower case. */
export const addressType: ValueType<string> = {
  syntax: 'IP or NAME',
  parse(text) {
    const address = parseReachableIp(text);
    if (address !== undefined) return address;
    if (/^[0-9.:[\]]*$/.test(text)) {
      throw valueFault('must be an IP address without a port, or a host name');
    }
    return text.toLowerCase();
  },
  format: (address) => address,
};

/** A proxy to connect to, by its address: a name would have to be asked for outside the proxy. */
export function proxyType(defaultPort: number): ValueType<Endpoint> {
  return {
    syntax: 'IP[:PORT]',
    parse(text) {
      const place = text.replace(/^localhost(?=:|$)/i, loopback);
      const endpoint = parseIpEndpoint(place) ?? parseIpEndpoint(`${place}:${defaultPort}`);
      if (endpoint === undefined || endpoint.port === 0) {
        throw valueFault('must be ip or ip:port (IPv6 in brackets, no host names)');
      }
      return endpoint;
    },
    format: formatEndpoint,
  };
}

/** The pool that virtual addresses come from: large enough that they do not run out. */
export function poolType(addressBytes: 4 | 16, maximumBits: number): ValueType<Network> {
  const example = addressBytes === 4 ? '127.192.0.0/10' : '[fc00::]/7';
  return {
    syntax: addressBytes === 4 ? 'IP/BITS' : '[IP]/BITS',
    parse(text) {
      const network = parseNetwork(text.replace(/^([0-9a-f:.]*:[0-9a-f:.]*)(?=\/)/i, '[$1]'));
      if (network?.base.length !== addressBytes || network.prefixBits > maximumBits) {
        throw valueFault(`must be a network with at most ${maximumBits} bits, like ${example}`);
      }
      return network;
    },
    format: formatNetwork,
  };
}

/** Two addresses or host names, of which the first may stand for all below it. */
export const mappingType: ValueType<Mapping | UnusedLine> = {
  syntax: '[*.]ADDRESS [*.]NEW-ADDRESS',
  parse(text) {
    const unused = (why: string): UnusedLine => ({ text, unused: why });
    const words = text.split(/[ \t]+/);
    const [from, to] = words.map(parsePattern);
    if (words.length !== 2 || from === undefined || to === undefined) {
      return unused('it must be two addresses or host names');
    }
    return to.startsWith('*.') && !from.startsWith('*.')
      ? unused('a name cannot be mapped to all names below another')
      : { from, to };
  },
  format: (line) => ('unused' in line ? line.text : `${line.from} ${line.to}`),
};

/** `ip[/bits]`, an IPv6 address in brackets; bits behind the prefix are cleared. */
export function parseNetwork(text: string): Network | undefined {
  const match =
    /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?:\/([0-9]{1,3}|[0-9]+(?:\.[0-9]+){3}))?$/.exec(text);
  const bytes = ipToBytes(match?.[1] ?? match?.[2] ?? '');
  if (match === null || bytes === undefined || (match[1] === undefined) !== (bytes.length === 4)) {
    return undefined;
  }
  const bits = match[3]?.includes('.') ? maskBits(match[3]) : Number(match[3] ?? bytes.length * 8);
  if (bits === undefined || bits > bytes.length * 8) return undefined;
  const base = bytes.map((byte, index) => byte & maskByte(bits, index));
  return { base, prefixBits: bits };
}

/** How many bits a mask like 255.255.0.0 has; undefined where they do not all stand in front. */
function maskBits(mask: string): number | undefined {
  const bits = [...(ipToBytes(mask) ?? [])]
    .map((byte) => byte.toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits !== '' ? bits.replace(/0/g, '').length : undefined;
}

/** The inverse of `parseNetwork`; a single address comes without bits. */
export function formatNetwork({ base, prefixBits }: Network): string {
  const ip = base.length === 4 ? bytesToIp(base) : `[${bytesToIp(base)}]`;
  return prefixBits === base.length * 8 ? ip : `${ip}/${prefixBits}`;
}

/** Whether an address lies in a network; never when the families differ. */
export function isInNetwork(address: Uint8Array, { base, prefixBits }: Network): boolean {
  if (address.length !== base.length) return false;
  return address.every((byte, index) => (byte & maskByte(prefixBits, index)) === base[index]);
}

function maskByte(bits: number, index: number): number {
  const inThisByte = Math.min(Math.max(bits - 8 * index, 0), 8);
  return (0xff << (8 - inThisByte)) & 0xff;
}

/** A host, or `*.` and a name. */
function parsePattern(word: string): string | undefined {
  if (!word.startsWith('*.')) return parseHost(word);
  const host = parseHost(word.slice(2));
  return host === undefined || ipToBytes(host) !== undefined ? undefined : `*.${host}`;
}

function parseHost(word: string): string | undefined {
  const bytes = ipToBytes(word.replace(/^\[(.*)\]$/, '$1'));
  if (bytes !== undefined) return bytesToIp(bytes);
  const name = word.toLowerCase();
  // All digits and dots: a mistyped IPv4 address, not a name.
  const isName = /^(?=.{1,255}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name);
  return isName && !/^[0-9.]+$/.test(name) ? name : undefined;
}
