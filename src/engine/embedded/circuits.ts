import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { EventStatus } from '../../control/messages.ts';
import { randomInteger, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import type { Timers } from '../../time.ts';
import { unawaited } from '../../unawaited.ts';
import type { Bridge } from './bridge.ts';
import type { Link } from './link.ts';
import type { Links } from './links.ts';

/** An ordered path of bridges that is built, and takes streams. */
interface Circuit {
  /** Unique while the process lives. */
  readonly id: number;
  readonly path: readonly Bridge[];
  /** The link to the last bridge. */
  readonly link: Link;
}

/** A circuit that a stream is on. */
export interface Attached {
  readonly circuit: Circuit;
  /** The stream has left; to be called once. */
  readonly detach: () => void;
}

/** What the configuration says about circuits. */
export interface CircuitSettings {
  readonly bridges: readonly Bridge[];
  readonly hops: number;
  /** How long after its first stream a circuit takes new ones. */
  readonly maxDirtinessMs: number;
}

/** What circuits are given. */
export interface CircuitsOptions {
  readonly events: Emitter<EngineEvent>;
  readonly links: Links;
  readonly timers: Timers;
  readonly rng: Rng;
}

/** Builds circuits, shares them out among streams, and lets them go. */
export class Circuits {
  readonly #options: CircuitsOptions;
  readonly #built = new Set<BuiltCircuit>();
  #settings: CircuitSettings = { bridges: [], hops: 1, maxDirtinessMs: 0 };
  #building: Promise<BuiltCircuit> | undefined;
  /** Bridges that a circuit is being extended to, and that have not answered. */
  readonly #trying = new Set<Bridge>();
  #lastId = 0;
  /** Streams that wait for a bridge to come back. */
  readonly #waiters = new Set<() => void>();

  constructor(options: CircuitsOptions) {
    this.#options = options;
  }

  /** The circuits that stand. */
  get all(): readonly { readonly id: number; readonly path: readonly Bridge[]; streams: number }[] {
    return [...this.#built];
  }

  /**
   * What holds from now on. Circuits that could not be built any more take no new streams; those that
   * they have go on.
   */
  configure(settings: CircuitSettings): void {
    const hasNewLength = settings.hops !== this.#settings.hops;
    this.#settings = settings;
    for (const circuit of this.#built) {
      const isLost = circuit.path.some((bridge) => !settings.bridges.includes(bridge));
      if (hasNewLength || isLost) circuit.retire();
    }
    this.bridgesChanged();
  }

  /** A bridge was reached, has failed, has come or gone: all that wait look again. */
  bridgesChanged(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  /**
   * Puts a new stream on a circuit: on one that stands and has room, else on a new one. While no bridge
   * can be used it waits, but not after every bridge has failed once more.
   *
   * @throws PosternError `ERR_NO_BRIDGE` when none is configured; `ERR_LINK_FAILED` when none can be
   *   reached; the reason of `signal`
   */
  async acquire(signal: AbortSignal): Promise<Attached> {
    const failuresBefore = new Map(
      this.#settings.bridges.map((bridge) => [bridge, bridge.failures] as const),
    );
    let failure: Error | undefined;
    for (let builds = 0; builds < limits.streamCircuits;) {
      signal.throwIfAborted();
      const { bridges } = this.#settings;
      if (bridges.length === 0) {
        throw new PosternError('ERR_NO_BRIDGE', 'no bridge is configured, or UseBridges is 0');
      }
      for (const circuit of this.#built) {
        // In one turn: each of those that wait must see what the one before took.
        if (circuit.takesStreams) return { circuit, detach: circuit.attach() };
      }
      if (this.#building !== undefined || this.#choosePath() !== undefined) {
        try {
          const circuit = await orAborted(this.#build(), signal);
          // Full already: others were quicker.
          if (circuit.isFull) continue;
        } catch (error) {
          signal.throwIfAborted();
          failure = error as Error;
        }
        builds += 1;
        continue;
      }
      const mayComeBack = bridges.some(
        (bridge) => !bridge.isUp && bridge.failures <= (failuresBefore.get(bridge) ?? 0),
      );
      if (!mayComeBack) break;
      await this.#untilBridgesChange(signal);
    }
    throw failure ?? unreachable(this.#settings.bridges);
  }

  /** Builds one ahead of need, so that the first stream need not wait. Failures show in the log. */
  prepareOne(): void {
    if (this.#building !== undefined || [...this.#built].some(({ takesStreams }) => takesStreams)) {
      return;
    }
    if (this.#choosePath() !== undefined) this.#build().catch(() => {});
  }

  /** Lets all of them go; the links end for themselves. */
  close(): void {
    this.#settings = { ...this.#settings, bridges: [] };
    for (const circuit of this.#built) circuit.end();
    this.bridgesChanged();
  }

  /** A stream that comes while circuits are being built takes the first one that is ready. */
  #build(): Promise<BuiltCircuit> {
    this.#building ??= this.#tryPaths().finally(() => {
      this.#building = undefined;
    });
    return this.#building;
  }

  /**
   * Tries one path after the other, and does not wait long for any: a bridge may accept a connection and
   * then say nothing for a minute. The first that stands wins; one that comes in later stays in reserve.
   *
   * @throws what the last one failed with, when none is left
   */
  #tryPaths(): Promise<BuiltCircuit> {
    return new Promise((resolve, reject) => {
      let running = 0;
      let failure: unknown;
      let cancelNext: (() => void) | undefined;
      const settle = (settlement: () => void): void => {
        cancelNext?.();
        this.#waiters.delete(tryLater);
        settlement();
      };
      // A bridge that comes, or comes back, is tried too.
      const tryLater = (): void => {
        cancelNext ??= this.#options.timers.after(this.#staggerMs(), tryNext);
      };
      const tryNext = (): void => {
        cancelNext?.();
        cancelNext = undefined;
        const path = this.#choosePath();
        if (path === undefined) {
          if (running === 0) settle(() => reject(failure ?? unreachable(this.#settings.bridges)));
          return;
        }
        running += 1;
        this.#extend(path).then(
          (circuit) => settle(() => resolve(circuit)),
          (error: unknown) => {
            running -= 1;
            failure = error;
            if (this.#waiters.has(tryLater)) tryNext();
          },
        );
        tryLater();
      };
      this.#waiters.add(tryLater);
      tryNext();
    });
  }

  /** However many bridges there are, the last of them gets its turn soon. */
  #staggerMs(): number {
    const { length } = this.#settings.bridges;
    return Math.min(limits.bridgeStaggerMs, limits.bridgeSpreadMs / length);
  }

  /** Launches a circuit and extends it, hop by hop. */
  async #extend(path: readonly Bridge[]): Promise<BuiltCircuit> {
    const { links } = this.#options;
    const id = (this.#lastId += 1);
    const used: { readonly link: Link; readonly release: () => void }[] = [];
    this.#tell('launched', id, []);
    for (const bridge of path) this.#trying.add(bridge);
    try {
      for (let hops = 1; hops <= path.length; hops += 1) {
        const link = await links.get(path.slice(0, hops));
        used.push({ link, release: links.use(link) });
        this.#trying.delete(path[hops - 1]!);
        this.#tell('extended', id, path.slice(0, hops));
      }
      if (used.some(({ link }) => !link.isOpen)) {
        throw new PosternError('ERR_LINK_FAILED', 'a link broke while the circuit was built');
      }
    } catch (error) {
      this.#tell('failed', id, path.slice(0, used.length));
      for (const { release } of used) release();
      throw error;
    } finally {
      for (const bridge of path) this.#trying.delete(bridge);
    }
    const circuit = new BuiltCircuit(id, path, used.at(-1)!.link, {
      afterDirtiness: (callback) =>
        this.#options.timers.after(this.#settings.maxDirtinessMs, callback),
      onEnd: () => {
        this.#built.delete(circuit);
        this.#tell('closed', id, path);
        for (const { release } of used) release();
      },
    });
    this.#built.add(circuit);
    this.#tell('built', id, path);
    for (const { link } of used) unawaited(() => link.closed.then(() => circuit.end()));
    const { bridges, hops } = this.#settings;
    if (hops !== path.length || path.some((bridge) => !bridges.includes(bridge))) circuit.retire();
    return circuit;
  }

  /**
   * Bridges by chance, none twice, those that have been reached before those that never were; undefined
   * when too few are up and not being tried already.
   */
  #choosePath(): readonly Bridge[] | undefined {
    const { bridges, hops } = this.#settings;
    const usable = bridges.filter((bridge) => bridge.isUp && !this.#trying.has(bridge));
    // From the end: not every bridge can be one of the last hops.
    const path: Bridge[] = [];
    while (path.length < hops) {
      const isFirst = path.length === hops - 1;
      const candidates = usable.filter(
        (bridge) => !path.includes(bridge) && (isFirst || bridge.route.through !== undefined),
      );
      if (candidates.length === 0) return undefined;
      // A bridge behind a program can only be the first hop: the others are left for the later ones.
      const direct = candidates.filter(({ route }) => route.through === undefined);
      const choice = isFirst && hops > 1 && direct.length > 0 ? direct : candidates;
      const known = choice.filter(({ wasReached }) => wasReached);
      const ranked = known.length > 0 ? known : choice;
      path.unshift(ranked[randomInteger(this.#options.rng, 0, ranked.length - 1)]!);
    }
    return path;
  }

  async #untilBridgesChange(signal: AbortSignal): Promise<void> {
    let wake = (): void => {};
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
      this.#waiters.add(wake);
    });
    try {
      await orAborted(changed, signal);
    } finally {
      this.#waiters.delete(wake);
    }
  }

  #tell(status: EventStatus['circuit'], id: number, path: readonly Bridge[]): void {
    this.#options.events.emit({ type: 'circuit', status, id, path: path.map(({ name }) => name) });
  }
}

interface CircuitHooks {
  readonly afterDirtiness: (callback: () => void) => () => void;
  readonly onEnd: () => void;
}

class BuiltCircuit implements Circuit {
  readonly id: number;
  readonly path: readonly Bridge[];
  readonly link: Link;
  readonly #hooks: CircuitHooks;
  #cancelDirtiness: (() => void) | undefined;
  #isRetired = false;
  #hasEnded = false;
  streams = 0;

  constructor(id: number, path: readonly Bridge[], link: Link, hooks: CircuitHooks) {
    this.id = id;
    this.path = path;
    this.link = link;
    this.#hooks = hooks;
  }

  get takesStreams(): boolean {
    return !this.#isRetired && !this.#hasEnded && this.link.hasRoom;
  }

  get isFull(): boolean {
    return this.link.isOpen && !this.link.hasRoom;
  }

  /** A stream is on it from now on. @returns the stream has left; to be called once */
  attach(): () => void {
    const giveBack = this.link.promise();
    this.streams += 1;
    this.#cancelDirtiness ??= this.#hooks.afterDirtiness(() => this.retire());
    return () => {
      giveBack();
      this.streams -= 1;
      if (this.#isRetired && this.streams === 0) this.end();
    };
  }

  /** Takes no new streams, and ends with the last one that it has. */
  retire(): void {
    this.#isRetired = true;
    if (this.streams === 0) this.end();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#cancelDirtiness?.();
    this.#hooks.onEnd();
  }
}

function unreachable(bridges: readonly Bridge[]): PosternError {
  const cause = bridges.find(({ lastError }) => lastError !== undefined)?.lastError;
  return new PosternError('ERR_LINK_FAILED', 'no bridge can be reached', { cause });
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
