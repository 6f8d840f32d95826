/** A socket that is read in steps, each with a deadline. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { type Endpoint, formatEndpoint } from 'postern/pt';
import { News, type Time, waitFor } from './patience.ts';

/** How a wait ended without what was waited for. */
export type Silence = 'closed' | 'reset' | 'silent';

/** One connection. */
export class Wire {
  readonly socket: Socket;
  /** Hears of everything that comes. */
  readonly news: News = new News();
  /** The first byte that came, whether it has been taken or not. */
  first: number | undefined;
  /** How it ended, if it has; what came before that stays in `received`. */
  end: 'closed' | 'reset' | undefined;
  #received = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.first ??= chunk[0];
      this.#received = Buffer.concat([this.#received, chunk]);
      this.news.tell();
    });
    const ended = (how: 'closed' | 'reset'): void => {
      this.end ??= how;
      this.news.tell();
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      ended(error.code === 'ECONNRESET' ? 'reset' : 'closed');
    });
    socket.on('end', () => ended('closed'));
    socket.on('close', () => ended('closed'));
  }

  /** All that has come and has not been taken. */
  get received(): Buffer {
    return this.#received;
  }

  write(bytes: Uint8Array | string): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes);
  }

  /** Exactly so many bytes, or why they did not come. */
  async take(length: number, time: Time): Promise<Buffer | Silence> {
    await this.#until(() => this.#received.length >= length, time);
    return this.#received.length < length ? (this.end ?? 'silent') : this.takeNow(length);
  }

  /** So many bytes of those that have come. */
  takeNow(length: number): Buffer {
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** Everything up to the first occurrence of a text, that included. */
  async takeThrough(text: string, time: Time): Promise<Buffer | Silence> {
    await this.#until(() => this.#received.includes(text), time);
    const at = this.#received.indexOf(text);
    return at === -1 ? (this.end ?? 'silent') : this.takeNow(at + text.length);
  }

  /** Waits for its end; `silent` when it does not come. */
  async ending(time: Time): Promise<Silence> {
    await this.#until(() => false, time);
    return this.end ?? 'silent';
  }

  close(): void {
    this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** From now on all that comes here, and has come, goes to the other wire, and the other way round. */
  join(other: Wire, onChunk: (chunk: Buffer) => void = () => {}): void {
    const ways = [
      [this, other, onChunk],
      [other, this, () => {}],
    ] as const;
    for (const [from, to, hear] of ways) {
      from.socket.removeAllListeners('data');
      const pass = (chunk: Buffer): void => {
        hear(chunk);
        to.socket.write(chunk);
      };
      if (from.received.length > 0) pass(from.received);
      from.socket.on('data', pass).on('close', () => to.socket.destroy());
    }
  }

  /** Closes it so that neither end remembers it: no TIME_WAIT. For those who make very many. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Waits for a condition, or for the end. */
  async #until(condition: () => boolean, time: Time): Promise<void> {
    await waitFor(() => condition() || this.end !== undefined, [this.news], time);
  }
}

/** Where somebody listens. */
export type Address = Endpoint | { readonly socketPath: string };

/** Connects, from a local address where one is given; `closed` when nobody is there. */
export async function dialWire(
  address: Address,
  time: Time,
  localAddress?: string,
): Promise<Wire | Silence> {
  const target = 'socketPath' in address ? { path: address.socketPath } : address;
  const socket = connect({ ...target, ...(localAddress !== undefined && { localAddress }) });
  socket.setNoDelay(true);
  // Both directions end on their own.
  socket.allowHalfOpen = true;
  const news = new News();
  let outcome: 'connected' | 'closed' | undefined;
  const settle = (how: 'connected' | 'closed'): void => {
    outcome ??= how;
    news.tell();
  };
  const refused = (): void => settle('closed');
  socket.once('error', refused).once('connect', () => settle('connected'));
  try {
    await waitFor(() => outcome !== undefined, [news], time);
  } finally {
    if (outcome === undefined) socket.destroy();
  }
  if (outcome !== 'connected') return outcome ?? 'silent';
  const wire = new Wire(socket);
  socket.off('error', refused);
  return wire;
}

/** A TCP listener on loopback whose connections are taken one by one. */
export class Trap {
  readonly endpoint: Endpoint;
  /** Hears of connections, and of everything that comes on them. */
  readonly news: News = new News();
  /** Every connection that has come, in order. */
  readonly wires: Wire[] = [];
  readonly #queue: Wire[] = [];
  #serve: ((wire: Wire) => void) | undefined;
  readonly #server: ReturnType<typeof createServer>;

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.endpoint = { host: address, port };
    server.on('connection', (socket) => {
      const wire = new Wire(socket.setNoDelay(true));
      wire.news.listen(() => this.news.tell());
      this.wires.push(wire);
      if (this.#serve === undefined) this.#queue.push(wire);
      else this.#serve(wire);
      this.news.tell();
    });
  }

  static async open(host = '127.0.0.1'): Promise<Trap> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(0, host, resolve);
    });
    return new Trap(server);
  }

  /** `127.0.0.1:4711` */
  get address(): string {
    return formatEndpoint(this.endpoint);
  }

  /** How many connections have come. */
  get count(): number {
    return this.wires.length;
  }

  /** The next connection; undefined when none comes in time. */
  async accept(time: Time): Promise<Wire | undefined> {
    await waitFor(() => this.#queue.length > 0, [this.news], time);
    return this.#queue.shift();
  }

  /** Has every connection that waits or comes served, until what is returned is disposed of. */
  serveAll(serve: (wire: Wire) => void): Disposable {
    this.#queue.splice(0).forEach(serve);
    this.#serve = serve;
    return { [Symbol.dispose]: () => (this.#serve = undefined) };
  }

  /** The connection on which a text arrives, whichever it is and whenever it came. */
  async find(text: string, time: Time): Promise<Wire | undefined> {
    const found = (): Wire | undefined => this.wires.find((wire) => wire.received.includes(text));
    await waitFor(() => found() !== undefined, [this.news], time);
    return found();
  }

  /** Idempotent. */
  close(): void {
    this.#server.close();
    for (const wire of this.wires) wire.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A loopback address that no other program uses: who connects there was told to, and its ports disturb nobody.
 * Only Linux has more than one by default.
 */
export function ownLoopbackAddress(): string {
  if (process.platform !== 'linux') return '127.0.0.1';
  const part = (): number => 1 + Math.floor(Math.random() * 254);
  return `127.${part()}.${part()}.${part()}`;
}
