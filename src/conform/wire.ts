/** A socket that is read in steps, each with a deadline. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Endpoint } from '../pt/address.ts';

/** How a wait ended without what was waited for. */
export type Silence = 'closed' | 'reset' | 'silent';

/** One connection. */
export class Wire {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #end: 'closed' | 'reset' | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#end ??= error.code === 'ECONNRESET' ? 'reset' : 'closed';
      this.#wake();
    });
    socket.on('end', () => {
      this.#end ??= 'closed';
      this.#wake();
    });
    socket.on('close', () => {
      this.#end ??= 'closed';
      this.#wake();
    });
  }

  /** All that has come and has not been taken. */
  get received(): Buffer {
    return this.#received;
  }

  write(bytes: Uint8Array | string): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(bytes);
  }

  /** Exactly so many bytes, or why they did not come. */
  async take(length: number, timeoutMs: number): Promise<Buffer | Silence> {
    await this.#until(() => this.#received.length >= length || this.#end !== undefined, timeoutMs);
    if (this.#received.length < length) return this.#end ?? 'silent';
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** Everything up to the first occurrence of a text, that included. */
  async takeThrough(text: string, timeoutMs: number): Promise<Buffer | Silence> {
    await this.#until(() => this.#received.includes(text) || this.#end !== undefined, timeoutMs);
    const at = this.#received.indexOf(text);
    if (at === -1) return this.#end ?? 'silent';
    return (await this.take(at + text.length, 0)) as Buffer;
  }

  /** How it ended, or `silent` when it has not; what comes before that stays in `received`. */
  async ending(timeoutMs: number): Promise<Silence> {
    await this.#until(() => this.#end !== undefined, timeoutMs);
    return this.#end ?? 'silent';
  }

  close(): void {
    this.socket.destroy();
  }

  #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(settle, timeoutMs);
      this.#wake = () => {
        if (condition()) settle();
      };
      this.#wake();
    });
  }
}

/** Connects, from a local address where one is given; `closed` when nobody is there. */
export async function dialWire(
  { host, port }: Endpoint,
  timeoutMs: number,
  localAddress?: string,
): Promise<Wire | Silence> {
  const socket = connect({ host, port, ...(localAddress !== undefined && { localAddress }) });
  socket.setNoDelay(true);
  // Both directions end on their own.
  socket.allowHalfOpen = true;
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.destroy();
      resolve('silent');
    }, timeoutMs);
    const refused = (): void => {
      clearTimeout(timer);
      resolve('closed');
    };
    socket.once('error', refused);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', refused);
      resolve(new Wire(socket));
    });
  });
}

/** A TCP listener on loopback whose connections are taken one by one. */
export class Trap {
  readonly endpoint: Endpoint;
  /** How many connections have come. */
  count = 0;
  readonly #queue: Wire[] = [];
  readonly #all = new Set<Wire>();
  readonly #server: ReturnType<typeof createServer>;
  #wake: () => void = () => {};

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    const { address, port } = server.address() as AddressInfo;
    this.endpoint = { host: address, port };
    server.on('connection', (socket) => {
      const wire = new Wire(socket.setNoDelay(true));
      this.count += 1;
      this.#queue.push(wire);
      this.#all.add(wire);
      this.#wake();
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
    const { host, port } = this.endpoint;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  /** The next connection; undefined when none comes in time. */
  async accept(timeoutMs: number): Promise<Wire | undefined> {
    if (this.#queue.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = () => {};
    }
    return this.#queue.shift();
  }

  /** The connection on which a text arrives, whichever it is and whenever it came. */
  async find(text: string, timeoutMs: number): Promise<Wire | undefined> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = [...this.#all].find((wire) => wire.received.includes(text));
      if (found !== undefined || Date.now() > deadline) return found;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  close(): void {
    this.#server.close();
    for (const wire of this.#all) wire.close();
  }
}

const LOOK_EVERY_MS = 10;
