import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { PayloadStream } from '../../src/net/payload-stream.ts';

/** A stream whose far end takes one piece at a time, when it is told to. */
class OneByOne extends PayloadStream {
  readonly sent: string[] = [];
  #waiting: (() => void) | undefined;

  constructor() {
    super(1000);
  }

  get unsentBytes(): number {
    return this.#waiting === undefined ? 0 : 1;
  }

  protected override transmit(bytes: Uint8Array, onDrained: () => void): boolean {
    assert.equal(this.#waiting, undefined, 'the one before still waits');
    this.sent.push(Buffer.from(bytes).toString());
    this.#waiting = onDrained;
    return false;
  }

  protected override transmitEnd(onSent: () => void): void {
    assert.equal(this.#waiting, undefined, 'payload still waits');
    this.sent.push('end');
    onSent();
  }

  protected override taken(): void {}

  takeOne(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}

/** Lets the far end take pieces until all is through. */
async function takeAll(stream: OneByOne): Promise<readonly string[]> {
  for (let turn = 0; turn < 10; turn += 1) {
    stream.takeOne();
    await nextTurn();
  }
  return stream.sent;
}

test('what is sent behind a write that waits comes behind it, and nothing is lost', async () => {
  const stream = new OneByOne();
  let isWritten = false;
  stream.write('reply ', () => (isWritten = true));
  const lent = Buffer.from('banner ');
  stream.send(lent);
  lent.fill(0);
  stream.send(Buffer.from('more'));
  stream.end();
  assert.deepEqual(await takeAll(stream), ['reply ', 'banner ', 'more', 'end']);
  assert.ok(isWritten && stream.writableFinished);
});

test('a write and an end wait behind what is being sent, and "drain" comes all the same', async () => {
  const stream = new OneByOne();
  let drains = 0;
  stream.on('drain', () => (drains += 1));
  assert.equal(stream.send(Buffer.from('first ')), false);
  stream.write('second');
  stream.end();
  assert.deepEqual(stream.sent, ['first ']);
  assert.deepEqual(await takeAll(stream), ['first ', 'second', 'end']);
  assert.equal(drains, 1);
});

test('who sends in the moment that it may again comes behind a write that waited', async () => {
  const stream = new OneByOne();
  stream.send(Buffer.from('first '), () => stream.send(Buffer.from('third')));
  stream.write('second ');
  assert.deepEqual(await takeAll(stream), ['first ', 'second ', 'third']);
});
