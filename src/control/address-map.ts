import type { Network } from '../config/address-values.ts';
import { randomBytes, type Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { bytesToIp, ipToBytes } from '../pt/address.ts';
import { nullHosts, type AddressMapping, type MappedAddress } from './messages.ts';

/** Where the addresses come from that stand in for something else. */
export interface AddressMapOptions {
  readonly rng: Rng;
  /** `VirtualAddrNetworkIPv4`; 127.192.0.0/10 when not given. */
  readonly ipv4?: Network;
  /** `VirtualAddrNetworkIPv6`; fc00::/7 when not given. */
  readonly ipv6?: Network;
}

/**
 * Which addresses connections really go to: the table behind MAPADDRESS (TC 3.11).
 *
 * Two layers: what the configuration maps, and above it what controllers mapped, which lasts until it
 * is replaced, removed or the process ends. Names compare without regard to letter case, and a name
 * that is an IP address in disguise is that address. What a controller mapped is not followed further.
 *
 * The configuration's own are Tor's: `*.example.com` stands for every name below, and for itself, the
 * longest name counts, and what comes of one mapping is looked up again.
 */
export class AddressMap {
  readonly #rng: Rng;
  #ranges: Readonly<Record<'ipv4' | 'ipv6', Network>>;
  /** By name, whether or not it stands for those below it as well: of two the later counts, as with Tor. */
  #configured = new Map<string, AddressMapping>();
  readonly #requested = new Map<string, AddressMapping>();
  /** For each destination, and kind of original, the address that was picked for it last. */
  readonly #picked = new Map<string, string>();

  constructor({ rng, ipv4 = DEFAULT_IPV4, ipv6 = DEFAULT_IPV6 }: AddressMapOptions) {
    this.#rng = rng;
    this.#ranges = { ipv4, ipv6 };
  }

  /** Where a connection for `host` goes: the replacement, or `host` itself. */
  lookUp(host: string): string {
    const requested = this.#requested.get(keyOf(host));
    if (requested !== undefined) return requested.replacement.host;
    let found = host;
    for (let count = 0; count < MAX_REWRITES; count += 1) {
      const next = this.#lookUpConfigured(found);
      if (next === undefined) break;
      found = next;
    }
    return found;
  }

  #lookUpConfigured(host: string): string | undefined {
    const key = keyOf(host);
    const exact = this.#configured.get(key)?.replacement.host;
    if (exact !== undefined) {
      const next = withoutWildcard(exact);
      return keyOf(next) === key ? undefined : next;
    }
    // From the longest name above it to the shortest.
    for (let dot = key.indexOf('.'); dot !== -1; dot = key.indexOf('.', dot + 1)) {
      const mapping = this.#configured.get(key.slice(dot + 1));
      if (mapping === undefined || !isWildcard(mapping.original.host)) continue;
      const { host: to } = mapping.replacement;
      return isWildcard(to) ? `${host.slice(0, dot)}${to.slice(1)}` : to;
    }
    return undefined;
  }

  /**
   * Adds, replaces or removes a mapping.
   *
   * @param original a null address lets the map pick one of the same kind from its reserved range
   * @param replacement equal to `original`: the mapping of that address is removed, if there is one
   * @returns the mapping, as ADDRESSMAPPED tells it
   * @throws PosternError `ERR_ADDRESS_MAP`: the replacement is null, the range or the table is full;
   *   nothing has changed then
   */
  map(original: MappedAddress, replacement: MappedAddress): AddressMapping {
    // Also null to null, which could as well be read as a removal.
    if (isNullHost(replacement)) throw mapError('nothing can be mapped to the null address');
    if (isNullHost(original)) {
      const kind = isNull(original) ? original.kind : mappedAddress(original.host).kind;
      const picked = this.#mapPicked(kind, replacement);
      return { ...picked, original: { ...picked.original, kind: original.kind } };
    }
    const key = keyOf(original.host);
    const mapping = { original, replacement };
    if (key === keyOf(replacement.host)) {
      this.#forgetPick(key);
      this.#requested.delete(key);
      this.#configured.delete(withoutWildcard(key));
    } else {
      this.#request(key, mapping);
    }
    return mapping;
  }

  /** All mappings in force. */
  mappings(): readonly AddressMapping[] {
    const shown = [...this.#configured].filter(
      ([key, { original }]) => isWildcard(original.host) || !this.#requested.has(key),
    );
    return [...shown.map(([, mapping]) => mapping), ...this.#requested.values()];
  }

  /**
   * Replaces what the configuration maps and the ranges to pick from; what controllers mapped stays,
   * and goes before it. Of two mappings of one address the later counts.
   *
   * @throws PosternError `ERR_ADDRESS_MAP` for a null address; nothing has changed then
   */
  configure(
    mappings: readonly AddressMapping[],
    ranges: Partial<Record<'ipv4' | 'ipv6', Network>> = {},
  ): void {
    if (
      mappings.some(({ original, replacement }) => isNullHost(original) || isNullHost(replacement))
    ) {
      throw mapError('the configuration cannot map from or to the null address');
    }
    this.#ranges = { ipv4: DEFAULT_IPV4, ipv6: DEFAULT_IPV6, ...ranges };
    this.#configured = new Map(
      mappings.map((mapping) => [withoutWildcard(keyOf(mapping.original.host)), mapping]),
    );
  }

  #find(key: string): AddressMapping | undefined {
    return this.#requested.get(key) ?? this.#configured.get(key);
  }

  #request(key: string, mapping: AddressMapping): void {
    if (!this.#requested.has(key) && this.#requested.size >= limits.controlMappings) {
      throw mapError(`there are ${limits.controlMappings} mappings already`);
    }
    this.#forgetPick(key);
    this.#requested.set(key, mapping);
  }

  /** Forgets that an address was picked, once it is mapped in another way or not at all. */
  #forgetPick(key: string): void {
    const earlier = this.#requested.get(key);
    if (earlier === undefined) return;
    const purpose = purposeOf(earlier.original.kind, earlier.replacement);
    if (this.#picked.get(purpose) === key) this.#picked.delete(purpose);
  }

  #mapPicked(kind: MappedAddress['kind'], replacement: MappedAddress): AddressMapping {
    // A destination keeps its address, so that asking again and again cannot use up the range.
    const purpose = purposeOf(kind, replacement);
    const earlier = this.#requested.get(this.#picked.get(purpose) ?? '');
    if (earlier !== undefined) return earlier;
    const original: MappedAddress = { kind, host: this.#pick(kind) };
    const key = keyOf(original.host);
    const mapping = { original, replacement };
    this.#request(key, mapping);
    this.#picked.set(purpose, key);
    return mapping;
  }

  /** A host of this kind that hardly anyone uses, and that is not mapped yet. */
  #pick(kind: MappedAddress['kind']): string {
    if (kind === 'name') return `${randomBytes(this.#rng, 10).toString('hex')}.virtual.invalid`;
    const range = this.#ranges[kind];
    // One address more than there are mappings: one of them must be free, if the range has as many.
    const tries = Math.min(sizeOf(range), this.#configured.size + this.#requested.size + 2);
    const start = randomBytes(this.#rng, range.base.length);
    for (let offset = 0; offset < tries; offset += 1) {
      const host = bytesToIp(addressIn(range, start, offset));
      if (host !== nullHosts[kind] && this.#find(host) === undefined) return host;
    }
    throw mapError('every address of the range to pick from is mapped');
  }
}

/** How often Tor follows the mappings of its configuration, which may go round in circles. */
const MAX_REWRITES = 16;

function isWildcard(host: string): boolean {
  return host.startsWith('*.');
}

function withoutWildcard(host: string): string {
  return isWildcard(host) ? host.slice(2) : host;
}

/** How many addresses a range has, as far as a number can count them. */
function sizeOf({ base, prefixBits }: Network): number {
  return 2 ** (8 * base.length - prefixBits);
}

/** The address `offset` places behind `start`, inside the range: it wraps around at the end. */
function addressIn({ base, prefixBits }: Network, start: Uint8Array, offset: number): Uint8Array {
  const address = Uint8Array.from(start);
  for (let index = address.length - 1, carry = offset; index >= 0 && carry > 0; index -= 1) {
    const sum = address[index]! + (carry % 256);
    address[index] = sum;
    carry = Math.floor(carry / 256) + (sum > 255 ? 1 : 0);
  }
  return address.map((byte, index) => {
    const fixedBits = Math.min(Math.max(prefixBits - 8 * index, 0), 8);
    const hostMask = 0xff >> fixedBits;
    return (base[index]! & ~hostMask) | (byte & hostMask);
  });
}

/** A host as an address of its kind, for a configuration line or a command. */
export function mappedAddress(host: string): MappedAddress {
  const bytes = ipToBytes(host);
  if (bytes === undefined) return { kind: 'name', host };
  return { kind: bytes.length === 4 ? 'ipv4' : 'ipv6', host: bytesToIp(bytes) };
}

/** One spelling for all spellings of a host. */
function keyOf(host: string): string {
  const bytes = ipToBytes(host);
  return bytes === undefined ? host.toLowerCase() : bytesToIp(bytes);
}

/** What an address is picked for. */
function purposeOf(kind: MappedAddress['kind'], { host }: MappedAddress): string {
  return `${kind} ${keyOf(host)}`;
}

/** Whether an address is the null address of its kind, in any spelling. */
export function isNull({ kind, host }: MappedAddress): boolean {
  return keyOf(host) === nullHosts[kind];
}

/** Whether nothing can be mapped to it: a null address, also as a name that is one in disguise. */
export function isNullHost({ host }: MappedAddress): boolean {
  return isNull(mappedAddress(host.replace(/^\[(.*)\]$/, '$1')));
}

function mapError(message: string): PosternError {
  return new PosternError('ERR_ADDRESS_MAP', message);
}

/** Loopback addresses that nothing listens on by habit: what Tor took later. */
const DEFAULT_IPV4: Network = { base: Uint8Array.of(127, 192, 0, 0), prefixBits: 10 };

/** Unique local addresses (RFC 4193). */
const DEFAULT_IPV6: Network = {
  base: Uint8Array.of(0xfc, ...new Array<number>(15).fill(0)),
  prefixBits: 7,
};
