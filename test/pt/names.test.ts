import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTransportList, isTransportName, parseTransportList } from '../../src/pt/names.ts';
import { holds, textOf } from '../support/properties.ts';

test('[PT-3.1-02] a name is a C identifier', () => {
  for (const name of ['obfs4', '_x', 'meek_lite', 'int']) assert.ok(isTransportName(name), name);
  for (const name of ['a-b', 'a.b', '9x', '']) assert.ok(!isTransportName(name), name);
});

test('[PT-3.1-03] a name starts with a letter or an underscore', () => {
  for (const name of ['a', 'Z', '_']) assert.ok(isTransportName(name), name);
  for (const name of ['0a', '-a', '', 'éa']) assert.ok(!isTransportName(name), name);
});

test('[PT-3.1-04] after the first character come ASCII letters, digits and underscores', () => {
  assert.ok(isTransportName('a1_B'));
  for (const name of ['a-b', 'a b', 'a.', 'aé', 'a\n', 'a\0'])
    assert.ok(!isTransportName(name), name);
});

test('[PT-3.1-05] a name of several thousand characters is kept whole', () => {
  const name = `n${'a1_'.repeat(3000)}`;
  assert.deepEqual(parseTransportList(`obfs4,${name}`), ['obfs4', name]);
  assert.equal(formatTransportList([name]), name);
});

test('[PT-3.1-06] the whole name matches the expression', () => {
  // A twin that looks at bytes and uses no regular expression.
  const allowed = new Set(
    Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789'),
  );
  const isName = (text: string): boolean => {
    const bytes = Buffer.from(text);
    return (
      bytes.length > 0 &&
      !(bytes[0]! >= 0x30 && bytes[0]! <= 0x39) &&
      bytes.every((byte) => allowed.has(byte))
    );
  };
  holds(
    fc.property(textOf('aZ_09-. \n\0é,', { maxLength: 6 }), (text) => {
      assert.equal(isTransportName(text), isName(text));
    }),
    2000,
  );
  assert.ok(!isTransportName('obfs4\n'));
  assert.throws(() => parseTransportList('obfs3,obfs4\n'), { code: 'ERR_PT_NAME' });
});

test('[PT-3.2.2-01] [PT-3.2.3-01] a list keeps its order and names each transport once', () => {
  assert.deepEqual(parseTransportList('obfs2,obfs3,obfs4'), ['obfs2', 'obfs3', 'obfs4']);
  assert.deepEqual(parseTransportList('b,a,b,A'), ['b', 'a', 'A']);
  for (const list of ['', ',', 'a,', ',a', 'a,,b', 'a, b', 'a b', '9,a']) {
    assert.throws(() => parseTransportList(list), { code: 'ERR_PT_NAME' }, list);
  }
});

test('what a list cannot carry is refused', () => {
  assert.equal(formatTransportList(['obfs3', 'obfs4']), 'obfs3,obfs4');
  for (const names of [[], [''], ['a,b'], ['a', 'a'], ['a-b']]) {
    assert.throws(() => formatTransportList(names), { code: 'ERR_PT_NAME' }, names.join(' '));
  }
});
