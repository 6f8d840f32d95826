/** `postern/control`: TC, both ends: a client for a daemon or an old Tor, a server for what you run. */
export type { LogLevel } from '../config/log-values.ts';
export {
  formatPassphraseHash,
  hashPassphrase,
  parsePassphraseHash,
  type PassphraseHash,
} from '../crypto/passphrase.ts';
export { type Rng, systemRng } from '../crypto/rng.ts';
export type { Listener } from '../net/listener.ts';
export type { Endpoint } from '../pt/address.ts';
export { AddressMap, type AddressMapOptions, mappedAddress } from './address-map.ts';
export type { ControlSecrets } from './authentication.ts';
export { type DumpLine, parseDumpLine } from './dump.ts';
export type { ControlEngine, EngineEvent } from './engine.ts';
export {
  type AddressMapping,
  type ConfEntry,
  type ConfSetting,
  type ControlEvent,
  ControlRefusal,
  ReplyCode,
  type EventKind,
  type EventStatus,
  type MappedAddress,
  type Signal,
} from './messages.ts';
export {
  type Abortable,
  connectControl,
  ControlClient,
  type ControlClientOptions,
  openControlClient,
} from './node/client.ts';
export {
  COOKIE_FILE_NAME,
  makeControlCookie,
  readControlCookie,
  writeControlCookie,
} from './node/cookie-file.ts';
export type { ControlAddress } from './node/dial.ts';
export { openControlPort, openControlSocket } from './node/listeners.ts';
export {
  type ControlConnectionOptions,
  ControlServer,
  type ControlServerOptions,
} from './node/server.ts';
