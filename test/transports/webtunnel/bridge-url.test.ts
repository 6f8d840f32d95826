import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  hostHeader,
  parseBridgeUrl,
  syntheticEndpoint,
} from '../../../src/transports/webtunnel/bridge-url.ts';

test('URLs in every form that lines have', () => {
  for (const [text, host, port, path, header] of [
    ['https://bridge.example/secret', 'bridge.example', 443, '/secret', 'bridge.example'],
    ['HTTPS://Bridge.Example', 'bridge.example', 443, '/', 'bridge.example'],
    [
      'https://bridge.example:8443/a%2Fb/%c3',
      'bridge.example',
      8443,
      '/a%2Fb/%c3',
      'bridge.example:8443',
    ],
    ['http://192.0.2.3/x', '192.0.2.3', 80, '/x', '192.0.2.3'],
    ['http://192.0.2.3:443/x', '192.0.2.3', 443, '/x', '192.0.2.3:443'],
    ['https://[2001:db8:0:0::3]:443/', '2001:db8::3', 443, '/', '[2001:db8::3]'],
    ['https://[2001:db8::3]:444/x', '2001:db8::3', 444, '/x', '[2001:db8::3]:444'],
    // What no client of webtunnel makes anything of.
    [
      'https://user:pass@bridge.example/x?query=1#part',
      'bridge.example',
      443,
      '/x',
      'bridge.example',
    ],
    ['https://bridge.example?x', 'bridge.example', 443, '/', 'bridge.example'],
  ] as const) {
    const url = parseBridgeUrl(text);
    assert.deepEqual(
      [url.host, url.port, url.path, hostHeader(url)],
      [host, port, path, header],
      text,
    );
    assert.equal(url.isSecure, text.toLowerCase().startsWith('https'));
  }
});

test('what is no URL of a bridge is refused, and not quoted', () => {
  for (const text of [
    '',
    'bridge.example/secret',
    'ftp://bridge.example/secret',
    'https:///secret',
    'https://bridge.example:0/secret',
    'https://bridge.example:65536/secret',
    'https://[2001:db8::zz]/secret',
    'https://[::1/secret',
    'https://bridge.example/se cret',
    'https://bridge.example/se\r\nX: y',
    'https://bridge.example/sécret',
  ]) {
    assert.throws(
      () => parseBridgeUrl(text),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_TRANSPORT_ARGUMENT', text);
        assert.doesNotMatch(error.message, /cret/);
        return true;
      },
    );
  }
});

test('the address that stands for a URL is webtunnel-server’s', () => {
  assert.deepEqual(syntheticEndpoint('https://bridge.example/secretpath'), {
    host: '2001:db8:78fb:69d7:41b7:eaeb:746e:ff78',
    port: 443,
  });
});
