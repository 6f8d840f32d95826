import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { systemClock } from '../../../src/time.ts';
import { systemRng } from '../../../src/crypto/rng.ts';
import { throughTransport } from '../../../src/net/through-transport.ts';
import { obfs3 } from '../../../src/transports/obfs3/index.ts';
import {
  obfs4proxyMissing,
  startObfs4proxyClient,
  startObfs4proxyServer,
  startOwnServer,
  testWithObfs4proxy,
} from '../../support/interop.ts';
import { dial, listen, readBytes } from '../../support/sockets.ts';

testWithObfs4proxy(obfs3);

const GREETING = Buffer.from('220 the server speaks first');
// Without an end: obfs4proxy then closes with the client's padding unread, which resets the connection.
const greet = (stream: Duplex): void => void stream.write(GREETING);

test(
  'a server that speaks first is heard across both pairings',
  { skip: obfs4proxyMissing },
  async (t) => {
    const target = await listen(t, greet);
    const theirs = await startObfs4proxyServer(t, 'obfs3', target.endpoint);
    const createSession = obfs3.client([], { rng: systemRng, clock: systemClock });
    const toTheirs = await throughTransport(dial, createSession)(theirs);
    assert.deepEqual(await readBytes(toTheirs, GREETING.length), GREETING);
    toTheirs.destroy();

    const ours = await startOwnServer(t, obfs3, greet);
    const createDialer = await startObfs4proxyClient(t, 'obfs3');
    const toOurs = await createDialer(ours.clientArguments)(ours.endpoint);
    assert.deepEqual(await readBytes(toOurs, GREETING.length), GREETING);
    toOurs.destroy();
  },
);
