/** The embedded engine: what plays "the locally running Tor process" with nothing else installed. */
import { systemClock, systemTimers, type Timers } from '../../time.ts';
import type { Configuration } from '../../config/configuration.ts';
import { ConfigStore } from '../../config/store.ts';
import { AddressMap } from '../../control/address-map.ts';
import type { EngineEvent } from '../../control/engine.ts';
import type { AddressMapping, ConfEntry, MappedAddress, Signal } from '../../control/messages.ts';
import { systemRng } from '../../crypto/rng.ts';
import { slowSecretboxNotice } from '../../crypto/secretbox.ts';
import { openStateDirectory } from '../../state/state-directory.ts';
import type { Endpoint } from '../../pt/address.ts';
import { type BridgeLine } from '../../pt/bridge-line.ts';
import { describeError } from '../../errors.ts';
import { builtinTransports } from '../../transports/registry.ts';
import { ControlPart } from '../control-part.ts';
import type { Daemon, DaemonEndpoints, EngineOptions } from '../daemon-options.ts';
import { makeDataDirectory, transportStateDirectory } from '../data-directory.ts';
import { EngineEvents } from '../events.ts';
import { DaemonLog } from '../log.ts';
import { type Part, prepareAll } from '../part.ts';
import { Bandwidth } from './bandwidth.ts';
import { BridgePart } from './bridge-part.ts';
import { ClientPart } from './client-part.ts';

/** Where an engine listens: port 0 has become a number. */
interface EmbeddedEndpoints extends DaemonEndpoints {
  readonly orPort: Endpoint | undefined;
}

/** A running daemon: client, bridge or both, and the control server in front of it. */
export class EmbeddedEngine implements Daemon {
  readonly ended: Promise<void>;
  readonly #store: ConfigStore;
  readonly #events = new EngineEvents();
  readonly #timers: Timers;
  readonly #addressMap: AddressMap;
  readonly #log: DaemonLog;
  readonly #client: ClientPart;
  readonly #bridge: BridgePart;
  readonly #control: ControlPart;
  readonly #parts: readonly Part[];
  #end!: () => void;
  #cancelEnd: (() => void) | undefined;

  private constructor(store: ConfigStore, options: EngineOptions) {
    const { rng = systemRng, clock = systemClock, timers = systemTimers } = options;
    const { registry = builtinTransports, env, home } = options;
    const { values } = store.current;
    const events = this.#events;
    this.#store = store;
    this.#timers = timers;
    this.#addressMap = new AddressMap({ rng });
    this.#log = new DaemonLog({ ...options, clock, events });
    const bandwidth = new Bandwidth(events, timers, () => performance.now());
    const common = { registry, env, home, timers, rng, log: this.#log, bandwidth };
    const state = openStateDirectory(transportStateDirectory(values, home));
    this.#client = new ClientPart({
      ...common,
      environment: { rng, clock, state },
      events,
      addressMap: this.#addressMap,
    });
    this.#bridge = new BridgePart({ ...common, environment: { rng, clock } });
    this.#control = new ControlPart({ engine: this, log: this.#log, rng, home });
    this.#parts = [this.#log, bandwidth, this.#client, this.#bridge, this.#control];
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /**
   * Reads the torrc and starts what it asks for.
   *
   * @throws PosternError `ERR_CONFIG_*`, `ERR_DATA_DIRECTORY`, `ERR_LOG_FILE`, `ERR_LISTEN_*`,
   *   `ERR_TRANSPORT_*`, `ERR_PARENT_*`, `ERR_CONTROL_*`; nothing runs then
   */
  static async start(options: EngineOptions): Promise<EmbeddedEngine> {
    const store = await ConfigStore.open(options.torrc, options.localDefaults);
    const { values } = store.current;
    await makeDataDirectory(values, options.home);
    const engine = new EmbeddedEngine(store, options);
    try {
      // The log before all others: they have something to say.
      (await engine.#log.prepare(values)).commit();
      if (slowSecretboxNotice !== undefined) engine.#log.write('notice', slowSecretboxNotice);
      (await prepareAll(engine.#parts, values)).commit();
    } catch (error) {
      await engine.close();
      throw error;
    }
    store.onChange((next) => engine.#apply(next));
    return engine;
  }

  /** Where it listens. */
  get endpoints(): EmbeddedEndpoints {
    return {
      socks: this.#client.endpoints('SocksPort'),
      httpTunnel: this.#client.endpoints('HTTPTunnelPort'),
      control: this.#control.endpoints,
      orPort: this.#bridge.orPort,
    };
  }

  /** What clients need to use it as a bridge; a wildcard address stands for this machine's. */
  get bridgeLines(): readonly BridgeLine[] {
    return this.#bridge.bridgeLines;
  }

  getConf(keys: readonly string[]): readonly ConfEntry[] {
    return this.#store.get(keys);
  }

  setConf(lines: string): Promise<void> {
    return this.#store.set(lines);
  }

  saveConf(): Promise<void> {
    return this.#store.save();
  }

  mapAddress(original: MappedAddress, replacement: MappedAddress): AddressMapping {
    return this.#addressMap.map(original, replacement);
  }

  mappings(): readonly AddressMapping[] {
    return this.#addressMap.mappings();
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
        this.#dump();
        return 'done';
      case 'debug':
        this.#log.setDebug();
        this.#log.write('notice', 'All logs take everything now, until the next reload.');
        return 'done';
      case 'halt':
        this.#log.write('notice', 'Ending now.');
        this.#end();
        return 'ending';
    }
  }

  obey(signal: Signal): Promise<unknown> {
    return this.signal(signal);
  }

  async close(): Promise<void> {
    this.#cancelEnd?.();
    this.#end();
    for (const part of this.#parts.toReversed()) await part.close();
  }

  async #apply({ values }: Configuration): Promise<void> {
    (await prepareAll(this.#parts, values)).commit();
    this.#log.write('info', 'The configuration has changed.');
  }

  async #reload(): Promise<void> {
    try {
      await this.#log.reopen();
      await this.#store.reload();
    } catch (error) {
      const reason = describeError(error);
      this.#log.write('warn', `The torrc is not loaded, what was in force stays: ${reason}`);
      throw error;
    }
    this.#log.write('notice', 'The torrc is loaded again.');
  }

  /** At once as a client; as a bridge after some time for the streams of others (TC 3.10). */
  async #shutDown(): Promise<'done' | 'ending'> {
    const waitSeconds = this.#store.current.values.ShutdownWaitLength;
    if (!this.#bridge.isBridge || this.#cancelEnd !== undefined) {
      this.#log.write('notice', 'Ending now.');
      this.#end();
      return 'ending';
    }
    this.#cancelEnd = this.#timers.after(waitSeconds * 1000, () => {
      this.#log.write('notice', 'Ending now.');
      this.#end();
    });
    this.#log.write('notice', `No new connections any more; ending in ${waitSeconds} seconds.`);
    await this.#client.closeListeners();
    await this.#bridge.drain();
    return 'done';
  }

  #dump(): void {
    const { circuits, links, streams } = this.#client;
    const log = (text: string): void => this.#log.write('notice', text);
    log(
      `${links.all.length} links, ${circuits.all.length} circuits, ${streams.all.length} streams`,
    );
    for (const { bridge, streams: count } of links.all) {
      log(`link to ${bridge.name}: ${count} streams`);
    }
    for (const { id, path, streams: count } of circuits.all) {
      log(`circuit ${id} through ${path.map(({ name }) => name).join(', ')}: ${count} streams`);
    }
    for (const { id, target, circuit } of streams.all) {
      const where = circuit === undefined ? 'waits for a circuit' : `is on circuit ${circuit}`;
      log(`stream ${id} to ${this.#log.conceal(target)} ${where}`);
    }
    const { server, isBridge } = this.#bridge;
    if (isBridge) log(`as a bridge: ${server.linkCount} links, ${server.streamCount} streams`);
  }
}
