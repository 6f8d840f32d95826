/** `X-Forwarded-For`: for whom a web server in front connects. */
import {
  bytesToIp,
  type Endpoint,
  ipToBytes,
  isLoopback,
  parseIpEndpoint,
} from '../../pt/address.ts';
import type { ClientAddress } from '../contract.ts';
import type { HeaderFields } from './header-fields.ts';

/**
 * Whom a connection is for. Only the last element counts, which the front itself wrote: a client can put any
 * number before it. A front that says nothing of use leaves it unknown; its own address would be wrong.
 *
 * @param peer the other end of the wire; of this machine when it is not known
 */
export function clientBehind(
  peer: Endpoint | undefined,
  fields: HeaderFields,
  trustedFronts: ReadonlySet<string>,
): ClientAddress {
  const host = peer?.host.replace(MAPPED, '');
  if (host !== undefined && !isLoopback(host) && !trustedFronts.has(host)) return undefined;
  const last = (fields.get('x-forwarded-for') ?? []).at(-1)?.split(',').at(-1)?.trim() ?? '';
  const bytes = ipToBytes(last.replace(/^\[(.*)\]$/, '$1'));
  const endpoint =
    bytes === undefined ? parseIpEndpoint(last) : { host: bytesToIp(bytes), port: 0 };
  if (endpoint === undefined) return 'unknown';
  // Parents want a port, and tor one that is not 0.
  return { host: endpoint.host.replace(MAPPED, ''), port: endpoint.port === 0 ? 1 : endpoint.port };
}

const MAPPED = /^::ffff:(?=[0-9.]+$)/;
