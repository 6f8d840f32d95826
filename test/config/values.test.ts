/** Every type of value: what it accepts, its canonical form, and what it refuses. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addressType,
  isInNetwork,
  listenType,
  mappingType,
  metricsPortType,
  orPortType,
  parseNetwork,
  poolType,
  proxyType,
} from '../../src/config/address-values.ts';
import { limits } from '../../src/limits.ts';
import { exitAllows, exitPolicyType } from '../../src/config/exit-policy.ts';
import { logType } from '../../src/config/log-values.ts';
import { optionTable } from '../../src/config/options.ts';
import {
  bridgeType,
  listenAddressType,
  serverPluginType,
  transportOptionsType,
} from '../../src/config/transport-values.ts';
import {
  controlPortType,
  controlSocketType,
  httpTunnelPortType,
  socksPortType,
} from '../../src/config/socket-values.ts';
import {
  booleanType,
  choiceType,
  integerType,
  intervalType,
  memoryType,
  pathType,
  type ValueType,
} from '../../src/config/value-types.ts';
import { holds, textOf } from '../support/properties.ts';

interface Case {
  readonly type: ValueType<unknown>;
  /** Text, and its canonical form where that is another. */
  readonly good: readonly (string | readonly [string, string])[];
  readonly bad: readonly string[];
}

const cases: Readonly<Record<string, Case>> = {
  boolean: { type: booleanType, good: ['0', '1'], bad: ['2', 'yes', 'true', '01', ''] },
  integer: {
    type: integerType(1, 8),
    good: ['1', '8', ['007', '7']],
    bad: ['0', '9', '-1', '1.5', 'one', '', '1e0', '0x1'],
  },
  memory: {
    type: memoryType(1),
    good: [
      '798720',
      ['100 KB', '102400'],
      ['100KB', '102400'],
      ['5 mbytes', '5242880'],
      ['1 GB', '1073741824'],
      ['1.5 k', '1536'],
      ['8 kbits', '1024'],
      ['12 bytes', '12'],
    ],
    bad: ['0', 'lots', '-1', '1 XB', '1 KB KB', '99999999 TB', '1,5 KB', 'KB', ''],
  },
  interval: {
    type: intervalType(10),
    good: [
      '10',
      ['2 minutes', '120'],
      ['1 hour', '3600'],
      ['1 week', '604800'],
      ['1.5 m', '90'],
      ['1 month', '2629728'],
      ['9', '10'],
    ],
    bad: ['soon', '1 fortnight', '-20', ''],
  },
  choice: { type: choiceType(['one', 'two']), good: ['one', ['TWO', 'two']], bad: ['', 'three'] },
  path: { type: pathType, good: ['/a b', '~/x', 'a', './a', '~a'], bad: [''] },
  listen: {
    type: listenType,
    good: [
      '0',
      'auto',
      '9050',
      ['AUTO', 'auto'],
      ['127.0.0.1:9050', '9050'],
      ['127.0.0.1:auto', 'auto'],
      '127.0.0.2:9050',
      '0.0.0.0:auto',
      '[::1]:443',
      ['[0:0::1]:auto', '[::1]:auto'],
      ['9050  x Y', '9050 x Y'],
    ],
    bad: [
      'abc',
      '70000',
      '65536',
      '-1',
      '00',
      'otherhost:1',
      '127.0.0.1:0',
      '::1:80',
      '9050 GroupWritable',
      'unix:/run/socks',
      '',
    ],
  },
  metricsPort: {
    type: metricsPortType,
    good: ['9035', ['[::1]:9035  Prometheus', '[::1]:9035']],
    bad: ['9035 Foo', '9035 prometheus Foo'],
  },
  controlSocket: {
    type: controlSocketType,
    good: [
      '0',
      '/run/tor/control',
      ['unix:/run/tor/control', '/run/tor/control'],
      ['~/c  groupwritable', '~/c GroupWritable'],
      [
        '/run/tor/control RelaxDirModeCheck GroupWritable',
        '/run/tor/control GroupWritable RelaxDirModeCheck',
      ],
      'unix:"/a b\\"c" GroupWritable',
      ['unix:"/a"', '/a'],
      'a',
      '/a b',
      '/a WorldWritable',
      ['"a"', 'a'],
    ],
    bad: ['', 'unix:', 'unix:"/a', 'unix:"/a"b'],
  },
  controlPort: {
    type: controlPortType,
    good: [
      ...['0', 'auto', '9051', 'unix:/a', 'unix:/a RelaxDirModeCheck', 'unix:"/a b"'],
      ...['unix:a', 'unix:/a b', 'unix:/a:1 x', '9051 NoSuchFlag'],
    ],
    bad: ['', '/a', '9051 GroupWritable'],
  },
  socksPort: {
    type: socksPortType,
    good: [
      ...['9050 IsolateDestPort OnionTrafficOnly', '9050 NoIPv4Traffic IPv6Traffic'],
      'unix:"/my tor/socks" WorldWritable IsolateDestPort',
      '9050 NoIPv4Traffic NoIPv6Traffic NoDNSRequest',
    ],
    // Nothing would be left, for Tor neither.
    bad: ['9050 NoIPv4Traffic NoIPv6Traffic', 'unix:/a OnionTrafficOnly NoOnionTraffic', 'x'],
  },
  httpTunnelPort: { type: httpTunnelPortType, good: ['8080 NoDNSRequest'], bad: ['unix:/a'] },
  orPort: {
    type: orPortType,
    good: [
      ...['0', '9001', '0.0.0.0:9001 NoAdvertise', '443 NoListen', '9001 IPv4Only NoSuchFlag'],
      ['9001 IPv6Only', '[::1]:9001 IPv6Only'],
      ['auto ipv6only', '[::1]:auto ipv6only'],
    ],
    bad: [
      ...['9001 IPv4Only IPv6Only', '9001 NoListen NoAdvertise', '127.0.0.1:9001 IPv6Only'],
      ...['[::1]:9001 IPv4Only', 'unix:/a'],
    ],
  },
  address: {
    type: addressType,
    good: ['192.0.2.1', ['[2001:db8::1]', '2001:db8::1'], ['Gate.Example', 'gate.example']],
    bad: ['192.0.2.1:443', '1.2.3', '0.0.0.0', ''],
  },
  proxy: {
    type: proxyType(1080),
    good: [['127.0.0.1', '127.0.0.1:1080'], '192.0.2.1:8080', ['[::1]', '[::1]:1080']],
    bad: ['proxy.example:1080', '127.0.0.1:0', '::1', ''],
  },
  pool: {
    type: poolType(4, 16),
    good: ['127.192.0.0/10', ['10.1.2.3/8', '10.0.0.0/8']],
    bad: ['10.0.0.0/17', '10.0.0.0', '[fc00::]/7', '10.0.0.0/x', ''],
  },
  mapping: {
    type: mappingType,
    good: [
      'a.example b.example',
      ['A.Example \t192.0.2.1', 'a.example 192.0.2.1'],
      ['[0::1] a.onion', '::1 a.onion'],
      ['*.A b', '*.a b'],
      '*.a *.b',
      // Tor warns of these and does not use them.
      ...['a', 'a b c', 'a 1.2.3', 'a .', 'a..b c', 'a *.b', '* b', '*.1.2.3.4 b', 'a*.b c'],
    ],
    bad: [],
  },
  exitPolicy: {
    type: exitPolicyType,
    good: [
      'reject *:25',
      ['accept *', 'accept *:*'],
      ['Accept  192.0.2.1/24:80-443 , reject *:*', 'accept 192.0.2.0/24:80-443,reject *:*'],
      'reject private:*',
      'accept [2001:db8::]/32:443',
      ['accept6 *:80', 'accept *6:80'],
      'reject *4:1-1023',
      ['accept *:443-443', 'accept *:443'],
      ['reject [::1]', 'reject [::1]:*'],
    ],
    bad: [
      'allow *:80',
      'accept',
      'accept *:0',
      'accept *:90-80',
      'accept *:65536',
      'accept 192.0.2.0/33:80',
      'accept6 192.0.2.1:80',
      'accept ::1:80',
      'accept *:80,,',
      'accept host.example:80',
      '',
    ],
  },
  bridge: {
    type: bridgeType,
    good: [
      'obfs4 192.0.2.3:443 cert=abc iat-mode=0',
      '192.0.2.3:443',
      ['Bridge  obfs4 192.0.2.3', 'obfs4 192.0.2.3:443'],
    ],
    bad: ['obfs4', 'obfs4 host.example:443', 'obfs4 192.0.2.3:443 cert', ''],
  },
  plugin: {
    type: serverPluginType,
    good: [
      'obfs4 builtin',
      ['obfs3,obfs4  BUILTIN', 'obfs3,obfs4 builtin'],
      'obfs4 exec /usr/bin/obfs4proxy',
      ['snowflake exec  /bin/s -log  x', 'snowflake exec /bin/s -log x'],
      'obfs4 exec obfs4proxy',
    ],
    bad: [
      'obfs4',
      'obfs4 exec',
      'obfs4 builtin x',
      'obfs4 socks5 127.0.0.1:1',
      'ob-fs builtin',
      'obfs3, obfs4 builtin',
      '',
    ],
  },
  listenAddress: {
    type: listenAddressType,
    good: ['obfs4 0.0.0.0:443', 'obfs4 [::]:0'],
    bad: ['obfs4', 'obfs4 443', 'obfs-4 0.0.0.0:1', 'obfs4 0.0.0.0:1 x', ''],
  },
  transportOptions: {
    type: transportOptionsType,
    good: ['obfs4 iat-mode=1', ['obfs4  a=b=c  d=', 'obfs4 a=b=c d=']],
    bad: ['obfs4', 'obfs4 iat-mode', 'obfs4 =1', 'o-4 a=1', ''],
  },
  log: {
    type: logType,
    good: [
      'notice stdout',
      ['WARN', 'warn stdout'],
      ['info-err StdErr', 'info stderr'],
      'debug-notice file /var/log/a b',
      ...['err-info stdout', 'notice file x', '[net]info stdout', '[*,~net]debug-info stderr'],
      ['[ Net , ~circ ] info [mm]DEBUG  notice', '[net,~circ]info [mm]debug notice stdout'],
    ],
    bad: [
      ...['loud stdout', 'notice journal', 'notice file', '', '[nosuch]info stdout'],
      ...['[]info stdout', 'info notice stdout', '[net] stdout', '[net info stdout'],
    ],
  },
  hashedPassword: {
    type: optionTable.HashedControlPassword.type,
    good: [
      [`16:${'ab'.repeat(29)}`, `16:${'AB'.repeat(29)}`],
      [Buffer.alloc(29, 1).toString('base64'), `16:${'01'.repeat(29)}`],
    ],
    bad: ['secret', '16:', `16:${'AB'.repeat(28)}`, `17:${'AB'.repeat(29)}`, ''],
  },
  userName: { type: optionTable.Socks5ProxyUsername.type, good: ['u'], bad: ['', 'x'.repeat(256)] },
  authenticator: {
    type: optionTable.HTTPSProxyAuthenticator.type,
    good: ['u:p', 'u:', 'u'],
    bad: [':p', ''],
  },
  nickname: {
    type: optionTable.Nickname.type,
    good: ['Bridge1'],
    bad: ['', 'a b', 'a'.repeat(20), 'é'],
  },
};

for (const [name, { type, good, bad }] of Object.entries(cases)) {
  describe(name, () => {
    test('reads these and writes their canonical form, which reads back as the same', () => {
      for (const item of good) {
        const [text, canonical] = typeof item === 'string' ? [item, item] : item;
        const value = type.parse(text);
        assert.equal(type.format(value), canonical, text);
        assert.deepEqual(type.parse(canonical), value, text);
      }
    });

    test('refuses these, without quoting them', () => {
      for (const text of bad) {
        assert.throws(
          () => type.parse(text),
          (error: { code?: string; message: string }) => {
            assert.ok(['ERR_CONFIG_VALUE', 'ERR_PASSPHRASE_HASH'].includes(error.code ?? ''), text);
            if (text.length > 8) assert.ok(!error.message.includes(text), error.message);
            return true;
          },
          text,
        );
      }
    });
  });
}

test('any text is either refused or brought into a form that stays', () => {
  const words = fc.array(
    fc.constantFrom(
      ...['accept', 'reject6', 'obfs4', 'exec', 'builtin', '/bin/x', '[::1]', '*:80', '0', 'auto'],
      ...['127.0.0.1:9', '10.0.0.0/8', 'a=b', 'notice', 'file', '5', 'KB', 'minutes', 'a.b', ','],
    ),
    { maxLength: 4 },
  );
  const texts = fc.oneof(
    words.map((list) => list.join(' ')),
    textOf('0159.:[]/-* ,=akKB', { maxLength: 16 }),
  );
  holds(
    fc.property(fc.constantFrom(...Object.values(cases)), texts, ({ type }, text) => {
      let canonical: string;
      try {
        canonical = type.format(type.parse(text));
      } catch (error) {
        assert.match(String((error as { code?: string }).code), /^ERR_(CONFIG_VALUE|PASSPHRASE)/);
        return;
      }
      assert.equal(type.format(type.parse(canonical)), canonical);
    }),
    5000,
  );
});

describe('isInNetwork', () => {
  const inside = (ip: readonly number[], network: string): boolean =>
    isInNetwork(Uint8Array.from(ip), parseNetwork(network)!);

  test('compares the bits of the prefix and no others', () => {
    assert.ok(inside([10, 1, 2, 3], '10.0.0.0/8'));
    assert.ok(!inside([11, 1, 2, 3], '10.0.0.0/8'));
    assert.ok(inside([127, 255, 0, 0], '127.192.0.0/10'));
    assert.ok(!inside([127, 191, 255, 255], '127.192.0.0/10'));
    assert.ok(inside([1, 2, 3, 4], '0.0.0.0/0'));
    assert.ok(inside([1, 2, 3, 4], '1.2.3.4'));
    assert.ok(!inside([1, 2, 3, 5], '1.2.3.4'));
    assert.ok(!inside(new Array<number>(16).fill(0), '0.0.0.0/0'));
  });
});

describe('exitAllows', () => {
  const rules = (...lines: string[]): ReturnType<typeof exitPolicyType.parse> =>
    lines.flatMap((line) => exitPolicyType.parse(line));

  test('the first rule that fits decides; what fits none is accepted', () => {
    const policy = rules('accept 192.0.2.1:25', 'reject *:25,reject 198.51.100.0/24:*');
    assert.equal(exitAllows(policy, true, '192.0.2.1', 25), true);
    assert.equal(exitAllows(policy, true, '192.0.2.2', 25), false);
    assert.equal(exitAllows(policy, true, '198.51.100.9', 443), false);
    assert.equal(exitAllows(policy, true, '198.51.101.9', 443), true);
    assert.equal(exitAllows(policy, true, '2001:db8::1', 25), false);
  });

  test('families and port ranges', () => {
    const policy = rules('accept *6:80-90', 'reject *:*');
    assert.equal(exitAllows(policy, true, '2001:db8::1', 80), true);
    assert.equal(exitAllows(policy, true, '2001:db8::1', 90), true);
    assert.equal(exitAllows(policy, true, '2001:db8::1', 91), false);
    assert.equal(exitAllows(policy, true, '192.0.2.1', 80), false);
  });

  test('private addresses are refused before any rule, unless that is switched off', () => {
    const hosts = [
      ...['0.0.0.0', '10.9.8.7', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.0.1'],
      ...['192.168.1.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::ffff:10.0.0.1'],
      ...['fc00::1', 'fd12::1', 'fe80::1', 'fec0::1', 'ff02::1'],
    ];
    for (const host of hosts) {
      assert.equal(exitAllows(rules('accept *:*'), true, host, 80), false, host);
      assert.equal(exitAllows(rules('accept *:*'), false, host, 80), true, host);
      assert.equal(exitAllows(rules('reject private:*'), false, host, 80), false, host);
    }
    for (const host of ['172.32.0.1', '192.0.2.1', '100.128.0.1', '2001:db8::1', '2600::1']) {
      assert.equal(exitAllows([], true, host, 80), true, host);
    }
  });

  test('an IPv4 address in an IPv6 address is judged as what it is', () => {
    const spellings = (ip: string, hex: string): string[] => [
      ip,
      `::ffff:${ip}`,
      `0:0:0:0:0:ffff:${hex}`,
      `64:ff9b::${ip}`,
      `64:ff9b:1::${hex}`,
      `2002:${hex}::1`,
    ];
    const loopback = spellings('127.0.0.1', '7f00:1');
    const foreign = spellings('192.0.2.1', 'c000:201');
    for (const host of loopback) {
      assert.equal(exitAllows(rules('reject 127.0.0.0/8:*'), false, host, 80), false, host);
      assert.equal(exitAllows(rules('reject private:*'), false, host, 80), false, host);
      assert.equal(exitAllows([], true, host, 80), false, host);
      assert.equal(exitAllows(rules('reject 192.0.2.0/24:*'), false, host, 80), true, host);
    }
    for (const host of [...loopback, ...foreign]) {
      assert.equal(exitAllows(rules('reject *4:*'), false, host, 80), false, host);
    }
    for (const host of foreign) {
      // NAT64 leads into the operator’s own network first.
      const isAllowed = !host.startsWith('64:ff9b:');
      assert.equal(exitAllows([], true, host, 80), isAllowed, host);
      assert.equal(exitAllows([], false, host, 80), true, host);
    }
    // The other way round, too: what is mapped is no IPv6 address.
    const onlyIpv4 = rules('accept *4:*', 'reject *:*');
    assert.equal(exitAllows(onlyIpv4, false, '::ffff:192.0.2.1', 80), true);
    assert.equal(exitAllows(rules('reject *6:*'), false, '::ffff:192.0.2.1', 80), true);
  });

  test('a run of blanks is passed over once', () => {
    // As much as a torrc may have; in quadratic time this test would not end.
    const blanks = ' '.repeat(limits.torrcBytes);
    assert.throws(() => exitPolicyType.parse(`reject${blanks}[`), { code: 'ERR_CONFIG_VALUE' });
    assert.equal(rules(`reject${blanks}*:25${blanks}`).length, 1);
  });

  test('a name is never allowed: it must be resolved first', () => {
    assert.equal(exitAllows([], false, 'localhost', 80), false);
  });
});
