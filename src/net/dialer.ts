import type { Duplex } from 'node:stream';
import type { Endpoint } from '../pt/address.ts';

/** What a dial may be given on top of its target. */
export interface DialOptions {
  /** Gives the dial up; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

/**
 * The one way to reach something. Dialers compose: direct, through an upstream proxy, through a
 * transport, through a hop of a circuit. What was built over an upstream proxy has no direct dialer
 * in reach, so failing closed is a property of construction.
 *
 * @returns a connected stream; both directions end separately (half-close)
 * @throws PosternError `ERR_DIAL_*`, or what the composition adds
 */
export type Dialer = (target: Endpoint, options?: DialOptions) => Promise<Duplex>;
