/** The forward proxy: a SOCKS listener for each transport (PT 3, steps 5 and 6; PT 3.3.2). */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PosternError, describeError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Dialer, DialOptions } from '../net/dialer.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import type { Listener } from '../net/listener.ts';
import { relay } from '../net/relay.ts';
import { throughTransport } from '../net/transport-stream.ts';
import { createUpstreamDialer } from '../net/upstream-dialer.ts';
import type { KeyValues } from '../pt/key-value.ts';
import type { ClientConfiguration } from '../pt/proxy-environment.ts';
import { decodeSocksArguments, joinUserPass } from '../pt/socks-arguments.ts';
import { SocksReply, type SocksCredentials } from '../socks/messages.ts';
import type { Transport } from '../transports/contract.ts';
import { Connections } from './connections.ts';
import type { RoleContext, RunningProxy } from './role.ts';
import { closeGently, readSocksRequest } from './socks-request.ts';

/**
 * Starts every requested transport that is known and reports each. Unknown names are ignored in
 * silence [PT-3.3.2-15]; a transport that does not start keeps no other from starting [PT-3.3.2-12].
 */
export async function startClient(
  configuration: ClientConfiguration,
  context: RoleContext,
): Promise<RunningProxy> {
  const { registry, reporter, logger } = context;
  const proxy = new ForwardProxy(createDialer(configuration), context);
  const listeners: Listener[] = [];
  for (const name of configuration.transports) {
    const transport = registry.find(name);
    if (transport === undefined) continue;
    if (transport.warning !== undefined) logger.warning(`${name}: ${transport.warning}`);
    try {
      // PT 2 [PT-2-02]: applications are on this machine, and nobody else is to reach the proxy.
      const listener = await context.listen({ host: '127.0.0.1', port: 0 }, (socket) => {
        void proxy.serve(socket, transport);
      });
      listeners.push(listener);
      const { endpoint } = listener;
      reporter.report({ kind: 'CMETHOD', transport: name, protocol: 'socks5', endpoint });
    } catch (error) {
      reporter.report({ kind: 'CMETHOD-ERROR', transport: name, text: describeError(error) });
    }
  }
  reporter.report({ kind: 'CMETHODS DONE' });
  return {
    async drain() {
      for (const listener of listeners) await listener.close();
      await proxy.connections.drained();
    },
    async close() {
      for (const listener of listeners) listener.abort();
    },
  };
}

/** The only way out. With an upstream proxy nothing else is in reach: it fails closed (PT 4). */
function createDialer({ outboundBind: { v4, v6 }, upstreamProxy }: ClientConfiguration): Dialer {
  const direct = createDirectDialer({
    ...(v4 !== undefined && { bindV4: v4 }),
    ...(v6 !== undefined && { bindV6: v6 }),
  });
  return upstreamProxy === undefined ? direct : createUpstreamDialer(upstreamProxy, direct);
}

class ForwardProxy {
  readonly connections: Connections = new Connections();
  readonly #dial: Dialer;
  readonly #context: RoleContext;
  #pendingRequests = 0;

  constructor(dial: Dialer, context: RoleContext) {
    this.#dial = dial;
    this.#context = context;
  }

  /** One application's connection, from its SOCKS request to its end. Never rejects. */
  async serve(socket: Socket, transport: Transport): Promise<void> {
    if (this.#pendingRequests >= limits.pendingSocksRequests) {
      socket.destroy();
      return;
    }
    this.#pendingRequests += 1;
    try {
      const { dialled } = await this.#readRequest(socket, transport).finally(() => {
        this.#pendingRequests -= 1;
      });
      await this.connections.serve(async () => {
        const failure = await relay(socket, await dialled);
        if (failure !== undefined) {
          this.#context.logger.info(`${transport.name}: connection broken: ${failure.message}`);
        }
      });
    } catch (error) {
      this.#logFailure(transport, error);
    }
  }

  /**
   * Reads the request and begins to fulfil it. What that needed is let go of with this function: an
   * idle connection is to hold its two streams and no more.
   */
  async #readRequest(
    socket: Socket,
    transport: Transport,
  ): Promise<{ readonly dialled: Promise<Duplex> }> {
    let createSession: ReturnType<Transport['client']> | undefined;
    const { request, reply } = await readSocksRequest(socket, (credentials) => {
      // PT 3.5: arguments belong to this connection alone, and a fault in them is found before
      // anything is dialled.
      createSession = transport.client(argumentsOf(credentials), this.#context.environment);
    });
    const dial = throughTransport(this.#dial, createSession!);
    return { dialled: dialAndReply(socket, (options) => dial(request.target, options), reply) };
  }

  #logFailure(transport: Transport, error: unknown): void {
    const { logger } = this.#context;
    const text = `${transport.name}: ${describeError(error)}`;
    if (!(error instanceof PosternError)) logger.error(text);
    else if (QUIET.has(error.code)) logger.info(text);
    else logger.warning(text);
  }
}

/** Dials for a SOCKS client as long as it waits, and tells it how that went. */
async function dialAndReply(
  socket: Socket,
  dial: (options: DialOptions) => Promise<Duplex>,
  reply: (code: number) => Uint8Array,
): Promise<Duplex> {
  const gaveUp = new AbortController();
  const onClose = (): void => gaveUp.abort(new PosternError('ERR_SOCKS_CLOSED', CLIENT_LEFT));
  socket.once('close', onClose);
  try {
    const stream = await dial({ signal: gaveUp.signal });
    socket.off('close', onClose).write(reply(SocksReply.succeeded));
    return stream;
  } catch (error) {
    socket.off('close', onClose);
    const code = error instanceof PosternError ? error.socksReply : SocksReply.generalFailure;
    closeGently(socket, reply(code));
    throw error;
  }
}

const CLIENT_LEFT = 'the SOCKS client left while its connection was being made';

/** Everyday events that nobody can do anything about. */
const QUIET: ReadonlySet<string> = new Set(['ERR_SOCKS_CLOSED', 'ERR_SOCKS_TIMED_OUT']);

/** The transport's arguments, out of the fields that carried them (PT 3.5). */
function argumentsOf(credentials: SocksCredentials): KeyValues {
  switch (credentials.type) {
    case 'none':
      return [];
    case 'userId':
      return decodeSocksArguments(credentials.userId);
    case 'userPass':
      return decodeSocksArguments(joinUserPass(credentials.username, credentials.password));
  }
}
