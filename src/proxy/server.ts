/** The reverse proxy: a listener for each transport (PT 3, steps 5 and 6; PT 3.3.3). */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describeError } from '../errors.ts';
import { openFolder } from '../net/folder.ts';
import { relay } from '../net/relay.ts';
import { type RunningTransport, startTransportServer } from '../net/transport-server.ts';
import type { RequestedServer, ServerConfiguration } from '../pt/proxy-environment.ts';
import type { StateDirectory } from '../state/state-directory.ts';
import { warningOfUnknown } from '../transports/argument-names.ts';
import type { ClientAddress, Transport } from '../transports/contract.ts';
import type { Destination } from './destination.ts';
import { describeListener, reportDone, type RoleContext, type RunningProxy } from './role.ts';

/** What a server is given on top. */
export interface ServerRoleContext extends RoleContext {
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
  context: ServerRoleContext,
): Promise<RunningProxy> {
  const { registry, reporter, logger } = context;
  const proxy = new ReverseProxy(context);
  for (const requested of configuration.transports) {
    const transport = registry.find(requested.name);
    if (transport === undefined) continue;
    if (transport.warning !== undefined) logger.warning(`${transport.name}: ${transport.warning}`);
    const warning = warningOfUnknown(transport, 'server', requested.options);
    if (warning !== undefined) logger.warning(warning);
    try {
      await proxy.start(transport, requested);
    } catch (error) {
      const text = describeError(error);
      reporter.report({ kind: 'SMETHOD-ERROR', transport: transport.name, text });
    }
  }
  reportDone(reporter, 'SMETHODS DONE');
  if (context.destination === undefined) {
    logger.warning('neither an ORPort nor an Extended ORPort is set: connections will be closed');
  }
  return proxy;
}

class ReverseProxy implements RunningProxy {
  readonly #context: ServerRoleContext;
  readonly #ending = new AbortController();
  readonly #started: RunningTransport[] = [];

  constructor(context: ServerRoleContext) {
    this.#context = context;
    // Every connection that is being made onward listens to it.
    setMaxListeners(0, this.#ending.signal);
  }

  /** Starts one transport and reports it. */
  async start(transport: Transport, { bindAddress, options }: RequestedServer): Promise<void> {
    const { transportContext, state, logger, reporter } = this.#context;
    const { name } = transport;
    const running = await startTransportServer({
      transport,
      endpoint: bindAddress ?? ANY_ADDRESS,
      options,
      context: {
        ...transportContext,
        state,
        openFolder,
        notify: (notice) => logger.notice(`${name}: ${notice}`, `${name} ${notice}`),
      },
      onConnection: (...connection) => this.#forward(name, ...connection),
      // A probe or a scan, most of the time; not worth a line of tor's log.
      onFailedHandshake: (error) =>
        logger.info(`${name}: ${describeError(error)}`, `${name} handshake`),
      onFault: (error) => logger.error(`${name}: ${describeError(error)}`, `${name} fault`),
      onListening: ({ endpoint, clientArguments: args }, listening) => {
        reporter.report({ kind: 'SMETHOD', transport: name, endpoint, args });
        logger.info(describeListener(name, listening));
      },
      signal: this.#ending.signal,
    });
    this.#started.push(running);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#started.map((running) => running.close()));
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.drain();
  }

  /** One client's connection behind its handshake, to its end. */
  async #forward(
    transport: string,
    stream: Duplex,
    wire: Socket,
    client: ClientAddress,
  ): Promise<void> {
    const onward = await this.#connectOnward(transport, wire, client);
    if (onward === undefined) {
      stream.destroy();
      return;
    }
    const failure = await relay(stream, onward);
    if (failure !== undefined) {
      this.#context.logger.info(
        `${transport}: connection broken: ${failure.message}`,
        `${transport} broken`,
      );
    }
  }

  /**
   * Connects to where this client's payload goes; undefined when that failed.
   *
   * It is given up when the proxy ends, not when the client leaves: the parent is near, and watching the client
   * would cost a twentieth of a handshake.
   */
  async #connectOnward(
    transport: string,
    wire: Socket,
    client: ClientAddress,
  ): Promise<Duplex | undefined> {
    const { destination, logger } = this.#context;
    const { signal } = this.#ending;
    try {
      return await destination?.(transport, wire, client, { signal });
    } catch (error) {
      // Said in full: otherwise users take a dead ORPort for a fault of the transport.
      if (!signal.aborted) {
        // Another reason is news.
        const text = `${transport}: cannot forward to the parent: ${describeError(error)}`;
        logger.warning(text, text);
      }
      return undefined;
    }
  }
}

/** A server is to be reached from outside, and the port is the system's choice [PT-3.3.3-06]. */
const ANY_ADDRESS = { host: '0.0.0.0', port: 0 };
