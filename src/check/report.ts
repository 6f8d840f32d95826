/** The result of checking a bridge line. There is no address anywhere in it. */
import type { FailureKind } from './explain.ts';

/**
 * The steps of a check, in their order; which of them are taken depends on the line and on what is asked.
 *
 * - `program`: another program's transport is started
 * - `lookup`: the bridge's host name, where it has one
 * - `proxy`: the upstream proxy is reached
 * - `tcp`: the bridge is reached, through the proxy where there is one
 * - `connect`: another program reaches the bridge and runs the handshake, which look like one step from outside
 * - `https`: TLS with the bridge's web server, where the transport has one
 * - `handshake`: that of the transport
 * - `tls`, `link`: those of the Tor behind the bridge
 * - `traffic`: padding, which the Tor behind the bridge drops
 */
export type StepName =
  | 'program'
  | 'lookup'
  | 'proxy'
  | 'tcp'
  | 'connect'
  | 'https'
  | 'handshake'
  | 'tls'
  | 'link'
  | 'traffic';

/** A step that was taken. */
export interface Step {
  readonly name: StepName;
  /** How long it took. */
  readonly ms: number;
}

/** Why a bridge does not work. */
export interface Failure {
  /** What was being done; absent for a line that cannot be read. */
  readonly step?: StepName;
  readonly kind: FailureKind;
  /** The error's code, where there was one. */
  readonly code?: string;
  /** What happened, in one sentence without its full stop. */
  readonly message: string;
  /** What it can mean, the likely first. */
  readonly meanings: readonly string[];
  /** How to tell, or what to do. */
  readonly advice: string;
}

/** One line, checked. */
export interface BridgeReport {
  /** Which of the lines, counted from 0. */
  readonly index: number;
  /** `unreadable`: nothing was sent, since the line, or what it asks for, is not understood. */
  readonly outcome: 'well' | 'unwell' | 'unreadable';
  readonly transport?: string;
  /** Those that succeeded. */
  readonly steps: readonly Step[];
  /** Of the handshake's last exchange, where it has one. */
  readonly roundTripMs?: number;
  /** What the Tor behind the bridge has proven and said. */
  readonly tor?: {
    /** Whether it is the one that the line names; null for a line without a fingerprint. */
    readonly isNamed: boolean | null;
    /** Its clock minus ours, to the second. */
    readonly clockDifferenceMs: number;
  };
  readonly failure?: Failure;
  /** What is worth knowing although the bridge may work. */
  readonly notes: readonly string[];
}
