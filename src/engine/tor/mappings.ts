/** MAPADDRESS and GETALLMAPPINGS in front of a Tor (TC 3.11 and 3.13). */
import { isNull, isNullHost, mappedAddress } from '../../control/address-map.ts';
import type { AddressMapping, MappedAddress } from '../../control/messages.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { TorCommands } from '../../tor-control/commands.ts';

/** The mappings that controllers have made: Tor forgets them when it ends, and is told again. */
export class TorMappings {
  /** Tor's words for the original and the replacement. */
  readonly #made = new Map<string, string>();

  /**
   * Adds, replaces or removes a mapping; for a null original Tor picks the address.
   *
   * @returns the mapping, as ADDRESSMAPPED tells it
   * @throws PosternError `ERR_ADDRESS_MAP`, or what the control connection throws
   */
  async map(
    control: TorCommands,
    original: MappedAddress,
    replacement: MappedAddress,
  ): Promise<AddressMapping> {
    // Tor would map to the null address, and no connection would ever come of it.
    if (isNullHost(replacement)) throw mapError('nothing can be mapped to the null address');
    const from = formatHost(original);
    const to = formatHost(replacement);
    const isFull = this.#made.size >= limits.controlMappings;
    if (isFull && from !== to && !this.#made.has(from)) {
      throw mapError(`there are ${limits.controlMappings} mappings already`);
    }
    const [mapped] = await control.mapAddress([{ original: from, replacement: to }]);
    const isPicked = isNullHost(original);
    const picked = isPicked ? mappedAddress(withoutBrackets(mapped!.original)) : original;
    const key = formatHost(picked);
    if (key === to) this.#made.delete(key);
    else this.#made.set(key, to);
    return { original: { ...picked, kind: original.kind }, replacement };
  }

  /** All that Tor maps, whoever asked for it. */
  async list(control: TorCommands): Promise<readonly AddressMapping[]> {
    const answer = await control.getInfo('address-mappings/all');
    return (answer.get('address-mappings/all') ?? '').split('\n').flatMap((line) => {
      const [from, to] = line.split(' ');
      if (from === undefined || to === undefined) return [];
      return [
        {
          original: mappedAddress(withoutBrackets(from)),
          replacement: mappedAddress(withoutBrackets(to)),
        },
      ];
    });
  }

  /** Tells a Tor that has just been started what was mapped before. */
  async restore(control: TorCommands): Promise<void> {
    const pairs = [...this.#made].map(([original, replacement]) => ({ original, replacement }));
    for (let start = 0; start < pairs.length; start += PAIRS_PER_COMMAND) {
      await control.mapAddress(pairs.slice(start, start + PAIRS_PER_COMMAND));
    }
  }
}

/** With the longest names of TC still a short command. */
const PAIRS_PER_COMMAND = 512;

/** As MAPADDRESS of Tor takes it, and as Tor will look for it: names in lower case, IPv6 in brackets. */
function formatHost(address: MappedAddress): string {
  const { kind, host } = mappedAddress(address.host);
  // Tor knows the null address of IPv6 only without brackets.
  if (kind === 'ipv6') return isNull({ kind, host }) ? host : `[${host}]`;
  // What is no host name could be taken for several arguments.
  if (!/^[\w.-]+$/.test(host)) throw mapError('a host name has a character that Tor does not take');
  return host.toLowerCase();
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

function mapError(message: string): PosternError {
  return new PosternError('ERR_ADDRESS_MAP', message);
}
