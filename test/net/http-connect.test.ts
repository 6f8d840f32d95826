import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../../src/limits.ts';
import { createHttpConnect } from '../../src/net/http-connect.ts';
import { feed, feedings, sentBytes } from '../support/feed.ts';

const target = { host: 'bridge.example', port: 443 };

function answered(answer: string): unknown[] {
  const outcomes = feedings(Buffer.from(answer, 'latin1')).map((chunks) => {
    const client = createHttpConnect({ target });
    const { actions, rest } = feed((chunk) => client.receive(chunk), chunks, ['done', 'failed']);
    const last = actions.at(-1);
    if (last?.type === 'done') return Buffer.concat([last.leftover, rest]).toString();
    return last?.type === 'failed' ? last.error.code : undefined;
  });
  return [...new Set(outcomes)];
}

test('the request, with and without Basic credentials', () => {
  assert.equal(
    sentBytes(createHttpConnect({ target }).start()).toString(),
    'CONNECT bridge.example:443 HTTP/1.1\r\nHost: bridge.example:443\r\n\r\n',
  );
  // RFC 7617, section 2: the user-id "Aladdin" and password "open sesame".
  const credentials = { username: 'Aladdin', password: 'open sesame' };
  const ipv6 = { host: '2001:db8::1', port: 80 };
  assert.equal(
    sentBytes(createHttpConnect({ target: ipv6, credentials }).start()).toString(),
    'CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n' +
      'Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n',
  );
});

test('any 2xx establishes, and the bytes behind the head are payload', () => {
  assert.deepEqual(answered('HTTP/1.1 200 OK\r\n\r\npayload'), ['payload']);
  assert.deepEqual(answered('HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\np'), ['p']);
  assert.deepEqual(answered('HTTP/1.1 204\n\np\n\n'), ['p\n\n']);
  assert.deepEqual(answered('HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\np'), ['p']);
});

test('two blanks, an empty line in front and a long head pass', () => {
  assert.deepEqual(answered('HTTP/1.0  200  OK\r\n\r\np'), ['p']);
  assert.deepEqual(answered('\r\n\r\nHTTP/1.1 200 OK\r\n\r\np'), ['p']);
  const client = createHttpConnect({ target });
  const [done] = client.receive(Buffer.from(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(32_000)}\r\n\r\n`));
  assert.equal(done?.type, 'done');
});

test('a proxy of another kind is told by its first byte, without a head and a wait', () => {
  for (const [bytes, message] of [
    [Buffer.of(5, 0xff), /this is a SOCKS proxy: use socks5/],
    [Buffer.of(0, 0x5b, 0, 0), /this is a SOCKS proxy: use socks5/],
    [Buffer.from('S'), /not HTTP/],
    [Buffer.from('\r\nHTTQ'), /not HTTP/],
  ] as const) {
    const [failed] = createHttpConnect({ target }).receive(bytes);
    assert.ok(failed?.type === 'failed' && failed.error.code === 'ERR_TUNNEL_MALFORMED');
    assert.match(failed.error.message, message);
  }
});

test('each refusal becomes an error of its own', () => {
  for (const [status, code] of [
    ['407 Proxy Authentication Required', 'ERR_TUNNEL_AUTH_REJECTED'],
    ['403 Forbidden', 'ERR_DIAL_NOT_ALLOWED'],
    ['502 Bad Gateway', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['504 Gateway Timeout', 'ERR_DIAL_TIMED_OUT'],
    ['301 Moved', 'ERR_HTTP_PROXY_REFUSED'],
    ['401 Unauthorized', 'ERR_TUNNEL_AUTH_REJECTED'],
    // tinyproxy; squid and privoxy.
    ['500 Unable to connect', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['503 Service Unavailable', 'ERR_DIAL_HOST_UNREACHABLE'],
    ['429 No', 'ERR_HTTP_PROXY_REFUSED'],
  ]) {
    assert.deepEqual(answered(`HTTP/1.1 ${status}\r\n\r\n`), [code]);
  }
});

test('an answer that is not HTTP, has no end, or stops', () => {
  assert.deepEqual(answered('SSH-2.0-x\r\n\r\n'), ['ERR_TUNNEL_MALFORMED']);
  assert.deepEqual(answered('HTTP/2 200\r\n\r\n'), ['ERR_TUNNEL_MALFORMED']);
  assert.deepEqual(answered('HTTP/1.1 200 OK\r\n'), [undefined]);
  const client = createHttpConnect({ target });
  const head = Buffer.alloc(limits.httpConnectHeadBytes, 'HTTP/1.1 200 ');
  assert.deepEqual(client.receive(head.subarray(1).fill('HTTP/', 0, 5)), []);
  const [overflow] = client.receive(Buffer.from('x'));
  assert.ok(overflow?.type === 'failed' && overflow.error.code === 'ERR_BYTES_OVERFLOW');
  assert.equal(createHttpConnect({ target }).codes.closed, 'ERR_TUNNEL_CLOSED');
});

test('a target or user name that would break the request is refused', () => {
  for (const host of ['a b', 'a\r\nX: y', 'a:b', '']) {
    assert.throws(() => createHttpConnect({ target: { host, port: 1 } }), {
      code: 'ERR_TUNNEL_UNENCODABLE',
    });
  }
  const credentials = { username: 'a:b', password: 'c' };
  assert.throws(() => createHttpConnect({ target, credentials }), {
    code: 'ERR_TUNNEL_UNENCODABLE',
  });
});

test('no answer whatever makes the client throw', () => {
  const piece = fc.oneof(
    fc.constantFrom('HTTP/1.1 ', '200', ' OK', '\r\n', '\n', 'HTTP/1.1 100 x\r\n\r\n'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const client = createHttpConnect({ target });
      const chunks = pieces.map((text) => Uint8Array.from(Buffer.from(text)));
      feed((chunk) => client.receive(chunk), chunks, ['done', 'failed']);
    }),
    { seed: 4, numRuns: 1000 },
  );
});
