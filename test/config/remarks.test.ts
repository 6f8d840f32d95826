/** What is taken as Tor takes it, and what is said of it. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { expandPath } from '../../src/config/node.ts';
import { remarksOn } from '../../src/config/remarks.ts';
import { rewriteTorrc } from '../../src/config/rewrite.ts';
import { forbidden, isIdleFlag, trafficOf } from '../../src/config/traffic.ts';

function remarks(text: string): readonly string[] {
  const configuration = Configuration.parse(text);
  const paths = remarksOn(configuration.values, (path) => expandPath(path, '/home/me'));
  return [...configuration.abbreviations, ...paths];
}

const obfs4 = 'obfs4 192.0.2.1:1';
const plugin = 'ServerTransportPlugin obfs4 builtin\n';

describe('remarks', () => {
  for (const [text, remark] of [
    ['SocksPort 9050 NoSuchFlag', 'SocksPort: NoSuchFlag is not used: there is no such flag'],
    [
      'SocksPort 9050 IsolateDestAdr',
      'SocksPort: IsolateDestAdr is not used: there is no such flag; did you mean IsolateDestAddr?',
    ],
    ['HTTPTunnelPort 1 Foo', 'HTTPTunnelPort: Foo is not used: there is no such flag'],
    ['ControlPort 9051 Foo', 'ControlPort: Foo is not used: there is no such flag'],
    [
      'ControlSocket "/tmp/a b"',
      'ControlSocket: b is not used: there is no such flag; a path with blanks is quoted: unix:"/a b"',
    ],
    ['ORPort 9001 Foo', 'ORPort: Foo is not used: there is no such flag'],
    ['ExtORPort 9001 Foo', 'ExtORPort: Foo is not used: there is no such flag'],
    [
      'ControlPort unix:/a WorldWritable',
      'WorldWritable: every user of this machine is let in: add CookieAuthentication 1',
    ],
    ['Log err-warn stdout', 'Log: err-warn takes no line: the lesser severity comes first'],
    [
      'MapAddress a.example',
      'MapAddress: a line is not used: it must be two addresses or host names',
    ],
    [
      'MapAddress a.example *.b.example',
      'MapAddress: a line is not used: a name cannot be mapped to all names below another',
    ],
    [
      `UseBridges 1\nBridge ${obfs4}`,
      'Bridge: no ClientTransportPlugin line carries out obfs4: a bridge that needs it is never reached',
    ],
    [
      'ServerTransportListenAddr obfs4 0.0.0.0:1',
      'ServerTransportListenAddr: no ServerTransportPlugin line carries out obfs4: the line is not used',
    ],
    [
      'ServerTransportOptions obfs4 private-key=secret',
      'ServerTransportOptions: no ServerTransportPlugin line carries out obfs4: the line is not used',
    ],
    [
      'ClientTransportPlugin obfs4 builtin\nClientTransportPlugin obfs3,obfs4 builtin',
      'ClientTransportPlugin: two lines name obfs4: the first is used',
    ],
    [plugin.repeat(2), 'ServerTransportPlugin: two lines name obfs4: the first is used'],
    [
      `${plugin}${'ServerTransportListenAddr obfs4 0.0.0.0:1\n'.repeat(2)}`,
      'ServerTransportListenAddr: two lines name obfs4: the first is used',
    ],
    [
      `${plugin}${'ServerTransportOptions obfs4 a=b\n'.repeat(2)}`,
      'ServerTransportOptions: two lines name obfs4: the first is used',
    ],
    ...(
      [
        ['DataDirectory', ''],
        ['CookieAuthFile', ''],
        ['SocksPort', 'unix:'],
        ['ControlPort', 'unix:'],
        ['ControlSocket', ''],
        ['Log', 'notice file '],
        ['ClientTransportPlugin', 'obfs4 exec '],
        ['ServerTransportPlugin', 'obfs4 exec '],
      ] as const
    ).map(
      ([option, before]) =>
        [
          `${option} ${before}./a`,
          `${option}: the path is relative, and means ${resolve('a')}`,
        ] as const,
    ),
    ['UseBridge 0', 'UseBridge (line 1): did you mean UseBridges? It is taken for that, as by Tor'],
  ] as const) {
    test(`of ${JSON.stringify(text)}`, () => assert.deepEqual(remarks(text), [remark]));
  }

  test('of what is in order nothing is said', () => {
    for (const text of [
      'SocksPort 9050 IsolateDestAddr NoIPv4Traffic SessionGroup=3 NoCacheDNS NoPreferIPv6',
      'ControlPort unix:/a WorldWritable\nCookieAuthentication 1',
      `Bridge ${obfs4}`,
      `UseBridges 1\nBridge ${obfs4}\nClientTransportPlugin obfs4 exec /a`,
      'ORPort 9001 NoAdvertise IPv4Only',
      'DataDirectory ~/a\nLog notice file /var/log/a\nControlSocket /a',
      'MapAddress *.a.example *.b.example',
    ]) {
      assert.deepEqual(remarks(text), [], text);
    }
  });
});

describe('an abbreviated keyword', () => {
  test('is the first of Tor’s options that begins so, in a torrc alone', () => {
    assert.equal(Configuration.parse('nickn gate').values.Nickname, 'gate');
    assert.deepEqual(Configuration.parse('Sock 127.0.0.1').values.Socks4Proxy, {
      host: '127.0.0.1',
      port: 1080,
    });
    const unknown = { code: 'ERR_CONFIG_KEY' };
    assert.throws(() => Configuration.parse('Circuit 1'), unknown, 'CircuitBuildTimeout is Tor’s');
    assert.throws(() => Configuration.parse('').changedBy('Nick gate'), unknown);
  });

  test('is kept when the torrc is saved, and gives way to another value', () => {
    const text = 'Nick gate # mine\n';
    const configuration = Configuration.parse(text);
    assert.equal(
      rewriteTorrc(text, configuration.changedBy('ContactInfo me')),
      `${text}ContactInfo me\n`,
    );
    assert.equal(rewriteTorrc(text, configuration.changedBy('Nickname other')), 'Nickname other\n');
  });
});

describe('the flags of a port', () => {
  const hosts = ['192.0.2.1', '2001:db8::1', 'a.example', 'a.onion'];
  for (const [flags, passing] of [
    [[], hosts],
    [['OnionTrafficOnly'], ['a.onion']],
    [['noonionTRAFFIC'], ['192.0.2.1', '2001:db8::1', 'a.example']],
    [['NoDNSRequest'], ['192.0.2.1', '2001:db8::1', 'a.onion']],
    // Which of the two a name stands for is seen by the bridge alone, which is told.
    [['NoIPv4Traffic'], ['2001:db8::1', 'a.example', 'a.onion']],
    [['NoIPv6Traffic'], ['192.0.2.1', 'a.example', 'a.onion']],
    [['NoIPv4Traffic', 'IPv4Traffic'], hosts],
    [
      ['OnionTrafficOnly', 'IPv6Traffic'],
      ['2001:db8::1', 'a.onion'],
    ],
  ] as const) {
    test(`${flags.join(' ') || 'none'} let through what they let through in Tor`, () => {
      const traffic = trafficOf(flags);
      assert.deepEqual(
        hosts.filter((host) => forbidden(traffic, host) === undefined),
        passing,
      );
    });
  }

  test('those that say nothing of what may pass are told apart', () => {
    assert.equal(isIdleFlag('IsolateDestPort'), true);
    for (const flag of ['OnionTrafficOnly', 'NoIPv6Traffic', 'DNSRequest']) {
      assert.equal(isIdleFlag(flag), false);
    }
  });
});
