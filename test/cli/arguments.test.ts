import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseCommand,
  parseForwardTarget,
  parseListenAddress,
  parseOptions,
} from '../../src/cli/arguments.ts';

const usage = { name: 'UsageError' };

test('an address to listen on is an IP address of either family with a port, 0 included', () => {
  assert.deepEqual(parseListenAddress('--listen', '127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(parseListenAddress('--listen', '[::]:443'), { host: '::', port: 443 });
  for (const text of ['', 'localhost:80', '127.0.0.1', '::1:80', '127.0.0.1:65536', '127.1:80']) {
    assert.throws(() => parseListenAddress('--listen', text), usage, text);
  }
});

test('a forward target may be a name; its port may not be 0', () => {
  assert.deepEqual(parseForwardTarget('--forward', '[::1]:22'), { host: '::1', port: 22 });
  assert.deepEqual(parseForwardTarget('--forward', 'a-b.example:65535'), {
    host: 'a-b.example',
    port: 65_535,
  });
  for (const text of ['localhost', 'localhost:0', '1.2.3:80', '-a:80', 'a b:80', 'a:65536', 'a:']) {
    assert.throws(() => parseForwardTarget('--forward', text), usage, text);
  }
});

test('an option is cut at its first equals sign', () => {
  assert.deepEqual(parseOptions(['iat-mode=1', 'k=a=b', 'e=']), [
    ['iat-mode', '1'],
    ['k', 'a=b'],
    ['e', ''],
  ]);
  for (const text of ['', 'iat-mode', '=1']) assert.throws(() => parseOptions([text]), usage, text);
});

test('a command is cut at white space outside quotes', () => {
  assert.deepEqual(parseCommand('--pt', 'obfs4proxy'), ['obfs4proxy']);
  assert.deepEqual(parseCommand('--pt', `  "/opt/my pt" -url 'a "b"' x""y  `), [
    '/opt/my pt',
    '-url',
    'a "b"',
    'xy',
  ]);
  for (const text of ['', '  ', '""', 'a "b', "it's"]) {
    assert.throws(() => parseCommand('--pt', text), usage, text);
  }
});
