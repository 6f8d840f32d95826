/** Foreign PT programs as the other end of our transports, over loopback. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../src/time.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import type { Dialer } from '../../src/net/dialer.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import { openStateDirectory } from '../../src/state/state-directory.ts';
import { startTransportServer } from '../../src/net/transport-server.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import type { Transport } from '../../src/transports/contract.ts';
import { temporaryDirectory } from './managed.ts';
import {
  type Cleanup,
  obfs4proxy,
  obfs4proxyMissing,
  startPtClient,
  startPtServer,
} from './pt-programs.ts';
import { dial, echo, listen } from './sockets.ts';

export { obfs4proxyMissing } from './pt-programs.ts';

/** Starts obfs4proxy as a client; makes dialers with the arguments of one bridge. */
export async function startObfs4proxyClient(
  t: TestContext,
  transport: string,
  stateLocation?: string,
): Promise<(args: KeyValues) => Dialer> {
  return (await startPtClient(t, obfs4proxy, transport, { stateLocation })).dialer;
}

/** Starts obfs4proxy as a server that forwards to `orPort`, and says where it listens. */
export async function startObfs4proxyServer(
  t: TestContext,
  transport: string,
  orPort: Endpoint,
): Promise<Endpoint> {
  return (await startPtServer(t, obfs4proxy, { transport, orPort })).endpoint;
}

/** One of our servers, which hands its streams to `onConnection`. */
export interface OwnServer {
  readonly endpoint: Endpoint;
  /** Where it really listens. */
  readonly listening: Endpoint;
  readonly clientArguments: KeyValues;
}

/** Runs one of our servers until the test has ended. */
export async function startOwnServer(
  t: Cleanup,
  transport: Transport,
  onConnection: (stream: Duplex) => void,
  options: KeyValues = [],
): Promise<OwnServer> {
  const state = openStateDirectory(temporaryDirectory(t));
  const context = { rng: systemRng, clock: systemClock, state, notify: () => {} };
  const running = await startTransportServer({
    transport,
    endpoint: { host: '127.0.0.1', port: 0 },
    options,
    context,
    onConnection,
  });
  t.after(async () => {
    running.abort();
    await running.closed;
    await state.close();
  });
  return running;
}

/**
 * Sends random bytes and waits for the echo of all of them.
 *
 * @throws Error when what comes back is not what was sent
 */
export async function checkEcho(stream: Duplex, byteCount: number): Promise<void> {
  const sent = randomBytes(byteCount);
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    if (!chunk.equals(sent.subarray(received, received + chunk.length))) {
      stream.destroy(new Error(`the echo differs behind byte ${received}`));
    }
    received += chunk.length;
    if (received === byteCount) stream.emit('whole echo');
  });
  const whole = once(stream, 'whole echo');
  stream.write(sent);
  await whole;
}

/** Two tests: our client of a transport before obfs4proxy's server, and the other way round. */
export function testWithObfs4proxy(transport: Transport): void {
  const { name } = transport;
  const carry = async (connect: () => Promise<Duplex>): Promise<void> => {
    for (let count = 0; count < CONNECTIONS; count += 1) {
      const stream = await connect();
      await checkEcho(stream, BYTES);
      stream.destroy();
    }
  };

  test(
    `our ${name} client talks to obfs4proxy’s server`,
    { skip: obfs4proxyMissing },
    async (t) => {
      const target = await listen(t, echo);
      const endpoint = await startObfs4proxyServer(t, name, target.endpoint);
      const createSession = transport.client([], { rng: systemRng, clock: systemClock });
      await carry(() => throughTransport(dial, createSession)(endpoint));
    },
  );

  test(
    `obfs4proxy’s ${name} client talks to our server`,
    { skip: obfs4proxyMissing },
    async (t) => {
      const { endpoint, clientArguments } = await startOwnServer(t, transport, echo);
      const createDialer = await startObfs4proxyClient(t, name);
      await carry(() => createDialer(clientArguments)(endpoint));
    },
  );
}

const BYTES = 1_000_000;
const CONNECTIONS = 5;
