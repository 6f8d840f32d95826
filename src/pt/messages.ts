/**
 * The lines that a PT program writes to stdout (PT 3.3), as one discriminated union. `kind` is the
 * line's first word, with the fixed second one where there is one.
 *
 *     line = keyword *( SP args ) NL        keyword = 1*( ALPHA / DIGIT / "-" / "_" )
 */
import type { Endpoint } from './address.ts';
import type { KeyValues } from './key-value.ts';

/** Every message that the specification defines, with the later LOG and STATUS. */
export type Message =
  | VersionMessage
  | ErrorMessage
  | DoneMessage
  | CmethodMessage
  | SmethodMessage
  | MethodErrorMessage
  | LogMessage
  | StatusMessage;

/** `VERSION 1`: the version that was chosen out of those offered. */
interface VersionMessage {
  readonly kind: 'VERSION';
  readonly version: string;
}

/** The three that end the program: `VERSION-ERROR no-version`, `ENV-ERROR …`, `PROXY-ERROR …`. */
export interface ErrorMessage {
  readonly kind: 'VERSION-ERROR' | 'ENV-ERROR' | 'PROXY-ERROR';
  readonly text: string;
}

/** `PROXY DONE`, `CMETHODS DONE`, `SMETHODS DONE`. */
interface DoneMessage {
  readonly kind: 'PROXY DONE' | 'CMETHODS DONE' | 'SMETHODS DONE';
}

/** `CMETHOD trebuchet socks5 127.0.0.1:19999`: a client transport listens. */
export interface CmethodMessage {
  readonly kind: 'CMETHOD';
  readonly transport: string;
  readonly protocol: 'socks4' | 'socks5';
  readonly endpoint: Endpoint;
}

/** `SMETHOD rot_by_N 198.51.100.1:2323 ARGS:N=13`: a server transport listens. */
export interface SmethodMessage {
  readonly kind: 'SMETHOD';
  readonly transport: string;
  readonly endpoint: Endpoint;
  /** What clients need to use it; empty without `ARGS:`. */
  readonly args: KeyValues;
}

/** `CMETHOD-ERROR trebuchet no rocks available`: a transport could not be started. */
interface MethodErrorMessage {
  readonly kind: 'CMETHOD-ERROR' | 'SMETHOD-ERROR';
  readonly transport: string;
  readonly text: string;
}

/** `LOG SEVERITY=notice MESSAGE="Connected to bridge A"`. */
export interface LogMessage {
  readonly kind: 'LOG';
  readonly severity: LogSeverity;
  readonly text: string;
}

/** The severities of LOG, worst first. */
export const logSeverities: readonly LogSeverity[] = [
  'error',
  'warning',
  'notice',
  'info',
  'debug',
];

/** How grave a LOG message is. */
export type LogSeverity = 'error' | 'warning' | 'notice' | 'info' | 'debug';

/**
 * `STATUS TRANSPORT=obfs4 CONNECT=Success`, or the other grammar in use,
 * `STATUS TYPE=version IMPLEMENTATION="postern" VERSION="0.1.0"`: pairs in order, at least one.
 */
export interface StatusMessage {
  readonly kind: 'STATUS';
  readonly pairs: KeyValues;
}

/** What a parent reads: a message, or a line that is none. */
export type ReceivedMessage = Message | UnknownLine | MalformedLine;

/** A line whose first word is no known keyword: to be ignored (PT 3.3). */
interface UnknownLine {
  readonly kind: 'unknown';
  readonly line: string;
}

/** A known keyword with arguments that do not fit it. */
interface MalformedLine {
  readonly kind: 'malformed';
  readonly keyword: string;
  /** What is wrong, as a phrase that quotes nothing of the line. */
  readonly reason: string;
  readonly line: string;
}
