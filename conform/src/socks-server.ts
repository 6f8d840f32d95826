/** What a SOCKS client says, read where the kit plays the server. */
import { bytesToIp, type Endpoint } from 'postern/pt';
import type { Time } from './patience.ts';
import type { Wire } from './wire.ts';

/** A username and a password; a USERID of SOCKS4 is a username. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** What a client asks for. */
export interface Asked extends Credentials {
  readonly target: Endpoint;
}

/** A request of SOCKS4 or SOCKS4a; undefined when it is none, or does not come. */
export async function readSocks4(wire: Wire, time: Time): Promise<Asked | undefined> {
  const head = await wire.take(8, time);
  if (typeof head === 'string' || head[0] !== 4 || head[1] !== 1) return undefined;
  const address = head.subarray(4);
  const username = await takeText(wire, time);
  const isName = address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
  const host = isName ? await takeText(wire, time) : bytesToIp(address);
  if (username === undefined || host === undefined) return undefined;
  return { target: { host, port: head.readUInt16BE(2) }, username, password: '' };
}

/** A text that ends with NUL. */
async function takeText(wire: Wire, time: Time): Promise<string | undefined> {
  const bytes = await wire.takeThrough('\0', time);
  return typeof bytes === 'string' ? undefined : bytes.toString('latin1').slice(0, -1);
}

/** The methods in a greeting of SOCKS5 (RFC 1928); undefined when it is none, or does not come. */
export async function readMethods(wire: Wire, time: Time): Promise<Buffer | undefined> {
  const [version, count] = (await take(wire, 2, time)) ?? [];
  return version === 5 ? take(wire, count!, time) : undefined;
}

/** Username and password (RFC 1929): `01 ULEN UNAME PLEN PASSWD`. */
export async function readCredentials(wire: Wire, time: Time): Promise<Credentials | undefined> {
  const [version, length] = (await take(wire, 2, time)) ?? [];
  if (version !== 1) return undefined;
  const username = await take(wire, length!, time);
  const [passwordLength] = (await take(wire, 1, time)) ?? [];
  if (username === undefined || passwordLength === undefined) return undefined;
  const password = await take(wire, passwordLength, time);
  if (password === undefined) return undefined;
  return { username: username.toString('latin1'), password: password.toString('latin1') };
}

/** A whole conversation of SOCKS5, up to the request. */
export async function readSocks5(wire: Wire, time: Time): Promise<Asked | undefined> {
  const methods = await readMethods(wire, time);
  if (methods === undefined) return undefined;
  const isAsked = methods.includes(2);
  wire.write(Buffer.of(5, isAsked ? 2 : 0));
  const credentials = isAsked ? await readCredentials(wire, time) : { username: '', password: '' };
  if (credentials === undefined) return undefined;
  if (isAsked) wire.write(Buffer.of(1, 0));
  const [, command, , type] = (await take(wire, 4, time)) ?? [];
  if (command !== 1) return undefined;
  const [length] = type === 1 ? [4] : type === 4 ? [16] : ((await take(wire, 1, time)) ?? []);
  const address = length === undefined ? undefined : await take(wire, length, time);
  const port = await take(wire, 2, time);
  if (address === undefined || port === undefined) return undefined;
  const host = type === 3 ? address.toString('latin1') : bytesToIp(address);
  return { target: { host, port: port.readUInt16BE() }, ...credentials };
}

async function take(wire: Wire, length: number, time: Time): Promise<Buffer | undefined> {
  const bytes = await wire.take(length, time);
  return typeof bytes === 'string' ? undefined : bytes;
}
