/** The tor engine: a real Tor behind TC, started and kept by us, or one that runs already. */
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { Configuration } from '../../config/configuration.ts';
import { logLevels } from '../../config/log-values.ts';
import type { ConfigStore } from '../../config/store.ts';
import type { TorrcPiece } from '../../config/torrc.ts';
import type { AddressMapping, ConfEntry, MappedAddress } from '../../control/messages.ts';
import { PosternError, describeError } from '../../errors.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import type { EngineHost } from '../daemon-options.ts';
import type { Draining, Engine, EngineEndpoints } from '../engine.ts';
import type { Log } from '../log.ts';
import { type Change, simpleChange } from '../part.ts';
import { explainRefusal } from './complaints.ts';
import type { TorEvent } from '../../tor-control/events.ts';
import type { TorSetting } from '../../tor-control/format.ts';
import { TorRefusal } from '../../tor-control/messages.ts';
import type { TorControl } from '../../tor-control/node/control.ts';
import { dumpTor } from './dump.ts';
import { listenerOptions, readListeners } from './listeners.ts';
import { getConf } from './get-conf.ts';
import type { RunningTor, RunningTorHooks } from './running-tor.ts';
import { TorMappings } from './mappings.ts';
import { lowestLevel, type TorSettings } from './tor-settings.ts';
import { EventTranslator } from './translate-events.ts';
import { unawaited } from '../../unawaited.ts';

/** What the tor engine is made of. */
export interface TorEngineParts {
  /** The torrc, as the user wrote it. */
  readonly pieces: readonly TorrcPiece[];
  readonly settings: TorSettings;
  /** Starts Tor, or connects to one, and waits until it is prepared. */
  readonly keep: (hooks: RunningTorHooks, log: Log) => Promise<RunningTor>;
  /** Has Tor judge the configuration, where it is there to be asked. */
  readonly verify: (first: Configuration) => Promise<void>;
  /** Whether the Tor is ours, or ran before us. */
  readonly isOwned: boolean;
}

/** An engine that is a real Tor. */
export class TorEngine implements Engine {
  readonly bridgeLines: readonly BridgeLine[] = [];
  readonly #store: ConfigStore;
  readonly #log: Log;
  readonly #events: Emitter<EngineEvent>;
  readonly #parts: TorEngineParts;
  readonly #translator = new EventTranslator();
  readonly #mappings = new TorMappings();
  #running: RunningTor | undefined;
  #listeners: EngineEndpoints = { socks: [], httpTunnel: [] };
  /** The options and groups that controllers have set or cleared in a Tor that we did not start. */
  readonly #setElsewhere = new Set<string>();
  #isDebug = false;

  constructor({ store, log, events }: EngineHost, parts: TorEngineParts) {
    this.#store = store;
    this.#log = log;
    this.#events = events;
    this.#parts = parts;
  }

  get isShared(): boolean {
    return !this.#parts.isOwned;
  }

  get endpoints(): EngineEndpoints {
    return this.#listeners;
  }

  async verify(first: Configuration): Promise<void> {
    try {
      await this.#parts.verify(first);
    } catch (error) {
      throw explainRefusal(this.#parts.pieces, error);
    }
  }

  /** Starts Tor, or connects to the one that runs. */
  async start(_first: Configuration, onEnded: (reason?: unknown) => void): Promise<Change> {
    const { keep, isOwned, pieces } = this.#parts;
    const hooks: RunningTorHooks = {
      prepare: (control) => this.#prepare(control),
      onLost: (error, retryMs) => this.#tellLoss(error, retryMs),
    };
    try {
      const running = await keep(hooks, this.#log);
      this.#running = running;
      unawaited(() => running.closed.then(onEnded));
    } catch (error) {
      throw isOwned ? explainRefusal(pieces, error) : error;
    }
    return simpleChange(() => {});
  }

  /** Our own options from our store, all others from Tor, in the order of the keys. */
  getConf(keys: readonly string[]): Promise<readonly ConfEntry[]> {
    const parts = { store: this.#store, settings: this.#parts.settings };
    return getConf(parts, keys, () => this.#tor.control);
  }

  explain(lines: readonly TorrcPiece[], error: unknown): unknown {
    return explainRefusal(lines, error);
  }

  /** Of a Tor that is not ours only Tor can save the options. */
  async saveElsewhere(): Promise<void> {
    if (this.isShared) await this.#tor.control.saveConf();
  }

  mapAddress(original: MappedAddress, replacement: MappedAddress): Promise<AddressMapping> {
    return this.#mappings.map(this.#tor.control, original, replacement);
  }

  mappings(): Promise<readonly AddressMapping[]> {
    return this.#mappings.list(this.#tor.control);
  }

  dump(): Promise<void> {
    return dumpTor(this.#tor.control, this.#log);
  }

  async debug(current: Configuration): Promise<void> {
    this.#isDebug = true;
    await this.#tor.control.signal('DEBUG');
    await this.#subscribe(this.#tor.control, current);
  }

  /** Tor takes all of its lines or none; what it has taken is in force. */
  async prepare(next: Configuration, changed: ReadonlySet<string>): Promise<Change> {
    const { settings, isOwned } = this.#parts;
    const elsewhere = [...changed].filter((home) => next.vocabulary.isKeptElsewhere(home));
    const lines = settings.changesFor(next, isOwned ? changed : elsewhere);
    if (lines.length > 0) await this.#tor.control.resetConf(lines);
    return {
      commit: async () => {
        for (const home of elsewhere) this.#setElsewhere.add(home);
        await this.#saveTorrc(next);
        await this.#follow(next, changed);
      },
      rollback: async () => {},
    };
  }

  async completeReload(current: Configuration): Promise<void> {
    this.#isDebug = false;
    await this.#tor.saveTorrc(this.#parts.settings.torrcFor(current));
    // Also for what Tor does besides: it opens its logs again and looks for news of the network.
    await this.#tor.control.signal('RELOAD');
    this.#setElsewhere.clear();
    await this.#subscribe(this.#tor.control, current);
  }

  /** A Tor without an ORPort ends at once; a relay lets the streams of others end first. */
  async drain(): Promise<Draining | undefined> {
    const tor = this.#tor;
    const ports = await tor.control.getConf(['ORPort']);
    const isRelay = ports.some(({ value }) => value !== undefined && value !== '0');
    await tor.end('SHUTDOWN');
    return isRelay ? { over: tor.closed } : undefined;
  }

  halt(): Promise<void> {
    return this.#tor.end('HALT');
  }

  async close(): Promise<void> {
    await this.#running?.close();
  }

  get #tor(): RunningTor {
    // Set before anyone can ask: the control server starts last.
    return this.#running!;
  }

  /** Tor runs, or runs again: events come, and what controllers have mapped is mapped. */
  async #prepare(control: TorControl): Promise<void> {
    const { settings } = this.#parts;
    const store = this.#store;
    control.onEvent((event) => this.#tell(event));
    unawaited(() => control.closed.then(() => this.#lose()));
    await this.#subscribe(control, store.current);
    await this.#mappings.restore(control);
    // A Tor of ours has it from its torrc; one that somebody else restarted has forgotten it.
    const lines = settings.changesFor(store.current, this.#setElsewhere);
    if (lines.length > 0) await this.#setAgain(control, lines);
    if (this.#isDebug) await control.signal('DEBUG');
    await this.#announce(control);
  }

  /** Where Tor now refuses what it took before, it is controlled all the same. */
  async #setAgain(control: TorControl, lines: readonly TorSetting[]): Promise<void> {
    try {
      await control.resetConf(lines);
    } catch (error) {
      if (!(error instanceof TorRefusal)) throw error;
      this.#log.write('warn', `Tor now refuses what controllers had set: ${error.text}`);
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
      // Over the control port nobody says of which domain it is.
      this.#log.in(undefined).write(event.severity, event.message);
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
    this.#log.write('warn', `Tor is gone: ${reason}. Trying again in ${seconds} s.`);
  }

  /** Which events we ask for depends on options. The options are in force, whether that works or not. */
  async #follow(next: Configuration, changed: ReadonlySet<string>): Promise<void> {
    try {
      const { control } = this.#tor;
      if (this.isShared && changed.has('Log')) await this.#subscribe(control, next);
      if (listenerOptions.some((option) => changed.has(option))) {
        this.#listeners = await readListeners(control, this.#log);
      }
    } catch (error) {
      this.#log.write(
        'warn',
        `Tor took a change, and what it did cannot be read: ${describeError(error)}`,
      );
    }
  }

  /** Should somebody else send Tor a SIGHUP, it is to read what is in force. */
  async #saveTorrc(configuration: Configuration): Promise<void> {
    if (this.isShared) return;
    try {
      await this.#tor.saveTorrc(this.#parts.settings.torrcFor(configuration));
    } catch (error) {
      this.#log.write('warn', `A SIGHUP to Tor would undo this change: ${describeError(error)}`);
    }
  }
}
