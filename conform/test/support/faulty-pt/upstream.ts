/** How the faulty PT reaches a target: on its own, or through the proxy of TOR_PT_PROXY. */
import { isIP, type Socket } from 'node:net';
import { has } from './fault.ts';
import { dial, Gone, Reader } from './sockets.ts';

export interface Upstream {
  readonly type: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

export function parseUpstream(uri: string): Upstream | undefined {
  const pattern = has('lenient-proxy')
    ? /^(\w+):\/\/(?:([^:@]*)(?::([^@]*))?@)?(\[[^\]]*\]|[^:/?#]*):?(\d*)/
    : /^(\w+):\/\/(?:([^:@]*)(?::([^@]*))?@)?(\[[^\]]*\]|[^:/?#]*):(\d+)$/;
  const match = pattern.exec(uri);
  if (match === null) return undefined;
  const [, scheme = '', username = '', password = '', address = '', port = ''] = match;
  const host = address.replace(/^\[|\]$/g, '');
  const type = has('case-of-scheme') ? scheme : scheme.toLowerCase();
  const isType = ['socks5', 'socks4a', 'http'].includes(type) || has('any-proxy');
  const isAddress = isIP(host) !== 0 && Number(port) > 0 && Number(port) < 65_536;
  if (!isType || (!isAddress && !has('lenient-proxy') && !has('any-proxy'))) return undefined;
  const unescape = has('raw-credentials') ? (text: string) => text : decodeURIComponent;
  return {
    type,
    host,
    port: Number(port),
    username: unescape(username),
    password: unescape(password),
  };
}

export async function dialTarget(
  target: { host: string; port: number },
  upstream: Upstream | undefined,
): Promise<Socket> {
  const isDirect = upstream === undefined || has('bypasses-proxy');
  const socket = await dial(isDirect ? target : { host: upstream.host, port: upstream.port });
  if (isDirect) return socket;
  const reader = new Reader(socket);
  // Breaks off when the proxy does: what is in the way is no way.
  try {
    await askUpstream(reader, target, upstream);
  } catch (error) {
    if (!has('falls-back')) throw error;
    return dial(target);
  }
  socket.unshift(reader.release());
  return socket;
}

async function askUpstream(
  reader: Reader,
  target: { host: string; port: number },
  { type, username, password }: Upstream,
): Promise<void> {
  const { socket } = reader;
  const host = has('resolves-names') && isIP(target.host) === 0 ? '127.0.0.1' : target.host;
  const port = Buffer.of(target.port >> 8, target.port & 0xff);
  const octets = isIP(host) === 4 ? Buffer.from(host.split('.').map(Number)) : undefined;
  const name = Buffer.from(host);
  if (type === 'socks5') {
    socket.write(Buffer.of(5, 1, username === '' ? 0 : 2));
    const [, method] = await reader.take(2);
    if (method === 2) {
      const fields = [Buffer.from(username), Buffer.from(password)];
      const sized = fields.map((field) => Buffer.concat([Buffer.of(field.length), field]));
      socket.write(Buffer.concat([Buffer.of(1), ...sized]));
      await reader.take(2);
    } else if (method !== 0) throw new Gone();
    const address =
      octets === undefined
        ? Buffer.concat([Buffer.of(3, name.length), name])
        : Buffer.concat([Buffer.of(1), octets]);
    socket.write(Buffer.concat([Buffer.of(5, 1, 0), address, port]));
    const [, code] = await reader.take(10);
    if (code !== 0) throw new Gone();
  } else if (type === 'socks4a') {
    const address = octets ?? Buffer.of(0, 0, 0, 1);
    const behind = octets === undefined ? Buffer.concat([name, Buffer.of(0)]) : Buffer.alloc(0);
    socket.write(Buffer.concat([Buffer.of(4, 1), port, address, Buffer.of(0), behind]));
    const [, code] = await reader.take(8);
    if (code !== 0x5a) throw new Gone();
  } else {
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    const authorization = username === '' ? '' : `Proxy-Authorization: Basic ${basic}\r\n`;
    socket.write(`CONNECT ${host}:${target.port} HTTP/1.1\r\n${authorization}\r\n`);
    const head = await reader.through('\r\n\r\n');
    if (!/^HTTP\/1\.\d 200/.test(head)) throw new Gone();
  }
}
