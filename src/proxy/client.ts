/** The forward proxy: a SOCKS listener for each transport (PT 3, steps 5 and 6; PT 3.3.2). */
import { PosternError, describeError } from '../errors.ts';
import { type Application, listenSocks, serveApplication } from '../net/applications.ts';
import type { Dialer } from '../net/dialer.ts';
import { createDirectDialer } from '../net/direct-dialer.ts';
import type { Listener } from '../net/listener.ts';
import { throughTransport } from '../net/through-transport.ts';
import { createUpstreamDialer } from '../net/upstream-dialer.ts';
import type { ClientConfiguration } from '../pt/proxy-environment.ts';
import { decodeSocksArguments, joinUserPass } from '../pt/socks-arguments.ts';
import type { SocksCredentials } from '../socks/messages.ts';
import { warningOfUnknown } from '../transports/argument-names.ts';
import type { Transport } from '../transports/contract.ts';
import { Connections } from './connections.ts';
import { describeListener, reportDone, type RoleContext, type RunningProxy } from './role.ts';

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
      const listener = await proxy.listen(transport);
      listeners.push(listener);
      const { endpoint } = listener;
      reporter.report({ kind: 'CMETHOD', transport: name, protocol: 'socks5', endpoint });
      logger.info(describeListener(name, endpoint));
    } catch (error) {
      reporter.report({ kind: 'CMETHOD-ERROR', transport: name, text: describeError(error) });
    }
  }
  reportDone(reporter, 'CMETHODS DONE');
  return {
    async drain() {
      for (const listener of listeners) await listener.close();
      await proxy.connections.drained();
    },
    async close() {
      // Work that is under way for an application ends with the application's socket.
      for (const listener of listeners) listener.abort();
      for (const listener of listeners) await listener.closed;
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
  readonly #warnings = new Set<string>();

  constructor(dial: Dialer, context: RoleContext) {
    this.#dial = dial;
    this.#context = context;
  }

  /** Opens the SOCKS port of a transport. @throws PosternError `ERR_LISTEN_*` */
  listen(transport: Transport): Promise<Listener> {
    const { transportContext, listen } = this.#context;
    const { name } = transport;
    const notify = (notice: string): void => this.#warnOnce(notice);
    const onSilence = this.#tellSilence(transport);
    const dialerOf = rememberLast((encoded) => {
      const args = decodeSocksArguments(encoded);
      const createSession = transport.client(args, { ...transportContext, notify });
      this.#warnOnce(warningOfUnknown(transport, 'client', args));
      return throughTransport(this.#dial, createSession, { onSilence, transport: name });
    });
    // PT 2 [PT-2-02]: applications are on this machine, and nobody else is to reach the proxy.
    return listenSocks(
      { host: '127.0.0.1', port: 0 },
      {
        listen,
        // PT 3.5: arguments belong to this connection alone, and a fault in them is found before
        // anything is dialled.
        accept: (credentials) => dialerOf(encodedArgumentsOf(credentials)),
        serve: (application, dial) => this.#serve(transport, application, dial),
        onFailure: (error) => this.#logFailure(transport, error),
      },
    );
  }

  #tellSilence({ name }: Transport): (text: string) => void {
    return (text) => this.#context.logger.warning(`${name}: ${text}`, `${name} silence`);
  }

  /** One application's connection, from its SOCKS request to its end. */
  #serve(transport: Transport, application: Application, dial: Dialer): Promise<void> {
    const { target } = application;
    return this.#watch(
      transport,
      serveApplication(application, (options) => dial(target, options)),
    );
  }

  async #watch(transport: Transport, served: Promise<Error | undefined>): Promise<void> {
    const failure = await this.connections.serve(() => served);
    if (failure !== undefined) {
      this.#context.logger.info(
        `${transport.name}: connection broken: ${failure.message}`,
        `${transport.name} broken`,
      );
    }
  }

  /** Each bridge line comes with every connection, and applications may make up any number of them. */
  #warnOnce(warning: string | undefined): void {
    if (warning === undefined || this.#warnings.has(warning)) return;
    if (this.#warnings.size >= MAX_WARNINGS) return;
    this.#warnings.add(warning);
    this.#context.logger.warning(warning);
  }

  #logFailure(transport: Transport, error: unknown): void {
    const { logger } = this.#context;
    const text = `${transport.name}: ${describeError(error)}`;
    if (!(error instanceof PosternError)) logger.error(text, text);
    else if (QUIET.has(error.code)) logger.info(text, text);
    else logger.warning(text, text);
  }
}

const MAX_WARNINGS = 32;

/** Everyday events that nobody can do anything about. */
const QUIET: ReadonlySet<string> = new Set(['ERR_SOCKS_CLOSED', 'ERR_SOCKS_TIMED_OUT']);

/** Made once for equal bytes in a row: a parent sends its bridge's arguments with every connection. */
function rememberLast<Made>(make: (bytes: Uint8Array) => Made): (bytes: Uint8Array) => Made {
  let last: { readonly bytes: Buffer; readonly made: Made } | undefined;
  return (bytes) => {
    if (last?.bytes.equals(bytes) !== true) last = { bytes: Buffer.from(bytes), made: make(bytes) };
    return last.made;
  };
}

/** The transport's arguments as they came, out of the fields that carried them (PT 3.5). */
function encodedArgumentsOf(credentials: SocksCredentials): Uint8Array {
  switch (credentials.type) {
    case 'none':
      return new Uint8Array(0);
    case 'userId':
      return credentials.userId;
    case 'userPass':
      // Arguments begin in the user name [PT-3.5-09 .. 11].
      if (credentials.username.length === 0) {
        throw new PosternError('ERR_PT_SOCKS_ARGUMENTS', 'the user name is empty');
      }
      return joinUserPass(credentials.username, credentials.password);
  }
}
