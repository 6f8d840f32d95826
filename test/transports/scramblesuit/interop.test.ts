import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { scramblesuit } from '../../../src/transports/scramblesuit/index.ts';
import {
  checkEcho,
  obfs4proxyMissing,
  startObfs4proxyClient,
  startOwnServer,
} from '../../support/interop.ts';
import { echo } from '../../support/sockets.ts';

const CONNECTIONS = 20;
const BYTES = 100_000;

test(
  'obfs4proxy’s client talks to our server: UniformDH first, then by ticket',
  { skip: obfs4proxyMissing },
  async (t) => {
    // Only a UniformDH handshake is answered with one: a server that takes a ticket says less at first.
    const { endpoint, clientArguments } = await startOwnServer(t, scramblesuit, echo);
    const dial = (await startObfs4proxyClient(t, 'scramblesuit'))(clientArguments);
    for (let count = 0; count < CONNECTIONS; count += 1) {
      const stream = await dial(endpoint);
      await checkEcho(stream, BYTES);
      stream.destroy();
      await once(stream, 'close');
    }
    assert.ok(true);
  },
);
