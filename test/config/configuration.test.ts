import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../src/config/configuration.ts';
import { optionGroups, optionTable } from '../../src/config/options.ts';
import { embeddedVocabulary } from '../../src/config/vocabulary.ts';
import { holds } from '../support/properties.ts';

/** What GETCONF answers, as lines. */
function answer(configuration: Configuration, ...keys: string[]): string[] {
  return configuration.get(keys).map(({ key, value }) => `${key} ${value}`);
}

const obfs4 = 'ClientTransportPlugin obfs4 builtin\n';
const hiddenServices = [
  'HiddenServiceDir /one',
  'HiddenServicePort 80 127.0.0.1:8080',
  'HiddenServicePort 443',
  'HiddenServiceDir /two',
  'HiddenServicePort 22',
  'HiddenServiceNodes alice,bob',
  'HiddenServiceExcludeNodes mallory',
];

describe('get', () => {
  test('[TC-3.4-02] answers in the order of the request, a key asked twice twice', () => {
    const configuration = Configuration.parse('ContactInfo alice\nSocksPort 19150\n');
    assert.deepEqual(answer(configuration, 'SocksPort', 'ContactInfo', 'SocksPort'), [
      'SocksPort 19150',
      'ContactInfo alice',
      'SocksPort 19150',
    ]);
    assert.deepEqual(answer(configuration), []);
  });

  test('[TC-3.4-02] defaults come in canonical units, an unset option without one not at all', () => {
    const configuration = Configuration.parse('');
    assert.deepEqual(answer(configuration, 'MaxCircuitDirtiness', 'ContactInfo', 'BandwidthRate'), [
      'MaxCircuitDirtiness 600',
      'BandwidthRate 1073741824',
    ]);
    assert.deepEqual(answer(configuration, 'UseBridges', 'ControlPort', 'Bridge'), [
      'UseBridges 0',
      'ControlPort 0',
    ]);
    const given = Configuration.parse('BandwidthRate 780 KB\nMaxCircuitDirtiness 2 minutes');
    assert.deepEqual(answer(given, 'BandwidthRate', 'MaxCircuitDirtiness'), [
      'BandwidthRate 798720',
      'MaxCircuitDirtiness 120',
    ]);
  });

  test('[TC-3.4-01] keys compare without regard to case and come back in canonical spelling', () => {
    const configuration = Configuration.parse('socksport 19150\n');
    for (const key of ['SocksPort', 'socksport', 'SOCKSPORT']) {
      assert.deepEqual(answer(configuration, key), ['SocksPort 19150']);
    }
  });

  test('[TC-3.4-03] every line of a list, in the order of the configuration', () => {
    const lines = ['accept 192.0.2.1:80', 'accept 192.0.2.2:80', 'reject *:*'];
    const text = lines.map((line) => `ExitPolicy ${line}\n`).join('SafeLogging 1\n');
    assert.deepEqual(
      answer(Configuration.parse(text), 'ExitPolicy'),
      lines.map((line) => `ExitPolicy ${line}`),
    );
  });

  test('[TC-3.4-04] any unknown key is an error that names it', () => {
    const configuration = Configuration.parse('');
    for (const keys of [['NoSuchKey'], ['SocksPort', 'NoSuchKey'], ['NoSuchKey', 'SocksPort']]) {
      assert.throws(() => configuration.get(keys), {
        code: 'ERR_CONFIG_KEY',
        message: /^NoSuchKey: /,
      });
    }
    for (const key of ['Socks', 'SocksPort 9', 'constructor', '__proto__', '']) {
      assert.throws(() => configuration.get([key]), { code: 'ERR_CONFIG_KEY' }, key);
    }
    assert.throws(
      () => configuration.get(['x'.repeat(60_000)]),
      (error: Error) => {
        return error.message.length < 200;
      },
    );
  });

  test('[TC-3.4-05] [TC-3.4-06] a context option has no answer, its group has all lines', () => {
    const configuration = Configuration.parse(hiddenServices.join('\n'));
    for (const member of Object.keys(optionGroups['HiddenServiceOptions']!.members)) {
      assert.deepEqual(answer(configuration, member), []);
    }
    assert.deepEqual(answer(configuration, 'hiddenserviceoptions'), hiddenServices);
    assert.deepEqual(answer(Configuration.parse(''), 'HiddenServiceOptions'), []);
  });
});

describe('changedBy', () => {
  const change = (text: string, lines: string, ...keys: string[]): string[] =>
    answer(Configuration.parse(text).changedBy(lines), ...keys);

  test('[TC-3.3-02] a line means what it means in a torrc', () => {
    const lines = [
      '  sockSPORT \t 9150 # comment\r\n',
      'ContactInfo " # quoted "\n# comment\n\n',
      'BandwidthRate \\\n 100 KB',
    ];
    const keys = ['SocksPort', 'ContactInfo', 'BandwidthRate'];
    const expected = ['SocksPort 9150', 'ContactInfo  # quoted ', 'BandwidthRate 102400'];
    assert.deepEqual(answer(Configuration.parse(lines.join('')), ...keys), expected);
    assert.deepEqual(change('', lines.join(''), ...keys), expected);
  });

  test('an empty text, blanks and comments change nothing', () => {
    const configuration = Configuration.parse('ContactInfo alice\n');
    for (const text of ['', '\n', '   ', '# comment\n']) {
      assert.equal(configuration.changedBy(text).differencesFrom(configuration).size, 0);
    }
  });

  test('the last line of an option with one value wins', () => {
    assert.deepEqual(change('', 'ContactInfo one\nContactInfo two\n', 'ContactInfo'), [
      'ContactInfo two',
    ]);
    assert.deepEqual(change('ContactInfo x', 'ContactInfo one\nContactInfo\n', 'ContactInfo'), []);
  });

  test('[TC-3.3-05] naming a list resets it; the lines of one message add up', () => {
    const two = 'ControlPort 9051\nControlPort 9052\n';
    assert.deepEqual(change(two, 'ControlPort 9053', 'ControlPort'), ['ControlPort 9053']);
    assert.deepEqual(
      change(two, 'ControlPort 3\nSafeLogging 0\nControlPort 1\nControlPort 2\n', 'ControlPort'),
      ['ControlPort 3', 'ControlPort 1', 'ControlPort 2'],
    );
    assert.deepEqual(change(two, 'SafeLogging 0', 'ControlPort'), [
      'ControlPort 9051',
      'ControlPort 9052',
    ]);
    // Recorded from r3351 (setconf/multi_valued_clear_then_set).
    assert.deepEqual(change(two, 'ControlPort 1\nControlPort\nControlPort 2\n', 'ControlPort'), [
      'ControlPort 2',
    ]);
  });

  test('[TC-3.3-07] a key alone goes back to the default', () => {
    const text = 'MaxCircuitDirtiness 77\nContactInfo x\nSocksPort 1\nSocksPort 2\n';
    for (const blank of ['', ' ', ' # nothing', ' ""']) {
      const lines = `MaxCircuitDirtiness${blank}\nContactInfo${blank}\nSocksPort${blank}\n`;
      assert.deepEqual(change(text, lines, 'MaxCircuitDirtiness', 'ContactInfo', 'SocksPort'), [
        'MaxCircuitDirtiness 600',
        'SocksPort 9050',
      ]);
    }
  });

  test('[TC-3.3-06] naming any member of a group resets the whole group', () => {
    const lines = 'HiddenServiceDir /three\nHiddenServicePort 25\n';
    assert.deepEqual(change(hiddenServices.join('\n'), lines, 'HiddenServiceOptions'), [
      'HiddenServiceDir /three',
      'HiddenServicePort 25',
    ]);
    for (const key of ['HiddenServicePort', 'HiddenServiceDir', 'HiddenServiceOptions']) {
      assert.deepEqual(change(hiddenServices.join('\n'), key, 'HiddenServiceOptions'), [], key);
    }
    assert.deepEqual(
      change(hiddenServices.join('\n'), 'ContactInfo x', 'HiddenServiceOptions'),
      hiddenServices,
    );
  });

  const refused: readonly [lines: string, code: string, message: RegExp][] = [
    ['NoSuchKey 1', 'ERR_CONFIG_KEY', /^NoSuchKey \(line 1\): /],
    ['ContactInfo x\n\nNoSuchKey 1', 'ERR_CONFIG_KEY', /^NoSuchKey \(line 3\): /],
    ['ContactInfo=x', 'ERR_CONFIG_KEY', /line 1/],
    ['Contact x', 'ERR_CONFIG_KEY', /line 1/],
    ['SocksPort abc', 'ERR_CONFIG_VALUE', /^SocksPort \(line 1\): /],
    ['SocksPort 70000', 'ERR_CONFIG_VALUE', /^SocksPort \(line 1\): /],
    ['ContactInfo x\nSafeLogging yes', 'ERR_CONFIG_VALUE', /^SafeLogging \(line 2\): /],
    ['HiddenServiceOptions x', 'ERR_CONFIG_VALUE', /^HiddenServiceOptions \(line 1\): /],
    [
      'HiddenServicePort 80',
      'ERR_CONFIG_VALUE',
      /^HiddenServicePort \(line 1\): .*HiddenServiceDir/,
    ],
    ['HiddenServiceDir /a\nHiddenServiceDir\nHiddenServicePort 80', 'ERR_CONFIG_VALUE', /line 3/],
    ['ContactInfo ja\0ck', 'ERR_CONFIG_SYNTAX', /^line 1: /],
    ['ContactInfo "x', 'ERR_CONFIG_SYNTAX', /^line 1: /],
  ];
  for (const [lines, code, message] of refused) {
    test(`[TC-3.3-04] refuses ${JSON.stringify(lines)} as a whole`, () => {
      const configuration = Configuration.parse('ContactInfo alice');
      assert.throws(() => configuration.changedBy(lines), { code, message });
      assert.deepEqual(answer(configuration, 'ContactInfo'), ['ContactInfo alice']);
    });
  }

  test('60 KB of lines are as good as one', () => {
    const many = 'ControlPort 9051\nControlPort\n'.repeat(2200);
    assert.ok(many.length > 60_000);
    assert.deepEqual(change('', `${many}ControlPort 9052`, 'ControlPort'), ['ControlPort 9052']);
  });
});

describe('values', () => {
  test('an absent port is an empty list or undefined, auto is port 0', () => {
    const { values } = Configuration.parse('SocksPort 0\nControlPort auto\nORPort 0.0.0.0:9001');
    assert.deepEqual(values.SocksPort, []);
    assert.deepEqual(values.ControlPort, [{ host: '127.0.0.1', port: 0 }]);
    assert.deepEqual(values.ORPort, [{ host: '0.0.0.0', port: 9001 }]);
    assert.equal(values.ExtORPort, undefined);
  });

  test('defaults of the place stand between those of the table and the torrc', () => {
    const place = { DataDirectory: '/var/lib/postern' };
    assert.equal(Configuration.parse('', place).values.DataDirectory, '/var/lib/postern');
    assert.equal(Configuration.parse('').values.DataDirectory, undefined);
    const changed = Configuration.parse('DataDirectory /x', place);
    assert.equal(changed.values.DataDirectory, '/x');
    assert.equal(changed.changedBy('DataDirectory').values.DataDirectory, '/var/lib/postern');
    assert.deepEqual(answer(Configuration.parse('', place), 'datadirectory'), [
      'DataDirectory /var/lib/postern',
    ]);
  });

  test('differencesFrom names what is different in force, not what is written differently', () => {
    const before = Configuration.parse('BandwidthRate 100 KB\nControlPort 0\nNickname a');
    const after = before.changedBy('BandwidthRate 102400\nControlPort\nNickname b\nSafeLogging 1');
    assert.deepEqual([...after.differencesFrom(before)], ['Nickname']);
  });
});

describe('rules', () => {
  const wrong: readonly (readonly [text: string, message: RegExp])[] = [
    ['Socks4Proxy 127.0.0.1\nSocks5Proxy 127.0.0.1', /^Socks4Proxy, Socks5Proxy, HTTPSProxy: /],
    ['Socks5Proxy 127.0.0.1\nSocks5ProxyUsername a', /^Socks5ProxyUsername, Socks5ProxyPassword: /],
    [
      'HTTPSProxy 127.0.0.1\nHTTPSProxyAuthenticator :b',
      /a user name, and after a colon a password/,
    ],
    ['UseBridges 1', /^UseBridges: needs a Bridge/],
    ['UseBridges 1\nBridge 192.0.2.1:1\nCircuitHops 2', /^CircuitHops: /],
    ['BandwidthRate 2 KB\nBandwidthBurst 1 KB', /^BandwidthBurst: /],
    ['ControlPort 0.0.0.0:9051', /^ControlPort: off loopback/],
  ];
  for (const [text, message] of wrong) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => Configuration.parse(text), { code: 'ERR_CONFIG_VALUE', message });
    });
  }

  test('accepts what fits together', () => {
    for (const text of [
      'Socks5Proxy 127.0.0.1\nSocks5ProxyUsername a\nSocks5ProxyPassword b',
      'HTTPSProxy 127.0.0.1\nHTTPSProxyAuthenticator a:b',
      `UseBridges 1\nBridge obfs4 192.0.2.1:1\nBridge 192.0.2.1:2\nCircuitHops 2\n${obfs4}`,
      'Bridge obfs4 192.0.2.1:1', // not in use, so nobody has to carry it out
      'ControlPort 0.0.0.0:9051\nCookieAuthentication 1',
      `ControlPort 0.0.0.0:9051\nHashedControlPassword 16:${'00'.repeat(29)}`,
      'ControlPort [::1]:9051',
      'ServerTransportPlugin obfs4 builtin\nServerTransportListenAddr obfs4 0.0.0.0:1',
    ]) {
      assert.ok(Configuration.parse(text), text);
    }
  });
});

describe('the table', () => {
  test('every default is in canonical form', () => {
    for (const [name, { type, default: text }] of Object.entries(optionTable)) {
      if (text !== undefined) assert.equal(type.format(type.parse(text)), text, name);
    }
  });

  test('every option has one sentence, and no two keywords differ only in case', () => {
    const members = Object.values(optionGroups).map((group) => group.members);
    const sentences = [
      ...Object.entries(optionTable).map(([name, { summary }]) => [name, summary] as const),
      ...members.flatMap((group) => Object.entries(group)),
    ];
    for (const [name, sentence] of sentences) {
      assert.match(sentence, /^[A-Z][^\n]*\.$/, name);
      assert.notEqual(embeddedVocabulary.find(name.toUpperCase()), undefined, name);
    }
    const names = [...sentences.map(([name]) => name), ...Object.keys(optionGroups)];
    assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
  });

  test('random lines leave a whole configuration or an error with a code', () => {
    const keys = [...Object.keys(optionTable), 'HiddenServiceDir', 'HiddenServicePort', 'Unknown'];
    const values = ['', '0', '1', 'auto', 'obfs4 builtin', '192.0.2.1:1', 'x y', '100 KB', '/x'];
    const line = fc
      .tuple(fc.constantFrom(...keys), fc.constantFrom(...values))
      .map(([key, value]) => `${key} ${value}\n`);
    const empty = Configuration.parse('');
    holds(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        try {
          const changed = empty.changedBy(lines.join(''));
          const text = [...changed.settings().values()].flat();
          const again = Configuration.parse(text.map((s) => `${s.key} ${s.value}\n`).join(''));
          assert.equal(again.differencesFrom(changed).size, 0);
        } catch (error) {
          assert.match(String((error as { code?: string }).code), /^ERR_CONFIG_(KEY|VALUE)$/);
        }
      }),
      1000,
    );
  });
});
