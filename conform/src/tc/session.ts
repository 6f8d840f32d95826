/** One connection to the server under test, with all that came on it. */
import type { Findings } from '../findings.ts';
import { type Time, waitFor } from '../patience.ts';
import { type Address, dialWire, type Silence, type Wire } from '../wire.ts';
import { codeOf, describeFrame, encode, type Frame, Type } from './frames.ts';

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
  /** How long the server may take for anything that it has to do. */
  readonly time: Time;
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
  readonly #wire: Wire;
  readonly #options: SessionOptions;
  readonly #outstanding: Frame[] = [];
  readonly #replies: Frame[] = [];
  #wanted: readonly number[] = [];

  private constructor(wire: Wire, options: SessionOptions) {
    this.#wire = wire;
    this.#options = options;
    wire.news.listen(() => this.#receive());
  }

  /** Connects; undefined when nobody is there. */
  static async open(address: Address, options: SessionOptions): Promise<Session | undefined> {
    const wire = await dialWire(address, options.time);
    return typeof wire === 'string' ? undefined : new Session(wire, options);
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
      this.#wire.write(Buffer.of(octet));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Sends what is no whole request. @param request which it is the first part of, if all of it comes */
  sendBytes(bytes: Uint8Array, request?: Frame): void {
    if (request !== undefined) this.#outstanding.push(request);
    this.#wire.write(bytes);
  }

  /** Ends our direction. */
  end(): void {
    this.#wire.socket.end();
  }

  /** Reads nothing any more, so that what the server sends queues up there. */
  pause(): void {
    this.#wire.socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#wire.socket.resume();
  }

  /** The next frame that is no EVENT. */
  async take(): Promise<Frame | Silence> {
    await this.until(() => this.#replies.length > 0);
    return this.#replies.shift() ?? this.#wire.end ?? 'silent';
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

  /** How many events of a kind have come. */
  count(code: number): number {
    return this.events.filter((event) => codeOf(event) === code).length;
  }

  /** How the connection ended; `silent` when it has not. */
  ending(time: Time = this.#options.time): Promise<Silence> {
    return this.#wire.ending(time);
  }

  /** Waits until something holds that can change with what comes, or for the end. @throws the signal's reason */
  async until(holds: () => boolean): Promise<void> {
    const { news } = this.#wire;
    await waitFor(() => holds() || this.#wire.end !== undefined, [news], this.#options.time);
  }

  close(): void {
    this.#wire.close();
  }

  #receive(): void {
    for (;;) {
      const { received } = this.#wire;
      const length = received.length < 4 ? undefined : 4 + received.readUInt16BE(0);
      if (length === undefined || received.length < length) return;
      const bytes = Buffer.from(this.#wire.takeNow(length));
      this.octets += length;
      this.#take({ type: bytes.readUInt16BE(2), body: bytes.subarray(4) });
    }
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
}
