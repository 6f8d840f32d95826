import { lookup } from 'node:dns/promises';
import type { OptionValues } from '../../config/options.ts';
import { exitAllows } from '../../config/exit-policy.ts';
import { PosternError } from '../../errors.ts';
import type { Dialer } from '../../net/dialer.ts';
import { createDirectDialer } from '../../net/direct-dialer.ts';
import { ipToBytes } from '../../pt/address.ts';

/**
 * The way out of a bridge: `ExitPolicy` and `ExitPolicyRejectPrivate`. A name is resolved here, once, and
 * what it resolves to is judged: a name cannot stand for one address when it is judged and for another
 * when it is dialled.
 *
 * @throws (from the dialer) PosternError `ERR_EXIT_POLICY`, `ERR_DIAL_*`
 */
export function createExitDialer({
  ExitPolicy,
  ExitPolicyRejectPrivate: rejectPrivate,
}: Pick<OptionValues, 'ExitPolicy' | 'ExitPolicyRejectPrivate'>): Dialer {
  const rules = ExitPolicy.flat();
  const dial = createDirectDialer();
  return async ({ host, port }, options) => {
    const addresses = ipToBytes(host) === undefined ? await resolve(host) : [host];
    const allowed = addresses.filter((address) => exitAllows(rules, rejectPrivate, address, port));
    let failure: unknown = new PosternError(
      'ERR_EXIT_POLICY',
      'the exit policy refuses the target',
    );
    for (const address of allowed) {
      try {
        return await dial({ host: address, port }, options);
      } catch (error) {
        options?.signal?.throwIfAborted();
        failure = error;
      }
    }
    throw failure;
  };
}

async function resolve(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new PosternError('ERR_DIAL_NAME_NOT_FOUND', 'the host name does not resolve', {
      cause: error,
    });
  }
}
