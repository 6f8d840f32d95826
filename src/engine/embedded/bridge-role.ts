/** The bridge role: clients' links arrive, and their streams leave. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { hasFlag } from '../../config/address-values.ts';
import type { OptionValues } from '../../config/options.ts';
import { PosternError, describeError } from '../../errors.ts';
import { createNameResolver, type ResolveName } from '../../net/name-resolver.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import { replaceFile } from '../../state/replace-file.ts';
import { type ExtOrListener, listenExtOr } from '../../parent/extor-server.ts';
import { formatEndpoint, ipToBytes, type Endpoint } from '../../pt/address.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import { dataDirectory } from '../data-directory.ts';
import { type Change, type ImmediateChange, type Part, rollBack } from '../part.ts';
import type { Places } from '../places.ts';
import { forOption, numbered, type Opening, Resources, type Wanted } from '../resources.ts';
import type { Bandwidth } from './bandwidth.ts';
import { createExit } from './exit.ts';
import { BuiltinServers, type BuiltinServersOptions } from './builtin-servers.ts';
import { checkProgram, type ChildHost } from './children.ts';
import {
  formatBridgeLines,
  openProgram,
  type RunningTransports,
  type ServerPlugin,
  serverPlugins,
} from './server-transports.ts';
import { TunnelServer } from './tunnel-server.ts';

/** What the bridge role is given. */
export interface BridgeRoleOptions extends ChildHost, Omit<BuiltinServersOptions, 'onConnection'> {
  readonly bandwidth: Bandwidth;
  readonly places: Places;
  /** How the names of `Address` and those that clients ask for are looked up; by DNS when not given. */
  readonly resolve?: ResolveName;
}

/** The bridge role of the engine. */
export class BridgeRole implements Part {
  readonly server: TunnelServer;
  readonly #options: BridgeRoleOptions;
  readonly #ports: Resources<Listener | ExtOrListener>;
  readonly #builtins: BuiltinServers;
  readonly #transports: Resources<RunningTransports>;
  /** The configuration in force. */
  #values: OptionValues | undefined;
  /** What clients need, as it was written down last. */
  #published: string | undefined;
  #publishing: Promise<void> = Promise.resolve();
  /** The connections that stand. */
  readonly #links = new Set<Duplex>();
  #onEmpty = (): void => {};
  readonly #resolve: ResolveName;
  #exit: ReturnType<typeof createExit>;

  constructor(options: BridgeRoleOptions) {
    const { bandwidth, places } = options;
    const log = options.log.in('or');
    this.#options = { ...options, log };
    const onLost = (error: unknown): void =>
      log.write(
        'err',
        `a listener that was closed for a change cannot be opened again: ${describeError(error)}`,
      );
    this.#ports = new Resources((port) => port.close(), { places, onLost });
    this.#transports = new Resources((running) => running.close(), { places, onLost });
    this.#builtins = new BuiltinServers({
      ...options,
      log: log.in('pt'),
      onConnection: (connection) => this.#accept(connection),
    });
    this.#resolve = options.resolve ?? createNameResolver({ timers: options.timers });
    this.#exit = createExit({ ExitPolicy: [], ExitPolicyRejectPrivate: true }, this.#resolve);
    this.server = new TunnelServer({
      dial: (lookups) => this.#exit(lookups),
      meter: bandwidth,
      log: log.in('edge'),
    });
  }

  /** Whether this daemon is a bridge: something listens for links. */
  get isBridge(): boolean {
    return this.#ports.current.size > 0 || this.#transports.current.size > 0;
  }

  /** What clients need to reach it. */
  get bridgeLines(): readonly BridgeLine[] {
    return [...this.#transports.current.values()].flatMap((running) => running.bridgeLines());
  }

  /** Where links arrive without a transport. */
  get orPort(): Endpoint | undefined {
    return [...this.#ports.current].find(([key]) => key.startsWith('ORPort'))?.[1].endpoint;
  }

  async prepare(next: OptionValues): Promise<Change> {
    const plugins = serverPlugins(next);
    const ports = await this.#ports.prepare(this.#wantedPorts(next, plugins));
    const undo: ImmediateChange[] = [ports];
    try {
      const extended = [...ports.next.values()].find((port) => 'cookieFile' in port);
      const own = plugins.filter(({ command }) => command === undefined);
      const builtins = await this.#builtins.prepare(
        own.flatMap((plugin) => plugin.transports),
        next,
      );
      undo.push(builtins);
      const programs = plugins.filter(({ command }) => command !== undefined);
      const transports = await this.#transports.prepare(
        new Map([
          ...builtins.ports,
          ...programs.map((plugin) => this.#wantedProgram(plugin, next, extended!)),
        ]),
      );
      undo.push(transports);
      return {
        commit: () => {
          this.#exit = createExit(next, this.#resolve);
          for (const change of undo.toReversed()) change.commit();
          const { log } = this.#options;
          for (const port of ports.fresh) {
            // The port that only our own program uses is not announced.
            if ('cookieFile' in port && next.ExtORPort === undefined) continue;
            log.announce(`Links arrive at ${formatEndpoint(port.endpoint)}`);
          }
          this.#values = next;
          this.#publish();
        },
        rollback: () => rollBack(undo),
      };
    } catch (error) {
      await rollBack(undo);
      throw error;
    }
  }

  async verify(first: OptionValues): Promise<void> {
    checkExtOrPort(first);
    for (const { command, transports } of serverPlugins(first)) {
      if (command === undefined) await this.#builtins.verify(transports, first);
      else
        await forOption('ServerTransportPlugin', () =>
          checkProgram(command[0], this.#options.home),
        );
    }
  }

  /**
   * Takes no new links and streams; those that stand go on.
   *
   * @returns resolves when the last link has ended; undefined when this is no bridge
   */
  async drain(): Promise<{ readonly over: Promise<void> } | undefined> {
    if (!this.isBridge) return undefined;
    for (const running of this.#transports.current.values()) await running.stopListening();
    for (const port of this.#ports.current.values()) await port.close();
    this.server.drain();
    if (this.#links.size === 0) return { over: Promise.resolve() };
    return { over: new Promise((resolve) => (this.#onEmpty = resolve)) };
  }

  async close(): Promise<void> {
    this.server.close();
    for (const running of this.#transports.current.values()) running.abort();
    for (const port of this.#ports.current.values()) port.abort();
    await this.#transports.close();
    await this.#builtins.close();
    await this.#ports.close();
    await this.#publishing;
  }

  #accept(link: Duplex): void {
    this.#links.add(link);
    link.once('close', () => {
      this.#links.delete(link);
      if (this.#links.size === 0) this.#onEmpty();
    });
    this.server.accept(link);
  }

  #wantedProgram(
    plugin: ServerPlugin,
    next: OptionValues,
    extended: ExtOrListener,
  ): readonly [string, Opening<RunningTransports>] {
    const onMoved = (): void => this.#publish();
    return [
      JSON.stringify([plugin, extended.endpoint]),
      {
        takes: plugin.transports.flatMap(({ bindAddress }) => bindAddress ?? []),
        open: () =>
          forOption('ServerTransportPlugin', () =>
            openProgram(plugin, next, extended, {
              ...this.#options,
              log: this.#options.log.in('pt'),
              onMoved,
            }),
          ),
      },
    ];
  }

  #wantedPorts(
    next: OptionValues,
    plugins: readonly ServerPlugin[],
  ): Wanted<Listener | ExtOrListener> {
    const { ORPort, ExtORPort } = next;
    const { home, log, rng } = this.#options;
    const onConnection = (connection: Duplex): void => this.#accept(connection);
    const wanted = new Map<string, Opening<Listener | ExtOrListener>>();
    const places = ORPort.filter((place) => !hasFlag(place, 'NoListen'));
    for (const [key, place] of numbered(places, formatEndpoint)) {
      wanted.set(`ORPort ${key}`, {
        takes: [place],
        open: () => forOption('ORPort', () => listenTcp(place, onConnection)),
      });
    }
    // Programs hand connections on to an Extended ORPort, configured or not.
    if (ExtORPort !== undefined || plugins.some(({ command }) => command !== undefined)) {
      const open = (): Promise<ExtOrListener> => {
        checkExtOrPort(next);
        return forOption('ExtORPort', () =>
          listenExtOr({
            cookieFile: join(dataDirectory(next, home), 'extended_orport_auth_cookie'),
            port: ExtORPort?.port ?? 0,
            rng,
            onConnection,
            onFailure: (error) =>
              log.write('info', `ExtORPort: ${describeError(error)}`, 'ExtORPort'),
          }),
        );
      };
      wanted.set(`ExtORPort ${ExtORPort === undefined ? '' : formatEndpoint(ExtORPort)}`, {
        takes: [ExtORPort ?? []].flat(),
        open,
      });
    }
    return wanted;
  }

  /**
   * Writes what clients need into a file for the operator, when it has changed; it must not stand in a log. One
   * write after another, so that the last one holds.
   */
  #publish(): void {
    this.#publishing = this.#publishing.then(() => this.#writeBridgeLines());
  }

  /** Names are looked up: bridge lines have none. */
  async #publicAddresses(given: OptionValues['Address']): Promise<{
    readonly addresses: readonly string[];
    readonly failures: readonly unknown[];
  }> {
    const answers = await Promise.allSettled(
      given.map(async (address) =>
        ipToBytes(address) === undefined
          ? oneOfEach(await this.#resolve(address, this.#options.stopping))
          : [address],
      ),
    );
    return {
      addresses: answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
      failures: answers.flatMap((one) =>
        one.status === 'rejected' ? [one.reason as unknown] : [],
      ),
    };
  }

  async #writeBridgeLines(): Promise<void> {
    const { log, home, stopping } = this.#options;
    const values = this.#values;
    // The commit that comes writes them.
    if (values === undefined) return;
    const lines = this.bridgeLines;
    const { addresses, failures } = await this.#publicAddresses(
      lines.length === 0 ? [] : values.Address,
    );
    const path = join(dataDirectory(values, home), 'bridge-lines');
    if (failures.length > 0) {
      if (stopping.aborted) return;
      // A name server that is down for a moment, as when a machine starts, must not take away lines that are good.
      const isKept = existsSync(path);
      const outcome = isKept ? `${path} stays as it is` : 'no bridge line has it';
      log.write(
        'warn',
        `Address: the host name cannot be looked up, and ${outcome}: ${describeError(failures[0])} A reload tries again.`,
      );
      if (isKept) return;
    }
    const text = formatBridgeLines(lines, addresses);
    if (text === this.#published || text === '') return;
    try {
      await replaceFile(path, Buffer.from(text));
      this.#published = text;
      log.write('notice', `The bridge runs; what clients need is in ${path}`);
    } catch (error) {
      log.write('warn', `${path} cannot be written: ${describeError(error)}`);
    }
  }
}

/** One of IPv4 and one of IPv6, as far as there are. */
function oneOfEach(addresses: readonly string[]): readonly string[] {
  const isIpv6 = (address: string): boolean => address.includes(':');
  const first = [
    addresses.find((address) => !isIpv6(address)),
    addresses.find((address) => isIpv6(address)),
  ];
  return first.filter((address) => address !== undefined);
}

function checkExtOrPort({ ExtORPort }: OptionValues): void {
  if (ExtORPort === undefined || ExtORPort.host === '127.0.0.1') return;
  throw new PosternError('ERR_CONFIG_VALUE', 'ExtORPort: must be a port of 127.0.0.1');
}
