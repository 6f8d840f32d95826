/**
 * Every `TOR_PT_*` variable, as the PT program reads it (PT 3.2) in the order of the workflow (PT 3,
 * steps 2 to 4).
 */
import { isAbsolute } from 'node:path';
import { PosternError } from '../errors.ts';
import { ipToBytes, parseIpEndpoint, type Endpoint } from './address.ts';
import type { KeyValues } from './key-value.ts';
import type { ErrorMessage, Message } from './messages.ts';
import { isTransportName, parseTransportList } from './names.ts';
import { parseServerOptions } from './server-options.ts';
import { parseUpstreamProxy, type UpstreamProxy } from './upstream-proxy.ts';
import { negotiateVersion, parseVersionList } from './versions.ts';

/** The environment of a process, as `process.env` has it. */
export type EnvironmentVariables = Readonly<Record<string, string | undefined>>;

/** How a PT program is to run. */
export type ProxyConfiguration = ClientConfiguration | ServerConfiguration;

/** What clients and servers are told alike. */
interface CommonConfiguration {
  /** The absolute path of the only directory in which files may be written; may not exist yet. */
  readonly stateLocation: string;
  /** Whether a closed stdin is a request to terminate. */
  readonly exitOnStdinClose: boolean;
}

/** A client-side forward proxy. */
export interface ClientConfiguration extends CommonConfiguration {
  readonly role: 'client';
  /** The requested names, each once; unknown ones are to be ignored in silence. */
  readonly transports: readonly string[];
  /** All connections go through it, or not at all. */
  readonly upstreamProxy?: UpstreamProxy;
  readonly outboundBind: OutboundBind;
}

/** The addresses that connections leave from, for each family. */
interface OutboundBind {
  readonly v4?: string;
  readonly v6?: string;
}

/** A server-side reverse proxy. */
export interface ServerConfiguration extends CommonConfiguration {
  readonly role: 'server';
  readonly transports: readonly RequestedServer[];
  /** Where plain traffic goes. */
  readonly orPort?: Endpoint;
  /** Where traffic goes with its metadata: wins over `orPort`. */
  readonly extendedOrPort?: { readonly endpoint: Endpoint; readonly cookieFile: string };
}

/** One requested server transport. */
export interface RequestedServer {
  readonly name: string;
  /** Undefined leaves the choice to the program; port 0 leaves the port to the system. */
  readonly bindAddress?: Endpoint;
  readonly options: KeyValues;
}

/** What came of reading the environment. */
export interface EnvironmentOutcome {
  /** The lines to write, in order: VERSION and PROXY DONE, or what ended it. */
  readonly messages: readonly Message[];
  /** Undefined after an error line: nothing is to be started, and the program ends. */
  readonly configuration?: ProxyConfiguration;
}

/**
 * Reads the environment in the order of the workflow: the version before anything else, then all
 * other variables, then for a client the upstream proxy. The first fault ends it with one error line that
 * names the variable and the fault and quotes no value. Never throws.
 */
export function parseProxyEnvironment(env: EnvironmentVariables): EnvironmentOutcome {
  const messages: Message[] = [];
  let failure: ErrorMessage['kind'] = 'ENV-ERROR';
  try {
    // PT 3, step 2. A missing or ill-formed list is an environment error [PT-3.3.1-01].
    const offered = reading('TOR_PT_MANAGED_TRANSPORT_VER', () =>
      parseVersionList(required(env, 'TOR_PT_MANAGED_TRANSPORT_VER')),
    );
    const version = negotiateVersion(offered);
    if (version === undefined) return { messages: [{ kind: 'VERSION-ERROR', text: 'no-version' }] };
    messages.push({ kind: 'VERSION', version });

    // Step 3.
    const configuration = parseConfiguration(env);
    const uri = env['TOR_PT_PROXY'] ?? '';
    // A server ignores TOR_PT_PROXY [PT-3-09]; an empty one names no proxy, as goptlib has it [PT-3.2.2-05].
    if (configuration.role === 'server' || uri === '') return { messages, configuration };

    // Step 4.
    failure = 'PROXY-ERROR';
    const upstreamProxy = reading('TOR_PT_PROXY', () => parseUpstreamProxy(uri));
    messages.push({ kind: 'PROXY DONE' });
    return { messages, configuration: { ...configuration, upstreamProxy } };
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    return { messages: [...messages, { kind: failure, text: error.message }] };
  }
}

function parseConfiguration(env: EnvironmentVariables): ProxyConfiguration {
  const common: CommonConfiguration = {
    stateLocation: reading('TOR_PT_STATE_LOCATION', () =>
      absolutePath(required(env, 'TOR_PT_STATE_LOCATION')),
    ),
    exitOnStdinClose: env['TOR_PT_EXIT_ON_STDIN_CLOSE'] === '1',
  };
  // Presence decides the role, also that of an empty value (PT 3, step 3.2) [PT-2-06].
  const clients = env['TOR_PT_CLIENT_TRANSPORTS'];
  const servers = env['TOR_PT_SERVER_TRANSPORTS'];
  if (clients !== undefined && servers !== undefined) {
    throw fault(
      'TOR_PT_CLIENT_TRANSPORTS and TOR_PT_SERVER_TRANSPORTS are both set: one process takes one role',
    );
  }
  if (clients !== undefined) return { ...common, ...parseClient(env, clients) };
  if (servers !== undefined) return { ...common, ...parseServer(env, servers) };
  throw fault('neither TOR_PT_CLIENT_TRANSPORTS nor TOR_PT_SERVER_TRANSPORTS is set');
}

function parseClient(
  env: EnvironmentVariables,
  names: string,
): Omit<ClientConfiguration, keyof CommonConfiguration> {
  const transports = reading('TOR_PT_CLIENT_TRANSPORTS', () => parseTransportList(names));
  const v4 = optional(env, 'TOR_PT_OUTBOUND_BIND_ADDRESS_V4', (text) => bindAddress(text, 4));
  const v6 = optional(env, 'TOR_PT_OUTBOUND_BIND_ADDRESS_V6', (text) =>
    // tor writes the brackets.
    bindAddress(text.replace(/^\[(.*)\]$/s, '$1'), 16),
  );
  return {
    role: 'client',
    transports,
    outboundBind: { ...(v4 !== undefined && { v4 }), ...(v6 !== undefined && { v6 }) },
  };
}

function parseServer(
  env: EnvironmentVariables,
  list: string,
): Omit<ServerConfiguration, keyof CommonConfiguration> {
  const names = reading('TOR_PT_SERVER_TRANSPORTS', () => parseTransportList(list));
  const addresses = optional(env, 'TOR_PT_SERVER_BINDADDR', (text) =>
    parseBindAddresses(text, names),
  );
  // Options for transports that are not started are ignored [PT-3.2.3-04].
  const options = optional(env, 'TOR_PT_SERVER_TRANSPORT_OPTIONS', parseServerOptions);
  // Empty says that there is none, as goptlib has it [PT-3.2.3-16].
  const orPort =
    env['TOR_PT_ORPORT'] === '' ? undefined : optional(env, 'TOR_PT_ORPORT', destination);
  const extendedOrPort = parseExtendedOrPort(env);
  return {
    role: 'server',
    transports: names.map((name) => {
      const address = addresses?.get(name);
      return {
        name,
        ...(address !== undefined && { bindAddress: address }),
        options: options?.get(name) ?? [],
      };
    }),
    ...(orPort !== undefined && { orPort }),
    ...(extendedOrPort !== undefined && { extendedOrPort }),
  };
}

function parseExtendedOrPort(env: EnvironmentVariables): ServerConfiguration['extendedOrPort'] {
  const text = env['TOR_PT_EXTENDED_SERVER_PORT'];
  // Empty says that the parent has none; a cookie file is superfluous then [PT-3.2.3-21, 24].
  if (text === undefined || text === '') return undefined;
  const endpoint = reading('TOR_PT_EXTENDED_SERVER_PORT', () => destination(text));
  const cookieFile = env['TOR_PT_AUTH_COOKIE_FILE'];
  if (cookieFile === undefined || cookieFile === '') {
    // The specification's own words (PT 3.3.1).
    throw fault('No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set');
  }
  return {
    endpoint,
    cookieFile: reading('TOR_PT_AUTH_COOKIE_FILE', () => absolutePath(cookieFile)),
  };
}

/** `obfs3-198.51.100.1:1984,scramblesuit-[::1]:4891`; the names are a subsequence of `names`. */
function parseBindAddresses(text: string, names: readonly string[]): ReadonlyMap<string, Endpoint> {
  const addresses = new Map<string, Endpoint>();
  let previous = -1;
  for (const [index, item] of text.split(',').entries()) {
    const where = `item ${index + 1}`;
    const dash = item.indexOf('-');
    if (dash === -1) throw fault(`${where} has no '-' between transport and address`);
    const name = item.slice(0, dash);
    if (!isTransportName(name)) throw fault(`${where} has no valid transport name`);
    const address = parseIpEndpoint(item.slice(dash + 1));
    if (address === undefined)
      throw fault(`${where} has no address of the form ip:port (no host names)`);
    if (addresses.has(name)) throw fault(`${where} gives ${name} a second address`);
    const position = names.indexOf(name);
    if (position === -1)
      throw fault(`${where} names a transport that TOR_PT_SERVER_TRANSPORTS does not`);
    if (position < previous)
      throw fault(`${where} is not in the order of TOR_PT_SERVER_TRANSPORTS`);
    previous = position;
    addresses.set(name, address);
  }
  return addresses;
}

function destination(text: string): Endpoint {
  const endpoint = parseIpEndpoint(text);
  if (endpoint === undefined || endpoint.port === 0) {
    throw fault('the value is not ip:port with a port of 1..65535 (no host names)');
  }
  return endpoint;
}

function bindAddress(text: string, byteLength: 4 | 16): string {
  if (ipToBytes(text)?.length !== byteLength) {
    throw fault(`the value is not an IPv${byteLength === 4 ? 4 : 6} address`);
  }
  return text;
}

function absolutePath(text: string): string {
  if (!isAbsolute(text))
    throw fault(text === '' ? 'the value is empty' : 'the path is not absolute');
  return text;
}

function required(env: EnvironmentVariables, name: string): string {
  const value = env[name];
  if (value === undefined) throw fault('the variable is not set');
  return value;
}

function optional<T>(
  env: EnvironmentVariables,
  name: string,
  parse: (text: string) => T,
): T | undefined {
  const text = env[name];
  return text === undefined ? undefined : reading(name, () => parse(text));
}

/** Puts the variable's name before the text of whatever is wrong with it. */
function reading<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof PosternError) throw fault(`${name}: ${error.message}`);
    throw error;
  }
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_ENVIRONMENT', message);
}
