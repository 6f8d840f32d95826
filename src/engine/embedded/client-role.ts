/** The client role: applications connect, their streams go through circuits of bridges. */
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import { addressMapSettings } from './address-map-settings.ts';
import type { ListenPlace } from '../../config/address-values.ts';
import { expandPath } from '../../config/node.ts';
import type { OptionValues } from '../../config/options.ts';
import type { SocketPlace } from '../../config/socket-values.ts';
import { isIdleFlag, trafficOf } from '../../config/traffic.ts';
import type { AddressMap } from '../../control/address-map.ts';
import { PosternError, describeError } from '../../errors.ts';
import { type Application, listenSocks, serveSocks } from '../../net/applications.ts';
import type { AnyListener } from '../../net/listener.ts';
import { checkUnixSocket, listenUnix } from '../../net/unix-listener.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import { type Change, type ImmediateChange, type Part, rollBack } from '../part.ts';
import type { Places } from '../places.ts';
import { forOption, numbered, Resources, type Wanted } from '../resources.ts';
import type { Bandwidth } from './bandwidth.ts';
import { Bridge } from './bridge.ts';
import { Circuits } from './circuits.ts';
import { listenHttpTunnel } from './http-tunnel-port.ts';
import {
  type BridgeRoute,
  ClientTransports,
  type ClientTransportsOptions,
} from './client-transports.ts';
import { Links } from './links.ts';
import { Streams } from './streams.ts';
import { unawaited } from '../../unawaited.ts';

/** What the client role is given. */
export interface ClientRoleOptions extends ClientTransportsOptions {
  readonly events: Emitter<EngineEvent>;
  readonly bandwidth: Bandwidth;
  readonly addressMap: AddressMap;
  readonly places: Places;
}

/** The client role of the engine. */
export class ClientRole implements Part {
  readonly circuits: Circuits;
  readonly links: Links;
  readonly streams: Streams;
  readonly #options: ClientRoleOptions;
  readonly #transports: ClientTransports;
  readonly #bridges: Resources<Bridge>;
  /** What the configuration has said of mappings. */
  #mappingKey = '';
  readonly #listeners: Resources<ApplicationPort>;

  constructor(options: ClientRoleOptions) {
    const { events, bandwidth, timers, rng, addressMap, places } = options;
    const log = options.log.in('or');
    this.#options = { ...options, log };
    this.#listeners = new Resources(({ listener }) => listener.close(), {
      places,
      onLost: (error) =>
        log.in('app').write('err', `a port cannot be opened again: ${describeError(error)}`),
    });
    this.#transports = new ClientTransports({ ...options, log: log.in('pt') });
    this.links = new Links({
      events,
      bandwidth,
      timers,
      onReached: (bridge) => this.#reached(bridge),
      onFailed: (bridge, error) => this.#failed(bridge, error),
    });
    this.circuits = new Circuits({ events, links: this.links, timers, rng });
    this.streams = new Streams({
      events,
      circuits: this.circuits,
      addressMap,
      log: log.in('edge'),
      timers,
    });
    this.#bridges = new Resources((bridge) => {
      bridge.isRetired = true;
      bridge.forget();
    });
  }

  /** Where applications connect, by the option that says so. */
  endpoints(option: ApplicationPort['option']): readonly Endpoint[] {
    return [...this.#listeners.current.values()]
      .filter((port) => port.option === option)
      .flatMap(({ endpoint }) => endpoint ?? []);
  }

  async prepare(next: OptionValues): Promise<Change> {
    const { timers, rng, addressMap, log } = this.#options;
    const mapping = addressMapSettings(next);
    const mappingKey = JSON.stringify(mapping);
    const transports = await this.#transports.prepare(next);
    const undo: ImmediateChange[] = [transports];
    try {
      const bridges = await this.#bridges.prepare(
        new Map(
          (next.UseBridges ? next.Bridge : []).map((line) => {
            const route = transports.routeTo(line);
            const open = (): Bridge => {
              this.#warnOf(route);
              return new Bridge(line, route, timers, rng);
            };
            return [route.key, { open }] as const;
          }),
        ),
      );
      undo.push(bridges);
      checkHops(
        next,
        [...bridges.next.values()].map(({ route }) => route),
      );
      const ports = await this.#listeners.prepare(this.#wantedPorts(next));
      undo.push(ports);
      return {
        commit: () => {
          // Only what has changed: a mapping that a controller has removed must not come back.
          if (mappingKey !== this.#mappingKey) addressMap.configure(...mapping);
          this.#mappingKey = mappingKey;
          for (const change of undo) change.commit();
          this.circuits.configure({
            bridges: [...bridges.next.values()],
            hops: next.CircuitHops,
            maxDirtinessMs: next.MaxCircuitDirtiness * 1000,
          });
          this.links.closeRetired();
          for (const { option, name } of ports.fresh)
            log.in('app').announce(`${option} ${name} is open`);
          this.#tellOfPorts(next, bridges.next.size);
          this.circuits.prepareOne();
        },
        rollback: () => rollBack(undo),
      };
    } catch (error) {
      await rollBack(undo);
      throw error;
    }
  }

  async verify(first: OptionValues): Promise<void> {
    addressMapSettings(first);
    const routeTo = await this.#transports.verify(first);
    const bridges = first.UseBridges ? first.Bridge : [];
    for (const place of first.SocksPort) {
      if (!('path' in place)) continue;
      const path = expandPath(place.path, this.#options.home);
      await forOption('SocksPort', () => checkUnixSocket(path, place));
    }
    const routes = bridges.map(routeTo);
    for (const route of routes) this.#warnOf(route);
    checkHops(first, [...new Map(routes.map((route) => [route.key, route])).values()]);
  }

  /** Takes no more applications. */
  async closeListeners(): Promise<void> {
    await this.#listeners.close();
  }

  async close(): Promise<void> {
    for (const { listener } of this.#listeners.current.values()) listener.abort();
    await this.#listeners.close();
    await this.#bridges.close();
    this.circuits.close();
    this.links.close();
    await this.#transports.close();
  }

  /** What the operator should know about a port, and applications would not find out. */
  #tellOfPorts(next: OptionValues, bridgeCount: number): void {
    const log = this.#options.log.in('app');
    const ports = [...next.SocksPort, ...next.HTTPTunnelPort];
    if (ports.length > 0 && bridgeCount === 0 && next.ServerTransportPlugin.length === 0) {
      const text =
        next.Bridge.length === 0
          ? 'There is no bridge: every application is refused. Add `UseBridges 1` and a Bridge line.'
          : 'The bridges are not used: every application is refused. Add `UseBridges 1`.';
      log.write('warn', text, text);
    }
    const idle = ports.flatMap((port) => port.flags ?? []).filter(isIdleFlag);
    const flags = [...new Set(idle)].join(', ');
    if (flags !== '') {
      const text = `${flags}: Tor’s flags of a port change nothing here: a tunnel has one way for all streams`;
      log.write('notice', text, text);
    }
  }

  #warnOf({ warning }: BridgeRoute): void {
    if (warning !== undefined) this.#options.log.write('warn', warning);
  }

  #wantedPorts(next: OptionValues): Wanted<ApplicationPort> {
    const { home } = this.#options;
    const log = this.#options.log.in('app');
    const onFailure = (error: unknown): void => {
      if (error instanceof PosternError && QUIET.has(error.code)) return;
      const text = describeError(error);
      log.write('notice', `an application was refused: ${text}`, text);
    };
    // All who reach the port may use it; user names and passwords mean nothing.
    const open = async (option: ApplicationPort['option'], place: AnyPlace) => {
      const traffic = trafficOf(place.flags);
      const serve = (application: Application): Promise<void> =>
        this.streams.serve(application, traffic);
      if ('path' in place) {
        const path = expandPath(place.path, home);
        const onConnection = serveSocks({ accept: () => {}, serve, onFailure });
        return { name: path, listener: await listenUnix(path, place, onConnection, onFailure) };
      }
      const listener = await (option === 'SocksPort'
        ? listenSocks(place, { accept: () => {}, serve, onFailure })
        : listenHttpTunnel(place, { serve, onFailure }));
      const { endpoint } = listener;
      return { name: formatEndpoint(endpoint), endpoint, listener };
    };
    return new Map(
      (['SocksPort', 'HTTPTunnelPort'] as const).flatMap((option) =>
        numbered<AnyPlace>(next[option], (place) => JSON.stringify(place)).map(
          ([key, place]) =>
            [
              `${option} ${key}`,
              {
                takes: ['path' in place ? { path: expandPath(place.path, home) } : place],
                open: async () => ({
                  option,
                  ...(await forOption(option, () => open(option, place))),
                }),
              },
            ] as const,
        ),
      ),
    );
  }

  #reached(bridge: Bridge): void {
    // Said for the first connection, and for the first one after a failure.
    const level = bridge.isUp && bridge.wasReached ? 'info' : 'notice';
    this.#options.log.write(level, `bridge ${bridge.name} answers`);
    bridge.succeed();
    this.circuits.bridgesChanged();
  }

  #failed(bridge: Bridge, error: unknown): void {
    if (bridge.isRetired) return;
    // Said for the first failure in a row only.
    const level = bridge.isUp ? 'warn' : 'info';
    bridge.fail(error, () => unawaited(() => this.links.get([bridge]), ignore));
    this.circuits.bridgesChanged();
    const { log } = this.#options;
    log.write(level, `bridge ${bridge.name} cannot be reached: ${describeError(error)}`);
  }
}

/** One listener for applications. */
interface ApplicationPort {
  readonly option: 'SocksPort' | 'HTTPTunnelPort';
  /** Where it really listens. */
  readonly name: string;
  /** Absent for a Unix-domain socket. */
  readonly endpoint?: Endpoint;
  readonly listener: AnyListener;
}

/** Where applications may connect. */
type AnyPlace = ListenPlace | SocketPlace;

/** What only the transports can tell about a path. */
function checkHops(
  { UseBridges, CircuitHops: hops }: OptionValues,
  routes: readonly BridgeRoute[],
): void {
  if (!UseBridges) return;
  if (routes.length < hops) {
    throw new PosternError('ERR_CONFIG_VALUE', 'CircuitHops: two Bridge lines are the same bridge');
  }
  const behind = routes.filter(({ through }) => through !== undefined).length;
  if (behind < hops - 1) {
    throw new PosternError(
      'ERR_CONFIG_VALUE',
      'CircuitHops: a bridge whose transport is a program can only be the first hop',
    );
  }
}

/** Everyday events that nobody can do anything about. */
const QUIET: ReadonlySet<string> = new Set(['ERR_SOCKS_CLOSED', 'ERR_SOCKS_TIMED_OUT']);

/** Whether that works shows in the bridge's own state. */
function ignore(): void {}
