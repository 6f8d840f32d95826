/** Children that write more than anybody has time for. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { limits } from '../../src/limits.ts';
import { readPaced } from '../../src/parent/paced-reading.ts';
import { SpeechLimit } from '../../src/parent/speech-limit.ts';

test('what is read at our pace comes whole and in order, and others have their turns in between', async () => {
  const pipe = new PassThrough();
  const sent = Buffer.from(Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join(''));
  const pieces: Buffer[] = [];
  let turns = 0;
  let turnsAtEnd = 0;
  const turn = setInterval(() => (turns += 1), 1);
  readPaced(
    pipe,
    (bytes) => {
      pieces.push(Buffer.from(bytes));
      const startMs = performance.now();
      while (performance.now() - startMs < 1);
      turnsAtEnd = turns;
      // As Node does when the process has ended.
      pipe.resume();
    },
    () => assert.fail('it was not long'),
  );
  pipe.end(sent);
  await once(pipe, 'end');
  clearInterval(turn);
  assert.ok(Buffer.concat(pieces).equals(sent));
  assert.ok(turnsAtEnd > 0);
});

test('a child that is held for long is a flood, once', async (t) => {
  const table = limits as { -readonly [K in keyof typeof limits]: number };
  const { childFloodMs } = limits;
  t.after(() => void (table.childFloodMs = childFloodMs));
  table.childFloodMs = 200;
  const pipe = new PassThrough();
  let floods = 0;
  let readOn = 0;
  await new Promise<void>((resolve) => {
    readPaced(
      pipe,
      () => {
        const startMs = performance.now();
        while (performance.now() - startMs < 3);
        pipe.write(Buffer.alloc(1000));
        readOn += floods;
        if (readOn > 20) resolve();
      },
      () => (floods += 1),
    );
    pipe.write(Buffer.alloc(1000));
  });
  pipe.destroy();
  assert.equal(floods, 1);
});

test('so many lines a second are heard, the rest is a count, and who says too much for long is a flood', () => {
  const speech = new SpeechLimit();
  const say = (nowMs: number, lines: number): number => {
    let heard = 0;
    for (let line = 0; line < lines; line += 1) if (speech.hear(nowMs)) heard += 1;
    return heard;
  };
  const most = limits.childLogLines;
  assert.equal(say(0, most), most);
  assert.equal(speech.takeLeftOut(), 0);
  assert.equal(say(999, 7), 0);
  assert.equal(speech.takeLeftOut(), 7);
  assert.equal(speech.takeLeftOut(), 0);
  assert.equal(say(1_000, 100), most);

  // Over it in each second.
  for (let nowMs = 2_000; nowMs < 999 + limits.childFloodMs; nowMs += 1_000) {
    say(nowMs, most + 1);
    assert.ok(!speech.isFlood(nowMs), `${nowMs}`);
  }
  assert.ok(speech.isFlood(999 + limits.childFloodMs));
  // A second within it, or without a word, and all is well.
  const calmMs = 20_000;
  say(calmMs, most);
  assert.ok(!speech.isFlood(calmMs));
  say(calmMs + 1_000, most + 1);
  say(calmMs + 1_000 + limits.childFloodMs, most + 1);
  assert.ok(!speech.isFlood(calmMs + 1_000 + limits.childFloodMs));
});
