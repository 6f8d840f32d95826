import { ipToBytes, type Endpoint } from '../../pt/address.ts';

/** `host:port`, both there, IPv6 in brackets (RFC 9110, section 9.3.6). */
export function parseAuthority(text: string | undefined): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/?#@[\]\s]{1,255})):([0-9]{1,5})$/.exec(text ?? '');
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) return undefined;
  if (match[1] !== undefined && ipToBytes(match[1])?.length !== 16) return undefined;
  return { host: (match[1] ?? match[2])!, port };
}
