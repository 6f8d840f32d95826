/**
 * Every `TOR_PT_*` variable, as a parent writes it (PT 3.2).
 */
import { isAbsolute } from 'node:path';
import { PosternError } from '../errors.ts';
import { formatEndpoint, ipToBytes, parseIpEndpoint, type Endpoint } from './address.ts';
import { formatTransportList } from './names.ts';
import type { ClientConfiguration, ServerConfiguration } from './proxy-environment.ts';
import { formatServerOptions } from './server-options.ts';
import { formatUpstreamProxy } from './upstream-proxy.ts';
import { formatVersionList, supportedVersions } from './versions.ts';

/** What a parent wants of the PT program that it launches. */
export type LaunchConfiguration = ClientLaunch | ServerLaunch;

/** A launch as a client-side forward proxy. */
export interface ClientLaunch
  extends
    LaunchCommon,
    Omit<LaunchOf<ClientConfiguration>, 'outboundBind'>,
    Partial<Pick<ClientConfiguration, 'outboundBind'>> {}

/** A launch as a server-side reverse proxy. */
export interface ServerLaunch extends LaunchCommon, LaunchOf<ServerConfiguration> {}

/** What every launch has; whether stdin is used is not a question here: it always is (PT 3.4). */
interface LaunchCommon {
  /** The specification versions on offer; by default those that we speak. */
  readonly versions?: readonly string[];
}

type LaunchOf<T> = Omit<T, 'exitOnStdinClose'>;

/**
 * The `TOR_PT_*` variables for a child, and nothing else.
 *
 * @throws PosternError before anything is launched: `ERR_PT_ENVIRONMENT` for a relative path, an address
 *   that bind() would refuse, a host name, a transport named twice; `ERR_PT_NAME`, `ERR_PT_VERSION`,
 *   `ERR_PT_SERVER_OPTIONS`, `ERR_PT_UPSTREAM_PROXY` for what these cannot carry
 */
export function buildEnvironment(launch: LaunchConfiguration): Record<string, string> {
  return {
    // All three for every launch [PT-3.2.1-01].
    TOR_PT_MANAGED_TRANSPORT_VER: formatVersionList(launch.versions ?? supportedVersions),
    TOR_PT_STATE_LOCATION: absolutePath('the state directory', launch.stateLocation),
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
    ...(launch.role === 'client' ? clientVariables(launch) : serverVariables(launch)),
  };
}

function clientVariables(launch: ClientLaunch): Record<string, string> {
  const { v4, v6 } = launch.outboundBind ?? {};
  return {
    TOR_PT_CLIENT_TRANSPORTS: formatTransportList(launch.transports),
    // Absent, not empty, when there is none [PT-3.2.2-09].
    ...(launch.upstreamProxy !== undefined && {
      TOR_PT_PROXY: formatUpstreamProxy(launch.upstreamProxy),
    }),
    ...(v4 !== undefined && { TOR_PT_OUTBOUND_BIND_ADDRESS_V4: outboundAddress(v4, 4) }),
    // In brackets, as tor writes it.
    ...(v6 !== undefined && { TOR_PT_OUTBOUND_BIND_ADDRESS_V6: `[${outboundAddress(v6, 16)}]` }),
  };
}

function serverVariables(launch: ServerLaunch): Record<string, string> {
  // The order of the one list is the order of the other [PT-3.2.3-10].
  const bindAddresses = launch.transports.flatMap(({ name, bindAddress }) =>
    bindAddress === undefined ? [] : [`${name}-${address('a bind address', bindAddress, 0)}`],
  );
  const options = formatServerOptions(
    new Map(launch.transports.map((transport) => [transport.name, transport.options])),
  );
  const extended = launch.extendedOrPort;
  return {
    TOR_PT_SERVER_TRANSPORTS: formatTransportList(launch.transports.map(({ name }) => name)),
    ...(bindAddresses.length > 0 && { TOR_PT_SERVER_BINDADDR: bindAddresses.join(',') }),
    ...(options !== '' && { TOR_PT_SERVER_TRANSPORT_OPTIONS: options }),
    ...(launch.orPort !== undefined && { TOR_PT_ORPORT: address('the ORPort', launch.orPort, 1) }),
    // "MUST be set to the empty string" by a parent without one [PT-3.2.3-21].
    TOR_PT_EXTENDED_SERVER_PORT:
      extended === undefined ? '' : address('the Extended ORPort', extended.endpoint, 1),
    ...(extended !== undefined && {
      TOR_PT_AUTH_COOKIE_FILE: absolutePath('the cookie file', extended.cookieFile),
    }),
  };
}

function address(what: string, endpoint: Endpoint, minimumPort: 0 | 1): string {
  const text = formatEndpoint(endpoint);
  if (parseIpEndpoint(text) === undefined || endpoint.port < minimumPort) {
    throw fault(
      `${what} is not an IP address with a port of ${minimumPort}..65535 (no host names)`,
    );
  }
  return text;
}

function outboundAddress(text: string, byteLength: 4 | 16): string {
  if (ipToBytes(text)?.length !== byteLength) {
    throw fault(
      `the outbound address for IPv${byteLength === 4 ? 4 : 6} is not one of that family`,
    );
  }
  return text;
}

function absolutePath(what: string, path: string): string {
  if (!isAbsolute(path)) throw fault(`the path of ${what} is not absolute`);
  if (path.includes('\0')) throw fault(`the path of ${what} contains NUL`);
  return path;
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_ENVIRONMENT', message);
}
