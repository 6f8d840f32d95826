/** The three argument grammars, side by side so that their differences show. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { formatServerOptions, parseServerOptions } from '../../src/pt/server-options.ts';
import { formatSmethodArgs, parseSmethodArgs } from '../../src/pt/smethod-args.ts';
import {
  decodeSocksArguments,
  encodeSocksArguments,
  joinUserPass,
  splitForUserPass,
} from '../../src/pt/socks-arguments.ts';
import { holds, textOf } from '../support/properties.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const encode = (args: KeyValues): string =>
  Buffer.from(encodeSocksArguments(args)).toString('utf8');
const decode = (text: string): KeyValues => decodeSocksArguments(bytes(text));

/** Texts made mostly of what the grammars escape. */
const nasty = (extra: string): fc.Arbitrary<string> =>
  textOf(`\\\\=;:,${extra}`, { maxLength: 12 });
const pairs = (text: fc.Arbitrary<string>): fc.Arbitrary<[string, string][]> =>
  fc.array(
    fc.tuple(
      text.filter((key) => key !== ''),
      text,
    ),
    { maxLength: 6 },
  );

test('[PT-3.5-03] backslash, equal sign and semicolon are escaped inside keys and values', () => {
  assert.equal(encode([['a=b', 'c;d\\e']]), 'a\\=b=c\\;d\\\\e');
  assert.deepEqual(decode('a\\=b=c\\;d\\\\e'), [['a=b', 'c;d\\e']]);
  holds(
    fc.property(pairs(nasty('a é\n')), (args) => assert.deepEqual(decode(encode(args)), args)),
    500,
  );
});

test('[PT-3.5-04] arguments are joined by semicolons, none after the last', () => {
  const args = [
    ['shared-secret', 'rahasia'],
    ['secrets-file', '/tmp/blob'],
  ] as const;
  assert.equal(encode(args), 'shared-secret=rahasia;secrets-file=/tmp/blob');
  assert.deepEqual(decode('shared-secret=rahasia;secrets-file=/tmp/blob'), args);
  assert.equal(encode([]), '');
  assert.deepEqual(decode(''), []);
});

test('SOCKS arguments keep order and duplicates, and every equal sign after the first', () => {
  assert.deepEqual(decode('k=1;k=2;a==b=c='), [
    ['k', '1'],
    ['k', '2'],
    ['a', '=b=c='],
  ]);
  assert.deepEqual(decode('__proto__=x;k='), [
    ['__proto__', 'x'],
    ['k', ''],
  ]);
  assert.deepEqual(decode('a=\\x\\\\'), [['a', 'x\\']]);
});

test('[PT-3.5-05] undecodable arguments are refused, and no error quotes them', () => {
  const faults: readonly (readonly [string, RegExp])[] = [
    ['secret', /argument 1 has no '='/],
    ['a=b;secret', /argument 2 has no '='/],
    ['a=b;', /argument 2 has no '='/],
    ['a=b;;c=d', /argument 2 has no '='/],
    ['=secret', /argument 1 has an empty key/],
    ['a=secret\\', /argument 1 ends in a lone backslash/],
    ['secret\\=x', /argument 1 has no '='/],
    ['secret\\', /argument 1 ends in a lone backslash/],
  ];
  for (const [text, message] of faults) {
    assert.throws(() => decode(text), { code: 'ERR_PT_SOCKS_ARGUMENTS', message }, text);
    assert.throws(
      () => decode(text),
      (error: Error) => !error.message.includes('secret'),
    );
  }
  assert.throws(() => decodeSocksArguments(Uint8Array.of(0x61, 0x3d, 0xff)), {
    code: 'ERR_PT_SOCKS_ARGUMENTS',
  });
});

test('[PT-3.5-06] arguments with NUL are refused before anything is sent', () => {
  assert.throws(() => encode([['a', 'b\0']]), { code: 'ERR_PT_SOCKS_ARGUMENTS' });
  assert.throws(() => encode([['a\0', 'b']]), { code: 'ERR_PT_SOCKS_ARGUMENTS' });
  assert.throws(() => encode([['', 'b']]), { code: 'ERR_PT_SOCKS_ARGUMENTS' });
});

test('[PT-3.5-09] [PT-3.5-10] up to 255 bytes go into the username, and the password is one NUL', () => {
  for (const length of [1, 100, 254, 255]) {
    const list = Buffer.alloc(length, 'x');
    const { username, password } = splitForUserPass(list);
    assert.deepEqual(Buffer.from(username), list);
    assert.deepEqual([...password], [0]);
    assert.deepEqual(joinUserPass(username, password), list);
  }
});

test('[PT-3.5-11] a longer list is split at byte 255, also inside an escape', () => {
  for (const length of [256, 510]) {
    const list = Buffer.from(`k=${'\\;'.repeat(300)}`).subarray(0, length);
    const { username, password } = splitForUserPass(list);
    assert.deepEqual([username.length, password.length], [255, length - 255]);
    assert.deepEqual(joinUserPass(username, password), list);
  }
  const args = [['k', ';'.repeat(200)]] as const;
  const { username, password } = splitForUserPass(encodeSocksArguments(args));
  assert.equal(username.at(-1), 0x5c, 'the split falls between a backslash and what it escapes');
  assert.deepEqual(decodeSocksArguments(joinUserPass(username, password)), args);
});

test('[PT-3.5-12] 511 bytes are refused, and so is an empty list', () => {
  assert.throws(() => splitForUserPass(Buffer.alloc(511, 'x')), {
    code: 'ERR_PT_SOCKS_ARGUMENTS',
    message: /511 bytes/,
  });
  assert.throws(() => splitForUserPass(new Uint8Array(0)), { code: 'ERR_PT_SOCKS_ARGUMENTS' });
});

test('[PT-3.2.3-08] the options of the specification', () => {
  const options = parseServerOptions('scramblesuit:key=banana;automata:rule=110;automata:depth=3');
  assert.deepEqual(
    [...options],
    [
      ['scramblesuit', [['key', 'banana']]],
      [
        'automata',
        [
          ['rule', '110'],
          ['depth', '3'],
        ],
      ],
    ],
  );
});

test('[PT-3.2.3-05] colon, semicolon and backslash are escaped in server options', () => {
  assert.equal(formatServerOptions(new Map([['t', [['k', 'a:b;c\\d']]]])), 't:k=a\\:b\\;c\\\\d');
  holds(
    fc.property(pairs(nasty('a é')), (list) => {
      const args = list.map(([key, value]): [string, string] => [
        `${key.replaceAll('=', '')}k`,
        value,
      ]);
      const text = formatServerOptions(
        new Map([
          ['t', args],
          ['u', args],
        ]),
      );
      const parsed = parseServerOptions(text);
      assert.deepEqual([parsed.get('t') ?? [], parsed.get('u') ?? []], [args, args]);
    }),
    500,
  );
});

test('[PT-3.2.3-06] the escapes of server options are removed', () => {
  assert.deepEqual(parseServerOptions('t:path=C\\:\\\\dir\\;x').get('t'), [['path', 'C:\\dir;x']]);
  assert.deepEqual(parseServerOptions('t:k\\=1=\\v=w').get('t'), [['k=1', 'v=w']]);
  assert.throws(() => parseServerOptions('t:path=C:x'), {
    code: 'ERR_PT_SERVER_OPTIONS',
    message: /item 1 has an unescaped ':'/,
  });
});

test('[PT-3.2.3-04] ill-formed server options are refused, and no error quotes them', () => {
  for (const text of [
    'secret',
    'a:secret',
    'a-b:k=secret',
    ':k=secret',
    'a:k=secret\\',
    'a:=secret',
    'a:k=v;',
    ';a:k=v',
    'a:k=v;;b:k=v',
    'a\\:k=secret',
    'a:k=v;b:k=s:ecret',
  ]) {
    assert.throws(
      () => parseServerOptions(text),
      (error: Error & { code?: string }) =>
        error.code === 'ERR_PT_SERVER_OPTIONS' && !error.message.includes('secret'),
      text,
    );
  }
  assert.equal(parseServerOptions('').size, 0);
});

test('options that the environment cannot carry are refused', () => {
  for (const [name, key, value] of [
    ['a-b', 'k', 'v'],
    ['a', '', 'v'],
    ['a', 'k=', 'v'],
    ['a', 'k', '\0'],
    ['a', '\0', 'v'],
  ] as const) {
    assert.throws(() => formatServerOptions(new Map([[name, [[key, value]]]])), {
      code: 'ERR_PT_SERVER_OPTIONS',
    });
  }
  assert.equal(formatServerOptions(new Map([['a', []]])), '');
});

test('[PT-3.3.3-10] equal sign, comma and backslash are escaped in SMETHOD ARGS', () => {
  assert.equal(formatSmethodArgs([['k', 'a=b,c']]), 'k=a\\=b\\,c');
  assert.equal(formatSmethodArgs([['k,', '\\']]), 'k\\,=\\\\');
  holds(
    fc.property(pairs(nasty('az~!')), (args) => {
      fc.pre(args.length > 0);
      assert.deepEqual(parseSmethodArgs(formatSmethodArgs(args)), args);
    }),
    500,
  );
  for (const value of ['a b', 'a\n', 'a\0', 'é', '\x7f', '\t']) {
    assert.throws(() => formatSmethodArgs([['k', value]]), { code: 'ERR_PT_SMETHOD_ARGS' });
    assert.throws(() => formatSmethodArgs([[value, 'v']]), { code: 'ERR_PT_SMETHOD_ARGS' });
  }
});

test('[PT-3.3.3-08] ARGS are pairs joined by commas; none are read, and never written', () => {
  assert.deepEqual(parseSmethodArgs(''), []);
  assert.deepEqual(parseSmethodArgs('N=13'), [['N', '13']]);
  assert.deepEqual(parseSmethodArgs('cert=abc,iat-mode=0'), [
    ['cert', 'abc'],
    ['iat-mode', '0'],
  ]);
  assert.deepEqual(parseSmethodArgs('k=aGk=='), [['k', 'aGk==']]);
  for (const text of ['a', 'a=b,', ',a=b', 'a=b,c', '=b', 'a=b\\', 'a\\=b']) {
    assert.throws(() => parseSmethodArgs(text), { code: 'ERR_PT_SMETHOD_ARGS' }, text);
  }
  assert.throws(() => formatSmethodArgs([]), { code: 'ERR_PT_SMETHOD_ARGS' });
  assert.throws(() => formatSmethodArgs([['', 'x']]), { code: 'ERR_PT_SMETHOD_ARGS' });
});

test('no bytes make a parser fail in any other way than by its own code', () => {
  const ownCode = (code: string, run: () => unknown): void => {
    try {
      run();
    } catch (error) {
      assert.equal((error as { code?: string }).code, code);
    }
  };
  holds(
    fc.property(fc.uint8Array({ maxLength: 40 }), nasty('at'), (raw, text) => {
      ownCode('ERR_PT_SOCKS_ARGUMENTS', () => decodeSocksArguments(raw));
      ownCode('ERR_PT_SOCKS_ARGUMENTS', () => decode(text));
      ownCode('ERR_PT_SERVER_OPTIONS', () => parseServerOptions(text));
      ownCode('ERR_PT_SMETHOD_ARGS', () => parseSmethodArgs(text));
    }),
    1000,
  );
});
