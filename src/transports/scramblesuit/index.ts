import { MacKey } from '../../crypto/hash.ts';
import type { Endpoint } from '../../pt/address.ts';
import { unawaited } from '../../unawaited.ts';
import type { Transport } from '../contract.ts';
import { KeptState, reasonOf } from '../kept-state.ts';
import { rejectAfterMs } from '../handshake-time.ts';
import { ReplayLog } from '../replay-log.ts';
import { argumentError, parseArguments } from './arguments.ts';
import { formatBase32 } from './base32.ts';
import { ClientSession, ServerSession } from './session.ts';
import { createShaper } from './shaping.ts';
import { createServerState, stateFormat } from './state.ts';
import { TicketStore } from './ticket-store.ts';
import { TicketIssuer } from './tickets.ts';

const NAME = 'scramblesuit';
/**
 * ScrambleSuit: looks like random bytes, resists active probing by whoever does not hold the
 * password. Both sides; compatible with obfs4proxy, which has the client, and with obfsproxy.
 *
 * Both sides take `password`, 32 characters of Base32, and `iat-mode`, 0 or 1; a server without a
 * password makes one and keeps it. Tickets are kept only by a client that is given state.
 */
export const scramblesuit: Transport = {
  name: NAME,
  summary:
    'random-looking bytes; a prober without the password learns nothing; anyone who has it can pose as the bridge',

  argumentNames: { client: ['password', 'iat-mode'], server: ['password', 'iat-mode'] },

  client(args, context) {
    const { password, iatMode } = parseArguments(args);
    if (password === undefined) throw argumentError('`password` is missing');
    const { state, clock } = context;
    const store = state && TicketStore.of(state, clock);
    const createSession = (bridge?: Endpoint): ClientSession =>
      new ClientSession(
        {
          password,
          iatMode,
          takeTicket: () => bridge && store?.take(bridge),
          onTicket: (keyTicket) => bridge && store?.put(bridge, keyTicket),
        },
        context,
      );
    return store === undefined
      ? createSession
      : Object.assign(createSession, { ready: store.ready });
  },

  async server(options, context) {
    const { password: chosen, iatMode } = parseArguments(options);
    const kept = new KeptState(stateFormat, context);
    const state = await kept.load(() => createServerState(context));
    const replays = await ReplayLog.open(NAME, context);
    const { rng, notify } = context;
    const password = chosen ?? state.password;
    const tickets = new TicketIssuer(state.ticketKeys, context, (ticketKeys) => {
      unawaited(
        () => kept.save({ ...state, ticketKeys }),
        (error) => {
          notify(
            `${NAME}: tickets issued from now on are lost when this process ends: ${reasonOf(error)}`,
          );
        },
      );
    });
    const secrets = {
      macKey: new MacKey(password),
      tickets,
      isReplay: (id: Uint8Array) => replays.testAndSet(id),
    };
    const seed = state.prngSeed;
    const shaping = { shaper: createShaper(seed, rng), seed, iatMode };
    return {
      clientArguments: [['password', formatBase32(password)]],
      rejectAfterMs: rejectAfterMs(seed.subarray(8)),
      createSession: () => new ServerSession(secrets, shaping, context),
      async close() {
        await kept.close();
        await replays.close();
      },
    };
  },
};
