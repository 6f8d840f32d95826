import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { systemRng } from '../../../src/crypto/rng.ts';
import { throughTransport } from '../../../src/net/transport-stream.ts';
import { obfs2 } from '../../../src/transports/obfs2/index.ts';
import {
  checkEcho,
  obfs4proxyMissing,
  startObfs4proxyClient,
  startObfs4proxyServer,
  startOwnServer,
} from '../../support/interop.ts';
import { dial, echo, listen } from '../../support/sockets.ts';

const BYTES = 1_000_000;
const CONNECTIONS = 5;

test('our obfs2 client talks to obfs4proxy’s server', { skip: obfs4proxyMissing }, async (t) => {
  const target = await listen(t, echo);
  const endpoint = await startObfs4proxyServer(t, 'obfs2', target.endpoint);
  const createSession = obfs2.client([], { rng: systemRng, clock: systemClock });
  for (let count = 0; count < CONNECTIONS; count += 1) {
    const stream = await throughTransport(dial, createSession)(endpoint);
    await checkEcho(stream, BYTES);
    stream.destroy();
  }
});

test('obfs4proxy’s obfs2 client talks to our server', { skip: obfs4proxyMissing }, async (t) => {
  const { endpoint, clientArguments } = await startOwnServer(t, obfs2, echo);
  const createDialer = await startObfs4proxyClient(t, 'obfs2');
  for (let count = 0; count < CONNECTIONS; count += 1) {
    const stream = await createDialer(clientArguments)(endpoint);
    await checkEcho(stream, BYTES);
    stream.destroy();
  }
});
