/** The embedded engine: takes the place of "the locally running Tor process", with nothing else installed. */
import { systemClock, systemTimers } from '../../time.ts';
import type { Configuration } from '../../config/configuration.ts';
import { ConfigStore } from '../../config/store.ts';
import { AddressMap } from '../../control/address-map.ts';
import { type DumpLine, formatDumpLine } from '../../control/dump.ts';
import type { AddressMapping, ConfEntry, MappedAddress } from '../../control/messages.ts';
import { systemRng } from '../../crypto/rng.ts';
import { slowSecretboxNotice } from '../../crypto/secretbox.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import type { Figures } from '../../metrics/registry.ts';
import { openStateDirectory } from '../../state/state-directory.ts';
import { builtinTransports } from '../../transports/registry.ts';
import type { DaemonOptions, EngineHost, EnginePlan } from '../daemon-options.ts';
import { transportStateDirectory } from '../data-directory.ts';
import type { Draining, Engine, EngineEndpoints } from '../engine.ts';
import type { Log } from '../log.ts';
import { MetricsPort } from '../metrics-port.ts';
import { type Change, type Part, prepareAll } from '../part.ts';
import { Bandwidth } from './bandwidth.ts';
import { BridgeRole } from './bridge-role.ts';
import { ClientRole } from './client-role.ts';
import { startHeartbeat } from './heartbeat.ts';

/**
 * What the torrc says of it.
 *
 * @throws PosternError `ERR_CONFIG_*`
 */
export async function planEmbeddedEngine({
  torrc,
  localDefaults,
}: DaemonOptions): Promise<EnginePlan> {
  const store = await ConfigStore.open(torrc, localDefaults);
  return { store, build: (host) => new EmbeddedEngine(host) };
}

/** A client, a bridge or both. */
class EmbeddedEngine implements Engine {
  readonly isShared = false;
  readonly #store: ConfigStore;
  readonly #log: Log;
  readonly #addressMap: AddressMap;
  readonly #client: ClientRole;
  readonly #bridge: BridgeRole;
  readonly #metrics: MetricsPort;
  readonly #parts: readonly Part[];
  readonly #stopHeartbeat: () => void;

  constructor({ options, store, log, events, places, stopping }: EngineHost) {
    const { rng = systemRng, clock = systemClock, timers = systemTimers } = options;
    const { registry = builtinTransports, env, home } = options;
    this.#store = store;
    this.#log = log;
    this.#addressMap = new AddressMap({ rng });
    const bandwidth = new Bandwidth(events, timers, () => performance.now());
    const common = { registry, env, home, timers, rng, log, bandwidth, places, stopping };
    const state = openStateDirectory(transportStateDirectory(store.current.values, home));
    this.#client = new ClientRole({
      ...common,
      transportContext: { rng, clock, state },
      events,
      addressMap: this.#addressMap,
    });
    this.#bridge = new BridgeRole({ ...common, sources: { rng, clock } });
    const figures = (): Figures => this.#figures();
    this.#metrics = new MetricsPort({ log, figures, places });
    this.#parts = [bandwidth, this.#client, this.#bridge, this.#metrics];
    this.#stopHeartbeat = startHeartbeat({ events, timers, log: log.in('heartbeat'), figures });
  }

  get endpoints(): EngineEndpoints {
    const { orPort } = this.#bridge;
    return {
      socks: this.#client.endpoints('SocksPort'),
      httpTunnel: this.#client.endpoints('HTTPTunnelPort'),
      metrics: this.#metrics.endpoints,
      ...(orPort !== undefined && { orPort }),
    };
  }

  get bridgeLines(): readonly BridgeLine[] {
    return this.#bridge.bridgeLines;
  }

  start(first: Configuration): Promise<Change> {
    if (slowSecretboxNotice !== undefined)
      this.#log.in('crypto').write('notice', slowSecretboxNotice);
    return this.prepare(first);
  }

  async verify({ values }: Configuration): Promise<void> {
    for (const part of this.#parts) await part.verify(values);
  }

  prepare({ values }: Configuration): Promise<Change> {
    return prepareAll(this.#parts, values);
  }

  getConf(keys: readonly string[]): readonly ConfEntry[] {
    return this.#store.get(keys);
  }

  mapAddress(original: MappedAddress, replacement: MappedAddress): AddressMapping {
    return this.#addressMap.map(original, replacement);
  }

  mappings(): readonly AddressMapping[] {
    return this.#addressMap.mappings();
  }

  /** At once as a client; a bridge carries the streams of others to their end (TC 3.10). */
  async drain({ values }: Configuration): Promise<Draining | undefined> {
    await this.#client.closeListeners();
    const draining = await this.#bridge.drain();
    return draining && { ...draining, longestMs: values.ShutdownWaitLength * 1000 };
  }

  async completeReload(): Promise<void> {}

  async saveElsewhere(): Promise<void> {}

  async debug(): Promise<void> {}

  async halt(): Promise<void> {}

  explain(_lines: unknown, error: unknown): unknown {
    return error;
  }

  async close(): Promise<void> {
    this.#stopHeartbeat();
    for (const part of this.#parts.toReversed()) await part.close();
  }

  dump(): void {
    const { circuits, links, streams } = this.#client;
    const log = (line: DumpLine): void => this.#log.write('notice', formatDumpLine(line));
    const { server, isBridge } = this.#bridge;
    log({ kind: 'counts', ...this.#figures() });
    for (const link of links.all)
      log({ kind: 'link', name: link.bridge.name, streams: link.streams });
    for (const { id, path, streams: count } of circuits.all) {
      log({ kind: 'circuit', id, path: path.map(({ name }) => name), streams: count });
    }
    for (const { id, target, circuit } of streams.all) {
      log({ kind: 'stream', id, target: this.#log.conceal(target), circuit });
    }
    if (isBridge) log({ kind: 'bridge', links: server.linkCount, streams: server.streamCount });
  }

  #figures(): Figures {
    const { circuits, links, streams } = this.#client;
    const { server } = this.#bridge;
    return {
      links: links.all.length,
      circuits: circuits.all.length,
      streams: streams.all.length,
      bridgeLinks: server.linkCount,
      bridgeStreams: server.streamCount,
    };
  }
}
