/** What connections hold for those who do not read counts into the budget of the process. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { Backlog } from '../../src/net/backlog.ts';
import { peerBytes } from '../../src/net/peer-bytes.ts';
import { relay } from '../../src/net/relay.ts';
import { dial, listen } from '../support/sockets.ts';

describe('a backlog', () => {
  test('of a relay is in the budget while the reader stops, and out of it when it has read', async (t) => {
    const accepted: Socket[] = [];
    const sink = await listen(t, (socket) => accepted.push(socket));
    const onward = await dial(sink.endpoint);
    const source = await listen(t, (socket) => {
      relay(socket, onward).catch(assert.fail);
    });
    const application = await dial(source.endpoint);
    const before = peerBytes.heldBytes;
    const pour = (): void => {
      while (application.write(Buffer.alloc(65_536)));
    };
    application.on('drain', pour);
    pour();
    while (peerBytes.heldBytes === before) await nextTurn();
    application.off('drain', pour);
    while (accepted.length === 0) await nextTurn();
    accepted[0]!.resume();
    while (peerBytes.heldBytes > before) await nextTurn();
    application.destroy();
  });

  test('leaves the budget with its stream, and takes it along when told to', async (t) => {
    const listener = await listen(t, (socket) => socket.resume());
    const stream = await dial(listener.endpoint);
    stream.on('error', () => {});
    const before = peerBytes.heldBytes;
    const backlog = new Backlog(stream);
    backlog.set(1000);
    backlog.set(700);
    assert.equal(peerBytes.heldBytes, before + 700);
    const closed = once(stream, 'close');
    backlog.shed();
    await closed;
    assert.equal(peerBytes.heldBytes, before);
    backlog.set(5); // too late to count
    assert.equal(peerBytes.heldBytes, before);
  });
});
