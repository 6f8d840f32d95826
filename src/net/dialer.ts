import type { Duplex } from 'node:stream';
import type { Endpoint } from '../pt/address.ts';

/** What a dial may be given on top of its target. */
export interface DialOptions {
  /** Gives the dial up; the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
}

/**
 * The only way to reach something. Dialers compose: direct, through an upstream proxy, through a
 * transport, through a hop of a circuit. What is built over an upstream proxy holds no direct dialer, so it
 * cannot leak when the proxy fails.
 *
 * @returns a connected stream; both directions end separately (half-close)
 * @throws PosternError `ERR_DIAL_*`, or what the composition adds
 */
export type Dialer = (target: Endpoint, options?: DialOptions) => Promise<Duplex>;
