import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ReplyParser, type ReplyAction } from '../../src/tor-control/reply-parser.ts';
import { limits } from '../../src/limits.ts';
import { feed, feedings } from '../support/feed.ts';
import { holds, textOf } from '../support/properties.ts';

function parse(chunks: readonly Uint8Array[]): ReplyAction[] {
  const parser = new ReplyParser();
  return feed((chunk) => parser.receive(chunk), chunks, ['failed']).actions;
}

function parseText(text: string): ReplyAction[] {
  return parse([Buffer.from(text)]);
}

/** The code that the parser fails with at the end, and how much came out before. */
function failure(actions: readonly ReplyAction[]): { code: string; before: number } {
  const last = actions.at(-1);
  assert.equal(last?.type, 'failed');
  return { code: last.error.code, before: actions.length - 1 };
}

describe('replies', () => {
  test('of one line, of several, with data, and events in all these forms', () => {
    const text = [
      '250 OK',
      '250-version=0.4.9.11',
      '250 OK',
      '250+config-text=',
      'ControlPort auto',
      '',
      '..begins with one dot',
      '...with two',
      '250 OK is data here',
      '.',
      '250 OK',
      '650 BW 12 34',
      '650-CONF_CHANGED',
      '650-Nickname=gate',
      '650-ExitPolicy',
      '650 OK',
      '650+NOTICE',
      'two',
      'lines',
      '.',
      '650 OK',
      '250-127.192.0.1=www.example.com',
      "512-syntax error: invalid address '!!'",
      '250 1.2.3.4=9.9.9.9',
      '250 ',
      '',
    ].join('\r\n');
    const ok = { status: 250, text: 'OK' };
    const config = 'ControlPort auto\n\n.begins with one dot\n..with two\n250 OK is data here';
    const expected: ReplyAction[] = [
      { type: 'reply', reply: { ...ok, lines: [ok] } },
      {
        type: 'reply',
        reply: { ...ok, lines: [{ status: 250, text: 'version=0.4.9.11' }, ok] },
      },
      {
        type: 'reply',
        reply: { ...ok, lines: [{ status: 250, text: 'config-text=', data: config }, ok] },
      },
      { type: 'event', lines: [{ status: 650, text: 'BW 12 34' }] },
      {
        type: 'event',
        lines: ['CONF_CHANGED', 'Nickname=gate', 'ExitPolicy', 'OK'].map((line) => ({
          status: 650,
          text: line,
        })),
      },
      {
        type: 'event',
        lines: [
          { status: 650, text: 'NOTICE', data: 'two\nlines' },
          { status: 650, text: 'OK' },
        ],
      },
      {
        type: 'reply',
        reply: {
          status: 250,
          text: '1.2.3.4=9.9.9.9',
          lines: [
            { status: 250, text: '127.192.0.1=www.example.com' },
            { status: 512, text: "syntax error: invalid address '!!'" },
            { status: 250, text: '1.2.3.4=9.9.9.9' },
          ],
        },
      },
      { type: 'reply', reply: { status: 250, text: '', lines: [{ status: 250, text: '' }] } },
    ];
    for (const chunks of feedings(Buffer.from(text))) assert.deepEqual(parse(chunks), expected);
  });

  test('empty data, and data of one empty line, are told apart from none by nobody', () => {
    const [action] = parseText('250+a=\r\n.\r\n250-b=\r\n250+c=\r\n\r\n.\r\n250 OK\r\n');
    assert.equal(action?.type, 'reply');
    assert.deepEqual(
      action.reply.lines.map(({ data }) => data),
      ['', undefined, '', undefined],
    );
  });

  test('a lone LF or CR ends no line, so a value cannot pretend to be one', () => {
    const text = '250 ContactInfo=a\n250 OK\r650 BW 1 2\n\r\n';
    for (const chunks of feedings(Buffer.from(text))) {
      const [action, ...more] = parse(chunks);
      assert.deepEqual(more, []);
      assert.equal(action?.type, 'reply');
      assert.equal(action.reply.text, 'ContactInfo=a\n250 OK\r650 BW 1 2\n');
    }
    const [action] = parseText('250+a=\r\nb\n.\nc\r\n.\r\n250 OK\r\n');
    assert.equal(action?.type === 'reply' && action.reply.lines[0]?.data, 'b\n.\nc');
  });

  test('text is UTF-8, and what is none does no harm', () => {
    for (const chunks of feedings(Buffer.from('250 Contact=é — ☂\r\n'))) {
      const [action] = parse(chunks);
      assert.equal(action?.type === 'reply' && action.reply.text, 'Contact=é — ☂');
    }
    const [action] = parse([Buffer.from('250 \xe9\x00\xff\r\n', 'latin1')]);
    assert.equal(action?.type === 'reply' && action.reply.text, '\ufffd\0\ufffd');
  });
});

describe('what is no reply', () => {
  test('ends the stream, after what came before it', () => {
    const broken = [
      'SSH-2.0-OpenSSH_9.2',
      'HTTP/1.1 400 Bad Request',
      '',
      '250',
      '25 OK',
      '2500 OK',
      '250_OK',
      '150 OK',
      '350 OK',
      '750 OK',
      ' 250 OK',
      '250-a\r\n650 BW 1 2',
      '650-a\r\n250 OK',
      '250-a\r\n650-b',
      '650+a\r\n.\r\n250+b',
    ];
    for (const line of broken) {
      const bytes = Buffer.from(`250 OK\r\n650 BW 1 2\r\n${line}\r\n250 OK\r\n`);
      for (const chunks of feedings(bytes)) {
        const expected = { code: 'ERR_TOR_CONTROL_PROTOCOL', before: 2 };
        assert.deepEqual(failure(parse(chunks)), expected, line);
      }
    }
  });

  test('after a failure nothing comes out any more', () => {
    const parser = new ReplyParser();
    assert.equal(parser.receive(Buffer.from('nonsense\r\n250 OK\r\n')).length, 1);
    assert.deepEqual(parser.receive(Buffer.from('250 OK\r\n')), []);
  });
});

describe('limits', () => {
  const MIB = 1024 * 1024;

  test('a line may be so long, and no longer, and is not kept longer', () => {
    const longest = `250 ${'x'.repeat(limits.torControlLineBytes - 6)}\r\n`;
    assert.equal(parseText(longest)[0]?.type, 'reply');
    const parser = new ReplyParser();
    const chunk = Buffer.alloc(65_536, 'x');
    let given = 0;
    for (;;) {
      const actions = parser.receive(chunk);
      given += chunk.length;
      if (actions.length === 0) continue;
      assert.deepEqual(failure(actions), { code: 'ERR_BYTES_OVERFLOW', before: 0 });
      break;
    }
    assert.equal(given, limits.torControlLineBytes + chunk.length);
  });

  test('a reply may have so many bytes, and the next one as many again', () => {
    const line = Buffer.from(`250-${'x'.repeat(MIB - 6)}\r\n`);
    const end = Buffer.from('250 OK\r\n');
    const fits = new Array<Uint8Array>(limits.torControlReplyBytes / MIB - 1).fill(line);
    const actions = parse([...fits, end, ...fits, end]);
    assert.deepEqual(
      actions.map(({ type }) => type),
      ['reply', 'reply'],
    );
    const tooMany = failure(parse([...fits, line, end]));
    assert.deepEqual(tooMany, { code: 'ERR_BYTES_OVERFLOW', before: 0 });
  });

  test('a reply may have so many lines, data included', () => {
    const lines = Buffer.from('\r\n'.repeat(65_536));
    const parser = new ReplyParser();
    assert.deepEqual(parser.receive(Buffer.from('250+a=\r\n')), []);
    for (let count = 0; count + 65_536 < limits.torControlReplyLines; count += 65_536) {
      assert.deepEqual(parser.receive(lines), []);
    }
    assert.equal(failure(parser.receive(lines)).code, 'ERR_BYTES_OVERFLOW');
  });
});

describe('properties', () => {
  const replies = fc.array(
    fc.record({
      divider: fc.constantFrom('-', '+'),
      text: textOf('ab= ".\n\\é', { maxLength: 8 }),
      data: fc.array(textOf('.a\n 250', { maxLength: 6 }), { maxLength: 4 }),
    }),
    { maxLength: 4 },
  );

  test('what is written as replies is read as the same', () => {
    holds(
      fc.property(replies, fc.constantFrom(250, 552, 650), (lines, status) => {
        const wire = lines.map(({ divider, text, data }) => {
          const first = `${status}${divider}${text}\r\n`;
          if (divider === '-') return first;
          const stuffed = data.map((line) =>
            line.startsWith('.') ? `.${line}\r\n` : `${line}\r\n`,
          );
          return `${first}${stuffed.join('')}.\r\n`;
        });
        const [action] = parseText(`${wire.join('')}${status} end\r\n`);
        assert.ok(action !== undefined && action.type !== 'failed');
        const read = action.type === 'reply' ? action.reply.lines : action.lines;
        const expected = lines.map(({ divider, text, data }) =>
          divider === '-' ? { status, text } : { status, text, data: data.join('\n') },
        );
        assert.deepEqual(read, [...expected, { status, text: 'end' }]);
      }),
    );
  });

  test('whatever comes, in whatever pieces, comes out the same and never throws', () => {
    const pieces = fc.constantFrom(
      '250',
      '650',
      '-',
      '+',
      ' ',
      '.',
      '\r\n',
      '\n',
      '\r',
      'OK',
      'é',
      '\0',
    );
    const texts = fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(''));
    const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    const inputs = fc.oneof(
      texts.map((text) => Buffer.from(text)),
      noise,
    );
    holds(
      fc.property(inputs, fc.nat(), (bytes, at) => {
        const split = bytes.length === 0 ? 0 : at % bytes.length;
        const whole = parse([bytes]);
        const halves = parse([bytes.subarray(0, split), bytes.subarray(split)]);
        assert.deepEqual(halves, whole);
      }),
      1000,
    );
  });
});
