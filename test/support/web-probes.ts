/** What one sends a web server to find out what it is, and what comes back. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { Endpoint } from '../../src/pt/address.ts';
import { dial } from './sockets.ts';

/** One probe. */
export interface WebProbe {
  readonly name: string;
  readonly bytes: string | Buffer;
  /** Sent on the bare connection, without TLS. */
  readonly isBare?: true;
  /** Whether a request follows whose answer shows that the connection was kept. */
  readonly isFollowed?: true;
}

/** What an answer came to: everything until the connection ended, its dates taken out. */
export interface WebProbeAnswer {
  readonly text: string;
  readonly end: 'end' | 'reset';
}

const request = (line: string, ...fields: readonly string[]): string =>
  [line, ...fields, '', ''].join('\r\n');
const get = (path: string, ...fields: readonly string[]): string =>
  request(`GET ${path} HTTP/1.1`, 'Host: bridge.example', ...fields);
const probe = (name: string, bytes: string): WebProbe => ({ name, bytes, isFollowed: true });

/** The request at the end of most probes. */
const FOLLOWING: string = get('/not-there-either', 'Connection: close');

/**
 * Probes of a site with the files index.html, style.css, sub/index.html and empty/.
 *
 * @param secret the path of the bridge
 */
export function webProbes(secret: string): readonly WebProbe[] {
  return [
    probe('the page', get('/')),
    probe('HEAD', request('HEAD / HTTP/1.1', 'Host: bridge.example')),
    probe('another type', get('/style.css')),
    probe('a folder without its slash', get('/sub')),
    probe('a folder under another name', get('/sub').replace('bridge.example', 'Other.Example')),
    probe('a folder', get('/sub/?a=b')),
    probe('a folder without a page', get('/empty/')),
    probe('what is not there', get('/nothing')),
    probe(
      'what is not there, as a browser',
      get('/nothing', 'User-Agent: Mozilla/5.0 Chrome/130.0'),
    ),
    probe('the secret path', get(secret)),
    probe('the secret path with HEAD', request(`HEAD ${secret} HTTP/1.1`, 'Host: bridge.example')),
    probe('the secret path with half an upgrade', get(secret, 'Upgrade: websocket')),
    probe('an upgrade elsewhere', get('/nothing', 'Connection: upgrade', 'Upgrade: websocket')),
    probe('an upgrade to h2c', get(secret, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c')),
    probe('detours', get('/sub//../%73tyle.css')),
    probe('out of the site', get('/../../etc/passwd')),
    probe('encoded, out of the site', get('/%2e%2e/%2e%2e/etc/passwd')),
    probe('a wrong escape', get('/%zz')),
    probe('a range', get('/style.css', 'Range: bytes=2-5')),
    probe('two ranges', get('/style.css', 'Range: bytes=0-1,4-5')),
    probe('a range behind the end', get('/style.css', 'Range: bytes=900-')),
    probe('an old copy', get('/style.css', 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT')),
    probe('a wrong tag', get('/style.css', 'If-Match: "nothing"')),
    probe('POST', get('/style.css').replace('GET', 'POST')),
    probe(
      'POST with a body',
      `${request('POST / HTTP/1.1', 'Host: bridge.example', 'Content-Length: 5')}hello`,
    ),
    probe(
      'POST with chunks',
      `${request('POST /nothing HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    ),
    probe('too long a body', get('/', 'Content-Length: 9999999')),
    probe('another method', get('/').replace('GET', 'PROPFIND')),
    probe('no method', get('/').replace('GET', 'get')),
    probe('no host', request('GET / HTTP/1.1')),
    probe('two hosts', get('/', 'Host: other.example')),
    probe('an encoding that nobody knows', get('/', 'Transfer-Encoding: zip')),
    probe('HTTP/1.0', request('GET / HTTP/1.0')),
    probe('HTTP/1.0, kept', request('GET / HTTP/1.0', 'Connection: keep-alive')),
    { name: 'HTTP/0.9', bytes: 'GET /style.css\r\n' },
    probe('HTTP/3.0', request('GET / HTTP/3.0', 'Host: bridge.example')),
    { name: 'HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
    { name: 'a long line', bytes: get(`/${'a'.repeat(9000)}`) },
    { name: 'a long field', bytes: get('/', `Cookie: ${'a'.repeat(9000)}`) },
    { name: 'many fields', bytes: get('/', ...Array<string>(40).fill(`X: ${'a'.repeat(1000)}`)) },
    { name: 'no request', bytes: Buffer.from([0x16, 0x03, 0x01, 0, 0, 0, 1]) },
    { name: 'SSH', bytes: 'SSH-2.0-OpenSSH_9.2\r\n' },
    { name: 'HTTP without TLS', bytes: get('/'), isBare: true },
    { name: 'something else without TLS', bytes: 'EHLO bridge.example\r\n', isBare: true },
    { name: 'TLS that is none', bytes: Buffer.from('160301000568656c6c6f', 'hex'), isBare: true },
    { name: 'a record of alerts', bytes: Buffer.from('15030300020100', 'hex'), isBare: true },
  ];
}

/** Sends a probe, and gathers what comes until the connection ends. */
export async function sendProbe(
  server: Endpoint,
  { bytes, isBare, isFollowed }: WebProbe,
): Promise<WebProbeAnswer> {
  const stream = isBare ? await dial(server) : await openTls(server);
  const chunks: Buffer[] = [];
  let end: WebProbeAnswer['end'] = 'end';
  stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
  stream.on('error', () => (end = 'reset'));
  stream.write(isFollowed ? Buffer.concat([Buffer.from(bytes), Buffer.from(FOLLOWING)]) : bytes);
  stream.once('end', () => stream.end());
  if (!stream.closed) await once(stream, 'close').catch(() => {});
  return { text: normalize(Buffer.concat(chunks).toString('latin1')), end };
}

/** A TLS connection, whatever its certificate. */
async function openTls(server: Endpoint, options: ConnectionOptions = {}): Promise<Duplex> {
  const socket = connectTls({
    ...server,
    servername: 'bridge.example',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: false,
    ...options,
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** What comes of TLS that a client offers so. */
export async function offerTls(server: Endpoint, options: ConnectionOptions): Promise<string> {
  const socket = connectTls({ ...server, rejectUnauthorized: false, ...options });
  try {
    await once(socket, 'secureConnect');
    const { name } = socket.getCipher();
    return `${String(socket.getProtocol())} ${name} ${String(socket.alpnProtocol)}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
  }
}

/** Offers that servers take or refuse in ways of their own. */
export const tlsOffers: Readonly<Record<string, ConnectionOptions>> = {
  'a browser’s': { servername: 'bridge.example', ALPNProtocols: ['http/1.1'] },
  'no name, no ALPN': {},
  'another name': { servername: 'other.example' },
  'h2 and http/1.1': { ALPNProtocols: ['h2', 'http/1.1'] },
  'h2 alone': { ALPNProtocols: ['h2'] },
  'TLS 1.2': { maxVersion: 'TLSv1.2' },
  'TLS 1.1': { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
  'TLS 1.2, the client’s order of ciphers': {
    maxVersion: 'TLSv1.2',
    ciphers: 'ECDHE-RSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256',
  },
  'TLS 1.2 with CBC': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-SHA384' },
  'TLS 1.2 without forward secrecy': { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
};

function normalize(text: string): string {
  return text.replace(/^Date: .*/gm, 'Date: …').replace(/\b0{10}\d{10}\b/g, '(boundary)');
}
