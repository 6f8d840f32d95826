import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBase32, parseBase32 } from '../../../src/transports/scramblesuit/base32.ts';
import { holds } from '../../support/properties.ts';

test('Base32 of RFC 4648, section 10, both ways', () => {
  for (const [bytes, text] of [
    ['', ''],
    ['f', 'MY======'],
    ['fo', 'MZXQ===='],
    ['foo', 'MZXW6==='],
    ['foob', 'MZXW6YQ='],
    ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI======'],
  ] as const) {
    assert.equal(formatBase32(Buffer.from(bytes)), text);
    assert.equal(parseBase32(text)?.toString(), bytes);
  }
});

test('what people mistype is read all the same: lower case, 1 for I, 0 for O, no padding', () => {
  const expected = parseBase32('MZXW6IOI');
  assert.deepEqual(parseBase32('mzxw6ioi'), expected);
  assert.deepEqual(parseBase32('MZXW61O1'), expected);
  assert.deepEqual(parseBase32('MZXW6I0I'), expected);
  assert.equal(parseBase32('mzxw6yq')?.toString(), 'foob');
});

test('other characters, inner padding and lengths that no bytes have are refused', () => {
  for (const text of ['MZXW68', 'MZXW 6', 'MZ=W', 'M', 'MZX', 'MZXW6Y', 'MZXW6YTBÖ']) {
    assert.equal(parseBase32(text), undefined, text);
  }
});

test('any bytes come back', () => {
  holds(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.deepEqual(parseBase32(formatBase32(bytes)), Buffer.from(bytes));
    }),
  );
});

test('any text is read or refused', () => {
  holds(
    fc.property(fc.string(), (text) => {
      const bytes = parseBase32(text);
      assert.ok(
        bytes === undefined ||
          bytes.length === Math.floor((text.replace(/=+$/, '').length * 5) / 8),
      );
    }),
  );
});
