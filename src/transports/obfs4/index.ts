import { generateElligatorKeyPair, type ElligatorKeyPair } from '../../crypto/elligator2.ts';
import type { Transport } from '../contract.ts';
import { rejectAfterMs } from '../handshake-time.ts';
import { ReplayLog } from '../replay-log.ts';
import { ClientHandshake, ServerHandshake } from './handshake.ts';
import { parseClientArguments } from './identity.ts';
import { ClientSession, ServerSession } from './session.ts';
import { Obfs4Shaper } from './shaping.ts';
import { clientArguments, loadServerState } from './state.ts';

/**
 * obfs4: looks like random bytes, authenticates the bridge, resists active probing by whoever does
 * not hold the bridge line. Compatible with obfs4proxy.
 */
export const obfs4: Transport = {
  name: 'obfs4',
  summary:
    'random-looking bytes; a prober without the bridge line learns nothing, a classifier of entropy may still suspect it',

  argumentNames: {
    client: ['cert', 'node-id', 'public-key', 'iat-mode', 'padding'],
    server: ['private-key', 'node-id', 'drbg-seed', 'iat-mode'],
  },

  client(args, context) {
    const { bridge, iatMode, drawPadding } = parseClientArguments(args);
    return () => {
      const keyPair = generateElligatorKeyPair(context.rng);
      const handshake = new ClientHandshake(bridge, keyPair, context, drawPadding);
      return new ClientSession(handshake, iatMode, context);
    };
  },

  async server(options, context) {
    const state = await loadServerState(options, context);
    const replays = await ReplayLog.open('obfs4', context);
    const { rng } = context;
    const { identity, drbgSeed: seed, iatMode } = state;
    const shaping = { shaper: new Obfs4Shaper(seed, rng), seed, iatMode };
    const spareKeyPairs: ElligatorKeyPair[] = [];
    return {
      clientArguments: clientArguments(state),
      rejectAfterMs: rejectAfterMs(seed),
      createSession() {
        // Strangers leave theirs unused, for those who come behind them: to make one for each would be most
        // of what a flood of them costs.
        if (spareKeyPairs.length < MAX_SPARE_KEY_PAIRS) {
          spareKeyPairs.push(generateElligatorKeyPair(rng));
        }
        const handshake = new ServerHandshake(
          identity,
          () => spareKeyPairs.pop() ?? generateElligatorKeyPair(rng),
          (mac) => replays.testAndSet(mac),
          context,
        );
        return new ServerSession(handshake, shaping, rng);
      },
      close: () => replays.close(),
    };
  },
};

/** As many handshakes as come at the same time, but for a crowd. */
const MAX_SPARE_KEY_PAIRS = 16;
