/** The tor engine: a real Tor behind TC, started and kept by us, or one that runs already. */
import { systemClock } from '../../time.ts';
import type { Configuration } from '../../config/configuration.ts';
import { logLevels } from '../../config/log-values.ts';
import type { ConfigStore } from '../../config/store.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { AddressMapping, ConfEntry, MappedAddress, Signal } from '../../control/messages.ts';
import { systemRng } from '../../crypto/rng.ts';
import { PosternError, describeError } from '../../errors.ts';
import { ControlPart } from '../control-part.ts';
import type { Daemon, DaemonEndpoints, DaemonOptions } from '../daemon-options.ts';
import { makeDataDirectory } from '../data-directory.ts';
import { EngineEvents } from '../events.ts';
import { DaemonLog } from '../log.ts';
import { type Part, prepareAll } from '../part.ts';
import { explainRefusal } from './complaints.ts';
import type { TorEvent } from './control/events.ts';
import type { TorSetting } from './control/format.ts';
import { TorRefusal } from './control/messages.ts';
import type { TorControl } from './control/node/control.ts';
import { dumpTor } from './dump.ts';
import { listenerOptions, readListeners, type TorListeners } from './listeners.ts';
import { getConf } from './get-conf.ts';
import type { TorKeeper, TorKeeperHooks } from './keeper.ts';
import { TorMappings } from './mappings.ts';
import { lowestLevel, type TorSettings } from './tor-settings.ts';
import { EventTranslator } from './translate-events.ts';

/** What the tor engine is made of. */
export interface TorEngineParts {
  readonly store: ConfigStore;
  readonly settings: TorSettings;
  /** Starts Tor, or connects to one, and waits until it is prepared. */
  readonly keep: (hooks: TorKeeperHooks, log: DaemonLog) => Promise<TorKeeper>;
  /** Whether the Tor is ours, or ran before us. */
  readonly isOwned: boolean;
}

/** A running daemon in front of a real Tor. */
export class TorEngine implements Daemon {
  readonly ended: Promise<unknown>;
  readonly #options: DaemonOptions;
  readonly #parts: TorEngineParts;
  readonly #events = new EngineEvents();
  readonly #translator = new EventTranslator();
  readonly #mappings = new TorMappings();
  readonly #log: DaemonLog;
  readonly #control: ControlPart;
  /** Those that the configuration decides about; Tor is asked after them. */
  readonly #ownParts: readonly Part[];
  #keeper: TorKeeper | undefined;
  #listeners: TorListeners = { socks: [], httpTunnel: [] };
  /** The options and groups that controllers have set or cleared in a Tor that is not ours. */
  readonly #setElsewhere = new Set<string>();
  #isDebug = false;
  #end!: (reason?: unknown) => void;

  private constructor(options: DaemonOptions, parts: TorEngineParts) {
    const { rng = systemRng, clock = systemClock, home } = options;
    this.#options = options;
    this.#parts = parts;
    this.#log = new DaemonLog({ ...options, clock, events: this.#events });
    this.#control = new ControlPart({ engine: this, log: this.#log, rng, home });
    this.#ownParts = [this.#log, this.#control];
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /**
   * Starts Tor, or connects to the one that runs, and then the control server in front of it.
   *
   * @throws PosternError `ERR_CONFIG_*`, `ERR_DATA_DIRECTORY`, `ERR_LOG_FILE`, `ERR_LISTEN_*`,
   *   `ERR_CONTROL_*`, `ERR_TOR_*`; nothing runs then
   */
  static async start(options: DaemonOptions, parts: TorEngineParts): Promise<TorEngine> {
    const { store, keep } = parts;
    const { values } = store.current;
    await makeDataDirectory(values, options.home);
    const engine = new TorEngine(options, parts);
    try {
      // The log before all others: they have something to say.
      (await engine.#log.prepare(values)).commit();
      engine.#keeper = await keep(
        {
          prepare: (control) => engine.#prepare(control),
          onLost: (error, retryMs) => engine.#tellLoss(error, retryMs),
        },
        engine.#log,
      );
      (await prepareAll(engine.#ownParts, values)).commit();
    } catch (error) {
      await engine.close();
      throw error;
    }
    void engine.#keeper.closed.then((reason) => engine.#end(reason));
    store.onChange((next, _previous, changed) => engine.#apply(next, changed));
    return engine;
  }

  get endpoints(): DaemonEndpoints {
    return { ...this.#listeners, control: this.#control.endpoints };
  }

  /** Our own options from our store, all others from Tor, in the order of the keys. */
  getConf(keys: readonly string[]): Promise<readonly ConfEntry[]> {
    return getConf(this.#parts, keys, () => this.#tor.control);
  }

  async setConf(lines: string): Promise<void> {
    try {
      await this.#parts.store.set(lines);
    } catch (error) {
      throw explainRefusal(lines, error);
    }
  }

  async saveConf(): Promise<void> {
    // Of a Tor that is not ours only Tor can save the options. First: it may refuse.
    if (!this.#parts.isOwned) await this.#tor.control.saveConf();
    await this.#parts.store.save();
  }

  mapAddress(original: MappedAddress, replacement: MappedAddress): Promise<AddressMapping> {
    return this.#mappings.map(this.#tor.control, original, replacement);
  }

  mappings(): Promise<readonly AddressMapping[]> {
    return this.#mappings.list(this.#tor.control);
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
      case 'shutdown':
        return this.#shutDown();
      case 'dump':
        await dumpTor(this.#tor.control, this.#log);
        return 'done';
      case 'debug':
        this.#isDebug = true;
        this.#log.setDebug();
        await this.#tor.control.signal('DEBUG');
        await this.#subscribe(this.#tor.control, this.#parts.store.current);
        this.#log.write('notice', 'All logs take everything now, until the next reload.');
        return 'done';
      case 'halt':
        this.#log.write('notice', 'Ending now.');
        await this.#tor.end('HALT');
        this.#end();
        return 'ending';
    }
  }

  /** Asked to end, we leave alone a Tor that is not ours. */
  async obey(signal: Signal): Promise<unknown> {
    const isEnd = signal === 'shutdown' || signal === 'halt';
    if (!isEnd || this.#parts.isOwned) {
      return this.signal(signal).catch((error: unknown) => {
        // There may be no Tor to be told just now, and we end nonetheless.
        if (!isEnd) throw error;
        this.#end();
      });
    }
    this.#log.write('notice', 'Ending now; the Tor that is controlled goes on.');
    this.#end();
    return 'ending';
  }

  async close(): Promise<void> {
    this.#end();
    await this.#control.close();
    await this.#keeper?.close();
    await this.#log.close();
  }

  get #tor(): TorKeeper {
    // Set before anyone can ask: the control server starts last.
    return this.#keeper!;
  }

  /** Tor runs, or runs again: events come, and what controllers have mapped is mapped. */
  async #prepare(control: TorControl): Promise<void> {
    const { store, settings } = this.#parts;
    control.onEvent((event) => this.#tell(event));
    void control.closed.then(() => this.#lose());
    await this.#subscribe(control, store.current);
    await this.#mappings.restore(control);
    // A Tor of ours has it from its torrc; another one that was started again has forgotten it.
    const lines = settings.changesFor(store.current, this.#setElsewhere);
    if (lines.length > 0) await this.#setAgain(control, lines);
    if (this.#isDebug) await control.signal('DEBUG');
    await this.#announce(control);
  }

  /** A Tor that refuses by now what it took before is to be controlled nonetheless. */
  async #setAgain(control: TorControl, lines: readonly TorSetting[]): Promise<void> {
    try {
      await control.resetConf(lines);
    } catch (error) {
      if (!(error instanceof TorRefusal)) throw error;
      this.#log.write('warn', `Tor does not take any more what controllers had set: ${error.text}`);
    }
  }

  /** Circuits, streams, connections, bytes; of a Tor that does not log to us its log too. */
  async #subscribe(control: TorControl, { values }: Configuration): Promise<void> {
    const lowest = this.#isDebug ? 'debug' : lowestLevel(values.Log);
    const levels = logLevels.slice(logLevels.indexOf(lowest)).map((level) => level.toUpperCase());
    await control.setEvents([
      ...['CIRC', 'STREAM', 'ORCONN', 'BW'],
      ...(this.#parts.isOwned ? [] : levels),
    ]);
  }

  async #announce(control: TorControl): Promise<void> {
    this.#listeners = await readListeners(control, this.#log);
    const info = await control.getInfo('version', 'status/bootstrap-phase');
    const progress = /PROGRESS=(\d+)/.exec(info.get('status/bootstrap-phase') ?? '')?.[1] ?? '0';
    // Announced: a version looks like an address.
    this.#log.announce(`Tor ${info.get('version')} runs; bootstrapped ${progress}%.`);
  }

  #tell(event: TorEvent): void {
    if (event.type === 'log') {
      this.#log.write(event.severity, event.message);
      return;
    }
    const translated = this.#translator.translate(event);
    if (translated !== undefined) this.#events.emit(translated);
  }

  /** The connection to Tor is gone, and with Tor everything that it carried. */
  #lose(): void {
    for (const event of this.#translator.loseAll()) this.#events.emit(event);
  }

  #tellLoss(error: unknown, retryMs: number): void {
    const seconds = (retryMs / 1000).toFixed(1);
    const reason = error instanceof PosternError ? error.message : describeError(error);
    this.#log.write('warn', `Tor is gone: ${reason}. Again in ${seconds} s.`);
  }

  /** Our own parts prepare, then Tor takes all of its lines or none, then ours are in force. */
  async #apply(next: Configuration, changed: ReadonlySet<string>): Promise<void> {
    const { settings, isOwned } = this.#parts;
    const elsewhere = [...changed].filter((home) => next.vocabulary.isKeptElsewhere(home));
    const change = await prepareAll(this.#ownParts, next.values);
    try {
      const lines = settings.changesFor(next, isOwned ? changed : elsewhere);
      if (lines.length > 0) await this.#tor.control.resetConf(lines);
      if (!isOwned && changed.has('Log')) await this.#subscribe(this.#tor.control, next);
    } catch (error) {
      await change.rollback();
      throw error;
    }
    change.commit();
    for (const home of elsewhere) this.#setElsewhere.add(home);
    await this.#saveTorrc(next);
    if (listenerOptions.some((option) => changed.has(option))) {
      this.#listeners = await readListeners(this.#tor.control, this.#log);
    }
    this.#log.write('info', 'The configuration has changed.');
  }

  /** Should somebody else send Tor a SIGHUP, it is to read what is in force. */
  async #saveTorrc(configuration: Configuration): Promise<void> {
    if (!this.#parts.isOwned) return;
    try {
      await this.#tor.saveTorrc(this.#parts.settings.torrcFor(configuration));
    } catch (error) {
      this.#log.write('warn', `A SIGHUP to Tor would undo this change: ${describeError(error)}`);
    }
  }

  async #reload(): Promise<void> {
    const { store, settings } = this.#parts;
    try {
      await this.#log.reopen();
      this.#isDebug = false;
      // In one turn: Tor would lose what a SETCONF in between has set, and we would not.
      await store.reload(async () => {
        await this.#tor.saveTorrc(settings.torrcFor(store.current));
        // Also for what Tor does besides: it opens its logs again and looks for news of the network.
        await this.#tor.control.signal('RELOAD');
        this.#setElsewhere.clear();
      });
      await this.#subscribe(this.#tor.control, store.current);
    } catch (error) {
      const text = await this.#options.torrc.read().catch(() => undefined);
      const explained = explainRefusal(text ?? '', error);
      const reason = describeError(explained);
      this.#log.write('warn', `The torrc is not loaded, what was in force stays: ${reason}`);
      throw explained;
    }
    this.#log.write('notice', 'The torrc is loaded again.');
  }

  /** A Tor without an ORPort ends at once; a relay lets the streams of others end first. */
  async #shutDown(): Promise<'done' | 'ending'> {
    const isRelay = await this.#isRelay();
    this.#log.write(
      'notice',
      isRelay ? 'No new connections any more; ending soon.' : 'Ending now.',
    );
    await this.#tor.end('SHUTDOWN');
    if (isRelay) return 'done'; // `closed` of the keeper tells when Tor is gone
    this.#end();
    return 'ending';
  }

  async #isRelay(): Promise<boolean> {
    let control: TorControl;
    try {
      ({ control } = this.#tor);
    } catch {
      return false; // no Tor runs, and there are no streams of others
    }
    const ports = await control.getConf(['ORPort']);
    return ports.some(({ value }) => value !== undefined && value !== '0');
  }
}
