/** The bridge role: clients' links arrive, and their streams leave. */
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { OptionValues } from '../../config/options.ts';
import { PosternError, describeError } from '../../errors.ts';
import { createNameResolver, type ResolveName } from '../../net/name-resolver.ts';
import { listenTcp, type Listener } from '../../net/listener.ts';
import { replaceFile } from '../../state/replace-file.ts';
import { type ExtOrListener, listenExtOr } from '../../parent/extor-server.ts';
import { formatEndpoint, type Endpoint } from '../../pt/address.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import { dataDirectory } from '../data-directory.ts';
import type { Change, Part } from '../part.ts';
import { forOption, Resources } from '../resources.ts';
import type { Bandwidth } from './bandwidth.ts';
import { createExit } from './exit.ts';
import {
  formatBridgeLines,
  openBuiltin,
  openProgram,
  type RunningTransports,
  serverPlugins,
  type ServerTransportsOptions,
} from './server-transports.ts';
import { TunnelServer } from './tunnel-server.ts';

/** What the bridge role is given. */
export interface BridgePartOptions extends Omit<ServerTransportsOptions, 'onConnection'> {
  readonly bandwidth: Bandwidth;
}

/** The bridge role of the engine. */
export class BridgePart implements Part {
  readonly server: TunnelServer;
  readonly #options: ServerTransportsOptions;
  readonly #ports: Resources<Listener | ExtOrListener> = new Resources((port) => port.close());
  readonly #transports: Resources<RunningTransports> = new Resources((running) => running.close());
  /** The connections that stand. */
  readonly #links = new Set<Duplex>();
  #onEmpty = (): void => {};
  readonly #resolve: ResolveName;
  #exit: ReturnType<typeof createExit>;

  constructor({ bandwidth, ...options }: BridgePartOptions) {
    this.#resolve = createNameResolver({ timers: options.timers });
    this.#exit = createExit({ ExitPolicy: [], ExitPolicyRejectPrivate: true }, this.#resolve);
    this.server = new TunnelServer({
      dial: (lookups) => this.#exit(lookups),
      meter: bandwidth,
      log: options.log,
    });
    this.#options = { ...options, onConnection: (connection) => this.#accept(connection) };
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
    try {
      const extended = [...ports.next.values()].find((port) => 'cookieFile' in port);
      const transports = await this.#transports.prepare(
        new Map(
          plugins.map((plugin) => [
            JSON.stringify([plugin, plugin.command && extended?.endpoint]),
            () =>
              forOption('ServerTransportPlugin', () =>
                plugin.command === undefined
                  ? openBuiltin(plugin, next, this.#options)
                  : openProgram(plugin, next, extended!, this.#options),
              ),
          ]),
        ),
      );
      return {
        commit: () => {
          this.#exit = createExit(next, this.#resolve);
          transports.commit();
          ports.commit();
          const { log } = this.#options;
          for (const port of ports.fresh) {
            // The one that only our own program uses is nobody's business.
            if ('cookieFile' in port && next.ExtORPort === undefined) continue;
            log.announce(`Links arrive at ${formatEndpoint(port.endpoint)}`);
          }
          if (transports.fresh.length > 0) void this.#publish(next);
        },
        rollback: async () => {
          await transports.rollback();
          await ports.rollback();
        },
      };
    } catch (error) {
      await ports.rollback();
      throw error;
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
    await this.#ports.close();
  }

  #accept(link: Duplex): void {
    this.#links.add(link);
    link.once('close', () => {
      this.#links.delete(link);
      if (this.#links.size === 0) this.#onEmpty();
    });
    this.server.accept(link);
  }

  #wantedPorts(
    next: OptionValues,
    plugins: ReturnType<typeof serverPlugins>,
  ): ReadonlyMap<string, () => Promise<Listener | ExtOrListener>> {
    const { ORPort, ExtORPort } = next;
    const { onConnection, home, log } = this.#options;
    const wanted = new Map<string, () => Promise<Listener | ExtOrListener>>();
    if (ORPort !== undefined) {
      wanted.set(`ORPort ${formatEndpoint(ORPort)}`, () =>
        forOption('ORPort', () => listenTcp(ORPort, onConnection)),
      );
    }
    // Programs hand connections on to an Extended ORPort, configured or not.
    if (ExtORPort !== undefined || plugins.some(({ command }) => command !== undefined)) {
      wanted.set(`ExtORPort ${ExtORPort === undefined ? '' : formatEndpoint(ExtORPort)}`, () => {
        if (ExtORPort !== undefined && ExtORPort.host !== '127.0.0.1') {
          throw new PosternError('ERR_CONFIG_VALUE', 'ExtORPort: must be a port of 127.0.0.1');
        }
        return forOption('ExtORPort', () =>
          listenExtOr({
            cookieFile: join(dataDirectory(next, home), 'extended_orport_auth_cookie'),
            port: ExtORPort?.port ?? 0,
            rng: this.#options.rng,
            onConnection,
            onFailure: (error) => log.write('info', `ExtORPort: ${describeError(error)}`),
          }),
        );
      });
    }
    return wanted;
  }

  /** Writes what clients need where the operator finds it; a log is no place for it. */
  async #publish(values: OptionValues): Promise<void> {
    const { log, home } = this.#options;
    const path = join(dataDirectory(values, home), 'bridge-lines');
    try {
      await replaceFile(path, Buffer.from(formatBridgeLines(this.bridgeLines)));
      log.write('notice', `The bridge runs; what clients need is in ${path}`);
    } catch (error) {
      log.write('warn', `${path} cannot be written: ${describeError(error)}`);
    }
  }
}
