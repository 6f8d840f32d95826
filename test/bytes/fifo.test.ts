import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fifo } from '../../src/bytes/fifo.ts';
import { holds } from '../support/properties.ts';

test('a FIFO does what an array with push and shift does', () => {
  const steps = fc.array(
    fc.oneof(fc.nat({ max: 3000 }), fc.constant('shift' as const), fc.constant('drain' as const)),
    { maxLength: 40 },
  );
  holds(
    fc.property(steps, (list) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const step of list) {
        if (step === 'drain') {
          assert.deepEqual(fifo.drain(), model);
          model = [];
        } else if (step === 'shift') {
          for (let count = 0; count < 5000; count += 1) assert.equal(fifo.shift(), model.shift());
        } else {
          for (let count = 0; count < step; count += 1, next += 1) {
            fifo.push(next);
            model.push(next);
          }
        }
        assert.equal(fifo.length, model.length);
        assert.equal(fifo.first, model[0]);
      }
    }),
    50,
  );
});
