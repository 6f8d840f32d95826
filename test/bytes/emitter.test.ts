import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Emitter } from '../../src/bytes/emitter.ts';

describe('an emitter', () => {
  test('a listener added twice is called twice, and stops once for each', () => {
    const emitter = new Emitter<number>();
    let calls = 0;
    const listener = (): void => void (calls += 1);
    const stop = emitter.subscribe(listener);
    emitter.subscribe(listener);
    emitter.emit(1);
    stop();
    stop();
    emitter.emit(2);
    assert.equal(calls, 3);
  });

  test('survives the fault of a listener, says so, and tells the others', async () => {
    const emitter = new Emitter<number>();
    const heard: number[] = [];
    emitter.subscribe(() => {
      throw new Error('in a listener');
    });
    emitter.subscribe((event) => heard.push(event));
    const warned = once(process, 'warning');
    emitter.emit(1);
    assert.deepEqual(heard, [1]);
    const [warning] = (await warned) as [Error];
    assert.equal(warning.name, 'PosternFault');
    assert.match(warning.message, /in a listener/);
  });
});
