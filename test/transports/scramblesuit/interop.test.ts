import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '../../../src/time.ts';
import { systemRng } from '../../../src/crypto/rng.ts';
import type { Dialer } from '../../../src/net/dialer.ts';
import { openStateDirectory } from '../../../src/state/state-directory.ts';
import { throughTransport } from '../../../src/net/through-transport.ts';
import type { Endpoint } from '../../../src/pt/address.ts';
import type { StateStore } from '../../../src/transports/contract.ts';
import { scramblesuit } from '../../../src/transports/scramblesuit/index.ts';
import {
  checkEcho,
  obfs4proxyMissing,
  startObfs4proxyClient,
  startOwnServer,
} from '../../support/interop.ts';
import { temporaryDirectory } from '../../support/managed.ts';
import { postern, startPtClient } from '../../support/pt-programs.ts';
import { dial, echo } from '../../support/sockets.ts';
import { countTickets } from '../../support/tickets.ts';

const CONNECTIONS = 20;
const BYTES = 200_000;

async function useOnce(reach: Dialer, endpoint: Endpoint): Promise<void> {
  const stream = await reach(endpoint);
  await checkEcho(stream, BYTES);
  stream.destroy();
  await once(stream, 'close');
}

/** A state directory, and a way to wait until all is written. */
function observedState(path: string): { state: StateStore; settled: () => Promise<void> } {
  const state = openStateDirectory(path);
  const writes: Promise<void>[] = [];
  return {
    state: {
      ...state,
      write(file, content) {
        const writing = state.write(file, content);
        writes.push(writing);
        return writing;
      },
    },
    async settled() {
      do {
        await writes.shift();
        await new Promise(setImmediate);
      } while (writes.length > 0);
    },
  };
}

test(
  'obfs4proxy’s scramblesuit client talks to our server: by UniformDH once, then by ticket',
  { skip: obfs4proxyMissing },
  async (t) => {
    const ticketsTaken = countTickets(t);
    const { endpoint, clientArguments } = await startOwnServer(t, scramblesuit, echo);
    const reach = (await startObfs4proxyClient(t, 'scramblesuit'))(clientArguments);
    for (let count = 0; count < CONNECTIONS; count += 1) await useOnce(reach, endpoint);
    assert.equal(ticketsTaken(), CONNECTIONS - 1);
  },
);

test(
  'our client goes on with the tickets of obfs4proxy’s file, and obfs4proxy with ours',
  { skip: obfs4proxyMissing },
  async (t) => {
    const ticketsTaken = countTickets(t);
    const { endpoint, clientArguments } = await startOwnServer(t, scramblesuit, echo);
    const path = temporaryDirectory(t);
    const foreign = await startObfs4proxyClient(t, 'scramblesuit', path);
    await useOnce(foreign(clientArguments), endpoint);
    assert.equal(ticketsTaken(), 0);

    const { state, settled } = observedState(path);
    const context = { rng: systemRng, clock: systemClock, state };
    const createSession = scramblesuit.client(clientArguments, context);
    await useOnce(throughTransport(dial, createSession), endpoint);
    assert.equal(ticketsTaken(), 1);
    await settled();

    // Another process, which reads the file anew.
    const again = await startObfs4proxyClient(t, 'scramblesuit', path);
    await useOnce(again(clientArguments), endpoint);
    assert.equal(ticketsTaken(), 2);
  },
);

test('our own managed client keeps its tickets in its state directory', async (t) => {
  const ticketsTaken = countTickets(t);
  const { endpoint, clientArguments } = await startOwnServer(t, scramblesuit, echo);
  const path = temporaryDirectory(t);
  for (const expected of [1, 3]) {
    const ends: (() => void | Promise<void>)[] = [];
    const run = {
      after(end: () => void | Promise<void>) {
        ends.push(end);
        t.after(end);
      },
    };
    const { dialer } = await startPtClient(run, postern, 'scramblesuit', {
      stateLocation: path,
    });
    for (let count = 0; count < 2; count += 1) await useOnce(dialer(clientArguments), endpoint);
    assert.equal(ticketsTaken(), expected);
    for (const end of ends) await end();
  }
});
