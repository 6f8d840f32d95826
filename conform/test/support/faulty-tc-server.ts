/**
 * A TC server on loopback that keeps every clause, or breaks the ones that its fault is about. It shares no code
 * with ours, nor with the kit that examines it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Endpoint, bytesToIp, ipToBytes } from 'postern/pt';
import {
  FaultyLogs,
  FaultyMappings,
  FaultyNetwork,
  FaultyOptions,
  type Has,
  Refusal,
  type Tell,
} from './faulty-tc-engine.ts';

/** Who is let in, and what the server is; `unwritable`: its torrc cannot be written. */
export type TcVariant = 'trusting' | 'cookie' | 'passphrase' | 'socket' | 'relay' | 'unwritable';

/** A running server. */
export interface FaultyTcServer {
  readonly address: Endpoint | { readonly socketPath: string };
  readonly socks: Endpoint;
  readonly secret:
    | { readonly kind: 'cookie'; readonly bytes: Buffer; readonly path: string }
    | { readonly kind: 'passphrase'; readonly bytes: Buffer }
    | undefined;
  /** The body of the CONFVALUE for keys, as it is now. */
  readonly getConf: (keys: string) => string;
  /** How many mappings there are. */
  readonly mappings: () => number;
  readonly close: () => void;
}

/** Starts one with a fault, or without (`none`). */
export async function startFaultyTcServer(
  fault: string,
  variant: TcVariant = 'trusting',
): Promise<FaultyTcServer> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-faulty-tc-'));
  const server = new TcServer(fault, variant, folder);
  try {
    return await server.start();
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}

const PASSPHRASE = 'open sesame';

/** How often the bandwidth is reported: a server that lives faster lets tests end sooner. */
const TICK_MS = 10;

class TcServer {
  readonly has: Has;
  readonly #variant: TcVariant;
  readonly #folder: string;
  readonly #connections = new Set<Connection>();
  readonly #server: Server;
  readonly #cookie = randomBytes(32);
  readonly options: FaultyOptions;
  readonly mappings: FaultyMappings;
  readonly logs: FaultyLogs;
  network!: FaultyNetwork;
  isAnyoneIn = false;
  #ticker: NodeJS.Timeout | undefined;
  #end: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(fault: string, variant: TcVariant, folder: string) {
    this.#variant = variant;
    this.#folder = folder;
    const has: Has = (name) => name === fault;
    this.has = has;
    this.logs = new FaultyLogs(has, folder);
    this.options = new FaultyOptions(has, variant === 'relay' ? 1 : 30, {
      Log: this.logs.paths.map((path) => `notice file ${path}`),
      ORPort: [variant === 'relay' ? '9001' : '0'],
      ...(variant === 'passphrase' && {
        HashedControlPassword: [has('shows-passphrase') ? PASSPHRASE : '16:0123456789ABCDEF'],
      }),
    });
    this.mappings = new FaultyMappings(has, this.options);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = new Connection(this, socket.setNoDelay(true));
      this.#connections.add(connection);
      socket.on('close', () => this.#connections.delete(connection));
    });
  }

  get isOpenToAll(): boolean {
    return this.#variant === 'socket' || this.has('open-door');
  }

  get isWritable(): boolean {
    return this.#variant !== 'unwritable';
  }

  get isRelay(): boolean {
    return this.#variant === 'relay';
  }

  async start(): Promise<FaultyTcServer> {
    const tell: Tell = (code, ...parts) => this.tell(code, ...parts);
    this.network = await FaultyNetwork.open(this.has, this.mappings, tell);
    const socketPath = join(this.#folder, 'control');
    const host = this.has('listens-everywhere') ? '0.0.0.0' : '127.0.0.1';
    const isSocket = this.#variant === 'socket';
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(isSocket ? { path: socketPath } : { host, port: 0 }, resolve);
    });
    if (isSocket) chmodSync(socketPath, this.has('open-socket') ? 0o666 : 0o600);
    chmodSync(this.#folder, this.has('open-socket') ? 0o755 : 0o700);
    const cookiePath = join(this.#folder, 'cookie');
    writeFileSync(cookiePath, this.#cookie, { mode: 0o600 });
    if (this.has('readable-cookie')) chmodSync(cookiePath, 0o644);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    const secrets = {
      cookie: { kind: 'cookie', bytes: this.#cookie, path: cookiePath },
      passphrase: { kind: 'passphrase', bytes: Buffer.from(PASSPHRASE) },
    } as const;
    return {
      address: isSocket
        ? { socketPath }
        : { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port },
      socks: this.network.endpoint,
      secret: this.#variant in secrets ? secrets[this.#variant as keyof typeof secrets] : undefined,
      getConf: (keys) => this.options.getConf(keys),
      mappings: () => this.mappings.list(undefined).length,
      close: () => {
        this.close();
        rmSync(this.#folder, { recursive: true, force: true });
      },
    };
  }

  isAuthentic(secret: Buffer): boolean {
    if (this.#variant === 'trusting' || this.#variant === 'relay' || !this.isWritable) {
      return secret.length === 0 || this.has('any-secret');
    }
    const right = this.#variant === 'cookie' ? this.#cookie : Buffer.from(PASSPHRASE);
    const shown = this.has('prefix-secret') ? secret.subarray(0, right.length) : secret;
    const isWhole = shown.length === right.length;
    if (this.has('ignores-one-bit') && isWhole) shown.set([right.at(-1)!], right.length - 1);
    return shown.equals(right);
  }

  /** Tells an event to whoever asked for it. */
  tell(...[code, ...parts]: Parameters<Tell>): void {
    if (this.has('no-events')) return;
    const bytes = parts.map((part) =>
      typeof part === 'number' ? Buffer.of(part) : Buffer.from(part),
    );
    const frame = frameOf(6, Buffer.concat([Buffer.of(0, code), ...bytes]));
    for (const connection of this.#connections) connection.tell(code, frame);
  }

  log(message: string): void {
    this.tell(5, `${message}${this.has('log-without-nul') ? '' : '\0'}`);
  }

  /** Sends a reply, to whom it belongs. */
  reply(connection: Connection, bytes: Buffer): void {
    const newest = [...this.#connections].at(-1)!;
    (this.has('crosses-replies') ? newest : connection).write(bytes);
  }

  /** @returns the reply, if any */
  signal(code: number): Buffer | undefined {
    switch (code) {
      case 0x01:
        this.options.reload();
        this.logs.isDebug = false;
        return this.has('silent-reload') ? undefined : DONE;
      case 0x02:
        if (this.has('ignores-shutdown')) return DONE;
        if (!this.isRelay || this.has('relay-ends-at-once')) {
          this.close();
          return undefined;
        }
        if (!this.has('relay-keeps-listening')) this.network.close(true);
        if (!this.has('relay-stays')) {
          this.#end = setTimeout(() => this.close(), this.options.waitSeconds * 1000);
        }
        return DONE;
      case 0x10:
        if (this.has('no-dump')) throw new Refusal(6, 'there is no such signal');
        this.log('no connections, no circuits');
        return DONE;
      case 0x12:
        if (this.has('no-debug')) throw new Refusal(6, 'there is no such signal');
        this.logs.isDebug = true;
        return DONE;
      case 0x15:
        if (this.has('ignores-halt')) return DONE;
        this.close();
        return undefined;
      default:
        if (this.has('any-signal')) return DONE;
        throw new Refusal(6, 'there is no such signal');
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#end);
    this.#server.close();
    this.network.close();
    for (const connection of this.#connections) connection.end();
  }

  #tick(): void {
    const counts = Buffer.alloc(this.has('short-bandwidth') ? 4 : 8);
    const bytes = this.network.takeCount();
    if (counts.length === 8) {
      counts.writeUInt32BE(bytes, 0);
      counts.writeUInt32BE(bytes, 4);
    }
    this.tell(4, counts);
    if (this.has('event-7')) this.tell(7, 'something new');
  }
}

/** One controller's connection. */
class Connection {
  readonly #server: TcServer;
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #isOpen: boolean;
  #events: readonly number[] = [];
  #told = 0;

  constructor(server: TcServer, socket: Socket) {
    this.#server = server;
    this.#socket = socket;
    this.#isOpen = server.isOpenToAll;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => {
      if (server.has('acts-on-fragments') && this.#bytes.length > 4) {
        this.#handle(this.#bytes.readUInt16BE(2), this.#bytes.subarray(4));
      }
      socket.end();
    });
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
    const most = this.#server.has('hoards') ? Infinity : 16 * 1024 * 1024;
    if (this.#socket.writableLength >= most) this.#socket.destroy();
  }

  end(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }

  tell(code: number, frame: Buffer): void {
    const { has } = this.#server;
    const isWanted =
      this.#events.includes(code) ||
      has('events-for-all') ||
      (this.#events.length > 0 && (code === 7 || (code === 4 && has('sends-bandwidth-always'))));
    if (!isWanted || !this.#isOpen) return;
    this.#told += 1;
    if (has('one-event') && this.#told > 1) return;
    this.write(frame);
  }

  #receive(chunk: Buffer): void {
    const { has } = this.#server;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const length = this.#bytes.length < 4 ? Infinity : 4 + this.#bytes.readUInt16BE(0);
      if (this.#bytes.length < length) {
        if (has('whole-chunks')) this.#bytes = Buffer.alloc(0);
        return;
      }
      const body = Buffer.from(this.#bytes.subarray(4, length));
      this.#handle(this.#bytes.readUInt16BE(2), body);
      this.#bytes = has('one-frame-per-chunk') ? Buffer.alloc(0) : this.#bytes.subarray(length);
    }
  }

  #handle(type: number, body: Buffer): void {
    const { has } = this.#server;
    this.#server.logs.debug();
    let reply: Buffer | undefined;
    try {
      reply = this.#perform(type, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      reply = this.#refuse(error, type);
    }
    if (reply === undefined) return;
    if (has('out-of-order') && type === 3) setImmediate(() => this.write(reply));
    else this.#server.reply(this, reply);
  }

  #refuse({ code, message }: Refusal, type: number): Buffer {
    const { has } = this.#server;
    const isByteCode = code === 6 && has('byte-code-is-syntax');
    const isSyntax = code === 3 && has('syntax-is-code');
    const isOwn = code === 4 && has('own-codes');
    const shown = isByteCode ? 3 : isSyntax ? 6 : isOwn ? 0x0101 : code;
    const text = has('no-text') ? '' : `${message}${has('nul-text') ? '\0' : ''}`;
    const head = Buffer.alloc(2);
    head.writeUInt16BE(shown);
    if (has('no-code') && code === 2) return frameOf(0, head.subarray(1));
    const frame = frameOf(0, Buffer.concat([head, Buffer.from(text)]));
    return has('error-then-done') && type !== 7 ? Buffer.concat([frame, DONE]) : frame;
  }

  #perform(type: number, body: Buffer): Buffer | undefined {
    const { has } = this.#server;
    if (type === 7) return this.#authenticate(body);
    const isIn =
      this.#isOpen ||
      (has('half-open') && type !== 3) ||
      (has('one-for-all') && this.#server.isAnyoneIn);
    if (!isIn) throw new Refusal(7, 'authenticate first');
    if (has('small-bodies') && body.length > 0x7fff) throw new Refusal(9, 'too long');
    const done = has('done-with-body') ? frameOf(1, Buffer.from('done')) : DONE;
    switch (type) {
      case 2:
        this.#server.options.setConf(body.toString());
        if (has('setconf-shows')) return frameOf(4, body);
        return has('two-dones') ? Buffer.concat([done, done]) : done;
      case 3: {
        const text = Buffer.from(this.#server.options.getConf(body.toString()));
        if (text.length <= 65_535) return frameOf(4, text);
        if (has('cuts-replies')) return frameOf(4, text.subarray(0, 65_535));
        throw new Refusal(9, 'the values are too long for one message');
      }
      case 5:
        this.#setEvents(body);
        return done;
      case 8:
        if (!this.#server.isWritable) {
          throw new Refusal(
            has('unwritable-is-unspecified') ? 0 : 1,
            'the torrc cannot be written',
          );
        }
        if (has('saveconf-needs-no-body') && body.length > 0) throw new Refusal(3, 'a body');
        this.#server.options.save();
        return done;
      case 9:
        if (body.length !== 1 && !(has('long-signal') && body.length > 1)) {
          throw new Refusal(3, 'one octet is needed');
        }
        return this.#server.signal(body[0]!);
      case 10:
        return this.#map(body);
      case 12: {
        if (has('mappings-without-body') && body.length > 0) throw new Refusal(3, 'a body');
        const frames = this.#server.mappings.list(this).map((pair) => this.#mapped(...pair));
        return Buffer.concat([...frames, done]);
      }
      default:
        if (has('takes-server-types') && type < 12) return done;
        if (has('takes-mapped') && type === 11) return done;
        throw new Refusal(has('unknown-is-syntax') ? 3 : 2, 'there is no such type');
    }
  }

  #authenticate(body: Buffer): Buffer {
    const { has } = this.#server;
    if (this.#server.isAuthentic(body)) {
      this.#isOpen = true;
      this.#server.isAnyoneIn = true;
      return DONE;
    }
    if (has('locks-after-failure')) this.#isOpen = false;
    throw new Refusal(has('wrong-is-unauthorized') ? 7 : 8, 'that is not it');
  }

  #setEvents(body: Buffer): void {
    const { has } = this.#server;
    if (body.length % 2 === 1 && !has('odd-is-fine')) {
      if (has('forgets-on-error')) this.#events = [];
      throw new Refusal(3, 'each code has two octets');
    }
    const codes = Array.from({ length: body.length >> 1 }, (_, at) => body.readUInt16BE(2 * at));
    const known = codes.filter((code) => code >= 1 && code <= 5);
    if (known.length < codes.length && !has('any-event')) {
      if (has('forgets-on-error')) this.#events = [];
      if (has('applies-known')) this.#events = known;
      throw new Refusal(6, 'there is no such event');
    }
    if (has('empty-is-nothing') && codes.length === 0) return;
    this.#events = has('adds-events') && codes.length > 0 ? [...this.#events, ...codes] : codes;
  }

  #map(body: Buffer): Buffer {
    const { has } = this.#server;
    const first = readAddress(body, has('short-addresses'));
    const second = readAddress(first.rest, has('short-addresses'));
    if (second.rest.length > 0 && !has('trailing-is-fine')) throw new Refusal(3, 'more octets');
    const [from, to] = this.#server.mappings.map(first.host, second.host, this);
    if (has('breaks-streams')) this.#server.network.breakStreams();
    if (has('answers-asked')) return this.#mapped(first.host, second.host);
    const frame = has('swaps-addresses') ? this.#mapped(to, from) : this.#mapped(from, to);
    return has('map-done') ? Buffer.concat([frame, DONE]) : frame;
  }

  #mapped(from: string, to: string): Buffer {
    const { has } = this.#server;
    const write = (host: string): Buffer => {
      const bytes = ipToBytes(host);
      if (bytes === undefined)
        return Buffer.from(`\x03${host}${has('names-without-nul') ? '' : '\0'}`);
      if (bytes.length === 4 && has('reversed-ipv4')) bytes.reverse();
      if (bytes.length === 16 && has('reversed-ipv6')) bytes.reverse();
      return Buffer.concat([Buffer.of(bytes.length === 4 ? 1 : 2), bytes]);
    };
    return frameOf(has('echoes-type') ? 10 : 11, Buffer.concat([write(from), write(to)]));
  }
}

function frameOf(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(body.length, 0);
  head.writeUInt16BE(type, 2);
  return Buffer.concat([head, body]);
}

const DONE = frameOf(1, Buffer.alloc(0));

/** @param isLenient takes addresses that are too short */
function readAddress(
  body: Buffer,
  isLenient: boolean,
): { readonly host: string; readonly rest: Buffer } {
  const [type] = body;
  if (type === 3) {
    const nul = body.indexOf(0, 1);
    const end = nul === -1 && isLenient ? body.length : nul;
    if (end < (isLenient ? 1 : 2)) throw new Refusal(3, 'a name ends with NUL');
    return { host: body.toString('latin1', 1, end), rest: body.subarray(end + 1) };
  }
  const length = type === 1 ? 4 : type === 2 ? 16 : undefined;
  if (length === undefined || (body.length <= length && !isLenient)) {
    throw new Refusal(3, 'an address has a type and as many octets as belong to it');
  }
  const bytes = Buffer.concat([body.subarray(1, 1 + length), Buffer.alloc(length)]);
  return { host: bytesToIp(bytes.subarray(0, length)), rest: body.subarray(1 + length) };
}
