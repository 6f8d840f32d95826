import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesToIp } from '../../src/pt/address.ts';
import { scrubAddresses } from '../../src/pt/scrub.ts';
import { holds } from '../support/properties.ts';

for (const [text, expected] of [
  ['1.2.3.4', '[scrubbed]'],
  ['connect ECONNREFUSED 192.0.2.3:443', 'connect ECONNREFUSED [scrubbed]'],
  ['from 192.0.2.3:443, to 10.0.0.1.', 'from [scrubbed], to [scrubbed].'],
  ['192.0.2.3/24', '[scrubbed]/24'],
  ['<192.0.2.3>(192.0.2.4)', '<[scrubbed]>([scrubbed])'],
  ['peer192.0.2.3', 'peer[scrubbed]'],
  ['...192.0.2.3...', '...[scrubbed]...'],
  ['192.168.001.010:80', '[scrubbed]'],
  ['a=192.0.2.3:443:x', 'a=[scrubbed]:x'],
  ['::1', '[scrubbed]'],
  ['[::1]:1080', '[scrubbed]'],
  ['[2001:db8::1]', '[scrubbed]'],
  ['from 2001:db8::1: refused', 'from [scrubbed]: refused'],
  ['from 2001:db8::1:refused', 'from [scrubbed]:refused'],
  ['to 2001:DB8::1.', 'to [scrubbed].'],
  ['2001:db8:1:2:3:4:5:6:443', '[scrubbed]'],
  ['addr:2001:db8::1,', 'addr:[scrubbed],'],
  ['fe80::1%eth0 and [fe80::1%eth0]:80', '[scrubbed] and [scrubbed]'],
  ['::ffff:192.0.2.3', '[scrubbed]'],
  ['[::ffff:192.0.2.3]:443', '[scrubbed]'],
  ['64:ff9b::192.0.2.33', '[scrubbed]'],
  ['listening on :::9001', 'listening on [scrubbed]'],
  ['http://[::1]:80/x', 'http://[scrubbed]/x'],
] as const) {
  test(`${text} becomes ${expected}`, () => assert.equal(scrubAddresses(text), expected));
}

for (const text of [
  '',
  'no address here',
  '12:34:56',
  'at 12:34:56.789 sharp',
  '2026-11-21T21:08:09Z',
  'Nov 21 21:12:07.000 [notice]',
  '00:1a:2b:3c:4d:5e',
  'std::deque',
  'std::string',
  'a::g',
  '300.1.1.1',
  '1.2.3',
  '1.2.3.4.5',
  'v1.10',
  '3:4',
  'ratio 1:2:3',
  '[scrubbed]',
  'error: x',
  '::g::',
  'key=a:b:c',
]) {
  test(`${JSON.stringify(text)} stays`, () => assert.equal(scrubAddresses(text), text));
}

test('[PT-4-01] [PT-4-02] no address survives, whatever stands around it', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const around = fc.constantFrom(
    '',
    ' ',
    ', ',
    '"',
    '(',
    ')',
    ' from ',
    '=',
    ' 12:34:56 ',
    '/',
    '\n',
    '<',
    '[x] ',
  );
  holds(
    fc.property(
      around,
      bytes,
      fc.boolean(),
      fc.nat(65_535),
      around,
      (before, address, hasPort, port, after) => {
        const ip = bytesToIp(address);
        const text = hasPort ? (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`) : ip;
        assert.equal(scrubAddresses(before + text + after), `${before}[scrubbed]${after}`);
        assert.equal(scrubAddresses(scrubAddresses(text)), '[scrubbed]');
      },
    ),
    2000,
  );
});

test('long hostile texts take no long time', () => {
  // Quadratic behaviour would take minutes here, and the runner would say so.
  for (const unit of ['a', '1', ':', '1.', 'a:', '[', '1:', '::', '%'])
    scrubAddresses(unit.repeat(200_000 / unit.length));
});
