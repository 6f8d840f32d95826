import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatCString, parseCString } from '../../src/pt/c-string.ts';
import { toAscii } from '../../src/pt/c-string.ts';
import { parseLine } from '../../src/pt/decode.ts';
import { formatMessage } from '../../src/pt/encode.ts';
import type { Message } from '../../src/pt/messages.ts';
import { holds, textOf } from '../support/properties.ts';

const cert = 'HszPy3vWfjsESCEOo9ZBkRv6zQ/1mGHzc8arF0y2SpwFr3WhsMu8rK0zyaoyERfbz3ddFw';

/** Every line that the specification prints, and what it says. */
const examples: readonly (readonly [line: string, message: Message, ids: string])[] = [
  ['VERSION-ERROR no-version', { kind: 'VERSION-ERROR', text: 'no-version' }, '[PT-3.3.1-03]'],
  ['VERSION 1', { kind: 'VERSION', version: '1' }, '[PT-3.3.1-07]'],
  [
    'ENV-ERROR No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set',
    { kind: 'ENV-ERROR', text: 'No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set' },
    '[PT-3.3.1-12]',
  ],
  ['PROXY DONE', { kind: 'PROXY DONE' }, '[PT-3.3.2-03]'],
  [
    'PROXY-ERROR SOCKS 4 upstream proxies unsupported.',
    { kind: 'PROXY-ERROR', text: 'SOCKS 4 upstream proxies unsupported.' },
    '[PT-3.3.2-04]',
  ],
  [
    'CMETHOD trebuchet socks5 127.0.0.1:19999',
    {
      kind: 'CMETHOD',
      transport: 'trebuchet',
      protocol: 'socks5',
      endpoint: { host: '127.0.0.1', port: 19999 },
    },
    '[PT-3.3.2-08]',
  ],
  [
    'CMETHOD-ERROR trebuchet no rocks available',
    { kind: 'CMETHOD-ERROR', transport: 'trebuchet', text: 'no rocks available' },
    '[PT-3.3.2-11]',
  ],
  ['CMETHODS DONE', { kind: 'CMETHODS DONE' }, '[PT-3.3.2-14]'],
  [
    'SMETHOD trebuchet 198.51.100.1:19999',
    {
      kind: 'SMETHOD',
      transport: 'trebuchet',
      endpoint: { host: '198.51.100.1', port: 19999 },
      args: [],
    },
    '[PT-3.3.3-03] [PT-3.3.3-07]',
  ],
  [
    'SMETHOD rot_by_N 198.51.100.1:2323 ARGS:N=13',
    {
      kind: 'SMETHOD',
      transport: 'rot_by_N',
      endpoint: { host: '198.51.100.1', port: 2323 },
      args: [['N', '13']],
    },
    '[PT-3.3.3-03] [PT-3.3.3-08]',
  ],
  [
    'SMETHOD-ERROR trebuchet no cows available',
    { kind: 'SMETHOD-ERROR', transport: 'trebuchet', text: 'no cows available' },
    '[PT-3.3.3-11]',
  ],
  ['SMETHODS DONE', { kind: 'SMETHODS DONE' }, '[PT-3.3.3-13]'],
  [
    'CMETHOD obfs3 socks5 127.0.0.1:32525',
    {
      kind: 'CMETHOD',
      transport: 'obfs3',
      protocol: 'socks5',
      endpoint: { host: '127.0.0.1', port: 32525 },
    },
    '[PT-A-01]',
  ],
  [
    'CMETHOD obfs4 socks5 127.0.0.1:37347',
    {
      kind: 'CMETHOD',
      transport: 'obfs4',
      protocol: 'socks5',
      endpoint: { host: '127.0.0.1', port: 37347 },
    },
    '[PT-A-01]',
  ],
  [
    'SMETHOD obfs3 198.51.100.1:1984',
    {
      kind: 'SMETHOD',
      transport: 'obfs3',
      endpoint: { host: '198.51.100.1', port: 1984 },
      args: [],
    },
    '[PT-B-01]',
  ],
  [
    `SMETHOD obfs4 198.51.100.1:43734 ARGS:cert=${cert},iat-mode=0`,
    {
      kind: 'SMETHOD',
      transport: 'obfs4',
      endpoint: { host: '198.51.100.1', port: 43734 },
      args: [
        ['cert', cert],
        ['iat-mode', '0'],
      ],
    },
    '[PT-B-01]',
  ],
];

describe('the lines of the specification', () => {
  for (const [line, message, ids] of examples) {
    test(`${ids} ${line}`, () => {
      assert.deepEqual(parseLine(line), message);
      assert.deepEqual(parseLine(Buffer.from(line)), message);
      assert.equal(formatMessage(message), line);
    });
  }
});

test('LOG and STATUS in the forms that are in use', () => {
  assert.deepEqual(parseLine('LOG SEVERITY=debug MESSAGE="Connected to bridge A"'), {
    kind: 'LOG',
    severity: 'debug',
    text: 'Connected to bridge A',
  });
  assert.deepEqual(parseLine('LOG MESSAGE=word X=y SEVERITY=error'), {
    kind: 'LOG',
    severity: 'error',
    text: 'word',
  });
  // As goptlib writes it, and tor reads it.
  assert.deepEqual(parseLine('LOG SEVERITY=notice MESSAGE="hello \\303\\244\\n"'), {
    kind: 'LOG',
    severity: 'notice',
    text: 'hello ä\n',
  });
  assert.deepEqual(
    parseLine(
      'STATUS TRANSPORT=obfs4 ADDRESS=198.51.100.123:1234 CONNECT=Failed ERRSTR="Connection refused"',
    ),
    {
      kind: 'STATUS',
      pairs: [
        ['TRANSPORT', 'obfs4'],
        ['ADDRESS', '198.51.100.123:1234'],
        ['CONNECT', 'Failed'],
        ['ERRSTR', 'Connection refused'],
      ],
    },
  );
  assert.deepEqual(parseLine('STATUS TYPE=version IMPLEMENTATION="lyrebird" VERSION="0.5.0"'), {
    kind: 'STATUS',
    pairs: [
      ['TYPE', 'version'],
      ['IMPLEMENTATION', 'lyrebird'],
      ['VERSION', '0.5.0'],
    ],
  });
  assert.equal(
    formatMessage({ kind: 'LOG', severity: 'warning', text: 'a "b"\\\n\r\tä\u{1f600}\0' }),
    'LOG SEVERITY=warning MESSAGE="a \\"b\\"\\\\\\n\\r\\t???"',
  );
  assert.equal(
    formatMessage({
      kind: 'STATUS',
      pairs: [
        ['TYPE', 'version'],
        ['VERSION', '0.1 x'],
      ],
    }),
    'STATUS TYPE=version VERSION="0.1 x"',
  );
  for (const line of [
    'LOG',
    'LOG y',
    'LOG SEVERITY=loud MESSAGE=x',
    'LOG SEVERITY=info',
    'LOG MESSAGE=x',
    'LOG SEVERITY=info MESSAGE="x',
    'LOG SEVERITY=info MESSAGE="x"y',
    'LOG SEVERITY=info MESSAGE="\\777"',
    'STATUS',
    'STATUS x',
    'STATUS =x',
    'STATUS a="b',
    'STATUS a=b"c"',
    'STATUS  a=b',
  ]) {
    assert.equal(parseLine(line).kind, 'malformed', line);
  }
});

test('quoted strings: what is written is read, and escapes are decoded', () => {
  holds(
    fc.property(textOf(' a"\\\n\r\t0~n'), (text) => {
      assert.equal(parseCString(formatCString(text)), text);
      assert.match(formatCString(text), /^[\x20-\x7e]+$/);
    }),
    500,
  );
  assert.equal(parseCString('"\\1\\12\\101\\1011\\q\\\'"'), "\x01\nAA1q'");
  for (const text of ['', '"', 'a', '"a', 'a"', '"a"b"', '"\\"', '"\\400"'])
    assert.equal(parseCString(text), undefined, text);
});

test('[PT-3.3-02] nothing stands before the keyword', () => {
  for (const line of ['', ' VERSION 1', '!VERSION 1', '\tCMETHODS DONE', '\ufeffVERSION 1']) {
    assert.deepEqual(parseLine(line), { kind: 'unknown', line });
  }
});

test('[PT-3.3-03] keywords are compared byte for byte and whole', () => {
  for (const line of [
    'version 1',
    'VERSION: 1',
    'VERSION\t1',
    'CMETHODX a b c',
    'CMETHODSX DONE',
    'VERSION-ERRORS x',
    'PROXY-DONE',
  ]) {
    assert.deepEqual(parseLine(line), { kind: 'unknown', line });
  }
});

test('[PT-3.3-04] everything after the first space is the argument text', () => {
  assert.deepEqual(parseLine('ENV-ERROR a'), { kind: 'ENV-ERROR', text: 'a' });
  assert.deepEqual(parseLine('ENV-ERROR  a'), { kind: 'ENV-ERROR', text: ' a' });
  for (const line of ['ENV-ERROR', 'ENV-ERROR ']) assert.equal(parseLine(line).kind, 'malformed');
});

test('[PT-3.3-06] a tab or a second space is no separator', () => {
  assert.equal(parseLine('PROXY\tDONE').kind, 'unknown');
  assert.equal(parseLine('PROXY  DONE').kind, 'malformed');
  assert.equal(parseLine('CMETHOD a\tsocks5 127.0.0.1:1').kind, 'malformed');
});

test('one CR at the end is dropped, as tor does; inside or twice it is an argument character', () => {
  assert.deepEqual(parseLine('CMETHODS DONE\r'), { kind: 'CMETHODS DONE' });
  assert.equal(parseLine('CMETHODS DONE\r\r').kind, 'malformed');
  assert.equal(parseLine('VERSION\r 1').kind, 'unknown');
});

for (const [ids, line] of [
  ['[PT-3.3-07]', 'CMETHODS MAYBE'],
  ['[PT-3.3-07]', 'CMETHODS'],
  ['[PT-3.3-07]', 'SMETHODS DONE now'],
  ['[PT-3.3-07]', 'PROXY'],
  ['[PT-3.3.1-07]', 'VERSION'],
  ['[PT-3.3.1-07]', 'VERSION 1 2'],
  ['[PT-3.3.1-03]', 'VERSION-ERROR'],
  ['[PT-3.3.2-08]', 'CMETHOD'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks5'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks6 127.0.0.1:1'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet SOCKS5 127.0.0.1:1'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks5 127.0.0.1:99999'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks5 127.0.0.1:0'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks5 localhost:1'],
  ['[PT-3.3.2-08]', 'CMETHOD trebuchet socks5 127.0.0.1:1 more'],
  ['[PT-3.3.2-08]', 'CMETHOD tre-buchet socks5 127.0.0.1:1'],
  ['[PT-3.3.2-11]', 'CMETHOD-ERROR trebuchet'],
  ['[PT-3.3.2-11]', 'CMETHOD-ERROR 9x no rocks'],
  ['[PT-3.3.3-03]', 'SMETHOD trebuchet'],
  ['[PT-3.3.3-03]', 'SMETHOD trebuchet 198.51.100.1'],
  ['[PT-3.3.3-03]', 'SMETHOD trebuchet 198.51.100.1:0'],
  ['[PT-3.3.3-03]', 'SMETHOD trebuchet example.net:1'],
  ['[PT-3.3.3-08]', 'SMETHOD rot 198.51.100.1:1 ARGS:N'],
  ['[PT-3.3.3-08]', 'SMETHOD rot 198.51.100.1:1 ARGS:N=1,'],
  ['[PT-3.3.3-08]', 'SMETHOD rot 198.51.100.1:1 ARGS:N=1 ARGS:M=2'],
  ['[PT-3.3.3-07]', 'SMETHOD rot 198.51.100.1:1 '],
] as const) {
  test(`${ids} malformed: ${line}`, () => {
    const message = parseLine(line);
    assert.equal(message.kind, 'malformed');
    assert.equal(message.kind === 'malformed' && message.keyword, line.split(' ')[0]);
  });
}

test('[PT-3.3.3-07] options that nobody knows are ignored', () => {
  assert.deepEqual(parseLine('SMETHOD rot 198.51.100.1:1 FOO:x ARGS:N=13 BAR'), {
    kind: 'SMETHOD',
    transport: 'rot',
    endpoint: { host: '198.51.100.1', port: 1 },
    args: [['N', '13']],
  });
});

test('IPv6 addresses stand in brackets', () => {
  const message: Message = {
    kind: 'CMETHOD',
    transport: 'a',
    protocol: 'socks4',
    endpoint: { host: '::1', port: 1 },
  };
  assert.equal(formatMessage(message), 'CMETHOD a socks4 [::1]:1');
  assert.deepEqual(parseLine('CMETHOD a socks4 [::1]:1'), message);
});

test('[PT-3.3-05] error texts become one line of US-ASCII', () => {
  assert.equal(
    formatMessage({ kind: 'ENV-ERROR', text: 'a\nb\r\nc\0dé\u{1f600}\te\x1b' }),
    'ENV-ERROR a b c?d??\te?',
  );
  const typography = '\u2018a\u2019 \u201cb\u201d c\u2026 d\u00a0e \u2013 f\u2011g';
  assert.equal(
    formatMessage({ kind: 'ENV-ERROR', text: typography }),
    `ENV-ERROR 'a' "b" c... d e - f-g`,
  );
  assert.equal(
    formatMessage({ kind: 'LOG', severity: 'notice', text: typography }),
    `LOG SEVERITY=notice MESSAGE="'a' \\"b\\" c... d e - f-g"`,
  );
  assert.equal(formatMessage({ kind: 'PROXY-ERROR', text: '\n' }), 'PROXY-ERROR unspecified');
  const kinds = ['VERSION-ERROR', 'ENV-ERROR', 'PROXY-ERROR'] as const;
  holds(
    fc.property(fc.constantFrom(...kinds), fc.string({ unit: 'binary' }), (kind, text) => {
      const line = formatMessage({ kind, text });
      assert.match(line, /^[\t\x20-\x7e]+$/);
      assert.equal(parseLine(line).kind, kind);
      const method = formatMessage({ kind: 'SMETHOD-ERROR', transport: 'a', text });
      assert.match(method, /^SMETHOD-ERROR a [\x20-\x7e\t]+$/);
    }),
    500,
  );
});

test('[PT-3.1-05] a very long transport name is neither cut nor refused', () => {
  const transport = 'n'.repeat(5000);
  const message: Message = {
    kind: 'CMETHOD',
    transport,
    protocol: 'socks5',
    endpoint: { host: '127.0.0.1', port: 1 },
  };
  assert.deepEqual(parseLine(formatMessage(message)), message);
});

test('a field that no line can carry is refused', () => {
  const endpoint = { host: '127.0.0.1', port: 1 };
  for (const message of [
    { kind: 'VERSION', version: '1 2' },
    { kind: 'CMETHOD', transport: 'a b', protocol: 'socks5', endpoint },
    {
      kind: 'CMETHOD',
      transport: 'a',
      protocol: 'socks5',
      endpoint: { host: '127.0.0.1', port: 0 },
    },
    {
      kind: 'CMETHOD',
      transport: 'a',
      protocol: 'socks5',
      endpoint: { host: 'localhost', port: 1 },
    },
    { kind: 'SMETHOD', transport: '', endpoint, args: [] },
    { kind: 'SMETHOD-ERROR', transport: 'a-b', text: 'x' },
    { kind: 'STATUS', pairs: [] },
    { kind: 'STATUS', pairs: [['a b', 'c']] },
  ] as const) {
    assert.throws(
      () => formatMessage(message),
      { code: 'ERR_PT_MESSAGE' },
      JSON.stringify(message),
    );
  }
  assert.throws(
    () => formatMessage({ kind: 'SMETHOD', transport: 'a', endpoint, args: [['k', 'a b']] }),
    {
      code: 'ERR_PT_SMETHOD_ARGS',
    },
  );
});

test('no line makes the reader throw, and what it understood can be written again', () => {
  const mutated = fc
    .tuple(
      fc.constantFrom(
        ...examples.map(([line]) => line),
        'LOG SEVERITY=info MESSAGE="a\\n"',
        'STATUS A=b C="d"',
      ),
      fc.nat(),
      fc.constantFrom('', ' ', '"', '\\', '=', ':', ',', '\0', 'é', 'x'),
      fc.nat(2),
    )
    .map(([line, at, insert, cut]) => {
      const index = at % (line.length + 1);
      return line.slice(0, index) + insert + line.slice(index + cut);
    });
  holds(
    fc.property(fc.oneof(mutated, fc.string({ unit: 'binary' })), (line) => {
      const message = parseLine(line);
      if (message.kind === 'unknown' || message.kind === 'malformed') {
        assert.equal(message.line, line);
        return;
      }
      const again = formatMessage(sayable(message));
      assert.deepEqual(parseLine(again), sayable(message));
    }),
    5000,
  );
  holds(
    fc.property(fc.uint8Array(), (bytes) => typeof parseLine(bytes).kind === 'string'),
    500,
  );
});

/** The reader takes more than the writer says: reduce a message to what survives. */
function sayable(message: Message): Message {
  const ascii = (text: string): string =>
    toAscii(text)
      .replace(/[^\x20-\x7e]/g, '?')
      .trim() || '?';
  if (message.kind === 'STATUS') {
    const pairs = message.pairs.map(
      ([key, value]) => [key.replace(/[^A-Za-z0-9_-]/g, '_'), ascii(value)] as const,
    );
    return { ...message, pairs };
  }
  if (message.kind === 'SMETHOD') {
    const args = message.args.map(
      ([key, value]) =>
        [key.replace(/[^\x21-\x7e]/g, '_'), value.replace(/[^\x21-\x7e]/g, '_')] as const,
    );
    return { ...message, args };
  }
  return 'text' in message ? { ...message, text: ascii(message.text) } : message;
}
