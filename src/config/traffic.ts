/** Which targets applications may ask a port for: Tor's flags of `SocksPort` and `HTTPTunnelPort`. */
import { ipToBytes } from '../pt/address.ts';
import { nearestName } from './near-miss.ts';
import { valueFault } from './value-types.ts';

/** What may pass. */
export interface Traffic {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** Names, which the bridge is to look up. */
  readonly names: boolean;
  readonly onion: boolean;
}

/** What the flags of a port say. The later of two wins, as with Tor. */
export function trafficOf(flags: readonly string[] = []): Traffic {
  const traffic = { ipv4: true, ipv6: true, names: true, onion: true };
  for (const flag of flags) {
    const lower = flag.toLowerCase();
    const key = kinds.get(lower.replace(/^no/, ''));
    if (lower === 'oniontrafficonly')
      Object.assign(traffic, { ipv4: false, ipv6: false, names: false });
    else if (key !== undefined) traffic[key] = !lower.startsWith('no');
  }
  return traffic;
}

/** @throws PosternError for flags together that let nothing through, as with Tor */
export function checkTraffic(flags: readonly string[] | undefined): void {
  const { ipv4, ipv6, names, onion } = trafficOf(flags);
  if (ipv4 || ipv6) return;
  if (!onion) throw valueFault('its flags let neither IPv4 nor IPv6 nor .onion through');
  if (names) throw valueFault('its flags let names through, but no addresses: add NoDNSRequest');
}

/** Why a port does not let a target through, as a clause; undefined where it does. */
export function forbidden(traffic: Traffic, host: string): string | undefined {
  const bytes = ipToBytes(host);
  if (bytes !== undefined) {
    const [isAllowed, kind] = bytes.length === 4 ? [traffic.ipv4, 'IPv4'] : [traffic.ipv6, 'IPv6'];
    return isAllowed ? undefined : `its port lets no ${kind} through`;
  }
  if (/\.onion\.?$/i.test(host))
    return traffic.onion ? undefined : 'its port lets no .onion through';
  return traffic.names ? undefined : 'its port lets no names through';
}

/** The one family that the bridge may look for when it looks up a name; undefined where both are good. */
export function soleFamily({ ipv4, ipv6 }: Traffic): 4 | 6 | undefined {
  if (ipv4 === ipv6) return undefined;
  return ipv4 ? 4 : 6;
}

/** What is wrong with a flag of an application port, as a clause; undefined for one of Tor's. */
export function explainFlag(flag: string): string | undefined {
  const name = flag.replace(/^no(?!oniontrafficonly$)/i, '');
  if (/^SessionGroup=[0-9]+$/i.test(flag)) return undefined;
  if (portFlags.some((known) => known.toLowerCase() === name.toLowerCase())) return undefined;
  const near = nearestName(name, portFlags);
  return `there is no such flag${near === undefined ? '' : `; did you mean ${near}?`}`;
}

/** Whether a flag makes no difference to a tunnel: which streams may share a circuit, what is kept of names. */
export function isIdleFlag(flag: string): boolean {
  const name = flag.replace(/^no/i, '').toLowerCase();
  return name !== 'oniontrafficonly' && !kinds.has(name);
}

const portFlags: readonly string[] = [
  ...['IsolateClientAddr', 'IsolateSOCKSAuth', 'IsolateClientProtocol', 'IsolateDestPort'],
  ...['IsolateDestAddr', 'KeepAliveIsolateSOCKSAuth', 'CacheIPv4DNS', 'CacheIPv6DNS', 'CacheDNS'],
  ...['UseIPv4Cache', 'UseIPv6Cache', 'UseDNSCache', 'PreferIPv6', 'PreferIPv6Automap'],
  ...['PreferSOCKSNoAuth', 'ExtendedErrors', 'IPv4Traffic', 'IPv6Traffic', 'DNSRequest'],
  ...['OnionTraffic', 'OnionTrafficOnly'],
];

const kinds: ReadonlyMap<string, keyof Traffic> = new Map([
  ['ipv4traffic', 'ipv4'],
  ['ipv6traffic', 'ipv6'],
  ['dnsrequest', 'names'],
  ['oniontraffic', 'onion'],
]);
