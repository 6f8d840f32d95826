/**
 * Tor's events (control-spec, "Asynchronous events"), typed where the engine or most controllers need
 * them. Names of states, purposes and reasons stay as Tor spells them: the lists grow.
 */
import type { TorReplyLine } from './messages.ts';

/** A relay, as Tor names it: `$FINGERPRINT~nickname`, or a part of that. */
export interface TorRelay {
  /** 40 hexadecimal digits, upper case. */
  readonly fingerprint?: string;
  readonly nickname?: string;
}

/** CIRC: a circuit changed its state. */
export interface TorCircuitEvent {
  readonly type: 'circuit';
  readonly id: string;
  /** `LAUNCHED`, `BUILT`, `GUARD_WAIT`, `EXTENDED`, `FAILED`, `CLOSED`. */
  readonly status: string;
  /** The hops so far, the nearest first. */
  readonly path: readonly TorRelay[];
  readonly purpose?: string;
  readonly reason?: string;
  readonly remoteReason?: string;
  /** Every `KEYWORD=value` of the event, those above included. */
  readonly keywords: ReadonlyMap<string, string>;
}

/** STREAM: an application's stream changed its state. */
export interface TorStreamEvent {
  readonly type: 'stream';
  readonly id: string;
  /** `NEW`, `SENTCONNECT`, `REMAP`, `SUCCEEDED`, `FAILED`, `CLOSED`, `DETACHED` and others. */
  readonly status: string;
  /** The circuit that carries it, when one does. */
  readonly circuitId?: string;
  /** An address or a name, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly purpose?: string;
  readonly reason?: string;
  readonly remoteReason?: string;
  readonly keywords: ReadonlyMap<string, string>;
}

/** ORCONN: a connection to a relay changed its state. */
export interface TorOrConnectionEvent {
  readonly type: 'orConnection';
  /** Tor's number for it; the same through all its events. */
  readonly id?: string;
  /** `NEW` (it came to us), `LAUNCHED`, `CONNECTED`, `FAILED`, `CLOSED`. */
  readonly status: string;
  /** The relay, as soon as Tor knows which one it is; its `address:port` until then. */
  readonly target: TorRelay | { readonly host: string; readonly port: number };
  readonly reason?: string;
  readonly keywords: ReadonlyMap<string, string>;
}

/** BW: what was carried in the last second. */
export interface TorBandwidthEvent {
  readonly type: 'bandwidth';
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** STATUS_CLIENT with BOOTSTRAP: how far the start has come. */
export interface TorBootstrapEvent {
  readonly type: 'bootstrap';
  readonly severity: TorStatusSeverity;
  /** Percent. */
  readonly progress: number;
  /** What comes next, for programs: `conn_done`, `done`… */
  readonly tag: string;
  /** The same for people. */
  readonly summary: string;
  /** What went wrong, when it does not go on. */
  readonly warning?: string;
  readonly reason?: string;
  readonly keywords: ReadonlyMap<string, string>;
}

/** STATUS_CLIENT, STATUS_SERVER and STATUS_GENERAL, the rest of them. */
export interface TorStatusEvent {
  readonly type: 'status';
  readonly source: 'client' | 'server' | 'general';
  readonly severity: TorStatusSeverity;
  /** `CIRCUIT_ESTABLISHED`, `CLOCK_SKEW`, `DANGEROUS_SOCKS`… */
  readonly action: string;
  readonly keywords: ReadonlyMap<string, string>;
}

/** How serious a status is. */
export type TorStatusSeverity = 'NOTICE' | 'WARN' | 'ERR';

/** DEBUG, INFO, NOTICE, WARN, ERR: a line of Tor's log. */
export interface TorLogEvent {
  readonly type: 'log';
  readonly severity: 'debug' | 'info' | 'notice' | 'warn' | 'err';
  /** Several lines are joined by LF. */
  readonly message: string;
}

/** ADDRMAP: an address is mapped from now on, or could not be resolved. */
export interface TorAddressMapEvent {
  readonly type: 'addressMap';
  readonly original: string;
  /** Absent when the resolution failed. */
  readonly replacement?: string;
  /** Until when it is valid, in milliseconds since the Unix epoch; absent when for ever. */
  readonly expiresEpochMs?: number;
  readonly keywords: ReadonlyMap<string, string>;
}

/** CONF_CHANGED: options have new values. */
export interface TorConfigurationEvent {
  readonly type: 'configurationChanged';
  /** In Tor's order; an option without a value is back at its default. */
  readonly entries: readonly TorConfEntry[];
}

/** One value of an option; none for one that is not set. */
export interface TorConfEntry {
  readonly key: string;
  readonly value: string | undefined;
}

/** SIGNAL: Tor was told to reload, to use new circuits… by whomever. */
export interface TorSignalEvent {
  readonly type: 'signal';
  readonly name: string;
}

/** Any other event, as it stands. */
export interface TorOtherEvent {
  readonly type: 'other';
  /** `NEWDESC`, `GUARD`, `HS_DESC`… */
  readonly name: string;
  /** The first line behind the name. */
  readonly text: string;
  /** All lines. */
  readonly lines: readonly TorReplyLine[];
}

/** An event of a known name that does not have its form. */
export interface TorMalformedEvent {
  readonly type: 'malformed';
  readonly name: string;
  readonly lines: readonly TorReplyLine[];
}

/** All that Tor reports unasked. */
export type TorEvent =
  | TorCircuitEvent
  | TorStreamEvent
  | TorOrConnectionEvent
  | TorBandwidthEvent
  | TorBootstrapEvent
  | TorStatusEvent
  | TorLogEvent
  | TorAddressMapEvent
  | TorConfigurationEvent
  | TorSignalEvent
  | TorOtherEvent
  | TorMalformedEvent;
