import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { connect, type ConnectOptions } from '../../src/index.ts';
import { openClientState } from '../../src/state/client-state.ts';
import { formatBridgeLine } from '../../src/pt/bridge-line.ts';
import { scramblesuit } from '../../src/transports/scramblesuit/index.ts';
import { checkEcho, startOwnServer } from '../support/interop.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { echo } from '../support/sockets.ts';
import { countTickets } from '../support/tickets.ts';

test('a directory has one store, however its path is written; no directory is one store as well', (t) => {
  const path = temporaryDirectory(t);
  const state = openClientState(path);
  assert.equal(openClientState(join(path, 'x', '..') + '/'), state);
  assert.equal(openClientState(relative(process.cwd(), path)), state);
  assert.equal(state.describe('file'), join(path, 'file'));
  assert.notEqual(openClientState(join(path, 'x')), state);
  assert.notEqual(openClientState(), state);
  assert.equal(openClientState(), openClientState());
});

test('connect() keeps tickets from one call to the next, apart for each stateDir', async (t) => {
  const ticketsTaken = countTickets(t);
  const { endpoint, clientArguments: args } = await startOwnServer(t, scramblesuit, echo);
  const bridgeLine = formatBridgeLine({ transport: 'scramblesuit', endpoint, args });
  const useOnce = async (options?: ConnectOptions): Promise<void> => {
    const stream = await connect(bridgeLine, options);
    await checkEcho(stream, 10_000);
    stream.destroy();
    await once(stream, 'close');
  };
  await useOnce();
  assert.equal(ticketsTaken(), 0);
  await useOnce();
  assert.equal(ticketsTaken(), 1);

  const stateDir = temporaryDirectory(t);
  await useOnce({ stateDir });
  assert.equal(ticketsTaken(), 1, 'this directory has no ticket yet');
  await useOnce({ stateDir });
  assert.equal(ticketsTaken(), 2);
});
