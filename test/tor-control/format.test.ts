import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeCommand, formatSettings, formatWords } from '../../src/tor-control/format.ts';
import {
  formatQuotedString,
  parseKeywords,
  parseSetting,
  parseValue,
  takeWords,
} from '../../src/tor-control/words.ts';
import { limits } from '../../src/limits.ts';
import { holds, textOf } from '../support/properties.ts';

const refused = { code: 'ERR_TOR_CONTROL_COMMAND' };

/** Commands as Tor cuts them out of what it receives: LF ends a line, `+` announces data. */
function readAsTor(bytes: Uint8Array): { line: string; data?: string[] }[] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  assert.equal(lines.pop(), '', 'the last line has an end');
  const commands: { line: string; data?: string[] }[] = [];
  while (lines.length > 0) {
    const line = lines.shift()!.replace(/\r$/, '');
    if (!line.startsWith('+')) {
      commands.push({ line });
      continue;
    }
    const end = lines.findIndex((each) => /^\.\r?$/.test(each));
    assert.notEqual(end, -1, 'the data has an end');
    const data = lines.splice(0, end + 1).slice(0, -1);
    commands.push({
      line: line.slice(1),
      data: data.map((each) => each.replace(/^\./, '').replace(/\r$/, '')),
    });
  }
  return commands;
}

describe('commands', () => {
  test('are one line, or with data a + and lines with their dots stuffed', () => {
    const encode = (line: string, data?: string): string => encodeCommand(line, data).toString();
    assert.equal(encode('GETINFO version'), 'GETINFO version\r\n');
    assert.equal(encode('SETEVENTS'), 'SETEVENTS\r\n');
    assert.equal(encode('SETCONF ContactInfo="é"'), 'SETCONF ContactInfo="é"\r\n');
    assert.equal(
      encode('LOADCONF', 'a\n.b\r\n..\n\nc'),
      '+LOADCONF\r\na\r\n..b\r\n...\r\n\r\nc\r\n.\r\n',
    );
    assert.equal(encode('LOADCONF', 'a\n'), '+LOADCONF\r\na\r\n.\r\n');
    assert.equal(encode('LOADCONF', ''), '+LOADCONF\r\n.\r\n');
    assert.equal(
      encode('POSTDESCRIPTOR purpose=general', '.'),
      '+POSTDESCRIPTOR purpose=general\r\n..\r\n.\r\n',
    );
  });

  test('what would be two commands, or none, is refused', () => {
    const lines = [
      '',
      ' ',
      'A\r\nQUIT',
      'A\nQUIT',
      'A \r',
      'A\0',
      '+LOADCONF',
      ' GETINFO',
      'GET-INFO',
      '.',
    ];
    for (const line of lines) assert.throws(() => encodeCommand(line), refused, line);
    assert.throws(() => encodeCommand('LOADCONF', 'a\0b'), refused);
  });

  test('what Tor would close the connection at is refused', () => {
    const room = limits.torControlCommandBytes - 'GETINFO \r\n'.length;
    assert.equal(
      encodeCommand(`GETINFO ${'x'.repeat(room)}`).length,
      limits.torControlCommandBytes,
    );
    assert.throws(() => encodeCommand(`GETINFO ${'x'.repeat(room + 1)}`), refused);
    assert.throws(() => encodeCommand(`GETINFO ${'é'.repeat(room)}`), refused);
    assert.throws(() => encodeCommand('LOADCONF', '.\n'.repeat(room / 4)), refused);
  });

  test('no input becomes more than the one command that it says', () => {
    const texts = textOf('A +.\r\n\0"\\é', { maxLength: 12 });
    holds(
      fc.property(texts, fc.option(texts, { nil: undefined }), (text, data) => {
        let bytes: Uint8Array;
        try {
          bytes = encodeCommand(`A ${text}`, data);
        } catch (error) {
          assert.equal((error as { code?: string }).code, refused.code);
          assert.match(`${text}${data ?? ''}`, /[\r\n\0]/);
          return;
        }
        const lines = data?.split(/\r?\n/);
        if (lines?.at(-1) === '') lines.pop();
        const expected = { line: `A ${text}`, ...(lines && { data: lines }) };
        const [command, ...more] = readAsTor(bytes);
        assert.deepEqual(more, []);
        assert.equal(command!.line, expected.line);
        // A CR in front of a line end is a part of it.
        assert.deepEqual(
          command!.data?.map((line) => line.replace(/\r+$/, '')),
          expected.data?.map((line) => line.replace(/\r+$/, '')),
        );
      }),
      1000,
    );
  });
});

describe('words and settings', () => {
  test('are joined by spaces, values quoted', () => {
    assert.equal(formatWords(['version', 'config/names']), 'version config/names');
    const settings = [
      { key: 'Nickname', value: 'gate' },
      { key: 'SocksPort' },
      { key: 'ContactInfo', value: 'a "b" \\c # d' },
      { key: 'HashedControlPassword', value: '' },
    ];
    assert.equal(
      formatSettings(settings),
      'Nickname="gate" SocksPort ContactInfo="a \\"b\\" \\\\c # d" HashedControlPassword=""',
    );
  });

  test('a word that would be none, or two, is refused', () => {
    for (const word of ['', 'a b', 'a\tb', 'a\r\nb', 'a=b', 'a"b', 'a\0', '\u2028']) {
      assert.throws(() => formatWords(['ok', word]), refused, word);
      assert.throws(() => formatSettings([{ key: word, value: 'x' }]), refused, word);
    }
    for (const value of ['a\nb', 'a\rb', 'a\0b']) {
      assert.throws(() => formatSettings([{ key: 'Nickname', value }]), refused);
    }
  });
});

describe('quoted strings', () => {
  test('of Tor, with C escapes, as bytes of UTF-8', () => {
    const cases: [string, string][] = [
      ['"plain"', 'plain'],
      ['"say \\"hi\\" \\\\ \\\'"', 'say "hi" \\ \''],
      ['"a\\r\\n\\tb"', 'a\r\n\tb'],
      ['"\\303\\251 \\0411"', 'é !1'],
      ['"/home/my data\\"dir/cookie"', '/home/my data"dir/cookie'],
      ['""', ''],
      ['unquoted "in" the middle', 'unquoted "in" the middle'],
      ['"no end', '"no end'],
      ['', ''],
    ];
    for (const [text, value] of cases) assert.equal(parseValue(text), value);
  });

  test('of ours are read as what they were, by the rule for QuotedString and the one for CString', () => {
    const texts = fc.oneof(
      textOf('ab"\\ntr07 =é', { maxLength: 12 }),
      fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n\0]/.test(text)),
    );
    holds(
      fc.property(texts, (text) => {
        const quoted = formatQuotedString(text);
        assert.equal(parseValue(quoted), text);
        assert.equal(quoted.slice(1, -1).replace(/\\(.)/gs, '$1'), text);
        const keywords = parseKeywords(`A=1 K=${quoted} Z="2"`)!;
        assert.deepEqual(
          [...keywords],
          [
            ['A', '1'],
            ['K', text],
            ['Z', '2'],
          ],
        );
      }),
      500,
    );
  });

  test('a megabyte of quotes is read', () => {
    const text = '"\\'.repeat(250_000);
    assert.equal(parseKeywords(`K=${formatQuotedString(text)}`)?.get('K'), text);
  });
});

describe('the words of a line', () => {
  test('are taken off its front', () => {
    assert.deepEqual(takeWords('1 NEW 0 a:80 PURPOSE=USER', 4), [
      ['1', 'NEW', '0', 'a:80'],
      'PURPOSE=USER',
    ]);
    assert.deepEqual(takeWords('1 NEW', 4), [['1', 'NEW'], '']);
    assert.deepEqual(takeWords('', 1), [[], '']);
    assert.deepEqual(takeWords('a  b', 2), [['a', ''], 'b']);
  });

  test('keywords: quoted or not, empty, repeated, unknown forms between them', () => {
    const read = (text: string): unknown => {
      const keywords = parseKeywords(text);
      return keywords && Object.fromEntries(keywords);
    };
    assert.deepEqual(read('A=1 B="x y" C= D=a=b E=""'), {
      A: '1',
      B: 'x y',
      C: '',
      D: 'a=b',
      E: '',
    });
    assert.deepEqual(read('new 5 "quoted K=1" A=1 =2 $x=3 A=4'), { A: '4' });
    assert.deepEqual(read('  A=1  '), { A: '1' });
    assert.deepEqual(read(''), {});
    assert.equal(read('A="no end'), undefined);
    assert.equal(read('A="x"y'), undefined);
    assert.equal(read('"no end'), undefined);
  });

  test('settings: split at the first equals sign', () => {
    assert.deepEqual(parseSetting('Nickname=a=b'), { key: 'Nickname', value: 'a=b' });
    assert.deepEqual(parseSetting('ContactInfo="a # b"'), { key: 'ContactInfo', value: 'a # b' });
    assert.deepEqual(parseSetting('Nickname='), { key: 'Nickname', value: '' });
    assert.deepEqual(parseSetting('ExitPolicy'), { key: 'ExitPolicy', value: undefined });
  });
});
