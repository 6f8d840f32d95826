import type { OptionValues } from '../../config/options.ts';
import { exitAllows } from '../../config/exit-policy.ts';
import { PosternError } from '../../errors.ts';
import type { Duplex } from 'node:stream';
import type { DialOptions } from '../../net/dialer.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import type { ResolveName } from '../../net/name-resolver.ts';
import { ipToBytes } from '../../pt/address.ts';
import type { Share } from './share.ts';
import type { StreamTarget } from './stream-request.ts';

/** A dialer that is told which addresses a name may stand for. */
export type ExitDialer = (target: StreamTarget, options?: DialOptions) => Promise<Duplex>;

/**
 * The way out of a bridge: `ExitPolicy` and `ExitPolicyRejectPrivate`. A name is resolved here, once, and its
 * addresses are checked: it cannot stand for one address when it is checked and for another when it is
 * dialled.
 *
 * @returns the way out for one link, which has its share of lookups and no more
 * @throws (from the dialer) PosternError `ERR_EXIT_POLICY`, `ERR_DIAL_*`
 */
export function createExit(
  {
    ExitPolicy,
    ExitPolicyRejectPrivate: rejectPrivate,
  }: Pick<OptionValues, 'ExitPolicy' | 'ExitPolicyRejectPrivate'>,
  resolve: ResolveName,
): (lookups: Share) => ExitDialer {
  const rules = ExitPolicy.flat();
  const dial = createDirectDialer();
  return (lookups) =>
    async ({ host, port, family }, options) => {
      const { signal } = options ?? {};
      const found =
        ipToBytes(host) === undefined
          ? await lookups.use(() => resolve(host, signal), signal)
          : [host];
      const addresses = found.filter(
        (address) => family === undefined || address.includes(':') === (family === 6),
      );
      if (addresses.length === 0) {
        throw new PosternError('ERR_DIAL_NAME_NOT_FOUND', 'the name has no address of that family');
      }
      const allowed = addresses.filter((address) =>
        exitAllows(rules, rejectPrivate, address, port),
      );
      let failure: unknown = new PosternError(
        'ERR_EXIT_POLICY',
        'the exit policy refuses the target',
      );
      for (const address of allowed) {
        try {
          return await dial({ host: address, port }, options);
        } catch (error) {
          signal?.throwIfAborted();
          failure = error;
        }
      }
      throw failure;
    };
}
