/** One connection to the server under test, with all that came on it. */
import { connect, type Socket } from 'node:net';
import type { Endpoint } from 'postern/pt';
import type { Findings } from '../findings.ts';
import { News, waitFor } from '../patience.ts';
import type { Silence } from '../wire.ts';
import { codeOf, describeFrame, encode, type Frame, Type } from './frames.ts';

/** Where a server listens. */
export type TcAddress = Endpoint | { readonly socketPath: string };

/** A frame that came, and what it came for. */
export interface Received {
  readonly frame: Frame;
  /** The request that it answers; undefined for an EVENT, and for what nobody asked for. */
  readonly request: Frame | undefined;
  /** The event codes that were asked for at this point. */
  readonly wanted: readonly number[];
}

/** What came of one request. */
export interface Answer {
  /** In order, without EVENTs; more than one where the server said more than one thing. */
  readonly frames: readonly Frame[];
  /** Why no more came; undefined when the connection could still be used. */
  readonly silence?: Silence;
}

/** An answer that a request must have. */
export interface Expected {
  readonly text: string;
  readonly isMet: (answer: Answer) => boolean;
}

/** How an answer reads in evidence. */
export function describeAnswer({ frames, silence }: Answer): string {
  const parts = frames.map(describeFrame);
  if (silence === 'silent') parts.push(frames.length === 0 ? 'nothing' : 'then nothing more');
  else if (silence !== undefined) parts.push('the connection closed');
  return parts.join(', ');
}

/** What a session needs. */
export interface SessionOptions {
  readonly patienceMs: number;
  /** Makes every wait fail with its reason. */
  readonly signal: AbortSignal;
  /** What `expect` adds to. */
  readonly findings: Findings;
}

export class Session {
  /** Everything that came. */
  readonly log: Received[] = [];
  /** How many octets came. */
  octets = 0;
  /** A request with a unique answer: when that comes, all answers before it have come. */
  fence: { readonly request: Frame; isAnswer(frame: Frame): boolean } | undefined;
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #outstanding: Frame[] = [];
  readonly #replies: Frame[] = [];
  readonly #news = new News();
  #bytes: Buffer = Buffer.alloc(0);
  #wanted: readonly number[] = [];
  #end: 'closed' | 'reset' | undefined;

  private constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#ended(error.code === 'ECONNRESET' || error.code === 'EPIPE' ? 'reset' : 'closed');
    });
    socket.on('end', () => this.#ended('closed'));
    socket.on('close', () => this.#ended('closed'));
  }

  /** Connects; undefined when nobody is there. */
  static async open(address: TcAddress, options: SessionOptions): Promise<Session | undefined> {
    options.signal.throwIfAborted();
    const target = 'socketPath' in address ? { path: address.socketPath } : address;
    const socket = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const isOpen = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), options.patienceMs);
      const settle = (open: boolean): void => {
        clearTimeout(timer);
        resolve(open);
      };
      socket.once('connect', () => settle(true)).once('error', () => settle(false));
    });
    if (isOpen) return new Session(socket, options);
    socket.destroy();
    return undefined;
  }

  /** The EVENTs so far, in order. */
  get events(): readonly Frame[] {
    return this.log.map(({ frame }) => frame).filter(({ type }) => type === Type.event);
  }

  /** Sends requests in one write. */
  send(...requests: readonly Frame[]): void {
    this.#outstanding.push(...requests);
    this.sendBytes(Buffer.concat(requests.map(encode)));
  }

  /** Asks, and judges by the answer. */
  async expect(clauses: string, request: Frame, expected: Expected, when = ''): Promise<Answer> {
    const answer = await this.ask(request);
    const sent = `${describeFrame(request)}${when === '' ? '' : `, ${when}`}`;
    const judge = this.#options.findings.on(sent, describeAnswer(answer));
    judge(clauses, expected.isMet(answer), expected.text);
    return answer;
  }

  /** Sends a request octet by octet. */
  async sendSlowly(request: Frame): Promise<void> {
    this.#outstanding.push(request);
    for (const octet of encode(request)) {
      await new Promise<void>((resolve) => {
        if (this.#socket.writable)
          this.#socket.write(Buffer.of(octet), () => setImmediate(resolve));
        else resolve();
      });
    }
  }

  /** Sends what is no whole request. @param request which it is the first part of, if all of it comes */
  sendBytes(bytes: Uint8Array, request?: Frame): void {
    if (request !== undefined) this.#outstanding.push(request);
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Ends our direction. */
  end(): void {
    this.#socket.end();
  }

  /** Reads nothing any more, so that what the server sends queues up there. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  /** The next frame that is no EVENT. */
  async take(): Promise<Frame | Silence> {
    await this.until(() => this.#replies.length > 0 || this.#end !== undefined);
    return this.#replies.shift() ?? this.#end ?? 'silent';
  }

  /** Sends a request and waits for its answer, and for what follows it wrongly. */
  async ask(request: Frame): Promise<Answer> {
    this.send(request);
    const first = await this.take();
    if (typeof first === 'string') return { frames: [], silence: first };
    const frames = [first];
    if (this.fence === undefined) return { frames };
    this.send(this.fence.request);
    for (;;) {
      const next = await this.take();
      if (typeof next === 'string') return { frames, silence: next };
      if (this.fence.isAnswer(next)) return { frames };
      frames.push(next);
    }
  }

  /** Waits for so many events of a kind, those from before included. @returns whether they came */
  async untilEvents(code: number, count: number): Promise<boolean> {
    const hasThem = (): boolean => this.count(code) >= count;
    await this.until(() => hasThem() || this.#end !== undefined);
    return hasThem();
  }

  /** How many events of a kind have come. */
  count(code: number): number {
    return this.events.filter((event) => codeOf(event) === code).length;
  }

  /** How the connection ended; `silent` when it has not. */
  async ending(patienceMs?: number): Promise<Silence> {
    await this.until(() => this.#end !== undefined, patienceMs);
    return this.#end ?? 'silent';
  }

  /** Waits until something holds that can change with what comes. @throws the signal's reason */
  async until(holds: () => boolean, patienceMs: number = this.#options.patienceMs): Promise<void> {
    const { signal } = this.#options;
    await waitFor(holds, [this.#news], { leastMs: patienceMs, signal, more: async () => 0 });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.octets += chunk.length;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const length = this.#bytes.length < 4 ? undefined : 4 + this.#bytes.readUInt16BE(0);
      if (length === undefined || this.#bytes.length < length) break;
      const type = this.#bytes.readUInt16BE(2);
      this.#take({ type, body: Buffer.from(this.#bytes.subarray(4, length)) });
      this.#bytes = this.#bytes.subarray(length);
    }
    this.#news.tell();
  }

  #take(frame: Frame): void {
    if (frame.type === Type.event) {
      this.log.push({ frame, request: undefined, wanted: this.#wanted });
      return;
    }
    const request = this.#outstanding[0];
    const isPart = request?.type === Type.getAllMappings && frame.type === Type.addressMapped;
    if (!isPart) this.#outstanding.shift();
    if (request?.type === Type.setEvents && frame.type === Type.done) {
      const { body } = request;
      this.#wanted = Array.from({ length: body.length / 2 }, (_, at) => body.readUInt16BE(2 * at));
    }
    this.log.push({ frame, request, wanted: this.#wanted });
    this.#replies.push(frame);
  }

  #ended(how: 'closed' | 'reset'): void {
    this.#end ??= how;
    this.#news.tell();
  }
}
