import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSeconds, formatStatus } from '../../src/cli/ctl/status.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import { connectThrough, startBridge, startClient } from '../support/engine.ts';
import { echo, listen } from '../support/sockets.ts';

test('ctl status shows a daemon on one screen', async (t) => {
  const target = await listen(t, echo);
  const bridge = await startBridge(t, 'ControlPort auto\n');
  const client = await startClient(t, [bridge], 'ControlPort auto\nNickname gate\n');
  await connectThrough(client, target.endpoint);
  const status = async ({ engine }: typeof client, ...more: string[]): Promise<string> => {
    const address = formatEndpoint(engine.endpoints.control[0]!);
    const command = startCommand(['ctl', '--control', address, ...more, 'status']);
    assert.equal(await command.exitCode, 0, command.stderr.text);
    return command.stdout.text;
  };
  const text = await status(client);
  assert.match(text, /^postern +0\.2\.0, engine embedded\nrunning for +\d+ s\nNickname +gate\n/);
  assert.match(text, /\nclient +1 links, 1 circuits, 1 streams\nmappings +0\n/);
  assert.match(
    text,
    /\nlink +\S+ +1 streams\n\ncircuit +1 +\S+ +1 streams\n\nstream +1 +\[scrubbed\] +circuit 1\n$/,
  );
  assert.match(await status(bridge), /\nbridge +1 links, 1 streams\n/);
  const json = JSON.parse(await status(client, '--json')) as { lines: { kind: string }[] };
  assert.deepEqual(
    json.lines.map(({ kind }) => kind),
    ['counts', 'link', 'circuit', 'stream', 'process'],
  );
});

test('however much there is, it stays one screen', () => {
  const lines = Array.from({ length: 1000 }, (_, id) => [
    { kind: 'link', name: `b${id}`, streams: 0 } as const,
    { kind: 'circuit', id, path: ['a', 'b'] } as const,
  ]).flat();
  const rows = formatStatus({ lines, options: [], mappings: [] }).split('\n');
  assert.ok(rows.length <= 24);
  assert.equal(rows.filter((row) => row.includes('and 995 more')).length, 2);
});

test('a time reads as people say it', () => {
  assert.deepEqual([5, 3723, 90_061, 86_400].map(formatSeconds), [
    '5 s',
    '1 h 2 min',
    '1 d 1 h 1 min',
    '1 d',
  ]);
});
