import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BANDWIDTH_SECONDS, LOG_LINES, ViewModel } from '../../src/view/model.ts';

test('a view is built up from a dump and from the events behind it', () => {
  const model = new ViewModel();
  for (const message of [
    '1 links, 1 circuits, 1 streams',
    'link to gate: 1 streams',
    'circuit 4 through gate: 1 streams',
    'stream 9 to [scrubbed] is on circuit 4',
    'postern 0.2.0 (embedded) has run for 5 s',
  ]) {
    model.apply({ type: 'log', message }, 1);
  }
  assert.deepEqual([...model.links], [['gate', 'connected']]);
  assert.deepEqual([...model.circuits], [[4, { status: 'built', path: ['gate'] }]]);
  assert.deepEqual(
    [...model.streams],
    [[9, { status: 'succeeded', target: '[scrubbed]', circuit: 4 }]],
  );
  assert.equal(model.process?.seconds, 5);

  // An event has the target that the log has not; a later dump does not take it away.
  model.apply({ type: 'stream', status: 'sentConnect', id: 10, target: 'example.com:80' }, 2);
  model.apply({ type: 'log', message: 'stream 10 to [scrubbed] is on circuit 4' }, 3);
  assert.deepEqual(model.streams.get(10), {
    status: 'sentConnect',
    target: 'example.com:80',
    circuit: 4,
  });
  model.apply({ type: 'stream', status: 'failed', id: 9, target: 'x' }, 4);
  model.apply({ type: 'circuit', status: 'closed', id: 4, path: [] }, 5);
  model.apply({ type: 'orConnection', status: 'closed', name: 'gate' }, 6);
  assert.deepEqual(
    [model.links.size, model.circuits.size, [...model.streams.keys()]],
    [0, 0, [10]],
  );
});

test('no flood of events fills it', () => {
  const model = new ViewModel();
  for (let id = 0; id < 10_000; id += 1) {
    model.apply({ type: 'stream', status: 'sentConnect', id, target: 'x' }, 0);
    model.apply({ type: 'circuit', status: 'launched', id, path: ['x'] }, 0);
    model.apply({ type: 'orConnection', status: 'launched', name: String(id) }, 0);
    model.apply({ type: 'bandwidth', read: 1, written: 1 }, 0);
    model.apply({ type: 'log', message: 'x' }, 0);
  }
  assert.ok([model.streams, model.circuits, model.links].every(({ size }) => size === 2000));
  assert.equal(model.bandwidth.length, BANDWIDTH_SECONDS);
  assert.equal(model.log.length, LOG_LINES);
});
