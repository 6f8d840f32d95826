/** The arguments of a webtunnel client: where to connect, and how to know the web server there. */
import { randomInteger, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Endpoint } from '../../pt/address.ts';
import { parseIpEndpoint } from '../../pt/address.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { ClientTls, Route } from '../contract.ts';
import { type BridgeUrl, isName, parseBridgeUrl } from './bridge-url.ts';

/** All names that lines in circulation hold. */
export const clientArgumentNames: readonly string[] = [
  'url',
  'ver',
  'addr',
  'servername',
  'sni-imitation',
  'cert-domain',
  'utls-authority',
  'cert',
  'utls',
];

/** What a client knows of a bridge. */
export interface ClientArguments {
  readonly url: BridgeUrl;
  /** Draws the ways for one connection. */
  readonly routes: () => readonly Route[];
  /** Whether the line asks for a browser's ClientHello. */
  readonly wantsBrowserHello: boolean;
}

/** @throws PosternError `ERR_TRANSPORT_ARGUMENT` */
export function parseClientArguments(args: KeyValues, rng: Rng): ClientArguments {
  const values = new Map(args);
  const given = (name: string): string | undefined => {
    const value = values.get(name);
    if (value === '') throw fault(`\`${name}\` is empty`);
    return value;
  };
  const urlText = given('url');
  if (urlText === undefined) throw fault('the bridge line has no `url`');
  const url = parseBridgeUrl(urlText);
  const target = parseTarget(given('addr')) ?? { host: url.host, port: url.port };
  const tls = parseTls(given, url);
  const utls = given('utls');
  if (utls !== undefined && !HELLO_NAME.test(utls)) {
    throw fault('`utls` is none of the names of ClientHellos, such as hellofirefox_auto, or none');
  }
  return {
    url,
    routes: () => {
      if (!url.isSecure) return [{ target }];
      const start = randomInteger(rng, 0, tls.length - 1);
      return tls.map((_, index) => ({ target, tls: tls[(start + index) % tls.length]! }));
    },
    wantsBrowserHello: utls !== undefined && utls.toLowerCase() !== 'none',
  };
}

/** TLS under each of the names to try. */
function parseTls(
  given: (name: string) => string | undefined,
  url: BridgeUrl,
): readonly ClientTls[] {
  const imitated = given('sni-imitation');
  const names = (imitated ?? given('servername') ?? url.host).split(',');
  if (names.some((name) => !/^[\x21-\x2b\x2d-\x7e]{1,255}$/.test(name))) {
    throw fault('`servername` holds no name, or one that is empty');
  }
  const pinText = given('cert');
  const pin = pinText === undefined ? undefined : Buffer.from(pinText, 'base64');
  if (pin !== undefined && pin.length !== PIN_BYTES) {
    throw fault('`cert` is not the base64 of 32 bytes');
  }
  const domain = given('cert-domain') ?? given('utls-authority');
  return names.map((name) => {
    // What is imitated has no certificate for us; a name that is really meant has.
    const checkedName = domain ?? (imitated === undefined ? name : url.host);
    return {
      ...(isName(name) && { serverName: name }),
      ...(pin === undefined && checkedName !== '*' && { checkedName }),
      ...(pin !== undefined && { pin }),
    };
  });
}

const PIN_BYTES = 32;

/** `addr`: IP or name, and port. */
function parseTarget(text: string | undefined): Endpoint | undefined {
  if (text === undefined) return undefined;
  const literal = parseIpEndpoint(text);
  const named = /^([a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?):([0-9]{1,5})$/i.exec(text);
  const target = literal ?? (named && { host: named[1]!, port: Number(named[2]) });
  if (!target || target.port < 1 || target.port > 65_535) {
    throw fault('`addr` is not host:port, an IPv6 address in brackets');
  }
  return target;
}

/** The names of uTLS, in the spelling that lines have. */
const HELLO_NAME: RegExp =
  /^(?:none|hello(?:golang|custom|randomized(?:alpn|noalpn)?|(?:firefox|chrome|ios|android|edge|safari|360|qq)_[a-z0-9_]+))$/i;

function fault(message: string): PosternError {
  return new PosternError('ERR_TRANSPORT_ARGUMENT', `webtunnel: ${message}`);
}
