/** `postern/pt`: the vocabulary of the specification, both directions, without a socket. */
export {
  bytesToIp,
  type Endpoint,
  formatEndpoint,
  ipToBytes,
  isLoopback,
  parseIpEndpoint,
} from './address.ts';
export { type BridgeLine, formatBridgeLine, parseBridgeLine } from './bridge-line.ts';
export { parseLine } from './decode.ts';
export { formatMessage } from './encode.ts';
export type { KeyValues } from './key-value.ts';
export {
  buildEnvironment,
  type ClientLaunch,
  type LaunchConfiguration,
  type ServerLaunch,
} from './launch-environment.ts';
export { type LineEvent, LineSplitter } from './line-splitter.ts';
export {
  type CmethodMessage,
  logSeverities,
  type LogSeverity,
  type Message,
  type ReceivedMessage,
  type SmethodMessage,
} from './messages.ts';
export { formatTransportList, isTransportName, parseTransportList } from './names.ts';
export {
  type ClientConfiguration,
  type EnvironmentOutcome,
  parseProxyEnvironment,
  type ProxyConfiguration,
  type ServerConfiguration,
} from './proxy-environment.ts';
export { scrubAddresses } from './scrub.ts';
export { formatServerOptions, parseServerOptions, type ServerOptions } from './server-options.ts';
export { formatSmethodArgs, parseSmethodArgs } from './smethod-args.ts';
export {
  decodeSocksArguments,
  encodeSocksArguments,
  joinUserPass,
  splitForUserPass,
  type UserPass,
} from './socks-arguments.ts';
export { formatUpstreamProxy, parseUpstreamProxy, type UpstreamProxy } from './upstream-proxy.ts';
export {
  formatVersionList,
  negotiateVersion,
  parseVersionList,
  supportedVersions,
} from './versions.ts';
