/** `postern/tor-control`: a client of Tor's current control protocol, the textual one. */
export type { Endpoint } from '../pt/address.ts';
export type { Timers } from '../time.ts';
export type { Rng } from '../crypto/rng.ts';
export type { TorCredentials } from './authentication.ts';
export type { TorAddressMapping, TorCommands } from './commands.ts';
export type { EventsLost } from './event-hub.ts';
export { parseBootstrapPhase } from './event-parser.ts';
export type {
  TorAddressMapEvent,
  TorBandwidthEvent,
  TorBootstrapEvent,
  TorCircuitEvent,
  TorConfEntry,
  TorConfigurationEvent,
  TorEvent,
  TorLogEvent,
  TorMalformedEvent,
  TorOrConnectionEvent,
  TorOtherEvent,
  TorRelay,
  TorSignalEvent,
  TorStatusEvent,
  TorStatusSeverity,
  TorStreamEvent,
} from './events.ts';
export type { TorSetting } from './format.ts';
export { TorRefusal, type TorReply, type TorReplyLine } from './messages.ts';
export {
  connectTorControl,
  type TorControlAddress,
  type TorControlOptions,
  type TorControlTarget,
} from './node/connect.ts';
export type { TorControl, TorControlTimes } from './node/control.ts';
export {
  keepTorControl,
  type KeepTorControlOptions,
  type KeptTorControl,
  type TorConnectionNews,
} from './node/keep.ts';
