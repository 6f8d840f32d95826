/**
 * A small PT program that keeps the specification, or breaks it in one way.
 *
 * `faultyPt(fault)` is its command. The transports `xora` and `xorb` exclusive-or each byte with a key of
 * their ARGS, behind a hello that shows that the client knows the key; nothing is hidden from anybody. It
 * shares no code with src, so that a mistake there is not one here.
 */
import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { connect, createServer, isIP, type AddressInfo, type Socket } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

/** The sides that it can be reduced to. A client alone has transports that need no arguments. */
export type Side = 'client' | 'server';

/** The command of a PT with one fault, or with none. */
export function faultyPt(fault = 'none', side?: Side): readonly [string, ...string[]] {
  return [execPath, fileURLToPath(import.meta.url), fault, ...(side === undefined ? [] : [side])];
}

/** The transports that it has. */
export const faultyPtTransports = ['xora', 'xorb'] as const;

const [, , fault, side] = argv;
/** Whether it is to go wrong in this way. */
const has = (name: string): boolean => fault === name;

const HELLO = Buffer.from('XOR1');
const OKAY = Buffer.from('OK');

// Lines

function say(line: string): void {
  const end = has('crlf') ? '\r\n' : '\n';
  const text = has('leading-space') ? ` ${line}` : has('trailing-space') ? `${line} ` : line;
  writeSync(1, `${text}${end}`, null, has('non-ascii') ? 'utf8' : 'latin1');
}

/** The last word of a start that failed; the process then ends unless it is to stay. */
function refuse(keyword: 'VERSION-ERROR' | 'ENV-ERROR' | 'PROXY-ERROR', text: string): never {
  const stays = has(`stays-after-${keyword.toLowerCase()}`);
  const message = has('vague') ? 'no' : has('non-ascii') ? `${text} \u00e9` : text;
  if (has('no-message')) writeSync(1, `${keyword}\n`);
  else if (has('no-newline')) writeSync(1, `${keyword} ${message}`);
  else say(`${keyword} ${message}`);
  if (has('error-then-done')) say('CMETHODS DONE');
  if (stays) {
    setInterval(() => {}, 60_000);
    throw new Stay();
  }
  process.exit(1);
}

class Stay extends Error {}

function envError(variable: string, why: string): never {
  refuse('ENV-ERROR', `${variable} ${why}`);
}

// The workflow

function start(): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

function run(): void {
  process.on('uncaughtException', (error) => writeSync(2, `${error.stack}\n`));
  // From the first moment on.
  if (has('ignores-everything')) process.on('SIGTERM', () => {});
  else if (!has('default-sigterm'))
    process.on('SIGTERM', () => process.exit(has('dirty-exit') ? 1 : 0));
  if (has('method-before-version')) say('CMETHOD xora socks5 127.0.0.1:9');
  if (has('environment-first')) checkState();
  negotiate();
  if (has('writes-home')) writeFileSync(join(homedir(), 'log'), 'x');
  if (has('writes-temporary')) writeFileSync(join(tmpdir(), 'log'), 'x');
  if (has('strict-environment')) {
    for (const name of Object.keys(env)) {
      if (/^TOR_PT_NOT/.test(name)) envError(name, 'is not known');
    }
  }
  if (!has('environment-first')) checkState();
  const client = side === 'server' ? undefined : env['TOR_PT_CLIENT_TRANSPORTS'];
  const server = side === 'client' ? undefined : env['TOR_PT_SERVER_TRANSPORTS'];
  const isAskedTwice =
    env['TOR_PT_CLIENT_TRANSPORTS'] !== undefined && env['TOR_PT_SERVER_TRANSPORTS'] !== undefined;
  if (isAskedTwice && !has('both-roles')) {
    envError('TOR_PT_CLIENT_TRANSPORTS', 'and TOR_PT_SERVER_TRANSPORTS are both set');
  }
  if (client === undefined && server === undefined) {
    if (has('silent-without-role')) process.exit(1);
    envError('TOR_PT_CLIENT_TRANSPORTS', 'and TOR_PT_SERVER_TRANSPORTS are both missing');
  }
  watchForTheEnd();
  if (client !== undefined) void runClient(parseNames('TOR_PT_CLIENT_TRANSPORTS', client));
  else void runServer(parseNames('TOR_PT_SERVER_TRANSPORTS', server!));
}

function negotiate(): void {
  const list = env['TOR_PT_MANAGED_TRANSPORT_VER'];
  if (list === undefined && !has('version-unasked')) {
    envError('TOR_PT_MANAGED_TRANSPORT_VER', 'is missing');
  }
  const versions = (list ?? '1').split(',');
  if (has('fussy-list') && list!.includes('_')) refuse('VERSION-ERROR', 'no-version');
  const isKnown = has('first-version-only')
    ? versions[0] === '1'
    : has('version-prefix')
      ? versions.some((version) => version.startsWith('1') || version === '+1' || version === '01')
      : has('any-version') || versions.includes('1');
  if (!isKnown) {
    refuse('VERSION-ERROR', has('other-version-text') ? 'sorry' : 'no-version');
  }
  if (has('no-version-line')) return;
  say(has('version-two') ? 'VERSION 2' : 'VERSION 1');
  if (has('version-twice')) say('VERSION 1');
  if (has('keyword-colon')) say('NOTE: hello');
  if (has('blank-line')) say('');
  if (has('exclamation')) say('!hello');
}

function checkState(): void {
  const location = env['TOR_PT_STATE_LOCATION'];
  if (has('lenient-state')) return;
  if (location === undefined || !isAbsolute(location)) {
    envError('TOR_PT_STATE_LOCATION', 'is no absolute path');
  }
  if (has('needs-state') && !existsSync(location)) envError('TOR_PT_STATE_LOCATION', 'is missing');
  if (has('no-trailing-slash') && location.endsWith('/')) {
    envError('TOR_PT_STATE_LOCATION', 'ends in a slash');
  }
}

function parseNames(variable: string, text: string): string[] {
  const names = text.split(',');
  if (names.includes('') && !has('lenient-list')) envError(variable, 'has an empty name');
  for (const name of names) {
    const isName = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.includes('\n');
    if (!isName && !has('lenient-names') && !has('lenient-list')) {
      envError(variable, 'has an ill-formed name');
    }
    if (has('short-names') && name.length > 255) envError(variable, 'has a long name');
  }
  return [...new Set(names)];
}

function watchForTheEnd(): void {
  const isAsked = env['TOR_PT_EXIT_ON_STDIN_CLOSE'] === '1';
  const code = has('dirty-exit') ? 1 : 0;
  const heeds =
    has('heeds-stdin-always') || (isAsked && !has('ignores-stdin') && !has('ignores-everything'));
  if (has('leaves-on-bytes')) process.stdin.once('data', () => process.exit(0));
  if (heeds) process.stdin.once('end', () => process.exit(code)).resume();
  if (!has('orphan') && !has('ignores-everything')) {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) process.exit(0);
    }, 100);
  } else {
    setInterval(() => {}, 60_000);
  }
}

// State

function stateFile(name: string): string {
  const folder = env['TOR_PT_STATE_LOCATION']!;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (has('open-state')) chmodSync(folder, 0o755);
  return join(folder, name);
}

function note(text: string, place: 'stderr' | 'file'): void {
  if (place === 'stderr') writeSync(2, `${text}\n`);
  else writeFileSync(stateFile('log'), text, { flag: 'a' });
}

// The upstream proxy

interface Upstream {
  readonly type: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

function parseUpstream(uri: string): Upstream | undefined {
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

// The client

async function runClient(names: readonly string[]): Promise<void> {
  const uri = env['TOR_PT_PROXY'];
  let upstream: Upstream | undefined;
  const settle = (): void => {
    if (uri === undefined) {
      if (has('unasked-proxy-done')) say('PROXY DONE');
      return;
    }
    upstream = parseUpstream(uri);
    if (upstream === undefined) {
      refuse('PROXY-ERROR', has('leaks-password') ? `cannot use ${uri}` : 'cannot be used');
    }
    if (has('no-proxy-done')) return;
    say(has('proxy-word') ? 'PROXY OKAY' : 'PROXY DONE');
    if (has('proxy-done-twice')) say('PROXY DONE');
  };
  try {
    if (!has('proxy-last')) settle();
    await announceClients(names, () => upstream);
    if (has('proxy-last')) settle();
    finish('CMETHOD');
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

async function announceClients(
  names: readonly string[],
  upstream: () => Upstream | undefined,
): Promise<void> {
  const known = faultyPtTransports.filter(
    (name) => names.includes(name) || has('unasked-transports'),
  );
  for (const name of names) {
    const isKnown = (known as readonly string[]).includes(name);
    if (!isKnown && has('names-unknown')) say(`CMETHOD-ERROR ${name} unknown`);
    if (!isKnown && has('bare-method-error')) say(`CMETHOD-ERROR ${name}`);
    if (!isKnown && has('gives-up-at-unknown')) process.exit(1);
  }
  for (const name of known) {
    if (has('forgets-a-method') && name === 'xorb' && names.length === 1) continue;
    const host = has('everywhere') ? '0.0.0.0' : '127.0.0.1';
    const port = await listen(host, 0, (socket) => serveSocks(socket, upstream));
    if (has('extra-listener')) await listen('127.0.0.1', 0, () => {});
    const protocol = has('socks4') ? 'socks4' : has('socks6') ? 'socks6' : 'socks5';
    const address = has('names-host')
      ? `localhost:${port}`
      : has('port-zero')
        ? '127.0.0.1:0'
        : `127.0.0.1:${port}`;
    if (has('ill-named')) say(`CMETHOD 9-${name} ${protocol} ${address}`);
    say(`CMETHOD ${name} ${protocol} ${address}${has('extra-argument') ? ' more' : ''}`);
    if (has('method-twice')) say(`CMETHOD ${name} ${protocol} ${address}`);
  }
  if (known.length === 0 && has('no-done-without-methods')) throw new Stay();
}

function finish(kind: 'CMETHOD' | 'SMETHOD'): void {
  if (has('no-done')) return;
  say(`${kind}S DONE`);
  if (has('done-twice')) say(`${kind}S DONE`);
  if (has('method-after-done'))
    say(`${kind} xorz ${kind === 'CMETHOD' ? 'socks5 ' : ''}127.0.0.1:9`);
  if (has('env-error-after-done')) say('ENV-ERROR too late');
  if (has('dies-after-done')) process.exit(1);
}

/** A reader that waits for so many bytes. */
class Reader {
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', this.#onData).on('error', () => {});
    socket.on('end', this.#onEnd).on('close', this.#onEnd);
  }

  async take(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#ended) throw new Gone();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const bytes = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return bytes;
  }

  async through(text: string): Promise<string> {
    let taken = '';
    while (!taken.endsWith(text)) taken += (await this.take(1)).toString('latin1');
    return taken.slice(0, -text.length);
  }

  /** Gives the socket back, with what has come. */
  release(): Buffer {
    this.socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd);
    return this.#bytes;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#wake();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake();
  };
}

class Gone extends Error {}

function serveSocks(socket: Socket, upstream: () => Upstream | undefined): void {
  answerSocks(socket, upstream).catch((error: unknown) => {
    if (has('logs-targets')) note(String(error), 'stderr');
    if (!has('hangs-on-failure')) socket.destroy();
  });
}

async function answerSocks(socket: Socket, upstream: () => Upstream | undefined): Promise<void> {
  const reader = new Reader(socket);
  const [version] = await reader.take(1);
  let text = '';
  let target: { host: string; port: number };
  let answer: (isGood: boolean) => void;
  if (version === 4) {
    const head = await reader.take(7);
    text = await reader.through('\0');
    target = { host: [...head.subarray(3)].join('.'), port: head.readUInt16BE(1) };
    answer = (isGood) => void socket.write(Buffer.of(0, isGood ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0));
  } else if (version === 5) {
    const [count] = await reader.take(1);
    const methods = await reader.take(count!);
    const withPassword = methods.includes(2) && !has('ignores-arguments');
    socket.write(Buffer.of(5, withPassword ? 2 : 0));
    if (withPassword) {
      const [, length] = await reader.take(2);
      const username = await reader.take(length!);
      const password = await reader.take((await reader.take(1))[0]!);
      const isAlone = password.length === 1 && password[0] === 0;
      text = String(
        isAlone || has('username-only') ? username : Buffer.concat([username, password]),
      );
      const args = parseArguments(text);
      socket.write(Buffer.of(1, args === undefined ? 1 : 0));
      if (args === undefined) throw new Gone();
    }
    const [, , , type] = await reader.take(4);
    const length = type === 1 ? 4 : type === 4 ? 16 : (await reader.take(1))[0]!;
    const address = await reader.take(length);
    const host = type === 3 ? String(address) : [...address].join('.');
    target = { host, port: (await reader.take(2)).readUInt16BE() };
    answer = (isGood) => void socket.write(Buffer.of(5, isGood ? 0 : 1, 0, 1, 0, 0, 0, 0, 0, 0));
  } else {
    if (has('hangs-on-version')) return;
    throw new Gone();
  }
  if (has('logs-arguments')) note(`arguments ${text}`, 'stderr');
  if (has('logs-targets')) note(`target ${target.host}`, 'stderr');
  const args = parseArguments(text);
  const needsNoKey = has('ignores-arguments') || (side === 'client' && args !== undefined);
  const key = needsNoKey ? 1 : keyOf(args);
  if (key === undefined) {
    answer(false);
    socket.end();
    return;
  }
  if (has('looks-up-names') && isIP(target.host) === 0) await lookUp(target.host);
  try {
    const wire = await dialTarget(target, upstream());
    wire.write(mask(HELLO, key));
    const far = new Reader(wire);
    const okay = await far.take(OKAY.length);
    if (!mask(okay, key).equals(OKAY)) throw new Gone();
    answer(true);
    join2(reader, far, key);
  } catch (error) {
    answer(false);
    socket.end();
    throw error;
  }
}

/** `key=value;key=value`, with backslash escapes; undefined when it is not that. */
function parseArguments(text: string): Map<string, string> | undefined {
  const args = new Map<string, string>();
  if (text === '') return args;
  for (const pair of text.match(/(?:\\[\s\S]?|[^;\\])+/g) ?? []) {
    const match = /^((?:\\[\s\S]|[^\\=])+)=((?:\\[\s\S]|[^\\])*)$/.exec(pair);
    if (match === null) {
      if (has('lenient-arguments')) continue;
      return undefined;
    }
    args.set(unescapeBackslashes(match[1]!), unescapeBackslashes(match[2]!));
  }
  return args;
}

function unescapeBackslashes(text: string): string {
  return text.replace(/\\([\s\S])/g, '$1');
}

function keyOf(args: ReadonlyMap<string, string> | undefined): number | undefined {
  const key = /^key-(\d+)$/.exec(args?.get('key') ?? '')?.[1];
  return key === undefined ? undefined : Number(key) & 0xff;
}

function mask(bytes: Buffer, key: number): Buffer {
  return has('plain-wire') ? bytes : Buffer.from(bytes.map((byte) => byte ^ key));
}

/** Asks a name server, though nobody needs to know. */
function lookUp(host: string): Promise<void> {
  const socket = createSocket('udp4').on('error', () => {});
  socket.connect(53, '127.0.0.1', () => {
    const labels = host
      .split('.')
      .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
    const head = Buffer.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0);
    socket.send(Buffer.concat([head, ...labels, Buffer.of(0, 0, 1, 0, 1)]));
  });
  return new Promise((resolve) => {
    // As long as a name server may take; the one here is nobody.
    setTimeout(() => {
      socket.close();
      resolve();
    }, 300);
  });
}

async function dialTarget(
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

// The server

async function runServer(names: readonly string[]): Promise<void> {
  try {
    const bind = parseBind(names);
    const options = parseOptions();
    const forward = parseForward();
    if (has('server-proxy-line')) say('PROXY DONE');
    const known = faultyPtTransports.filter(
      (name) => names.includes(name) || has('unasked-transports'),
    );
    for (const name of names) {
      const isKnown = (known as readonly string[]).includes(name);
      if (!isKnown && has('names-unknown')) say(`SMETHOD-ERROR ${name} unknown`);
      if (!isKnown && has('gives-up-at-unknown')) process.exit(1);
    }
    for (const name of known) {
      if (has('forgets-a-method') && name === 'xorb' && names.length === 1) continue;
      await announceServer(name, bind.get(name), options.get(name) ?? new Map(), forward);
    }
    if (known.length === 0 && has('no-done-without-methods')) throw new Stay();
    finish('SMETHOD');
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

type Bind = { readonly host: string; readonly port: number };

function parseAddress(text: string): Bind | undefined {
  const match = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(text);
  if (match === null || isIP(match[1]!) === 0 || Number(match[2]) > 65_535) return undefined;
  return { host: match[1]!, port: Number(match[2]) };
}

function parseBind(names: readonly string[]): Map<string, Bind> {
  const bind = new Map<string, Bind>();
  const text = env['TOR_PT_SERVER_BINDADDR'];
  if (text === undefined) {
    if (has('needs-bind')) envError('TOR_PT_SERVER_BINDADDR', 'is missing');
    return bind;
  }
  for (const item of text.split(',')) {
    const dash = item.indexOf('-');
    const name = item.slice(0, dash);
    const address = parseAddress(item.slice(dash + 1));
    if (dash === -1 || address === undefined || !names.includes(name) || bind.has(name)) {
      if (has('lenient-bind')) continue;
      envError('TOR_PT_SERVER_BINDADDR', 'is malformed');
    }
    bind.set(name, address);
  }
  return bind;
}

function parseOptions(): Map<string, Map<string, string>> {
  const all = new Map<string, Map<string, string>>();
  const text = env['TOR_PT_SERVER_TRANSPORT_OPTIONS'];
  if (text === undefined || has('ignores-options')) return all;
  const raw = has('raw-options') ? (piece: string) => piece : unescapeBackslashes;
  for (const item of text.match(/(?:\\[\s\S]?|[^;\\])+/g) ?? []) {
    const match = /^([A-Za-z_]\w*):((?:\\[\s\S]|[^\\:=])+)=((?:\\[\s\S]|[^\\:])*)$/.exec(item);
    if (match === null) {
      if (has('lenient-options')) continue;
      envError('TOR_PT_SERVER_TRANSPORT_OPTIONS', 'is malformed');
    }
    const [, name = '', key = '', value = ''] = match;
    const own = all.get(name) ?? new Map<string, string>();
    own.set(raw(key), raw(value));
    all.set(name, own);
    if (has('one-option')) break;
  }
  return all;
}

/** Where payload goes; undefined when nobody said. */
function parseForward(): { readonly address: Bind; readonly cookieFile?: string } | undefined {
  const extended = env['TOR_PT_EXTENDED_SERVER_PORT'] ?? '';
  const orPort = env['TOR_PT_ORPORT'];
  const cookieFile = env['TOR_PT_AUTH_COOKIE_FILE'];
  const plain = orPort === undefined ? undefined : parseAddress(orPort);
  if (orPort !== undefined && plain === undefined && !has('lenient-orport')) {
    envError('TOR_PT_ORPORT', 'is malformed');
  }
  if (orPort === undefined && extended === '' && has('needs-orport')) {
    envError('TOR_PT_ORPORT', 'is missing');
  }
  if (extended !== '' && !has('ignores-extended')) {
    const address = parseAddress(extended);
    if (address === undefined && !has('lenient-extended')) {
      envError('TOR_PT_EXTENDED_SERVER_PORT', 'is malformed');
    }
    if (cookieFile === undefined && !has('no-cookie-needed')) {
      if (has('vague-cookie')) refuse('ENV-ERROR', 'something is missing');
      envError('TOR_PT_AUTH_COOKIE_FILE', 'is missing for TOR_PT_EXTENDED_SERVER_PORT');
    }
    if (cookieFile !== undefined && !isAbsolute(cookieFile) && !has('lenient-cookie')) {
      envError('TOR_PT_AUTH_COOKIE_FILE', 'is no absolute path');
    }
    if (address !== undefined && cookieFile !== undefined) return { address, cookieFile };
  }
  return plain === undefined ? undefined : { address: plain };
}

async function announceServer(
  name: string,
  bind: Bind | undefined,
  options: ReadonlyMap<string, string>,
  forward: ReturnType<typeof parseForward>,
): Promise<void> {
  let key = options.get('key');
  try {
    const file = stateFile(`${name}.key`);
    const stored =
      existsSync(file) && !has('forgets-state') ? readFileSync(file, 'utf8') : undefined;
    // Long enough to be recognised where it does not belong.
    key ??= stored ?? `key-${randomInt(1_000_000, 9_999_999) * 256 + randomInt(1, 255)}`;
    writeFileSync(file, key);
  } catch {
    if (has('silent-without-state')) process.exit(1);
    say(`SMETHOD-ERROR ${name} cannot keep state`);
    return;
  }
  const number = keyOf(new Map([['key', key]])) ?? 1;
  const { host, port } =
    has('own-port') || bind === undefined ? { host: '127.0.0.1', port: 0 } : bind;
  let real: number;
  try {
    real = await listen(host, port, (socket) => serveClient(socket, name, number, forward));
  } catch {
    if (has('moves-when-taken')) {
      real = await listen(host, 0, () => {});
    } else {
      if (has('silent-when-taken')) return;
      if (has('gives-up-when-taken')) {
        say(`SMETHOD-ERROR ${name} address in use`);
        throw new Stay();
      }
      say(`SMETHOD-ERROR ${name}${has('bare-method-error') ? '' : ' address in use'}`);
      return;
    }
  }
  if (has('extra-listener')) await listen('127.0.0.1', 0, () => {});
  const reported = has('names-host')
    ? `localhost:${real}`
    : has('port-zero')
      ? `${host}:0`
      : `${host}:${real}`;
  const args = has('empty-args')
    ? 'ARGS:'
    : has('unescaped-args')
      ? `ARGS:key=${key},note=a=b`
      : `ARGS:key=${key},note=a\\=b`;
  const space = has('two-spaces') ? '  ' : ' ';
  say(`SMETHOD ${name} ${reported}${space}${args}`);
  if (has('method-twice')) say(`SMETHOD ${name} ${reported} ${args}`);
}

function serveClient(
  socket: Socket,
  name: string,
  key: number,
  forward: ReturnType<typeof parseForward>,
): void {
  if (has('logs-clients')) note(`client ${socket.remoteAddress}`, 'file');
  if (has('prints-clients')) note(`client ${socket.remoteAddress}`, 'stderr');
  greetClient(socket, name, key, forward).catch(() => socket.destroy());
}

async function greetClient(
  socket: Socket,
  name: string,
  key: number,
  forward: ReturnType<typeof parseForward>,
): Promise<void> {
  const reader = new Reader(socket);
  const hello = await reader.take(HELLO.length);
  const isClient = mask(hello, key).equals(HELLO);
  if (!isClient && !has('forwards-strangers')) throw new Gone();
  socket.write(mask(OKAY, key));
  if (forward === undefined) throw new Gone();
  const inner = await dial(forward.address);
  const far = new Reader(inner);
  if (forward.cookieFile !== undefined) {
    await greetParent(far, forward.cookieFile, name, socket);
  } else if (has('orport-banner')) inner.write('HELLO ');
  if (!isClient) inner.write(hello);
  join2(far, reader, key);
}

/** The Extended ORPort, the client's side. */
async function greetParent(
  reader: Reader,
  file: string,
  name: string,
  from: Socket,
): Promise<void> {
  const { socket } = reader;
  if (has('skips-authentication')) return;
  const cookie = readFileSync(file).subarray(-32);
  const types: number[] = [];
  for (;;) {
    const [type] = await reader.take(1);
    if (type === 0) break;
    types.push(type!);
  }
  if (!types.includes(1) && has('any-auth-type')) return;
  if (!types.includes(1)) throw new Gone();
  const nonce = randomBytes(32);
  socket.write(Buffer.concat([Buffer.of(1), nonce]));
  const hash = await reader.take(32);
  const serverNonce = await reader.take(32);
  const hashOf = (label: string): Buffer =>
    createHmac('sha256', cookie)
      .update(`ExtORPort authentication ${label} hash`)
      .update(nonce)
      .update(serverNonce)
      .digest();
  if (!hash.equals(hashOf('server-to-client')) && !has('trusts-anyone')) throw new Gone();
  socket.write(hashOf('client-to-server'));
  const [status] = await reader.take(1);
  if (status !== 1) throw new Gone();
  const message = (command: number, body: string): Buffer =>
    Buffer.concat([Buffer.of(0, command, 0, body.length), Buffer.from(body)]);
  const address = `${from.remoteAddress}:${from.remotePort}`;
  if (!has('no-metadata')) socket.write(Buffer.concat([message(1, address), message(2, name)]));
  socket.write(message(0, ''));
  if (has('hasty')) socket.write('hasty');
  const answer = await reader.take(4);
  if (answer.readUInt16BE() !== 0x1000 && !has('ignores-deny')) throw new Gone();
  if (answer.readUInt16BE() !== 0x1000) socket.write('denied');
}

// Bytes

/** `plain` in clear, `masked` on the wire. */
function join2(plain: Reader, masked: Reader, key: number): void {
  pipe(plain.release(), plain.socket, masked.socket, key);
  pipe(masked.release(), masked.socket, plain.socket, key);
}

function pipe(first: Buffer, from: Socket, to: Socket, key: number): void {
  // At one of the two ends: twice would be none.
  let isCorrupted = !has('corrupts') || env['TOR_PT_CLIENT_TRANSPORTS'] === undefined;
  const send = (bytes: Buffer): void => {
    const out = Buffer.from(mask(bytes, key));
    if (!isCorrupted && out.length > 100) {
      out[50] = out[50]! ^ 1;
      isCorrupted = true;
    }
    to.write(out);
  };
  if (first.length > 0) send(first);
  from.on('data', send);
  from.on('end', () => {
    if (has('keeps-ends')) return;
    if (has('closes-both-ends')) {
      to.destroy();
      from.destroy();
    } else to.end();
  });
  from.on('close', () => {
    if (!has('keeps-ends') && !to.writableEnded) to.destroy();
  });
  to.on('close', () => from.destroy());
}

function dial(target: { host: string; port: number }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });
}

function listen(host: string, port: number, serve: (socket: Socket) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, serve);
    server
      .once('error', reject)
      .listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) start();
