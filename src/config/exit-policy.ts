/**
 * `ExitPolicy`: where a bridge lets streams go, in Tor's syntax.
 *
 *     ExitPolicy reject *:25,accept 192.0.2.0/24:80-443,accept6 [2001:db8::]/32:*
 *
 * The first rule that fits decides. What fits none is accepted, as at the end of Tor's own policy: a
 * policy that names what is allowed ends in `reject *:*`.
 */
import { ipToBytes } from '../pt/address.ts';
import { formatNetwork, isInNetwork, type Network, parseNetwork } from './address-values.ts';
import { type ValueType, valueFault } from './value-types.ts';

/** One rule of a policy. */
export interface ExitRule {
  readonly accept: boolean;
  /** `*4` and `*6` stand for all addresses of one family, `private` for `privateNetworks`. */
  readonly target: '*' | '*4' | '*6' | 'private' | Network;
  /** Both ends belong to the range. */
  readonly firstPort: number;
  readonly lastPort: number;
}

/**
 * Addresses that belong to somebody's own network or machine, or to nobody: a stranger who could
 * reach them through a bridge would stand behind its firewall. Tor's list, and with it shared address
 * space (RFC 6598), multicast and the reserved rest of IPv4. `[::]/8` takes in loopback and what
 * the first IPv6 had for IPv4 addresses.
 */
const privateNetworks: readonly Network[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '224.0.0.0/3',
  '[::]/8',
  '[fc00::]/7',
  '[fe80::]/10',
  '[fec0::]/10',
  '[ff00::]/8',
].map((text) => parseNetwork(text)!);

/** The rules of one line. */
export const exitPolicyType: ValueType<readonly ExitRule[]> = {
  syntax: 'accept|reject|accept6|reject6 ADDRESS[/BITS][:PORT[-PORT]], more after commas',
  // A comma may stand behind the last one.
  parse: (text) =>
    text
      .replace(/,[ \t]*$/, '')
      .split(',')
      .map(parseRule),
  format: (rules) => rules.map(formatRule).join(','),
};

/**
 * Whether a stream may leave to an address.
 *
 * @param host an IP literal without brackets; names are to be resolved first, and what they resolve to
 *   is to be asked for here
 */
export function exitAllows(
  rules: readonly ExitRule[],
  rejectPrivate: boolean,
  host: string,
  port: number,
): boolean {
  const bytes = ipToBytes(host);
  if (bytes === undefined) return false;
  return reachedBy(bytes).every((address) => {
    if (rejectPrivate && matches(address, 'private')) return false;
    const rule = rules.find(
      ({ target, firstPort, lastPort }) =>
        port >= firstPort && port <= lastPort && matches(address, target),
    );
    return rule?.accept ?? true;
  });
}

/**
 * Whether a policy about who may come in accepts an address; its ports mean nothing. As with Tor's entrance
 * policies for such ports, whom no rule names is rejected.
 *
 * @param host an IP literal without brackets
 */
export function entranceAllows(rules: readonly ExitRule[], host: string): boolean {
  const bytes = ipToBytes(host);
  if (bytes === undefined) return false;
  // An IPv4 address, as a listener for both families has it.
  const address = isInNetwork(bytes, mapped) ? bytes.subarray(12) : bytes;
  return rules.find(({ target }) => matches(address, target))?.accept === true;
}

/**
 * The addresses that a connection to one may come to, all of which the policy has to allow: an
 * IPv4-mapped address is the IPv4 address to the system, and a gateway takes those of NAT64 (RFC 6052,
 * RFC 8215) and 6to4 (RFC 3056) to the IPv4 address in them.
 */
function reachedBy(address: Uint8Array): readonly Uint8Array[] {
  const [network, offset] = embeddings.find(([some]) => isInNetwork(address, some)) ?? [];
  if (network === undefined || offset === undefined) return [address];
  const inside = address.subarray(offset, offset + 4);
  return network === mapped ? [inside] : [address, inside];
}

const mapped = parseNetwork('[::ffff:0:0]/96')!;

/** Where an IPv4 address stands in an IPv6 address. */
const embeddings: readonly (readonly [Network, offset: number])[] = [
  [mapped, 12],
  [parseNetwork('[64:ff9b::]/96')!, 12],
  [parseNetwork('[64:ff9b:1::]/48')!, 12],
  [parseNetwork('[2002::]/16')!, 2],
];

function matches(address: Uint8Array, target: ExitRule['target']): boolean {
  switch (target) {
    case '*':
      return true;
    case '*4':
      return address.length === 4;
    case '*6':
      return address.length === 16;
    case 'private':
      return privateNetworks.some((network) => isInNetwork(address, network));
    default:
      return isInNetwork(address, target);
  }
}

function parseRule(text: string): ExitRule {
  // Words, so that no run of blanks can be divided in many ways.
  const words = text.split(/[ \t]+/).filter((word) => word !== '');
  const match = /^(accept|reject)(6?) (\[[^\]]*\](?:\/[0-9]+)?|[^:[\] ]+)(?::([*0-9-]+))?$/i.exec(
    words.join(' '),
  );
  const ports = parsePorts(match?.[4] ?? '*');
  const target = match === null ? undefined : parseTarget(match[3]!.toLowerCase());
  if (match === null || ports === undefined || target === undefined) {
    throw valueFault('a rule must be accept or reject, an address, and ports, like reject *:25');
  }
  const onlyIpv6 = match[2] === '6';
  if (onlyIpv6 && (target === '*4' || (typeof target === 'object' && target.base.length === 4))) {
    throw valueFault('accept6 and reject6 take IPv6 addresses only');
  }
  return {
    accept: match[1]!.toLowerCase() === 'accept',
    target: onlyIpv6 && target === '*' ? '*6' : target,
    ...ports,
  };
}

function parseTarget(text: string): ExitRule['target'] | undefined {
  if (text === '*' || text === '*4' || text === '*6' || text === 'private') return text;
  return parseNetwork(text);
}

function parsePorts(text: string): { firstPort: number; lastPort: number } | undefined {
  if (text === '*') return { firstPort: 1, lastPort: 65_535 };
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const firstPort = Number(match[1]);
  const lastPort = Number(match[2] ?? match[1]);
  return firstPort >= 1 && firstPort <= lastPort && lastPort <= 65_535
    ? { firstPort, lastPort }
    : undefined;
}

function formatRule({ accept, target, firstPort, lastPort }: ExitRule): string {
  const address = typeof target === 'string' ? target : formatNetwork(target);
  const range = firstPort === lastPort ? String(firstPort) : `${firstPort}-${lastPort}`;
  const ports = firstPort === 1 && lastPort === 65_535 ? '*' : range;
  return `${accept ? 'accept' : 'reject'} ${address}:${ports}`;
}
