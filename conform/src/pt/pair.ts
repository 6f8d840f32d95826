/** The program connected to itself: a server and a client of it, between an application and an ORPort. */
import { encodeSocksArguments, type Endpoint, type KeyValues } from 'postern/pt';
import { ExaminationError } from '../errors.ts';
import { type Connection, type PtLab, listeningAt, publishedArgs } from './lab.ts';
import type { Run, Variables } from './run.ts';
import { begun } from '../parallel.ts';
import { describeOutcome } from '../socks.ts';
import type { Time } from '../patience.ts';
import type { Trap, Wire } from '../wire.ts';
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
  readonly #wires: Wire[] = [];

  private constructor(lab: PtLab, server: Run, client: Run, orPort: Trap) {
    const name = lab.facts.pair!;
    const serverEndpoint = listeningAt(server, name);
    if (serverEndpoint === undefined || listeningAt(client, name) === undefined) {
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
    const { args = this.encodedArgs, target = this.serverEndpoint, time } = options;
    const connection = await this.lab.ask(this.client, target, args, time);
    if (connection === undefined) {
      throw new ExaminationError('ERR_CONFORM_PROGRAM', 'the SOCKS listener does not accept');
    }
    this.#wires.push(connection.app);
    return connection;
  }
}
