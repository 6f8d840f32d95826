import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bytesToIp,
  formatEndpoint,
  ipToBytes,
  isLoopback,
  parseIpEndpoint,
} from '../../src/pt/address.ts';
import { holds, textOf } from '../support/properties.ts';

const canonical: readonly (readonly [string, string])[] = [
  // RFC 5952, sections 2 and 4
  ['2001:0db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8::0:1', '2001:db8::1'],
  ['2001:DB8::1', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['::', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['1::', '1::'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['::ffff:c000:0201', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['192.0.2.1', '192.0.2.1'],
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
];

for (const [text, expected] of canonical) {
  test(`${text} is ${expected}`, () => assert.equal(bytesToIp(ipToBytes(text)!), expected));
}

const notAddresses = [
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4 ',
  '1.2.3.-4',
  '0x7f.0.0.1',
  'localhost',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7:8::',
  '12345::',
  'g::',
  ':1::2',
  '1::2:',
  '[::1]',
  '::1%eth0',
  '1.2.3.4::',
  '::1.2.3.4:5',
  '::1.2.3',
  '::ffff:01.2.3.4',
];

for (const text of notAddresses) {
  test(`${JSON.stringify(text)} is no address`, () => assert.equal(ipToBytes(text), undefined));
}

test('an endpoint is ip:port, IPv6 in brackets', () => {
  assert.deepEqual(parseIpEndpoint('198.51.100.1:1984'), { host: '198.51.100.1', port: 1984 });
  assert.deepEqual(parseIpEndpoint('[2001:DB8::1]:0'), { host: '2001:db8::1', port: 0 });
  for (const text of [
    '',
    '198.51.100.1',
    '198.51.100.1:',
    ':80',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[198.51.100.1]:80',
    '1.2.3.4:65536',
    '1.2.3.4:-1',
    '1.2.3.4:+1',
    '1.2.3.4:1e3',
    '1.2.3.4:080000',
    'localhost:80',
    '1.2.3.4:80\n',
    ' 1.2.3.4:80',
    '300.1.1.1:80',
    '[::1:80',
    '1.2.3.4:80:80',
  ]) {
    assert.equal(parseIpEndpoint(text), undefined, text);
  }
});

test('any address survives text and back, and Node agrees that it is one', () => {
  const byteArrays = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Many zero groups, where the shortening happens.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
      .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]))),
  );
  holds(
    fc.property(byteArrays, fc.nat(65_535), (bytes, port) => {
      const host = bytesToIp(bytes);
      assert.equal(isIP(host), bytes.length === 4 ? 4 : 6);
      assert.deepEqual(ipToBytes(host), bytes);
      assert.deepEqual(parseIpEndpoint(formatEndpoint({ host, port })), { host, port });
    }),
    500,
  );
});

test('any text at all is parsed or refused, and only what Node takes for an address is parsed', () => {
  const texts = textOf('0123456789abcf:.[]%');
  holds(
    fc.property(texts, (text) => {
      if (ipToBytes(text) !== undefined) assert.notEqual(isIP(text), 0, text);
      parseIpEndpoint(text);
    }),
    2000,
  );
});

test('loopback is 127.0.0.0/8 and ::1, also mapped, and nothing else', () => {
  for (const host of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(host), host);
  for (const host of [
    '126.0.0.1',
    '128.0.0.1',
    '0.0.0.0',
    '::',
    '::2',
    '1::1',
    '::ffff:1.0.0.127',
    'localhost',
    '',
  ]) {
    assert.ok(!isLoopback(host), host);
  }
});
