import { setMaxListeners } from 'node:events';
import { ExaminationError } from '../errors.ts';
import type { Endpoint } from 'postern/pt';
import { Findings } from '../findings.ts';
import { type ExamineOptions, Lab } from '../examine.ts';
import { Guard } from '../guard.ts';
import { type Allowance, allowed } from '../patience.ts';
import type { Address } from '../wire.ts';
import {
  asLines,
  codeOf,
  confLines,
  decodePair,
  type Frame,
  getConf,
  mapAddress,
  message,
  type Pair,
  setConf,
  Type,
} from './frames.ts';
import { isSame } from './check.ts';
import { type Answer, describeAnswer, Session } from './session.ts';

/** What proves to the server who we are. */
interface TcSecret {
  readonly bytes: Uint8Array;
  readonly kind: 'cookie' | 'passphrase';
  /** Where a cookie was read from. */
  readonly path?: string;
}

/** What may be done to the server besides what leaves no trace. */
export interface TcPermissions {
  /** SAVECONF, which rewrites its torrc. */
  readonly saveconf?: boolean;
  /** SIGNAL reload and debug; what others have set and not saved is lost by it. */
  readonly reload?: boolean;
  /** SIGNAL shutdown, last of all. */
  readonly shutdown?: boolean;
  /** SIGNAL halt, last of all. */
  readonly halt?: boolean;
  /** More than 16 MB of events, by connections through the SOCKS port. */
  readonly flood?: boolean;
}

/** What to examine, and how. */
export interface TcOptions extends ExamineOptions {
  readonly address: Address;
  /** What the server wants to see; where it trusts whoever connects, none. */
  readonly secret?: TcSecret;
  /** A SOCKS port of the server, for traffic. */
  readonly socks?: Endpoint;
  /** What may be done to it besides what is put back afterwards. */
  readonly permissions?: TcPermissions;
  /** How long the server may take for anything that it has to do. */
  readonly patienceMs?: number;
  /** Hears of what could not be put back. */
  readonly onLeftBehind?: (what: string) => void;
}

/** What a server turned out to know. */
export interface TcFacts {
  /**
   * Who is let in: whoever connects, without a word (`open`); whoever sends an empty AUTHENTICATE
   * (`trusting`); whoever knows the secret (`secret`).
   */
  readonly access: 'open' | 'trusting' | 'secret';
  /** Known options, two at least; the same one twice where only one is known. */
  readonly known: readonly [string, string, ...string[]];
  /** An option with a whole number as its value, whose change by little does nothing at once. */
  readonly number: { readonly key: string; readonly value: number } | undefined;
  /** An option for free text that is not set. */
  readonly text: string | undefined;
  /** An option with many lines that is not set, with lines that it takes. */
  readonly list: { readonly key: string; readonly values: readonly string[] } | undefined;
  /** Whether there is the virtual key of hidden services, and whether there are any. */
  readonly group: 'unknown' | 'unused' | 'used';
}

/** What a server may take for an answer; the slowest on a loaded machine stays far below. */
const PATIENCE_MS = 10_000;

type Defaulted = 'patienceMs' | 'permissions' | 'onLeftBehind';

const defaults: Required<Pick<TcOptions, Defaulted>> = {
  patienceMs: PATIENCE_MS,
  permissions: {},
  onLeftBehind: () => {},
};

/** How long the kit may take to put things back. */
const RESTORE_PATIENCE_MS = 5000;

/** The virtual key, and the option that begins each part of its group (TC 3.4). */
export const GROUP = 'HiddenServiceOptions';
export const GROUP_HEAD = 'HiddenServiceDir';

/** Where a TC server is examined: sessions with it, and what has to be put back afterwards. */
export class TcLab extends Lab {
  readonly options: TcOptions & Required<Pick<TcOptions, Defaulted>>;
  /** Every session so far. */
  readonly sessions: Session[] = [];
  #facts: TcFacts | undefined;
  #guard: Guard | undefined;
  /** Options that were changed, with the lines that they had. */
  readonly #borrowed = new Map<string, readonly string[]>();
  readonly #mapped = new Set<string>();

  constructor(options: TcOptions) {
    super();
    // Many wait at once.
    setMaxListeners(0, options.signal);
    this.options = { ...defaults, ...options };
  }

  /** What `discover` found. */
  get facts(): TcFacts {
    return this.#facts!;
  }

  /** How long the server may take for anything that it has to do. */
  get time(): Allowance {
    const { patienceMs, signal } = this.options;
    // What it knows must be found out in any case: to be impatient then would only be a mistake.
    const leastMs = this.#facts === undefined ? PATIENCE_MS : 0;
    return allowed(Math.max(leastMs, patienceMs), signal);
  }

  /** A folder of the kit's own, which goes with the lab. */
  get folder(): string {
    return (this.#guard ??= new Guard()).folder;
  }

  /** AUTHENTICATE with what is right. */
  get authenticate(): Frame {
    return message(Type.authenticate, this.options.secret?.bytes ?? '');
  }

  /**
   * A connection on which nothing has been said.
   *
   * @throws ExaminationError `ERR_CONFORM_SERVER`
   */
  async connect(): Promise<Session> {
    const options = { time: this.time, findings: this };
    const session = await Session.open(this.options.address, options);
    if (session === undefined) throw serverError('nobody answers at the address');
    this.sessions.push(session);
    return session;
  }

  /**
   * A connection on which everything may be asked.
   *
   * @throws ExaminationError `ERR_CONFORM_SERVER`
   */
  async open(): Promise<Session> {
    const session = await this.connect();
    if (this.facts.access !== 'open') await this.#unlock(session);
    session.fence = fenceOf(this.facts.known);
    return session;
  }

  /**
   * Finds out how the server lets one in and what it knows.
   *
   * @throws ExaminationError `ERR_CONFORM_SERVER` when there is nothing to examine
   */
  async discover(): Promise<void> {
    const session = await this.connect();
    const first = await session.ask(getConf(candidates.known[0]));
    const isOpen = first.frames[0]?.type === Type.confValue || isError(first, 0x0004);
    if (!isOpen && !isError(first, 0x0007)) {
      throw serverError(`it does not speak TC; to a GETCONF came: ${describeAnswer(first)}`);
    }
    session.close();
    // Each on a connection of its own: a reply too many to one of them shall not be taken for the next.
    const linesOf = async (key: string): Promise<readonly string[] | undefined> => {
      const each = await this.connect();
      if (!isOpen) await this.#unlock(each);
      const { frames } = await each.ask(getConf(key));
      each.close();
      return frames[0] && confLines(frames[0]);
    };
    const lines = new Map<string, readonly string[]>();
    for (const key of new Set([
      ...candidates.known,
      ...candidates.text,
      ...candidates.list.keys(),
    ])) {
      const found = await linesOf(key);
      if (found !== undefined) lines.set(key, found);
    }
    const [one, two, ...others] = candidates.known.filter(
      (key) => (lines.get(key)?.length ?? 0) > 0,
    );
    if (one === undefined) {
      throw serverError(`it knows none of the options ${candidates.known.join(', ')}`);
    }
    const numbers = candidates.number.flatMap((key) => {
      const match = /^\S+ (\d+)$/.exec(lines.get(key)?.[0] ?? '');
      return match === null ? [] : [{ key, value: Number(match[1]) }];
    });
    const unset = (key: string): boolean => lines.get(key)?.length === 0;
    const list = [...candidates.list].find(([key]) => unset(key));
    const group = await linesOf(GROUP);
    this.#facts = {
      access: isOpen ? 'open' : this.options.secret === undefined ? 'trusting' : 'secret',
      known: [one, two ?? one, ...others],
      number: numbers[0],
      text: candidates.text.find(unset),
      list: list && { key: list[0], values: list[1] },
      group: group === undefined ? 'unknown' : group.length === 0 ? 'unused' : 'used',
    };
  }

  /** The lines that GETCONF returns for a key; undefined when there is no such answer. */
  async linesOf(session: Session, key: string): Promise<readonly string[] | undefined> {
    const { frames } = await session.ask(getConf(key));
    return frames.length === 1 ? confLines(frames[0]!) : undefined;
  }

  /** The mappings in force; undefined when GETALLMAPPINGS is not answered with them. */
  async mappings(session: Session): Promise<readonly Pair[] | undefined> {
    const { frames } = await session.ask(message(Type.getAllMappings));
    if (frames.at(-1)?.type !== Type.done) return undefined;
    const pairs = frames
      .slice(0, -1)
      .map(({ type, body }) => (type === Type.addressMapped ? decodePair(body) : undefined));
    return pairs.every((pair) => pair !== undefined) ? pairs : undefined;
  }

  /** To be called before an option is changed: it gets its lines back at the end of the check. */
  async borrow(session: Session, key: string): Promise<void> {
    if (this.#borrowed.has(key)) return;
    const lines = await this.linesOf(session, key);
    if (lines !== undefined) this.#borrowed.set(key, lines);
  }

  /** To be called before an address is mapped, and with those that the server picked. */
  borrowAddress(...hosts: readonly string[]): void {
    for (const host of hosts) this.#mapped.add(host);
  }

  /** Maps an address, which is given back at the end of the check. */
  map(session: Session, ...pair: Pair): Promise<Answer> {
    this.borrowAddress(pair[0]);
    return session.ask(mapAddress(...pair));
  }

  /** Puts back what was changed; says so where it cannot. Also when the examination was given up. */
  async restore(): Promise<void> {
    if (this.#borrowed.size + this.#mapped.size === 0) return;
    const options = { time: RESTORE_PATIENCE_MS, findings: new Findings() };
    const session = await Session.open(this.options.address, options);
    if (session !== undefined && this.facts.access !== 'open') await session.ask(this.authenticate);
    for (const [key, lines] of this.#borrowed) {
      const isBack = session !== undefined && (await this.#putBack(session, key, lines));
      if (!isBack)
        this.options.onLeftBehind(`${key} is not as it was: ${lines.join(', ') || 'unset'}`);
    }
    for (const host of this.#mapped) {
      const answer = await session?.ask(mapAddress(host, host));
      const isBack = answer?.frames[0]?.type === Type.addressMapped;
      if (!isBack) this.options.onLeftBehind(`${host} is still mapped`);
    }
    this.forget();
    session?.close();
  }

  /** Closes all sessions; what came on them stays. */
  hangUp(): void {
    for (const session of this.sessions) session.close();
  }

  /** Puts nothing back any more: the server has ended, as it was told to. */
  forget(): void {
    this.#borrowed.clear();
    this.#mapped.clear();
  }

  /** Closes all sessions, puts back what was changed and removes what was written. */
  override async close(): Promise<void> {
    this.hangUp();
    try {
      await this.restore();
    } finally {
      await this.#guard?.close();
    }
  }

  /** First to the default, so that nothing is set that was not; the lines themselves where need be. */
  async #putBack(session: Session, key: string, lines: readonly string[]): Promise<boolean> {
    const bare = key === GROUP ? GROUP_HEAD : key;
    for (const body of [`${bare}\n`, asLines(lines)]) {
      await session.ask(setConf(body));
      if (isSame(await this.linesOf(session, key), lines)) return true;
    }
    return false;
  }

  async #unlock(session: Session): Promise<void> {
    const answer = await session.ask(this.authenticate);
    if (answer.frames[0]?.type === Type.done) return;
    const what = this.options.secret === undefined ? 'an empty AUTHENTICATE' : 'the secret';
    throw serverError(`it does not take ${what}: ${describeAnswer(answer)}`);
  }
}

/** A GETCONF of two options: no check asks for these two and no others. */
function fenceOf([one, two]: TcFacts['known']): NonNullable<Session['fence']> {
  return {
    request: getConf(one, two),
    isAnswer({ type, body }) {
      const text = body.toString('latin1').toLowerCase();
      const isBoth = text.includes(one.toLowerCase()) && text.includes(two.toLowerCase());
      return type === Type.confValue && isBoth;
    },
  };
}

function isError({ frames }: Answer, code: number): boolean {
  return frames[0]?.type === Type.error && codeOf(frames[0]) === code;
}

function serverError(text: string): ExaminationError {
  return new ExaminationError('ERR_CONFORM_SERVER', text);
}

/**
 * Options to work with: of ours, of a Tor of today, of a Tor of 2005. Numbers that count at a later time,
 * if ever; texts and lists that mean nothing until something else is set, or that nobody will meet.
 */
const candidates = {
  known: [
    'ShutdownWaitLength',
    'MaxCircuitDirtiness',
    'BandwidthRate',
    'BandwidthBurst',
    'KeepalivePeriod',
    'SafeLogging',
    'Nickname',
    'SocksPort',
  ],
  number: ['ShutdownWaitLength', 'MaxCircuitDirtiness', 'KeepalivePeriod', 'BandwidthBurst'],
  text: ['ContactInfo'],
  list: new Map([
    [
      'MapAddress',
      [1, 2, 3].map((number) => `conform-${number}.invalid conform-${number}-mapped.invalid`),
    ],
    ['NodeFamily', ['conformA,conformB', 'conformC,conformD', 'conformE,conformF']],
  ]),
} as const;
