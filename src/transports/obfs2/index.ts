/**
 * obfs2, the oldest of the transports that the specification names: for bridges and networks that
 * still have it. It hides from filters that look for fixed bytes, and from nobody else.
 */
import { randomInteger } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import type { Transport } from '../contract.ts';
import { createKeyDerivation } from './keys.ts';
import { HANDSHAKE_TIMEOUT_MS, Obfs2Session } from './session.ts';

const SECRET = 'shared-secret';

/**
 * obfs2. Both sides take `shared-secret`, any text, or nothing; obfs4proxy knows it only without.
 *
 * A server speaks first, by the protocol's design, so whoever connects sees that it is obfs2.
 */
export const obfs2: Transport = {
  name: 'obfs2',
  summary: 'hides fixed byte patterns; a censor who knows obfs2 can read its header',
  warning: 'a censor can read the header of every obfs2 connection; use obfs4 instead',

  argumentNames: { client: [SECRET], server: [SECRET] },

  client(args, { rng }) {
    const keys = createKeyDerivation(readSharedSecret(args));
    return () => new Obfs2Session('Initiator', keys, rng);
  },

  async server(options, { rng }) {
    const sharedSecret = readSharedSecret(options);
    const keys = createKeyDerivation(sharedSecret);
    return {
      clientArguments: sharedSecret === undefined ? [] : [[SECRET, sharedSecret]],
      rejectAfterMs: HANDSHAKE_TIMEOUT_MS + randomInteger(rng, 0, HANDSHAKE_TIMEOUT_MS),
      createSession: () => new Obfs2Session('Responder', keys, rng),
      async close() {},
    };
  },
};

function readSharedSecret(values: KeyValues): string | undefined {
  const secret = new Map(values).get(SECRET);
  if (secret === '') {
    throw new PosternError('ERR_TRANSPORT_ARGUMENT', `obfs2: \`${SECRET}\` is empty`);
  }
  return secret;
}
