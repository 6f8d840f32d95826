/** The program connected to itself: a server and a client of it, between an application and an ORPort. */
import { encodeSocksArguments, type Endpoint, type KeyValues } from 'postern/pt';
import { ExaminationError } from '../errors.ts';
import { type PtLab, listeningAt, publishedArgs } from './lab.ts';
import type { Run, Variables } from './run.ts';
import { begun } from '../parallel.ts';
import { describeOutcome, socksConnect, type SocksOutcome } from '../socks.ts';
import type { Time } from '../patience.ts';
import { dialWire, type Trap, type Wire } from '../wire.ts';
import { describeRun } from './transcript.ts';

/** What a pair may differ in. */
export interface PairOptions {
  readonly server?: Variables;
  readonly client?: Variables;
  /** The host that the server listens on. */
  readonly serverHost?: string;
}

/** What one connection may differ in. */
export interface ConnectOptions {
  /** The encoded arguments; those that the server publishes by default. */
  readonly args?: Uint8Array;
  /** The target; the server by default. */
  readonly target?: Endpoint;
  /** How long the answer may take. */
  readonly time?: Time;
}

/** An application's connection, as far as it came. */
export interface Connection {
  readonly app: Wire;
  readonly outcome: SocksOutcome;
}

/** A server and a client that run. */
export class Pair {
  readonly lab: PtLab;
  readonly server: Run;
  readonly client: Run;
  readonly orPort: Trap;
  readonly name: string;
  /** Where the server listens. */
  readonly serverEndpoint: Endpoint;
  /** What the server publishes. */
  readonly args: KeyValues;
  readonly protocol: 'socks4' | 'socks5';
  readonly #socks: Endpoint;
  readonly #wires: Wire[] = [];

  private constructor(lab: PtLab, server: Run, client: Run, orPort: Trap) {
    const name = lab.facts.pair!;
    const method = client.methods.find(({ transport }) => transport === name);
    const serverEndpoint = listeningAt(server, name);
    const socks = listeningAt(client, name);
    if (serverEndpoint === undefined || socks === undefined) {
      const said = serverEndpoint === undefined ? describeRun(server) : describeRun(client);
      throw new ExaminationError('ERR_CONFORM_PROGRAM', `no listener for ${name}: ${said}`);
    }
    this.lab = lab;
    this.server = server;
    this.client = client;
    this.orPort = orPort;
    this.name = name;
    this.serverEndpoint = serverEndpoint;
    this.args = publishedArgs(server, name);
    this.protocol = method?.rest[0] === 'socks4' ? 'socks4' : 'socks5';
    this.#socks = socks;
  }

  /** @throws ExaminationError `ERR_CONFORM_PROGRAM` when one of the two does not start */
  static async open(lab: PtLab, options: PairOptions = {}): Promise<Pair> {
    const { serverHost = '127.0.0.1' } = options;
    const orPort = await lab.openTrap();
    const [server, client] = await Promise.all([
      lab.settled('server', {
        TOR_PT_SERVER_BINDADDR: `${lab.facts.pair!}-${serverHost}:0`,
        TOR_PT_ORPORT: orPort.address,
        ...options.server,
      }),
      lab.settled('client', options.client),
    ]);
    try {
      return new Pair(lab, server, client, orPort);
    } catch (error) {
      orPort.close();
      await Promise.all([server.stop(), client.stop()]);
      throw error;
    }
  }

  /** The arguments that the server publishes, as SOCKS carries them. */
  get encodedArgs(): Uint8Array {
    return encodeSocksArguments(this.args);
  }

  /** Connects through the client. The caller may do other things before it awaits what came of it. */
  connect(options: ConnectOptions = {}): Promise<Connection> {
    return begun(this.#connect(options));
  }

  /** Connects to the SOCKS port, and says nothing yet. */
  async dialSocks(): Promise<Wire | undefined> {
    const wire = await dialWire(this.#socks, this.lab.patience);
    if (typeof wire === 'string') return undefined;
    this.#wires.push(wire);
    return wire;
  }

  /** Connects to the server as a client of the transport, or someone else, would. */
  async dialServer(localAddress?: string): Promise<Wire | undefined> {
    const wire = await dialWire(this.serverEndpoint, this.lab.patience, localAddress);
    if (typeof wire === 'string') return undefined;
    this.#wires.push(wire);
    return wire;
  }

  /**
   * Whether a message gets from the application to the ORPort over a connection. Some transports connect only
   * when there is something to send.
   */
  async carries({ app, outcome }: Connection, message: string): Promise<boolean> {
    if (!outcome.isOpen) return false;
    app.write(message);
    const arrived = await this.orPort.find(message, this.lab.patience);
    arrived?.close();
    return arrived !== undefined;
  }

  /** What came of a connection, for evidence. */
  static describe(connection: Connection, isCarried: boolean): string {
    if (!connection.outcome.isOpen) return describeOutcome(connection.outcome);
    return isCarried
      ? 'the connection was opened and carried a message'
      : 'the connection was opened, but no message arrived at the ORPort';
  }

  async close(): Promise<void> {
    for (const wire of this.#wires) wire.close();
    this.orPort.close();
    await Promise.all([this.server.stop(), this.client.stop()]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #connect(options: ConnectOptions): Promise<Connection> {
    const { args = this.encodedArgs, target = this.serverEndpoint } = options;
    const { time = this.lab.patience } = options;
    const app = await dialWire(this.#socks, time);
    if (typeof app === 'string') {
      throw new ExaminationError('ERR_CONFORM_PROGRAM', 'the SOCKS listener does not accept');
    }
    this.#wires.push(app);
    const outcome = await socksConnect(app, { version: this.protocol, target, args }, time);
    return { app, outcome };
  }
}
