import { mkdirSync } from 'node:fs';
import type { Role } from '../clauses.ts';
import { ExaminationError } from '../errors.ts';
import { type Endpoint, type KeyValues, parseIpEndpoint, parseSmethodArgs } from 'postern/pt';
import type { ExamineOptions } from '../examine.ts';
import { type Allowance, PATIENCE_STARTS, QUIET_STARTS, type Time } from '../patience.ts';
import { socksConnect, type SocksOutcome } from '../socks.ts';
import { runnable } from '../program.ts';
import { ProgramLab, type Times } from '../program-lab.ts';
import { startedWith } from './transcript.ts';
import { Run, type Variables } from './run.ts';
import { Sandbox } from '../sandbox.ts';
import { dialWire, ownLoopbackAddress, Trap, type Wire } from '../wire.ts';

/** What to examine, and how. */
export interface PtOptions extends ExamineOptions, Times {
  readonly command: readonly [string, ...string[]];
  /** The program's transports, where they are not among those that are asked for anyway. */
  readonly transports?: readonly string[];
  /** An option of a transport that its ARGS show again; by transport. */
  readonly shownOptions?: ReadonlyMap<string, string>;
  /** What the program has, where that is known and need not be found out. */
  readonly facts?: Facts;
}

/** What a program turned out to have. */
export interface Facts {
  /** The transports of its client side, in the order of asking; empty without a client side. */
  readonly client: readonly string[];
  /** The transports of its server side, with what they publish for clients. */
  readonly server: ReadonlyMap<string, KeyValues>;
  /** A transport of both sides, so that the program can be connected to itself. */
  readonly pair: string | undefined;
}

/** An application's connection, as far as it came. */
export interface Connection {
  readonly app: Wire;
  readonly outcome: SocksOutcome;
}

/** What one start differs in from the plain one. */
export interface StartOptions {
  /** The transports to ask for, where it is not the one that the role is examined with. */
  readonly names?: readonly string[];
  readonly stdin?: 'open' | 'none';
  readonly hasMiddleman?: boolean;
  /** The state directory of an earlier start. */
  readonly state?: string;
  /** Makes the state directory first. */
  readonly hasState?: boolean;
}

/** The transports that are asked for when the user names none. */
const knownTransports = [
  ...['obfs4', 'scramblesuit', 'obfs3', 'obfs2', 'webtunnel', 'meek_lite', 'meek', 'snowflake'],
  ...['conjure', 'fte', 'dummy'],
];

/** What the ARGS of transports that are widely known show of their options. */
const shownByKnownTransports: ReadonlyMap<string, string> = new Map([['obfs4', 'iat-mode=1']]);

/** What a program may take for a start or an answer; the slowest on a loaded machine stay far below. */
const PATIENCE_MS = 6000;

/** How long nothing must happen before it is taken for nothing. */
const QUIET_MS = 1000;

type Defaulted = 'transports' | 'shownOptions' | 'patienceMs' | 'quietMs';

const defaults: Required<Pick<PtOptions, Defaulted>> = {
  transports: knownTransports,
  shownOptions: shownByKnownTransports,
  patienceMs: PATIENCE_MS,
  quietMs: QUIET_MS,
};

/** Where a PT program is examined: it starts the program, and cleans up after it. */
export class PtLab extends ProgramLab<Run> {
  readonly options: PtOptions & Required<Pick<PtOptions, Defaulted>>;
  /** How long the program may take for anything that it has to do. */
  readonly patience: Allowance;
  /** How long it is watched where it has to do nothing. */
  readonly quiet: Allowance;
  readonly #traps: Trap[] = [];
  #facts: Facts | undefined;
  #upstream: Promise<string | undefined> | undefined;

  constructor(given: PtOptions) {
    super(given.signal);
    const options = { ...defaults, ...given };
    const [program, ...args] = options.command;
    this.options = { ...options, command: [runnable(program), ...args] };
    this.#facts = options.facts;
    this.patience = this.pace.allow(options.patienceMs, PATIENCE_STARTS);
    this.quiet = this.pace.allow(options.quietMs, QUIET_STARTS);
  }

  /** What `discover` found. */
  get facts(): Facts {
    return this.#facts!;
  }

  /** Listens until the lab is closed, on an address that nothing else uses. */
  async openTrap(): Promise<Trap> {
    const trap = await Trap.open(ownLoopbackAddress());
    this.#traps.push(trap);
    if (this.signal.aborted) trap.close();
    this.signal.throwIfAborted();
    return trap;
  }

  /** An address that nobody listens on, nor will. */
  async freeAddress(): Promise<Pick<Trap, 'address' | 'endpoint'>> {
    using trap = await this.openTrap();
    return trap;
  }

  /**
   * Starts the program in a role: plainly, but for some variables. `$STATE` in a value stands for this start's
   * state directory.
   */
  start(role: Role, changes: Variables = {}, options: StartOptions = {}): Run {
    const { names } = options;
    const asked = names === undefined ? {} : { [listVariables[role]]: names.join(',') };
    const what = startedWith(role, { ...asked, ...changes });
    const plain = role === 'client' ? clientVariables : serverVariables;
    const variables = { ...plain(names ?? [this.mainName(role)]), ...changes };
    const sandbox = new Sandbox(this.nextFolder(), options.state);
    if (options.hasState === true) mkdirSync(sandbox.state, { recursive: true, mode: 0o700 });
    const filled = Object.entries(variables).map(([name, value]) => [
      name,
      value?.replaceAll('$STATE', sandbox.state),
    ]);
    const run = new Run({
      what,
      command: this.options.command,
      variables: Object.fromEntries(filled) as Variables,
      sandbox,
      stdin: options.stdin ?? 'open',
      hasMiddleman: options.hasMiddleman ?? false,
      pace: this.pace,
      guard: this.guard,
    });
    this.runs.push(run);
    return run;
  }

  /** Starts it and waits until it is ready, has failed or has had its time. */
  async settled(role: Role, changes?: Variables, options?: StartOptions): Promise<Run> {
    const run = this.start(role, changes, options);
    await run.settle(this.patience);
    return run;
  }

  /**
   * Finds out which sides and transports there are, unless that is known.
   *
   * @throws ExaminationError `ERR_CONFORM_PROGRAM` when the program does not start or shows no transport
   */
  async discover(): Promise<void> {
    if (this.#facts !== undefined) return;
    const { transports } = this.options;
    const runs = await Promise.all([
      this.settled('client', {}, { names: transports, hasState: true }),
      this.settled('server', {}, { names: transports, hasState: true }),
    ]);
    await Promise.all(runs.map((run) => run.stop()));
    if (runs[0].pid === undefined) {
      throw new ExaminationError('ERR_CONFORM_PROGRAM', 'the program cannot be started');
    }
    const named = (run: Run, keyword: string): string[] =>
      transports.filter((name) => run.method(name)?.keyword === keyword);
    const client = named(runs[0], 'CMETHOD');
    const server = new Map(
      named(runs[1], 'SMETHOD').map((name) => [name, publishedArgs(runs[1], name)]),
    );
    if (client.length + server.size === 0) {
      throw new ExaminationError(
        'ERR_CONFORM_PROGRAM',
        `the program has none of the transports ${transports.join(', ')}`,
      );
    }
    const common = client.filter((name) => server.has(name));
    // Arguments let more be seen.
    const pair = common.find((name) => server.get(name)!.length > 0) ?? common[0];
    this.#facts = { client, server, pair };
  }

  /**
   * Why it takes no upstream proxy, in its own words; undefined when it does, or says nothing. Which ones a
   * program supports, if any, is up to it; SOCKS5 is what nearly all do.
   */
  upstreamRefusal(): Promise<string | undefined> {
    this.#upstream ??= this.#askForUpstream();
    return this.#upstream;
  }

  async #askForUpstream(): Promise<string | undefined> {
    await using run = await this.settled('client', { TOR_PT_PROXY: 'socks5://127.0.0.1:9' });
    return run.lines.find((line) => line.startsWith('PROXY-ERROR '));
  }

  /** A role that the program has. */
  get anyRole(): Role {
    return this.facts.client.length > 0 ? 'client' : 'server';
  }

  /** Whether the program has a role. */
  has(role: Role): boolean {
    return role === 'client' ? this.facts.client.length > 0 : this.facts.server.size > 0;
  }

  /** The transports of a role. */
  names(role: Role): readonly string[] {
    return role === 'client' ? this.facts.client : [...this.facts.server.keys()];
  }

  /** Connects to where a transport of a run listens; undefined when nobody is there. */
  async dial(run: Run, name: string, localAddress?: string): Promise<Wire | undefined> {
    const endpoint = listeningAt(run, name);
    const wire = endpoint && (await dialWire(endpoint, this.patience, localAddress));
    return typeof wire === 'string' ? undefined : wire;
  }

  /** Asks a client for a connection; undefined when nobody is at its SOCKS listener. */
  async ask(
    client: Run,
    target: Endpoint,
    args: Uint8Array,
    time: Time = this.patience,
  ): Promise<Connection | undefined> {
    const name = this.mainName('client');
    const app = await this.dial(client, name);
    const version = socksVersion(client, name);
    return app && { app, outcome: await socksConnect(app, { version, target, args }, time) };
  }

  /** The transport that a role is examined with. */
  mainName(role: Role): string {
    return this.facts.pair ?? this.names(role)[0]!;
  }

  override async close(): Promise<void> {
    for (const trap of this.#traps) trap.close();
    await super.close();
  }
}

/** The variable that lists what is asked for. */
export const listVariables = {
  client: 'TOR_PT_CLIENT_TRANSPORTS',
  server: 'TOR_PT_SERVER_TRANSPORTS',
} as const;

/** What a parent sets for a client. */
function clientVariables(names: readonly string[]): Variables {
  return { ...commonVariables, TOR_PT_CLIENT_TRANSPORTS: names.join(',') };
}

/** What a parent without an Extended ORPort sets for a server. */
function serverVariables(names: readonly string[]): Variables {
  return {
    ...commonVariables,
    TOR_PT_SERVER_TRANSPORTS: names.join(','),
    TOR_PT_SERVER_BINDADDR: names.map((name) => `${name}-127.0.0.1:0`).join(','),
    // Nobody forwards anything before a client has come.
    TOR_PT_ORPORT: '127.0.0.1:9',
    TOR_PT_EXTENDED_SERVER_PORT: '',
  };
}

const commonVariables: Variables = {
  TOR_PT_MANAGED_TRANSPORT_VER: '1',
  TOR_PT_STATE_LOCATION: '$STATE',
  TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
};

/** What an SMETHOD line of a run publishes; nothing when it cannot be read. */
export function publishedArgs(run: Run, name: string): KeyValues {
  const text = run
    .method(name)
    ?.rest.find((option) => option.startsWith('ARGS:'))
    ?.slice('ARGS:'.length);
  if (text === undefined || text === '') return [];
  try {
    return parseSmethodArgs(text);
  } catch {
    return [];
  }
}

/** The protocol in a CMETHOD line. */
export function socksVersion(run: Run, name: string): 'socks4' | 'socks5' {
  return run.method(name)?.rest[0] === 'socks4' ? 'socks4' : 'socks5';
}

/** Where a transport of a run listens; undefined when it does not say. */
export function listeningAt(run: Run, name: string): Endpoint | undefined {
  const method = run.method(name);
  const address = method?.rest[method.keyword === 'CMETHOD' ? 1 : 0];
  return address === undefined ? undefined : parseIpEndpoint(address);
}
