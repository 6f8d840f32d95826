import { GoRand } from '../../crypto/go-rand.ts';
import { MacKey } from '../../crypto/hash.ts';
import { SipHashDrbg } from '../../crypto/siphash-drbg.ts';
import { PosternError } from '../../errors.ts';
import type { Endpoint } from '../../pt/address.ts';
import type { Transport } from '../contract.ts';
import { ReplayLog } from '../replay-log.ts';
import { argumentError, parseArguments } from './arguments.ts';
import { formatBase32 } from './base32.ts';
import { ClientSession, SERVER_TIMEOUT_MS, ServerSession } from './session.ts';
import { createShaper } from './shaping.ts';
import { loadServerState, saveServerState } from './state.ts';
import { TicketStore } from './ticket-store.ts';
import { TicketIssuer } from './tickets.ts';

const NAME = 'scramblesuit';
/** A rejected connection lives this much longer than the handshake may take, at most. */
const MAX_CLOSE_DELAY_SECONDS = 60;

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
    'random-looking bytes; a prober without the password learns nothing; whoever has it can pose as the bridge',

  argumentNames: { client: ['password', 'iat-mode'], server: ['password', 'iat-mode'] },

  client(args, environment) {
    const { password, iatMode } = parseArguments(args);
    if (password === undefined) throw argumentError('`password` is missing');
    const { state, clock } = environment;
    const store = state && TicketStore.of(state, clock);
    const createSession = (bridge?: Endpoint): ClientSession =>
      new ClientSession(
        {
          password,
          iatMode,
          takeTicket: () => bridge && store?.take(bridge),
          onTicket: (keyTicket) => bridge && store?.put(bridge, keyTicket),
        },
        environment,
      );
    return store === undefined
      ? createSession
      : Object.assign(createSession, { ready: store.ready });
  },

  async server(options, environment) {
    const { password: chosen, iatMode } = parseArguments(options);
    const state = await loadServerState(environment);
    const replays = await ReplayLog.open(NAME, environment);
    const { rng, state: store, notify } = environment;
    const password = chosen ?? state.password;
    let saving = Promise.resolve();
    const tickets = new TicketIssuer(state.ticketKeys, environment, (ticketKeys) => {
      saving = saving
        .then(() => saveServerState(store, { ...state, ticketKeys }))
        .catch((error: unknown) => {
          const reason = error instanceof PosternError ? error.message : 'unknown error';
          notify(`${NAME}: tickets issued from now on die with this process: ${reason}`);
        });
    });
    const secrets = {
      macKey: new MacKey(password),
      tickets,
      isReplay: (id: Uint8Array) => replays.testAndSet(id),
    };
    const seed = state.prngSeed;
    const shaping = { shaper: createShaper(seed, rng), seed, iatMode };
    // Fixed for the bridge's life, as obfs4 has it: a probe learns nothing from when it is closed.
    const closeDelayMs = new GoRand(new SipHashDrbg(seed.subarray(8))).intn(
      MAX_CLOSE_DELAY_SECONDS,
    );
    return {
      clientArguments: [['password', formatBase32(password)]],
      rejectAfterMs: SERVER_TIMEOUT_MS + closeDelayMs * 1000,
      createSession: () => new ServerSession(secrets, shaping, environment),
      async close() {
        await saving;
        await replays.close();
      },
    };
  },
};
