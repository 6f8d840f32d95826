/** hashicorp/yamux numbers a stream in one step and sends its SYN in another: threads overtake each other. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { limits } from '../../src/limits.ts';
import { encodeHeader } from '../../src/mux/encode.ts';
import { FrameFlag, FrameType, HEADER_BYTES } from '../../src/mux/messages.ts';
import { MuxSession } from '../../src/mux/session.ts';
import type { MuxAction } from '../../src/mux/actions.ts';

/** What a server does with window updates for these streams, in this order. */
function receive(frames: readonly (readonly [streamId: number, flags: number])[]): MuxAction[] {
  const session = new MuxSession({ role: 'server', now: () => 0 });
  const bytes = Buffer.alloc(frames.length * HEADER_BYTES);
  for (const [index, [streamId, flags]] of frames.entries()) {
    const header = { type: FrameType.windowUpdate, flags, streamId, length: 0 };
    encodeHeader(header, bytes, index * HEADER_BYTES);
  }
  session.push(bytes);
  const actions: MuxAction[] = [];
  for (let step = session.step(); step !== NEED_MORE; step = session.step()) actions.push(...step);
  return actions;
}

function syns(...ids: readonly number[]): MuxAction[] {
  return receive(ids.map((id) => [id, FrameFlag.syn] as const));
}

describe('the order of new streams', () => {
  test('is free within what may be on its way at once', () => {
    const ids = [5, 1, 5 + 2 * limits.muxUnackedStreams, 3, 3 + 2 * limits.muxUnackedStreams, 7];
    assert.deepEqual(
      syns(...ids).map((action) => action.type === 'opened' && action.stream.id),
      ids,
    );
  });

  test('a number is free once, and not far ahead', () => {
    for (const ids of [
      [3, 3],
      [5, 1, 1],
      [5, 3, 5],
      [3 + 2 * limits.muxUnackedStreams],
      [2],
      [0],
    ]) {
      assert.equal(syns(...ids).at(-1)!.type, 'failed', ids.join());
    }
    assert.equal(syns(1 + 2 * limits.muxUnackedStreams).at(-1)!.type, 'opened');
  });

  test('a number that was passed over has no stream yet', () => {
    const actions = receive([
      [5, FrameFlag.syn],
      [3, 0],
    ]);
    assert.deepEqual(
      actions.map(({ type }) => type),
      ['opened', 'failed'],
    );
  });
});
