import type { Duplex } from 'node:stream';
import { limits } from '../../limits.ts';
import { isAuthentic, type ControlSecrets } from '../authentication.ts';
import { encodeEvent } from '../encode.ts';
import type { ControlEngine, EngineEvent } from '../engine.ts';
import type { EventKind } from '../messages.ts';
import { performRequest } from '../requests.ts';
import {
  createControlServerMachine,
  type ControlServerAction,
  type ControlServerMachine,
  type EngineRequest,
} from '../server.ts';
import { totals } from '../../tallies.ts';
import { unawaited } from '../../unawaited.ts';
import { Backlog } from '../../net/backlog.ts';

/** What a control server stands in front of. */
export interface ControlServerOptions {
  readonly engine: ControlEngine;
  /** What opens a connection, asked at each AUTHENTICATE: a change holds for the next attempt. */
  readonly secrets: () => ControlSecrets;
  /** Takes a line for the log, without secrets and addresses. */
  readonly log: (level: 'notice' | 'warn', message: string) => void;
}

/** How a connection came in. */
export interface ControlConnectionOptions {
  /**
   * `port`: over TCP, from anywhere; without secrets nobody gets in. `loopback`: from this machine, whoever it is.
   * `socket`: the system lets in only the owner and whom he has chosen, and no AUTHENTICATE is needed; an empty
   * one is accepted all the same, since clients send it before they know.
   */
  readonly from: 'port' | 'loopback' | 'socket';
  /** Its listener: strangers can fill up the unauthenticated places of one listener, but not those of others. */
  readonly listener?: object;
}

/**
 * A control server over any number of connections, which may be streams of any kind. Listeners hand
 * them in; see `openControlPort` and `openControlSocket`.
 */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #connections = new Set<Connection>();
  /** Connections that have not authenticated, oldest first, by listener. */
  readonly #guests = new WeakMap<object, Set<Connection>>();
  readonly #authenticated = new Set<Connection>();
  /** Connections that came by a ControlSocket. */
  readonly #owners = new Set<Connection>();
  readonly #unsubscribe: () => void;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#unsubscribe = options.engine.onEvent((event) => this.#tell(event));
  }

  /** What opens a connection at this moment. */
  get secrets(): ControlSecrets {
    return this.#options.secrets();
  }

  /**
   * Serves one controller until either end closes. Past the cap on those that have not authenticated the
   * oldest of its listener is closed; past the cap on those that have, and on those of ControlSockets, the
   * oldest that has said nothing, or else the newcomer.
   */
  accept(stream: Duplex, { from, listener = this }: ControlConnectionOptions): void {
    const { secrets } = this.#options;
    const machine = createControlServerMachine({
      isAuthentic: (secret) =>
        (from === 'socket' && secret.length === 0) ||
        isAuthentic(secret, secrets(), from !== 'port'),
      open: from === 'socket',
    });
    const connection = new Connection(stream, machine, this.#options, () => {
      guests.delete(connection);
      this.#admit(connection, this.#authenticated);
    });
    const guests = this.#guestsOf(listener);
    this.#connections.add(connection);
    totals.controlConnections += 1;
    unawaited(async () => {
      await connection.closed;
      totals.controlConnections -= 1;
      for (const each of [this.#connections, guests, this.#authenticated, this.#owners]) {
        each.delete(connection);
      }
    });
    if (from === 'socket') {
      this.#admit(connection, this.#owners);
      return;
    }
    const [oldest] = guests.size >= limits.controlGuests ? guests : [];
    if (oldest !== undefined) {
      guests.delete(oldest);
      oldest.drop('too many control connections that do not authenticate; closed the oldest');
    }
    guests.add(connection);
    connection.startClock();
  }

  #guestsOf(listener: object): Set<Connection> {
    const guests = this.#guests.get(listener) ?? new Set();
    this.#guests.set(listener, guests);
    return guests;
  }

  #admit(connection: Connection, among: Set<Connection>): void {
    if (among.size >= limits.controlConnections) {
      const silent = [...among].find(({ isSilent }) => isSilent);
      if (silent === undefined) {
        connection.drop('too many controllers; closed the newcomer');
        return;
      }
      among.delete(silent);
      silent.drop('too many controllers; closed the oldest that has said nothing');
    }
    among.add(connection);
  }

  /**
   * Ends every connection after the replies to what it has asked, which have little time to come, and
   * forgets the engine. Idempotent.
   */
  async close(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#connections].map((connection) => connection.end()));
  }

  #tell(event: EngineEvent): void {
    if (event.type === 'log' && (event.level === 'debug' || event.level === 'info')) return;
    let frame: Uint8Array | undefined;
    for (const connection of this.#connections) {
      connection.tell(event.type, () => (frame ??= encodeEvent(event)));
    }
  }
}

/** The driver of one connection's machine. */
class Connection {
  /** Settles when the stream has closed. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #machine: ControlServerMachine;
  readonly #options: ControlServerOptions;
  readonly #onAuthenticated: () => void;
  #clock: NodeJS.Timeout | undefined;
  /** Runs while a message has begun and is not complete. */
  #messageClock: NodeJS.Timeout | undefined;
  /** The request that is being carried out. */
  #performing: Promise<void> | undefined;
  #isSilent = true;
  #isEnding = false;
  #corked = false;
  /** Bytes that the controller has not taken yet. */
  #backlog: Backlog | undefined;

  constructor(
    stream: Duplex,
    machine: ControlServerMachine,
    options: ControlServerOptions,
    onAuthenticated: () => void,
  ) {
    this.#onAuthenticated = onAuthenticated;
    this.#stream = stream;
    this.#machine = machine;
    this.#options = options;
    this.closed = new Promise((resolve) => {
      stream.once('close', () => {
        clearTimeout(this.#clock);
        clearTimeout(this.#messageClock);
        resolve();
      });
    });
    stream.on('error', () => {}); // 'close' follows, and is what is listened for
    stream.on('data', (chunk: Buffer) => {
      this.#isSilent = false;
      this.#run(machine.receive(chunk));
    });
    stream.on('end', () => this.#run(machine.receiveEnd()));
    stream.on('drain', () => this.#backlog?.set(0));
  }

  /** Closes the connection unless the controller authenticates in time. */
  startClock(): void {
    this.#clock = setTimeout(
      () => this.#run(this.#machine.expire()),
      limits.controlAuthenticationMs,
    );
  }

  /** Whether it has not said anything yet. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Closes the connection to make room for others. */
  drop(reason: string): void {
    this.#stream.destroy();
    this.#options.log('warn', reason);
  }

  /** Sends an event if the controller asked for its kind. */
  tell(kind: EventKind, encode: () => Uint8Array): void {
    if (this.#machine.wants(kind)) this.#send(encode());
  }

  /** Closes as soon as everything is sent; a controller that does not take it has little time. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#answered();
    this.#end(limits.closeLingerMs);
    // Not waiting for the controller’s own end: the process may be about to exit.
    if (this.#stream.writableFinished) this.#stream.destroy();
    else this.#stream.once('finish', () => this.#stream.destroy());
    await this.closed;
  }

  #run(actions: readonly ControlServerAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case 'send':
          this.#send(action.bytes);
          break;
        case 'perform':
          // Requests behind the last answer are not begun any more.
          if (!this.#isEnding) this.#performing = this.#perform(action.request);
          break;
        case 'opened':
          clearTimeout(this.#clock);
          this.#onAuthenticated();
          break;
        case 'close':
          if (action.reason !== undefined) this.#options.log('notice', `closed: ${action.reason}`);
          // A stranger gets no time to read; a controller that ended its side has all it asked for.
          this.#end(action.reason === undefined ? undefined : limits.closeLingerMs);
          break;
      }
    }
    this.#watchMessage();
    // What comes in while a request is carried out waits in the kernel, not in our memory.
    if (this.#machine.busy) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** Resolves when no request is being carried out, or has had its time. */
  async #answered(): Promise<void> {
    if (this.#performing === undefined) return;
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.controlAnswerMs);
    });
    await Promise.race([this.#performing, patience]);
    clearTimeout(timer);
  }

  #watchMessage(): void {
    if (!this.#machine.incomplete) {
      clearTimeout(this.#messageClock);
      this.#messageClock = undefined;
    } else {
      this.#messageClock ??= setTimeout(
        () => this.#run(this.#machine.expireMessage()),
        limits.controlMessageMs,
      );
    }
  }

  async #perform(request: EngineRequest): Promise<void> {
    const { reply, failure } = await performRequest(this.#options.engine, request);
    if (failure !== undefined) {
      const message = failure instanceof Error ? failure.message : 'for no stated reason';
      this.#options.log('warn', `the control request ${request.type} failed: ${message}`);
    }
    this.#performing = undefined;
    this.#run(this.#machine.answer(reply));
  }

  #send(bytes: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return;
    if (!this.#corked) {
      // Replies to pipelined requests leave in one system call.
      this.#corked = true;
      stream.cork();
      queueMicrotask(() => process.nextTick(() => this.#uncork()));
    }
    stream.write(bytes);
    if (stream.writableNeedDrain) {
      this.#backlog ??= new Backlog(stream);
      this.#backlog.set(stream.writableLength);
    }
    if (stream.writableLength >= limits.controlUnsentBytes) {
      // TC 4.2. Destroyed first: the line becomes an event, which must not come back here.
      stream.destroy();
      this.#options.log('warn', 'closed: a controller did not read what it asked for');
    }
  }

  #uncork(): void {
    this.#corked = false;
    this.#stream.uncork();
  }

  #end(lingerMs: number | undefined): void {
    clearTimeout(this.#clock);
    if (lingerMs !== undefined) {
      this.#clock = setTimeout(() => this.#stream.destroy(), lingerMs);
    }
    this.#stream.end();
    this.#stream.resume();
  }
}
