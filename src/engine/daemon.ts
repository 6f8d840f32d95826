/**
 * The daemon: a configuration, a log, control ports and an engine behind them. What TC means is said
 * here, once for every engine.
 */
import { addAbortListener, setMaxListeners } from 'node:events';
import { Emitter } from '../bytes/emitter.ts';
import type { Configuration } from '../config/configuration.ts';
import { expandPath } from '../config/node.ts';
import { remarksOn } from '../config/remarks.ts';
import { type ConfigStore, readTorrc } from '../config/store.ts';
import { parseTorrc } from '../config/torrc.ts';
import { readEngine } from '../config/vocabulary.ts';
import { formatDumpLine } from '../control/dump.ts';
import type { ControlEngine, EngineEvent } from '../control/engine.ts';
import type { MappedAddress, Signal } from '../control/messages.ts';
import { systemRng } from '../crypto/rng.ts';
import { describeError, PosternError } from '../errors.ts';
import type { BridgeLine } from '../pt/bridge-line.ts';
import { type DirectoryLock, lockDirectory } from '../state/directory-lock.ts';
import { systemClock, systemTimers } from '../time.ts';
import { unawaited } from '../unawaited.ts';
import { version } from '../version.ts';
import { ControlPorts } from './control-ports.ts';
import type { DaemonEndpoints, DaemonOptions, EnginePlan } from './daemon-options.ts';
import { borrowDirectory, dataDirectory } from './data-directory.ts';
import { planEmbeddedEngine } from './embedded/engine.ts';
import type { Draining, Engine } from './engine.ts';
import { DaemonLog } from './log.ts';
import { type Change, prepareEach } from './part.ts';
import { Places } from './places.ts';
import { placesIn } from './places-in.ts';
import { forOption } from './resources.ts';
import { planTorEngine } from './tor/plan.ts';

/** A running daemon. */
export class Daemon implements ControlEngine {
  /**
   * Settles, and never rejects, when the daemon is to end: because a controller or `obey` asked for it, or,
   * with the reason, because it cannot go on. Its owner calls `close` then.
   */
  readonly ended: Promise<unknown>;
  readonly #options: DaemonOptions;
  readonly #store: ConfigStore;
  readonly #events = new Emitter<EngineEvent>();
  readonly #log: DaemonLog;
  readonly #engine: Engine;
  readonly #control: ControlPorts;
  readonly #lock: DirectoryLock;
  readonly #places: Places;
  readonly #stopping = new AbortController();
  readonly #startedMs = performance.now();
  /** What was said of the configuration that is in force. */
  #remarks: readonly string[] = [];
  #state: 'running' | 'draining' | 'ended' = 'running';
  #resolveEnded!: (reason?: unknown) => void;
  #cancelEnd: (() => void) | undefined;

  private constructor(options: DaemonOptions, { store, build }: EnginePlan, lock: DirectoryLock) {
    const { rng = systemRng, clock = systemClock, home } = options;
    this.#options = options;
    this.#store = store;
    this.#lock = lock;
    const events = this.#events;
    const log = new DaemonLog({ ...options, clock, events });
    const places = new Places();
    const stopping = this.#stopping.signal;
    // Each program that is being started listens to it.
    setMaxListeners(0, stopping);
    this.#log = log;
    this.#places = places;
    this.#engine = build({ options, store, log, events, places, stopping });
    this.#control = new ControlPorts({ engine: this, log, rng, home, places });
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  /**
   * Reads the torrc and starts what it asks for.
   *
   * @throws PosternError `ERR_CONFIG_*`, `ERR_DATA_DIRECTORY`, `ERR_DIRECTORY_*`, `ERR_LOG_FILE`, `ERR_LISTEN_*`,
   *   `ERR_TRANSPORT_*`, `ERR_PARENT_*`, `ERR_CONTROL_*`, `ERR_TOR_*`, or the reason of `startSignal`;
   *   nothing runs then
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { startSignal } = options;
    const plan = await planEngine(options);
    const first = plan.store.current;
    // Before anything in it is touched: it may hold the cookie, the identity and the Tor of another daemon.
    const lock = await forOption('DataDirectory', () =>
      lockDirectory(dataDirectory(first.values, options.home)),
    );
    const daemon = new Daemon(options, plan, lock);
    using _ =
      startSignal &&
      addAbortListener(startSignal, () => daemon.#stopping.abort(startSignal.reason));
    try {
      // The log first: the others write to it. The control ports last: a daemon that fails to start must not
      // renew the cookie.
      await (await daemon.#log.prepare(first.values)).commit();
      daemon.#remark(first);
      daemon.#places.beginChange(placesIn(first.values, options.home));
      const start = await prepareEach([
        () => daemon.#engine.start(first, (reason) => daemon.#end(reason)),
        () => daemon.#control.prepare(first.values),
      ]);
      await start.commit();
      startSignal?.throwIfAborted();
    } catch (error) {
      await daemon.close();
      throw error;
    }
    plan.store.onChange((...change) => daemon.#apply(...change));
    return daemon;
  }

  /**
   * Does all that a start does but listen, dial and start programs, and undoes it. Another daemon may use
   * the data directory meanwhile: whoever is about to reload it asks for that.
   *
   * @returns what is no reason not to start
   * @throws PosternError like `start`
   */
  static async verify(options: DaemonOptions): Promise<readonly string[]> {
    const plan = await planEngine(options, false);
    const first = plan.store.current;
    const notes: string[] = [];
    await using directory = await borrowDirectory(dataDirectory(first.values, options.home));
    if (directory.user !== undefined) notes.push(`${directory.user}; it can be reloaded`);
    const daemon = new Daemon(options, plan, directory);
    daemon.onEvent((event) => {
      if (event.type === 'log' && event.level === 'warn') notes.push(event.message);
    });
    try {
      daemon.#remark(first);
      await daemon.#log.verify(first.values);
      await daemon.#engine.verify(first);
      await daemon.#control.verify(first.values);
    } finally {
      await daemon.close();
    }
    return notes;
  }

  /** Where it listens. */
  get endpoints(): DaemonEndpoints {
    return { ...this.#engine.endpoints, control: this.#control.endpoints };
  }

  /** What clients need to use it as a bridge. */
  get bridgeLines(): readonly BridgeLine[] {
    return this.#engine.bridgeLines;
  }

  getConf(keys: readonly string[]): ReturnType<ControlEngine['getConf']> {
    return this.#engine.getConf(keys);
  }

  async setConf(lines: string): Promise<void> {
    this.#checkRunning();
    try {
      await this.#store.set(lines);
    } catch (error) {
      throw this.#engine.explain(parseTorrc(lines), error);
    }
  }

  async saveConf(): Promise<void> {
    // First: a Tor that keeps options of its own may refuse.
    await this.#engine.saveElsewhere();
    await this.#store.save();
  }

  mapAddress(
    original: MappedAddress,
    replacement: MappedAddress,
  ): ReturnType<ControlEngine['mapAddress']> {
    return this.#engine.mapAddress(original, replacement);
  }

  mappings(): ReturnType<ControlEngine['mappings']> {
    return this.#engine.mappings();
  }

  onEvent(listener: (event: EngineEvent) => void): () => void {
    return this.#events.subscribe(listener);
  }

  /** TC 3.10. */
  async signal(signal: Signal): Promise<'done' | 'ending'> {
    switch (signal) {
      case 'reload':
        await this.#reload();
        return 'done';
      case 'dump':
        await this.#engine.dump();
        this.#describe();
        return 'done';
      case 'debug':
        this.#log.setDebug();
        await this.#engine.debug(this.#store.current);
        this.#log.write('notice', 'All logs write everything now, until the next reload.');
        return 'done';
      case 'shutdown':
        return this.#shutDown();
      case 'halt':
        return this.#halt();
    }
  }

  /** Does what a Unix signal to this process asks for. */
  async obey(signal: Signal): Promise<'done' | 'ending'> {
    const isEnd = signal === 'shutdown' || signal === 'halt';
    if (!isEnd || !this.#engine.isShared) return this.signal(signal);
    this.#log.write('notice', 'Ending now; the Tor that is controlled goes on.');
    this.#end();
    return 'ending';
  }

  /** Closes everything now; controllers still get the replies that they wait for. Idempotent. */
  async close(): Promise<void> {
    this.#cancelEnd?.();
    this.#end();
    await this.#control.close();
    await this.#engine.close();
    await this.#log.close();
    await this.#lock.release();
  }

  /** Each part prepares, the engine as the last one, then all is in force. */
  async #apply(
    next: Configuration,
    _previous: Configuration,
    changed: ReadonlySet<string>,
    isReload: boolean,
  ): Promise<void> {
    const change = await this.#prepare(next, changed, isReload);
    if (this.#state !== 'running') {
      // It would open again what has just been closed for good.
      await change.rollback();
      throw endingError();
    }
    await change.commit();
    this.#remark(next);
    if (changed.size > 0) this.#log.in('config').write('info', 'The configuration has changed.');
  }

  /** Says what in a configuration is taken and does not do what it seems to; once while it stays so. */
  #remark(configuration: Configuration): void {
    const remarks = [
      ...configuration.abbreviations,
      ...remarksOn(configuration.values, (path) => expandPath(path, this.#options.home)),
    ];
    for (const text of remarks) {
      if (!this.#remarks.includes(text)) this.#log.in('config').write('warn', text);
    }
    this.#remarks = remarks;
  }

  #prepare(next: Configuration, changed: ReadonlySet<string>, isReload: boolean): Promise<Change> {
    this.#places.beginChange(placesIn(next.values, this.#options.home));
    return prepareEach([
      () => (isReload ? this.#log.prepareAfresh(next.values) : this.#log.prepare(next.values)),
      () => this.#control.prepare(next.values),
      () => this.#engine.prepare(next, changed),
    ]);
  }

  async #reload(): Promise<void> {
    this.#checkRunning();
    try {
      await this.#store.reload(() => this.#engine.completeReload(this.#store.current));
    } catch (error) {
      const pieces = await readTorrc(this.#options.torrc).catch(() => []);
      const explained = this.#engine.explain(pieces, error);
      const reason = describeError(explained);
      this.#log.write(
        'warn',
        `The torrc was not loaded, and the configuration in force stays: ${reason}`,
      );
      throw explained;
    }
    this.#log.write('notice', 'The torrc is loaded again.');
  }

  /** Ends when no stream of others is left, and at once when asked a second time. */
  async #shutDown(): Promise<'done' | 'ending'> {
    if (this.#state !== 'running') return this.#halt();
    this.#leave('draining');
    let draining: Draining | undefined;
    try {
      draining = await this.#engine.drain(this.#store.current);
    } catch (error) {
      // What would have been told, such as a Tor, is not there any more: we end all the same.
      this.#log.write('info', `the engine could not be told to end: ${describeError(error)}`);
    }
    if (draining === undefined) return this.#endNow();
    const { over, longestMs } = draining;
    if (longestMs === undefined) {
      this.#log.write('notice', 'Taking no new connections; ending soon.');
    } else {
      this.#log.write(
        'notice',
        `Taking no new connections; ending with the last one, in ${longestMs / 1000} seconds at the latest.`,
      );
      const { timers = systemTimers } = this.#options;
      this.#cancelEnd = timers.after(longestMs, () => this.#endNow());
    }
    unawaited(() => over.then(() => this.#endNow()));
    return 'done';
  }

  async #halt(): Promise<'ending'> {
    if (this.#state === 'ended') return 'ending';
    this.#leave('draining');
    try {
      await this.#engine.halt();
    } catch (error) {
      this.#log.write('info', `the engine could not be told to end: ${describeError(error)}`);
    }
    return this.#endNow();
  }

  #endNow(): 'ending' {
    this.#cancelEnd?.();
    if (this.#state !== 'ended') this.#log.write('notice', 'Ending now.');
    this.#end();
    return 'ending';
  }

  #end(reason?: unknown): void {
    this.#leave('ended');
    this.#resolveEnded(reason);
  }

  #leave(state: 'draining' | 'ended'): void {
    this.#state = state;
    this.#stopping.abort(endingError());
  }

  /** The last line of a dump. */
  #describe(): void {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
    const { Engine: engine } = this.#store.current.values;
    this.#log.write('notice', formatDumpLine({ kind: 'process', version, engine, seconds }));
  }

  #checkRunning(): void {
    if (this.#state !== 'running') throw endingError();
  }
}

/**
 * Reads the torrc, and asks a Tor which options it has when the torrc names one.
 *
 * @throws PosternError `ERR_CONFIG_*`, `ERR_TOR_*`
 */
async function planEngine(options: DaemonOptions, mayDial = true): Promise<EnginePlan> {
  const pieces = await readTorrc(options.torrc);
  return readEngine(pieces) === 'tor'
    ? planTorEngine(options, pieces, mayDial)
    : planEmbeddedEngine(options);
}

function endingError(): PosternError {
  return new PosternError(
    'ERR_DAEMON_ENDING',
    'the daemon is ending, and changes nothing any more',
  );
}
