// own-wire.mjs: a transport over streams of one's own, here both ends of a pair in memory.
import { duplexPair } from 'node:stream';
import { openTransportStream } from 'postern/net';
import { builtinTransports, systemClock, systemRng } from 'postern/transports';

// What a session is given instead of reaching for it. obfs3 keeps nothing, so the state is never asked.
const sources = { rng: systemRng, clock: systemClock };
const serverContext = {
  ...sources,
  state: /** @type {never} */ ({}),
  notify: console.error,
};
const transport = builtinTransports.get('obfs3');
const createSession = transport.client([], sources);
const server = await transport.server([], serverContext);

const [near, far] = duplexPair();
const [clientEnd, serverEnd] = await Promise.all([
  openTransportStream(near, createSession()),
  openTransportStream(far, server.createSession(), { rejectAfterMs: server.rejectAfterMs }),
]);
serverEnd.pipe(serverEnd);
clientEnd.end('Hello over a wire of my own\n');
clientEnd.pipe(process.stdout);
