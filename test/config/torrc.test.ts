import assert from 'node:assert/strict';
import { limits } from '../../src/limits.ts';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatSetting, parseTorrc, type Setting } from '../../src/config/torrc.ts';
import { holds, textOf } from '../support/properties.ts';

function settingsOf(text: string): Setting[] {
  return parseTorrc(text).flatMap(({ setting }) => (setting === undefined ? [] : [setting]));
}

describe('parseTorrc', () => {
  const known: readonly [text: string, ...settings: [key: string, value: string][]][] = [
    [''],
    ['\n'],
    ['   '],
    ['# just a comment\n'],
    ['  # comment \\\nA 1\n', ['A', '1']],
    ['A 1\n', ['A', '1']],
    ['A 1', ['A', '1']],
    ['A 1\r\nB 2\r\n', ['A', '1'], ['B', '2']],
    ['A', ['A', '']],
    ['A \n', ['A', '']],
    ['A # comment\n', ['A', '']],
    ['A#comment\n', ['A', '']],
    // Recorded from r3351 (setconf/many_spaces_tabs, comment_in_value, equals_form, high_bytes).
    ['  A \t  hal  9000 \t \n', ['A', 'hal  9000']],
    ['A ivy # comment\n', ['A', 'ivy']],
    ['A=leo\n', ['A=leo', '']],
    ['A é\n', ['A', 'é']],
    // Continued lines.
    ['A one \\\n  two\nB 3\n', ['A', 'one   two'], ['B', '3']],
    ['A one\\\ntwo', ['A', 'onetwo']],
    ['A one\\\r\ntwo\r\n', ['A', 'onetwo']],
    ['A one \\\n# in between\n# and again\ntwo\nB 3', ['A', 'one two'], ['B', '3']],
    // A comment there ends nothing, as with Tor, and a last backslash joins nothing.
    ['A one \\\ntwo # the end\nB 3\nC 4', ['A', 'one two B 3'], ['C', '4']],
    ['A one \\\n\nB 3', ['A', 'one \\'], ['B', '3']],
    ['A one # not continued \\\nB 3', ['A', 'one'], ['B', '3']],
    ['A\\\n 1\nB 3', ['A', '1'], ['B', '3']],
    ['A one\\', ['A', 'one\\']],
    ['A \\', ['A', '\\']],
    // Quotes.
    ['A "kim"\n', ['A', 'kim']],
    ['A " # no comment " # comment\n', ['A', ' # no comment ']],
    ['A \\\n "quoted"', ['A', '"quoted"']],
    [String.raw`A "\"\\\'\t\x41\102"`, ['A', `"\\'\tAB`]],
    [String.raw`A "\n\r\x1b\x0a"`, ['A', '\n\r\x1b\n']],
    ['A a\rb\x1b[31m', ['A', 'ab\x1b[31m']],
    [String.raw`A "\303\251\xc3\xa9"`, ['A', 'éé']],
    ['A ki"m"', ['A', 'ki"m"']],
    ['A ""', ['A', '']],
  ];
  for (const [text, ...settings] of known) {
    test(`reads ${JSON.stringify(text)}`, () => {
      assert.deepEqual(
        settingsOf(text).map(({ key, value }) => [key, value]),
        settings,
      );
    });
  }

  const broken: readonly [text: string, line: number][] = [
    ['A 1\nB ja\0ck\nC 3', 2],
    ['A\x1b[31m 1', 1],
    ['\n\nA "open', 3],
    ['A "a" b', 1],
    ['A "a\\\nb"', 1],
    [String.raw`A "a\0b"`, 1],
    [String.raw`A "\q"`, 1],
    [String.raw`A "\xff"`, 1],
    [String.raw`A "\"`, 1],
    ['\\\nA 1', 1],
  ];
  for (const [text, line] of broken) {
    test(`refuses ${JSON.stringify(text)} and names line ${line}`, () => {
      assert.throws(() => parseTorrc(text), {
        code: 'ERR_CONFIG_SYNTAX',
        message: new RegExp(`^line ${line}: `),
      });
    });
  }

  test('keeps every character of the text in the pieces, and counts lines', () => {
    holds(
      fc.property(textOf('A1 \t\n\r#\\"x', { maxLength: 60 }), (text) => {
        let pieces;
        try {
          pieces = parseTorrc(text);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ERR_CONFIG_SYNTAX');
          return;
        }
        assert.equal(pieces.map(({ raw }) => raw).join(''), text);
        let line = 1;
        for (const piece of pieces) {
          assert.equal(piece.line, line);
          line += piece.raw.split('\n').length - 1;
          // Each piece says the same alone as in its place.
          assert.deepEqual(
            settingsOf(piece.raw),
            piece.setting === undefined ? [] : [piece.setting],
          );
        }
      }),
      2000,
    );
  });
});

describe('formatSetting', () => {
  test('quotes only what needs it', () => {
    const format = (value: string): string => formatSetting({ key: 'A', value });
    assert.equal(format('b c'), 'A b c');
    assert.equal(format('ki"m"'), 'A ki"m"');
    assert.equal(format(String.raw`C:\x`), String.raw`A C:\x`);
    assert.equal(format(''), 'A');
    assert.equal(format('a#b'), 'A "a#b"');
    assert.equal(format(' a'), 'A " a"');
    assert.equal(format('a '), 'A "a "');
    assert.equal(format('"a"'), String.raw`A "\"a\""`);
    assert.equal(format('a\\'), String.raw`A "a\\"`);
    assert.equal(format('a\nb\x1b\u0085'), String.raw`A "a\nb\033\302\205"`);
  });

  test('a run of blanks is passed over once', () => {
    // As much as a torrc may have; in quadratic time this test would not end.
    const blanks = ' '.repeat(limits.torrcBytes);
    assert.deepEqual(settingsOf(`Key${blanks}a${blanks}b${blanks}\n`), [
      { key: 'Key', value: `a${blanks}b` },
    ]);
  });

  test('reads back as what was written', () => {
    const values = fc.oneof(
      textOf('ab#\\" \t\'x1', { maxLength: 20 }),
      fc.string({ unit: 'grapheme' }),
    );
    holds(
      fc.property(values, (value) => {
        if (value.includes('\0')) return;
        const line = formatSetting({ key: 'Key', value });
        assert.doesNotMatch(line, /\p{Cc}/u);
        assert.deepEqual(settingsOf(`${line}\nNext 1\n`), [
          { key: 'Key', value },
          { key: 'Next', value: '1' },
        ]);
      }),
      2000,
    );
  });

  test('refuses what no line can carry', () => {
    for (const key of ['', 'a b', 'a#', 'a\n', '"a', 'a\\']) {
      assert.throws(() => formatSetting({ key, value: '1' }), { code: 'ERR_CONFIG_SYNTAX' }, key);
    }
    assert.throws(() => formatSetting({ key: 'A', value: 'a\0' }), { code: 'ERR_CONFIG_SYNTAX' });
  });
});
