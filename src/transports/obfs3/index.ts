import { generateUniformDhKeyPair } from '../../crypto/uniform-dh.ts';
import type { Transport } from '../contract.ts';
import { HANDSHAKE_TIMEOUT_MS, Obfs3Session } from './session.ts';

/**
 * obfs3, the Threebfuscator: looks like random bytes to a censor that only watches. Compatible with
 * obfs4proxy and obfsproxy. It has no arguments: nothing tells a bridge's users from a censor.
 */
export const obfs3: Transport = {
  name: 'obfs3',
  summary:
    'random-looking bytes to a censor that only watches; one that connects confirms the bridge, and one on the path can read along, since nobody is authenticated',

  argumentNames: { client: [], server: [] },

  client(_args, { rng }) {
    return () => new Obfs3Session('initiator', generateUniformDhKeyPair(rng), rng);
  },

  async server(_options, { rng }) {
    return {
      clientArguments: [],
      rejectAfterMs: HANDSHAKE_TIMEOUT_MS,
      createSession: () => new Obfs3Session('responder', generateUniformDhKeyPair(rng), rng),
      close: async () => {},
    };
  },
};
