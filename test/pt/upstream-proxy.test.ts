import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatUpstreamProxy,
  parseUpstreamProxy,
  type UpstreamProxy,
} from '../../src/pt/upstream-proxy.ts';
import { endpoints, holds, textOf } from '../support/properties.ts';

test('[PT-3.2.2-07] the examples of the specification', () => {
  assert.deepEqual(parseUpstreamProxy('socks5://tor:test1234@198.51.100.1:8000'), {
    type: 'socks5',
    endpoint: { host: '198.51.100.1', port: 8000 },
    username: 'tor',
    password: 'test1234',
  });
  assert.deepEqual(parseUpstreamProxy('socks4a://198.51.100.2:8001'), {
    type: 'socks4a',
    endpoint: { host: '198.51.100.2', port: 8001 },
  });
  assert.deepEqual(parseUpstreamProxy('http://198.51.100.3:443'), {
    type: 'http',
    endpoint: { host: '198.51.100.3', port: 443 },
  });
  for (const uri of [
    'gopher://127.0.0.1:1',
    'socks4://127.0.0.1:1',
    'https://127.0.0.1:1',
    'socks5h://127.0.0.1:1',
  ]) {
    assert.throws(() => parseUpstreamProxy(uri), {
      code: 'ERR_PT_UPSTREAM_PROXY',
      message: /unsupported/,
    });
  }
  assert.throws(() => parseUpstreamProxy('socks4a://u:p@127.0.0.1:1'), {
    code: 'ERR_PT_UPSTREAM_PROXY',
  });
});

test('[PT-3.2.2-05] a URI is type://[user[:password]@]ip:port and nothing else', () => {
  assert.equal(parseUpstreamProxy('socks5://u@127.0.0.1:1').username, 'u');
  assert.equal(parseUpstreamProxy('socks5://u@127.0.0.1:1').password, undefined);
  assert.equal(parseUpstreamProxy('socks5://u:@127.0.0.1:1').password, '');
  for (const uri of [
    '',
    '127.0.0.1:1',
    '//127.0.0.1:1',
    'socks5:127.0.0.1:1',
    'socks5:/127.0.0.1:1',
    'socks5://127.0.0.1',
    'socks5://127.0.0.1:',
    'socks5://127.0.0.1:0',
    'socks5://127.0.0.1:65536',
    'socks5://localhost:1',
    'socks5://127.0.0.1:1/',
    'socks5://127.0.0.1:1/x',
    'socks5://127.0.0.1:1?x',
    'socks5://127.0.0.1:1#x',
    'socks5://@127.0.0.1:1',
    'socks5://:p@127.0.0.1:1',
    ' socks5://127.0.0.1:1',
    'socks5://127.0.0.1:1\n',
    'socks5://u@',
    'socks5://',
  ]) {
    assert.throws(() => parseUpstreamProxy(uri), { code: 'ERR_PT_UPSTREAM_PROXY' }, uri);
  }
});

test('[PT-3.2.2-06] percent escapes, brackets and the case of the scheme', () => {
  assert.deepEqual(parseUpstreamProxy('SOCKS5://us%40er:p%3Aw@[::1]:1080'), {
    type: 'socks5',
    endpoint: { host: '::1', port: 1080 },
    username: 'us@er',
    password: 'p:w',
  });
  assert.throws(() => parseUpstreamProxy('socks5://::1:1080'), { code: 'ERR_PT_UPSTREAM_PROXY' });
});

test('credentials as tor passes them, raw, are taken literally', () => {
  const read = (userinfo: string): readonly (string | undefined)[] => {
    const { username, password } = parseUpstreamProxy(`http://${userinfo}@127.0.0.1:1`);
    return [username, password];
  };
  assert.deepEqual(read('a@b:p@w'), ['a@b', 'p@w']);
  assert.deepEqual(read('u:50%off'), ['u', '50%off']);
  assert.deepEqual(read('u:a:b/c#d?e%'), ['u', 'a:b/c#d?e%']);
  assert.deepEqual(read('u:%4'), ['u', '%4']);
  assert.deepEqual(read('u:%ff'), ['u', '%ff']);
  assert.deepEqual(read('u:%C3%A9'), ['u', 'é']);
});

test('credentials that the protocol cannot carry are refused', () => {
  const long = 'x'.repeat(256);
  for (const uri of [
    `socks5://${long}@127.0.0.1:1`,
    `socks5://u:${long}@127.0.0.1:1`,
    `socks5://${'é'.repeat(128)}@127.0.0.1:1`,
    'socks4a://a%00b@127.0.0.1:1',
    'http://a%3Ab:c@127.0.0.1:1',
  ]) {
    assert.throws(() => parseUpstreamProxy(uri), { code: 'ERR_PT_UPSTREAM_PROXY' }, uri);
  }
  assert.equal(
    parseUpstreamProxy(`socks5://${'x'.repeat(255)}:${'y'.repeat(255)}@127.0.0.1:1`).password
      ?.length,
    255,
  );
  assert.equal(parseUpstreamProxy(`http://${long}:${long}@127.0.0.1:1`).username, long);
  assert.equal(parseUpstreamProxy('socks4a://me@127.0.0.1:1').username, 'me');
});

test('[PT-3.3.2-04] no error reveals the credentials or the address', () => {
  const secrets = ['hunter2', '198.51.100.9', 'alice'];
  for (const uri of [
    'gopher://alice:hunter2@198.51.100.9:1',
    'socks4a://alice:hunter2@198.51.100.9:1',
    'alice:hunter2@198.51.100.9',
    'socks5://alice:hunter2@198.51.100.9:99999',
    'socks5://alice:hunter2@198.51.100.9:1/x',
    `socks5://alice:hunter2${'x'.repeat(300)}@198.51.100.9:1`,
  ]) {
    assert.throws(
      () => parseUpstreamProxy(uri),
      (error: Error) => secrets.every((secret) => !error.message.includes(secret)),
    );
  }
});

test('a proxy survives its URI', () => {
  const proxies: fc.Arbitrary<UpstreamProxy> = fc.record(
    {
      type: fc.constantFrom('socks5' as const, 'http' as const),
      endpoint: endpoints,
      username: textOf('a@%/?# é4\n', { minLength: 1, maxLength: 20 }),
      password: textOf('a@:%/?# é4\n', { maxLength: 20 }),
    },
    { noNullPrototype: true },
  );
  holds(
    fc.property(proxies, (proxy) =>
      assert.deepEqual(parseUpstreamProxy(formatUpstreamProxy(proxy)), proxy),
    ),
    500,
  );
  assert.equal(
    formatUpstreamProxy({ type: 'socks4a', endpoint: { host: '::1', port: 1 } }),
    'socks4a://[::1]:1',
  );
});

test('a proxy that no URI can say is refused', () => {
  const endpoint = { host: '127.0.0.1', port: 1 };
  for (const proxy of [
    { type: 'socks5', endpoint: { host: 'localhost', port: 1 } },
    { type: 'socks5', endpoint: { host: '127.0.0.1', port: 0 } },
    { type: 'socks5', endpoint, password: 'p' },
    { type: 'socks5', endpoint, username: '' },
    { type: 'socks4a', endpoint, username: 'u', password: 'p' },
  ] as const) {
    assert.throws(() => formatUpstreamProxy(proxy), { code: 'ERR_PT_UPSTREAM_PROXY' });
  }
});

test('a proxy given by name says what to do', () => {
  for (const uri of ['http://proxy.example:3128', 'socks5://u:SECRET@localhost:1080']) {
    assert.throws(() => parseUpstreamProxy(uri), {
      code: 'ERR_PT_UPSTREAM_PROXY',
      message: /given by name: look the address up \(getent hosts NAME/,
    });
  }
});
