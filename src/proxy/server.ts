/** The reverse proxy: a listener for each transport (PT 3, steps 5 and 6; PT 3.3.3). */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Listener } from '../net/listener.ts';
import { relay } from '../net/relay.ts';
import type { StateDirectory } from '../state/state-directory.ts';
import { listenTransport } from '../net/transport-listener.ts';
import type { RequestedServer, ServerConfiguration } from '../pt/proxy-environment.ts';
import type { Transport, TransportServer } from '../transports/contract.ts';
import { Connections } from './connections.ts';
import type { Destination } from './destination.ts';
import { describeError } from '../errors.ts';
import type { RoleContext, RunningProxy } from './role.ts';

/** What a server is given on top. */
export interface ServerContext extends RoleContext {
  readonly state: StateDirectory;
  /** Undefined: the configuration names none, and connections are closed. */
  readonly destination: Destination | undefined;
}

/**
 * Starts every requested transport that is known and reports each. Unknown names are ignored in
 * silence [PT-3.2.3-02]; a transport that does not start keeps no other from starting.
 */
export async function startServer(
  configuration: ServerConfiguration,
  context: ServerContext,
): Promise<RunningProxy> {
  const { registry, reporter, logger } = context;
  const proxy = new ReverseProxy(context);
  for (const requested of configuration.transports) {
    const transport = registry.find(requested.name);
    if (transport === undefined) continue;
    if (transport.warning !== undefined) logger.warning(`${transport.name}: ${transport.warning}`);
    try {
      await proxy.start(transport, requested);
    } catch (error) {
      const text = describeError(error);
      reporter.report({ kind: 'SMETHOD-ERROR', transport: transport.name, text });
    }
  }
  reporter.report({ kind: 'SMETHODS DONE' });
  if (context.destination === undefined) {
    logger.warning('neither an ORPort nor an Extended ORPort is set: connections will be closed');
  }
  return proxy;
}

class ReverseProxy implements RunningProxy {
  readonly #context: ServerContext;
  readonly #connections = new Connections();
  readonly #started: { readonly listener: Listener; readonly server: TransportServer }[] = [];

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Starts one transport and reports it. */
  async start(transport: Transport, { bindAddress, options }: RequestedServer): Promise<void> {
    const { environment, state, logger, reporter } = this.#context;
    const { name } = transport;
    const notify = (notice: string): void => logger.notice(`${name}: ${notice}`);
    const server = await transport.server(options, { ...environment, state, notify });
    let listener: Listener | undefined;
    try {
      listener = await listenTransport(bindAddress ?? ANY_ADDRESS, server, {
        onConnection: (stream, wire) => {
          void this.#connections.serve(() => this.#forward(name, stream, wire));
        },
        // A probe or a scan, most of the time; not worth a line of tor's log.
        onFailedHandshake: (error) => logger.info(`${name}: ${describeError(error)}`),
      });
      const { endpoint } = listener;
      reporter.report({ kind: 'SMETHOD', transport: name, endpoint, args: server.clientArguments });
      this.#started.push({ listener, server });
    } catch (error) {
      listener?.abort();
      await server.close();
      throw error;
    }
  }

  async drain(): Promise<void> {
    for (const { listener } of this.#started) await listener.close();
    await this.#connections.drained();
  }

  async close(): Promise<void> {
    for (const { listener } of this.#started) listener.abort();
    for (const { server } of this.#started) await server.close();
  }

  /** One client's connection behind its handshake, to its end. Never rejects. */
  async #forward(transport: string, stream: Duplex, wire: Socket): Promise<void> {
    const onward = await this.#connectOnward(transport, wire);
    if (onward === undefined) {
      stream.destroy();
      return;
    }
    const failure = await relay(stream, onward);
    if (failure !== undefined) {
      this.#context.logger.info(`${transport}: connection broken: ${failure.message}`);
    }
  }

  /**
   * Connects to where this client's payload goes; undefined when that failed.
   *
   * It is not called off when the client leaves: the parent is near, and what would watch the client
   * costs a twentieth of a handshake.
   */
  async #connectOnward(transport: string, wire: Socket): Promise<Duplex | undefined> {
    const { destination, logger } = this.#context;
    try {
      return await destination?.(transport, wire);
    } catch (error) {
      // Said in full, or users take a dead ORPort for a fault of the transport.
      logger.warning(`${transport}: cannot forward to the parent: ${describeError(error)}`);
      return undefined;
    }
  }
}

/** A server is to be reached from outside, and the port is the system's choice [PT-3.3.3-06]. */
const ANY_ADDRESS = { host: '0.0.0.0', port: 0 };
