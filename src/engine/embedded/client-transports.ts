/** Runs the client's transports: in this process, or in a program that it keeps running. */
import type { OptionValues } from '../../config/options.ts';
import type { TransportPlugin } from '../../config/transport-values.ts';
import { PosternError } from '../../errors.ts';
import { abortable } from '../../net/abortable.ts';
import type { Dialer } from '../../net/dialer.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import { throughTransport } from '../../net/through-transport.ts';
import { createUpstreamDialer } from '../../net/upstream-dialer.ts';
import { createPtDialer } from '../../parent/dial.ts';
import type { Child } from '../../parent/launch.ts';
import type { Supervisor } from '../../parent/supervise.ts';
import type { BridgeLine } from '../../pt/bridge-line.ts';
import type { CmethodMessage } from '../../pt/messages.ts';
import { formatUpstreamProxy, type UpstreamProxy } from '../../pt/upstream-proxy.ts';
import { warningOfUnknown } from '../../transports/argument-names.ts';
import type { ClientContext } from '../../transports/contract.ts';
import type { TransportRegistry } from '../../transports/registry.ts';
import { transportStateDirectory } from '../data-directory.ts';
import type { ImmediateChange } from '../part.ts';
import { blame, forOption, Resources } from '../resources.ts';
import { checkProgram, type ChildHost, startChild } from './children.ts';

/** The way to one bridge. */
export interface BridgeRoute {
  /** Says all that the route depends on. */
  readonly key: string;
  /** From here. */
  readonly direct: Dialer;
  /** Through another bridge; undefined where a program makes the connection itself. */
  readonly through?: (dial: Dialer) => Dialer;
  /** A warning about the line, which somebody else wrote. */
  readonly warning?: string | undefined;
}

/** The way to a bridge of a configuration. @throws PosternError `ERR_TRANSPORT_*` */
export type RouteTo = (bridge: BridgeLine) => BridgeRoute;

/** What client transports are given. */
export interface ClientTransportsOptions extends ChildHost {
  readonly registry: TransportRegistry;
  readonly transportContext: ClientContext;
}

/** The client's transports as the configuration has them. */
export class ClientTransports {
  readonly #options: ClientTransportsOptions;
  readonly #children: Resources<Supervisor<Child<CmethodMessage>>> = new Resources((child) =>
    child.close(),
  );

  constructor(options: ClientTransportsOptions) {
    this.#options = options;
  }

  /**
   * Starts the programs that `next` needs.
   *
   * @returns with `routeTo`: the way to a bridge of `next`; it throws PosternError
   *   `ERR_TRANSPORT_UNKNOWN`, `ERR_TRANSPORT_ARGUMENT`
   */
  async prepare(next: OptionValues): Promise<ImmediateChange & { readonly routeTo: RouteTo }> {
    const { upstream, upstreamKey, plugins } = planOf(next);
    const change = await this.#children.prepare(
      new Map(
        plugins.flatMap((plugin) =>
          plugin.command === undefined
            ? []
            : [
                [
                  keyOf(plugin, upstreamKey),
                  {
                    open: () =>
                      forOption('ClientTransportPlugin', () =>
                        this.#start(next, plugin, plugin.command!, upstream),
                      ),
                  },
                ] as const,
              ],
        ),
      ),
    );
    return { ...change, routeTo: this.#router(next, change.next) };
  }

  /**
   * Does all of that but start the programs, which are only looked for.
   *
   * @throws PosternError like `prepare`, `ERR_PARENT_SPAWN`
   */
  async verify(first: OptionValues): Promise<RouteTo> {
    for (const { command } of planOf(first).plugins) {
      if (command === undefined) continue;
      await forOption('ClientTransportPlugin', () => checkProgram(command[0], this.#options.home));
    }
    return this.#router(first, new Map());
  }

  close(): Promise<void> {
    return this.#children.close();
  }

  #router(
    next: OptionValues,
    children: ReadonlyMap<string, Supervisor<Child<CmethodMessage>>>,
  ): RouteTo {
    const { upstream, upstreamKey, plugins } = planOf(next);
    const direct = createDirectDialer();
    const outward = upstream === undefined ? direct : createUpstreamDialer(upstream, direct);
    return (bridge) => {
      const plugin = plugins.find(({ transports }) => transports.includes(bridge.transport!));
      const key = JSON.stringify([bridge, plugin, upstreamKey]);
      try {
        const child = plugin && children.get(keyOf(plugin, upstreamKey));
        return { key, ...this.#route(bridge, plugin, outward, child) };
      } catch (error) {
        throw blame('Bridge', error);
      }
    };
  }

  /** @param child the program of the plugin, if it is one and runs */
  #route(
    bridge: BridgeLine,
    plugin: TransportPlugin | undefined,
    outward: Dialer,
    child: Supervisor<Child<CmethodMessage>> | undefined,
  ): Omit<BridgeRoute, 'key'> {
    const { transport, args } = bridge;
    if (transport === undefined) return { direct: outward, through: (dial) => dial };
    if (plugin === undefined) {
      const direct: Dialer = async () => {
        throw new PosternError(
          'ERR_TRANSPORT_UNKNOWN',
          `no ClientTransportPlugin line carries out ${transport.slice(0, 40)}`,
        );
      };
      return { direct, through: () => direct };
    }
    const onSilence = (text: string): void =>
      this.#options.log.write('warn', text, `${transport} silence`);
    if (plugin.proxy !== undefined) {
      const { protocol, endpoint } = plugin.proxy;
      const method = { kind: 'CMETHOD', transport, protocol, endpoint } as const;
      return { direct: createPtDialer(method, args, { onSilence }) };
    }
    if (plugin.command === undefined) {
      const builtin = this.#options.registry.get(transport);
      let notice: string | undefined;
      const createSession = builtin.client(args, {
        ...this.#options.transportContext,
        notify: (text) => (notice = text),
      });
      const through = (dial: Dialer): Dialer =>
        throughTransport(dial, createSession, { onSilence, transport });
      const warning = warningOfUnknown(builtin, 'client', args) ?? notice;
      return { direct: through(outward), through, warning };
    }
    return {
      direct: async (target, options) => {
        const { methods } = await abortable(child!.child(), options?.signal);
        return createPtDialer(methods.get(transport)!, args, { onSilence })(target, options);
      },
    };
  }

  #start(
    next: OptionValues,
    { transports }: TransportPlugin,
    command: NonNullable<TransportPlugin['command']>,
    upstream: UpstreamProxy | undefined,
  ): Promise<Supervisor<Child<CmethodMessage>>> {
    return startChild(this.#options, {
      command,
      configuration: {
        role: 'client',
        transports,
        stateLocation: transportStateDirectory(next, this.#options.home),
        ...(upstream !== undefined && { upstreamProxy: upstream }),
      },
    });
  }
}

/** What a configuration needs: only plugins for transports that some bridge has. */
function planOf(values: OptionValues): {
  readonly upstream: UpstreamProxy | undefined;
  readonly upstreamKey: string;
  readonly plugins: readonly TransportPlugin[];
} {
  const upstream = upstreamProxy(values);
  const needed = new Set(values.UseBridges ? values.Bridge.map(({ transport }) => transport) : []);
  return {
    upstream,
    upstreamKey: upstream === undefined ? '' : formatUpstreamProxy(upstream),
    // Of two lines with the same transport the first carries it out.
    plugins: values.ClientTransportPlugin.filter((plugin, index, all) =>
      plugin.transports.some(
        (name) =>
          needed.has(name) &&
          all.findIndex(({ transports }) => transports.includes(name)) === index,
      ),
    ),
  };
}

function keyOf(plugin: TransportPlugin, upstreamKey: string): string {
  return JSON.stringify([plugin, upstreamKey]);
}

/** The one proxy that is set; the configuration allows no second. */
export function upstreamProxy(values: OptionValues): UpstreamProxy | undefined {
  const { Socks4Proxy, Socks5Proxy, HTTPSProxy } = values;
  if (Socks4Proxy !== undefined) return { type: 'socks4a', endpoint: Socks4Proxy };
  if (Socks5Proxy !== undefined) {
    const { Socks5ProxyUsername: username, Socks5ProxyPassword: password } = values;
    return {
      type: 'socks5',
      endpoint: Socks5Proxy,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    };
  }
  if (HTTPSProxy === undefined) return undefined;
  const authenticator = values.HTTPSProxyAuthenticator;
  if (authenticator === undefined) return { type: 'http', endpoint: HTTPSProxy };
  const [username, password] = /^([^:]*)(?::(.*))?$/s.exec(authenticator)!.slice(1);
  return {
    type: 'http',
    endpoint: HTTPSProxy,
    username: username!,
    ...(password !== undefined && { password }),
  };
}
