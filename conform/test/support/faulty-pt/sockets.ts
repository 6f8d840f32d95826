/** The connections of the faulty PT: one made, one taken, one read by the byte. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A reader that waits for so many bytes. */
export class Reader {
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

/** The other end left or broke the protocol. */
export class Gone extends Error {}

export function dial(target: { host: string; port: number }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...target, allowHalfOpen: true });
    socket.once('connect', () => resolve(socket)).once('error', reject);
  });
}

export function listen(
  host: string,
  port: number,
  serve: (socket: Socket) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, serve);
    server
      .once('error', reject)
      .listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
