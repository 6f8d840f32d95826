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
  readonly from: string;
  readonly to: string;
}

/**
 * Where to listen: undefined for nowhere, port 0 for any free port. Without an address it is
 * loopback, for `ORPort` too, where Tor takes 0.0.0.0: behind Tor's port every peer must prove
 * itself, behind ours stands a plain proxy.
 */
export const listenType: ValueType<Endpoint | undefined> = {
  syntax: '[IP:]PORT, [IP:]auto, or 0 for none',
  parse(text) {
    if (text === '0') return undefined;
    if (/^unix:/i.test(text)) {
      throw valueFault('takes no Unix socket; ControlPort does, and a Tor (`Engine tor`)');
    }
    const flag = /[ \t]+(\S{1,40})/.exec(text)?.[1];
    if (flag !== undefined) throw valueFault(`takes no flags: ${flag}`);
    const isPort = /^(?:auto|0*[1-9][0-9]*)$/i.test(text);
    const full = (isPort ? `${loopback}:${text.replace(/^0+/, '')}` : text)
      .replace(/:auto$/i, ':0')
      .replace(/^localhost:/i, `${loopback}:`);
    const endpoint = parseIpEndpoint(full);
    if (endpoint === undefined || (endpoint.port === 0 && full === text)) {
      throw valueFault('must be a port, ip:port or auto (IPv6 in brackets), or 0 for none');
    }
    return endpoint;
  },
  format(endpoint) {
    if (endpoint === undefined) return '0';
    const port = endpoint.port === 0 ? 'auto' : String(endpoint.port);
    if (endpoint.host === loopback) return port;
    return formatEndpoint(endpoint).replace(/[0-9]+$/, port);
  },
};

/** `MetricsPort`: where to listen, and the format, of which there is one. */
export const metricsPortType: ValueType<Endpoint | undefined> = {
  syntax: `${listenType.syntax}; then prometheus or nothing`,
  parse: (text) => listenType.parse(text.replace(/[ \t]+prometheus$/i, '')),
  format: (endpoint) => listenType.format(endpoint),
};

const loopback = '127.0.0.1';

/** Where applications connect. */
export interface ApplicationPlace extends Endpoint {
  /** What Tor makes of its streams, and what makes no difference to a tunnel. */
  readonly flags?: readonly string[];
}

/** The same with Tor's flags, as far as they forbid nothing that the tunnel would then do. */
export const applicationPortType: ValueType<ApplicationPlace | undefined> = {
  syntax: `${listenType.syntax}; Tor’s flags are taken and change nothing`,
  parse(text) {
    const [place, ...flags] = /^unix:/i.test(text) ? [text] : text.split(/[ \t]+/);
    const other = flags.find((flag) => !idleFlags.test(flag));
    if (other !== undefined && forbiddingFlags.test(other)) {
      throw valueFault(
        `${other.slice(0, 40)} is Tor’s: a tunnel cannot tell traffic apart that way`,
      );
    }
    if (other !== undefined) throw valueFault(`there is no flag ${other.slice(0, 40)}`);
    const endpoint = listenType.parse(place!);
    return endpoint === undefined || flags.length === 0 ? endpoint : { ...endpoint, flags };
  },
  format: (place) => [listenType.format(place), ...(place?.flags ?? [])].join(' '),
};

/** Which streams may share a circuit, what is kept of names, and other things that a tunnel has none of. */
const idleFlags =
  /^(?:(?:No)?(?:Isolate(?:ClientAddr|SOCKSAuth|ClientProtocol|DestPort|DestAddr)|KeepAliveIsolateSOCKSAuth|(?:Cache|Use)IPv[46](?:DNS|Cache)|(?:Cache|Use)DNS(?:Cache)?|PreferIPv6|PreferIPv6Automap|PreferSOCKSNoAuth|ExtendedErrors)|IPv4Traffic|IPv6Traffic|DNSRequest|OnionTraffic|SessionGroup=[0-9]+)$/i;

/** What says that some traffic is not to pass. */
const forbiddingFlags =
  /^(?:OnionTrafficOnly|No(?:IPv4Traffic|IPv6Traffic|DNSRequest|OnionTraffic))$/i;

/** An address without a port, at which somebody else reaches this machine. */
export const addressType: ValueType<string> = {
  syntax: 'IP',
  parse(text) {
    const address = parseReachableIp(text);
    if (address !== undefined) return address;
    throw valueFault('must be an IP address without a port (no host names)');
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

/** Two addresses or host names. */
export const mappingType: ValueType<Mapping> = {
  syntax: 'ADDRESS NEW-ADDRESS',
  parse(text) {
    if (text.includes('*')) {
      throw valueFault(
        'takes no wildcards: whole names alone are mapped, but by a Tor (`Engine tor`)',
      );
    }
    const words = text.split(/[ \t]+/).map(parseHost);
    const [from, to] = words;
    if (words.length !== 2 || from === undefined || to === undefined) {
      throw valueFault('must be two addresses or host names');
    }
    return { from, to };
  },
  format: ({ from, to }) => `${from} ${to}`,
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

function parseHost(word: string): string | undefined {
  const bytes = ipToBytes(word.replace(/^\[(.*)\]$/, '$1'));
  if (bytes !== undefined) return bytesToIp(bytes);
  const name = word.toLowerCase();
  // All digits and dots: a mistyped IPv4 address, not a name.
  const isName = /^(?=.{1,255}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name);
  return isName && !/^[0-9.]+$/.test(name) ? name : undefined;
}
