/** The options of a webtunnel server: behind a web server, or alone as one. */
import { PosternError } from '../../errors.ts';
import { ipToBytes, bytesToIp } from '../../pt/address.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import { type BridgeUrl, parseBridgeUrl } from './bridge-url.ts';

/** All there are. */
export const serverOptionNames: readonly string[] = [
  'url',
  'path-check',
  'trusted-fronts',
  'tls-cert',
  'tls-key',
  'site',
];

/** What an operator asks for. */
export interface ServerOptions {
  /** As clients get it. */
  readonly urlText: string;
  readonly url: BridgeUrl;
  readonly checksPath: boolean;
  /** The web servers that may say for whom they connect, besides those on this machine. */
  readonly trustedFronts: ReadonlySet<string>;
  /** Undefined behind a web server. */
  readonly tls: 'self-signed' | { readonly certFile: string; readonly keyFile: string } | undefined;
  /** The folder of the site. */
  readonly site: string | undefined;
}

/** @throws PosternError `ERR_TRANSPORT_ARGUMENT` */
export function parseServerOptions(options: KeyValues): ServerOptions {
  const values = new Map(options);
  const given = (name: string): string | undefined => {
    const value = values.get(name);
    if (value === '') throw fault(`\`${name}\` is empty`);
    return value;
  };
  const urlText = given('url');
  if (urlText === undefined) {
    throw fault(
      '`url` is needed: the address of the web server and the secret path, https://host/path',
    );
  }
  const url = parseBridgeUrl(urlText);
  const site = given('site');
  const check = given('path-check') ?? 'on';
  if (check !== 'on' && check !== 'off') throw fault('`path-check` is neither on nor off');
  return {
    urlText,
    url,
    checksPath: check === 'on',
    trustedFronts: parseAddresses(given('trusted-fronts')),
    tls: parseTls(given('tls-cert'), given('tls-key'), url, site),
    site,
  };
}

function parseTls(
  cert: string | undefined,
  key: string | undefined,
  { isSecure }: BridgeUrl,
  site: string | undefined,
): ServerOptions['tls'] {
  // Behind a web server the site is that one's.
  const isAlone = cert !== undefined || key !== undefined || site !== undefined;
  if (!isAlone) return undefined;
  if (!isSecure) throw fault('`tls-cert` and `site` are for a bridge whose `url` is https');
  if (cert === SELF_SIGNED || (cert === undefined && key === undefined)) {
    if (key !== undefined) throw fault('`tls-key` belongs to the file of `tls-cert`');
    return SELF_SIGNED;
  }
  if (cert === undefined || key === undefined) {
    throw fault('`tls-cert` and `tls-key` are two files, or `tls-cert` is self-signed');
  }
  return { certFile: cert, keyFile: key };
}

const SELF_SIGNED = 'self-signed';

function parseAddresses(text: string | undefined): ReadonlySet<string> {
  const addresses = (text ?? '').split(',').filter((word) => word !== '');
  return new Set(
    addresses.map((word) => {
      const bytes = ipToBytes(word);
      if (bytes === undefined) throw fault('`trusted-fronts` is not a list of IP addresses');
      return bytesToIp(bytes);
    }),
  );
}

function fault(message: string): PosternError {
  return new PosternError('ERR_TRANSPORT_ARGUMENT', `webtunnel: ${message}`);
}
