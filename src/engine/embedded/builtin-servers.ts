/** The bridge's transports that run in this process. Where each listens stays the same, whatever else changes. */
import type { Duplex } from 'node:stream';
import type { OptionValues } from '../../config/options.ts';
import { describeError } from '../../errors.ts';
import { openFolder } from '../../net/folder.ts';
import { startTransportServer } from '../../net/transport-server.ts';
import type { Endpoint } from '../../pt/address.ts';
import type { RequestedServer } from '../../pt/proxy-environment.ts';
import { openStateDirectory, type StateDirectory } from '../../state/state-directory.ts';
import { checkServerOptions, openServer } from '../../transports/argument-names.ts';
import type { Sources, TransportServer } from '../../transports/contract.ts';
import { MemoryState } from '../../transports/memory-state.ts';
import type { TransportRegistry } from '../../transports/registry.ts';
import { unawaited } from '../../unawaited.ts';
import { transportStateDirectory } from '../data-directory.ts';
import type { Log } from '../log.ts';
import type { ImmediateChange } from '../part.ts';
import { forOption, Resources, type Wanted } from '../resources.ts';
import type { RunningTransports } from './server-transports.ts';

/** What they are given. */
export interface BuiltinServersOptions {
  readonly registry: TransportRegistry;
  readonly sources: Sources;
  readonly log: Log;
  readonly home: string;
  /** Takes the undisguised connection of a client that has proven itself. */
  readonly onConnection: (stream: Duplex) => void;
}

/** A change of the transports, and the ports that they want. */
export interface BuiltinChange extends ImmediateChange {
  readonly ports: Wanted<RunningTransports>;
}

/** A transport with its options and its identity. */
interface Identity {
  readonly server: TransportServer;
  close(): Promise<void>;
}

/** The transports of this process. */
export class BuiltinServers {
  readonly #options: BuiltinServersOptions;
  readonly #identities: Resources<Identity> = new Resources((identity) => identity.close());
  /** Which identity is behind each port. */
  #serving: ReadonlyMap<string, Identity> = new Map();

  constructor(options: BuiltinServersOptions) {
    this.#options = options;
  }

  /**
   * @param transports those that are to run, with their options and where they listen
   * @throws PosternError `ERR_TRANSPORT_*`
   */
  async prepare(
    transports: readonly RequestedServer[],
    values: OptionValues,
  ): Promise<BuiltinChange> {
    const identityKey = ({ name, options }: RequestedServer): string =>
      JSON.stringify([name, options]);
    const portKey = ({ name, bindAddress }: RequestedServer): string =>
      JSON.stringify([name, bindAddress]);
    const { next, commit, rollback } = await this.#identities.prepare(
      new Map(
        transports.map((transport) => {
          const open = (): Promise<Identity> => this.#openIdentity(transport, values);
          return [identityKey(transport), { open }];
        }),
      ),
    );
    // As it will be, if all goes well.
    const serving = new Map(
      transports.map((transport) => [portKey(transport), next.get(identityKey(transport))!]),
    );
    const ports: Wanted<RunningTransports> = new Map(
      transports.map((transport) => {
        const key = portKey(transport);
        const identity = (): Identity => (this.#serving.get(key) ?? serving.get(key))!;
        const open = (): Promise<RunningTransports> => this.#openPort(transport, identity);
        return [key, { open, takes: [transport.bindAddress ?? ANY_ADDRESS] }];
      }),
    );
    return {
      ports,
      commit: () => {
        this.#serving = serving;
        commit();
      },
      rollback,
    };
  }

  /** Loads what is there, as `prepare` does, and writes nothing. */
  async verify(transports: readonly RequestedServer[], values: OptionValues): Promise<void> {
    for (const transport of transports) {
      const identity = await this.#openIdentity(transport, values, unwritten);
      await identity.close();
    }
  }

  close(): Promise<void> {
    return this.#identities.close();
  }

  #openIdentity(
    { name, options }: RequestedServer,
    values: OptionValues,
    restrict: (store: StateDirectory) => StateDirectory = (store) => store,
  ): Promise<Identity> {
    const { registry, sources, log, home } = this.#options;
    return forOption('ServerTransportPlugin', async () => {
      const transport = registry.get(name);
      checkServerOptions(transport, options);
      if (transport.warning !== undefined) log.write('warn', `${name}: ${transport.warning}`);
      const state = restrict(openStateDirectory(transportStateDirectory(values, home)));
      const notify = (notice: string): void => this.#notify(name, notice);
      try {
        const server = await openServer(transport, options, {
          ...sources,
          state,
          openFolder,
          notify,
        });
        const close = async (): Promise<void> => {
          await server.close();
          await state.close();
        };
        return { server, close };
      } catch (error) {
        await state.close();
        throw error;
      }
    });
  }

  #notify(name: string, notice: string): void {
    this.#options.log.write('notice', `${name}: ${notice}`, `${name} ${notice}`);
  }

  /** @param identity who stands behind the port at the moment */
  async #openPort(
    { name, bindAddress = ANY_ADDRESS }: RequestedServer,
    identity: () => Identity,
  ): Promise<RunningTransports> {
    const { registry, sources, log, onConnection } = this.#options;
    // State and options belong to the identity, and a later change may put another one behind this port.
    const server: TransportServer = {
      get clientArguments() {
        return identity().server.clientArguments;
      },
      get rejectAfterMs() {
        return identity().server.rejectAfterMs;
      },
      get tls() {
        return identity().server.tls;
      },
      listenAt: async (asked) => (await identity().server.listenAt?.(asked)) ?? asked,
      publish: async (listening) => (await identity().server.publish?.(listening)) ?? listening,
      createSession: (peer) => identity().server.createSession(peer),
      createSessionWithoutTls: () => identity().server.createSessionWithoutTls?.(),
      close: async () => {},
    };
    const running = await forOption('ServerTransportPlugin', () =>
      startTransportServer({
        transport: { ...registry.get(name), server: async () => server },
        endpoint: bindAddress,
        context: {
          ...sources,
          state: new MemoryState(),
          notify: (notice) => this.#notify(name, notice),
        },
        onConnection,
        // A probe or a scan, most of the time.
        onFailedHandshake: (error) =>
          log.write('info', `${name}: ${describeError(error)}`, `${name} handshake`),
        onFault: (error) => log.write('err', `${name}: ${describeError(error)}`, `${name} fault`),
      }),
    );
    // It stops listening at once; nobody waits for its last connection to end.
    const stopListening = async (): Promise<void> => unawaited(() => running.close());
    return {
      bridgeLines: () => [
        { transport: name, endpoint: running.endpoint, args: server.clientArguments },
      ],
      stopListening,
      close: stopListening,
      abort: () => running.abort(),
    };
  }
}

/** A state directory of which nothing is changed. */
function unwritten(store: StateDirectory): StateDirectory {
  return { ...store, write: async () => {}, append: async () => {} };
}

/** A bridge is to be reached from outside, and the port is the system’s choice. */
const ANY_ADDRESS: Endpoint = { host: '0.0.0.0', port: 0 };
