import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DumpLine, formatDumpLine, parseDumpLine } from '../../src/control/dump.ts';
import { readSource } from '../support/sources.ts';

const samples: readonly DumpLine[] = [
  { kind: 'counts', links: 2, circuits: 3, streams: 1 },
  { kind: 'link', name: 'gate', streams: 1 },
  { kind: 'circuit', id: 4, path: ['gate', 'inner'], streams: 1 },
  { kind: 'stream', id: 9, target: 'example.com:80', circuit: 4 },
  { kind: 'stream', id: 10, target: 'example.com:80', circuit: undefined },
  { kind: 'bridge', links: 2, streams: 5 },
  { kind: 'process', version: '0.2.0', engine: 'embedded', seconds: 3723 },
];

test('[TC-3.10-05] the lines of a dump are read back, and stand in the documents as they are', () => {
  for (const line of samples) assert.deepEqual(parseDumpLine(formatDumpLine(line)), line);
  const page = readSource('docs/control.md').text;
  assert.ok(page.includes(samples.map(formatDumpLine).join('\n')));
});

test('names and targets may be anything', () => {
  for (const name of ['[scrubbed]', 'a: 3 streams', 'through x', '[2001:db8::1]:443']) {
    assert.deepEqual(parseDumpLine(formatDumpLine({ kind: 'link', name, streams: 7 })), {
      kind: 'link',
      name,
      streams: 7,
    });
    const stream: DumpLine = { kind: 'stream', id: 1, target: name, circuit: 2 };
    assert.deepEqual(parseDumpLine(formatDumpLine(stream)), stream);
  }
});

test('Tor’s own words are read, too', () => {
  const hop = `$${'A'.repeat(40)}`;
  assert.deepEqual(
    [
      '3 OR connections, 2 circuits, 1 streams',
      `OR connection ${hop}~gate CONNECTED`,
      `circuit 4 BUILT ${hop}~gate,${hop}=other PURPOSE=GENERAL`,
      'circuit 5 LAUNCHED PURPOSE=GENERAL',
      'stream 9 to [scrubbed]: SUCCEEDED, circuit 4',
      'stream 8 to [scrubbed]: NEW, circuit 0',
    ].map(parseDumpLine),
    [
      { kind: 'counts', links: 3, circuits: 2, streams: 1 },
      { kind: 'link', name: `${hop}~gate` },
      { kind: 'circuit', id: 4, path: ['gate', 'other'] },
      { kind: 'circuit', id: 5, path: [] },
      { kind: 'stream', id: 9, target: '[scrubbed]', circuit: 4 },
      { kind: 'stream', id: 8, target: '[scrubbed]', circuit: undefined },
    ],
  );
});

test('other lines of a log are none', () => {
  for (const line of ['', 'Ending now.', 'links', 'circuit 4 was lost', 'stream 1 failed: no']) {
    assert.equal(parseDumpLine(line), undefined);
  }
});
