/** SETCONF, GETCONF and SAVECONF, all the way to the real Tor and back. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PosternError } from '../../../src/errors.ts';
import type { ControlClient } from '../../../src/control/node/client.ts';
import type { TorControl } from '../../../src/tor-control/node/control.ts';
import { torMissing } from '../../support/tor.ts';
import {
  getConf,
  offline,
  refusal,
  shared,
  startTorDaemon,
  torBehind,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const all = shared();
let daemon: TestDaemon;
let control: ControlClient;
let tor: TorControl;

/** SETCONF with a body as it stands. */
async function setLines(lines: string): Promise<void> {
  await daemon.daemon.setConf(lines);
}

/** What Tor itself has, as `Key Value` lines. */
async function inTor(...keys: string[]): Promise<string[]> {
  return (await tor.getConf(keys)).map(({ key, value }) => `${key} ${value ?? '-'}`);
}

describe('configuration of a real Tor over TC', { skip: torMissing }, () => {
  before(async () => {
    daemon = await startTorDaemon(
      all,
      `${offline}# Who to ask.\nContactInfo "alice # not <bob>" # the operator\nConnLimit 900\n`,
    );
    ({ control } = daemon);
    tor = await torBehind(all, daemon);
  });
  after(() => all.close());

  test('[TC-3.4-02] GETCONF answers in the order of the request, ours and Tor’s, each as often as asked', async () => {
    assert.deepEqual(
      await getConf(
        control,
        ...['ConnLimit', 'Engine', 'contactINFO', 'SAFELOGGING', 'ConnLimit', 'Nickname'],
        ...['BandwidthRate', 'TorBinary', 'UseBridges', 'Bridge', 'CookieAuthentication'],
      ),
      [
        ...['ConnLimit 900', 'Engine tor', 'ContactInfo alice # not <bob>', 'SafeLogging 1'],
        ...['ConnLimit 900', 'BandwidthRate 1073741824', 'UseBridges 0', 'CookieAuthentication 0'],
      ],
    );
    assert.deepEqual(await getConf(control, 'Log'), ['Log notice stdout']);
  });

  test('[TC-3.4-01] keys of any letter case come back as Tor spells them, whoever keeps them', async () => {
    assert.deepEqual(await getConf(control, 'connlimit', 'CONNLIMIT', 'engine'), [
      'ConnLimit 900',
      'ConnLimit 900',
      'Engine tor',
    ]);
  });

  test('[TC-3.4-04] an unknown key is an error that names it, before Tor is asked anything', async () => {
    for (const key of [
      'NoSuchOption',
      'Socks',
      'HiddenServiceNodes',
      'HiddenServiceExcludeNodes',
    ]) {
      await assert.rejects(control.getConf(['ConnLimit', key]), refusal(4, new RegExp(key)));
      await assert.rejects(
        control.setConf([{ key, value: '1' }]),
        refusal(4, new RegExp(`${key} \\(line 1\\)`)),
      );
    }
  });

  test('the way on which we control our Tor is nobody else’s: neither shown nor set', async () => {
    const port = String(daemon.daemon.endpoints.control[0]!.port);
    assert.deepEqual(await getConf(control, 'ControlPort', 'ControlSocket'), ['ControlPort auto']);
    assert.notEqual(port, '0');
    const names = (await tor.getInfo('config/names')).get('config/names')!.split('\n');
    const keys = names.map((line) => line.split(' ')[0]!);
    assert.ok(keys.length > 300);
    for (const key of keys) {
      const answer = await control.getConf([key]).catch((error: unknown) => {
        assert.ok(error instanceof PosternError && error.code === 'ERR_CONTROL_REFUSED', key);
        return [];
      });
      for (const { value } of answer) {
        assert.ok(!value.includes('postern/control'), `${key} ${value}`);
      }
    }
    for (const key of [
      '__ControlPort',
      '__OwningControllerProcess',
      '__OwningControllerFD',
      '__HashedControlSessionPassword',
      'ControlPortWriteToFile',
    ]) {
      await assert.rejects(control.setConf([{ key, value: '1' }]), refusal(4));
    }
  });

  test('[TC-3.3-03] [TC-3.3-05] a list is what the last SETCONF named, in its order, and all of it', async () => {
    const bridges = ['192.0.2.9:1', '192.0.2.1:2', '192.0.2.5:3'];
    await control.setConf(bridges.map((value) => ({ key: 'bridge', value })));
    assert.deepEqual(
      await getConf(control, 'Bridge'),
      bridges.map((value) => `Bridge ${value}`),
    );
    await setLines('Bridge 192.0.2.7:7\nConnLimit 901\nBRIDGE 192.0.2.6:6\n');
    assert.deepEqual(await inTor('Bridge', 'ConnLimit'), [
      'Bridge 192.0.2.7:7',
      'Bridge 192.0.2.6:6',
      'ConnLimit 901',
    ]);
  });

  test('[TC-3.3-07] a key alone goes back to the default, in Tor as well', async () => {
    await setLines('Bridge\nConnLimit \nContactInfo x\n');
    assert.deepEqual(await getConf(control, 'Bridge', 'ConnLimit'), ['ConnLimit 1000']);
    assert.deepEqual(await inTor('Bridge', 'ConnLimit', 'ContactInfo'), [
      'Bridge -',
      'ConnLimit 1000',
      'ContactInfo x',
    ]);
    await setLines('ConnLimit 5\nConnLimit\n');
    assert.deepEqual(await getConf(control, 'ConnLimit'), ['ConnLimit 1000']);
    await setLines('SafeLogging 0\nSafeLogging\nLog\n');
    assert.deepEqual(await getConf(control, 'SafeLogging', 'Log'), [
      'SafeLogging 1',
      'Log notice stdout',
    ]);
  });

  test('[TC-3.3-06] [TC-3.4-05] [TC-3.4-06] [TC-3.4-07] hidden services are a group', async () => {
    const service = (name: string): string => join(daemon.directory, name);
    const [a, b] = [service('a'), service('b')];
    await setLines(
      `hiddenservicedir ${a}\nHiddenServicePort 80 127.0.0.1:8080\nHiddenServicePort 81 127.0.0.1:8081\nHIDDENSERVICEDIR ${b}\nHiddenServicePort 82\nHiddenServiceMaxStreams 7\n`,
    );
    const lines = [
      ...[`HiddenServiceDir ${a}`, 'HiddenServicePort 80 127.0.0.1:8080'],
      ...['HiddenServicePort 81 127.0.0.1:8081', `HiddenServiceDir ${b}`, 'HiddenServicePort 82'],
      'HiddenServiceMaxStreams 7',
    ];
    assert.deepEqual(await getConf(control, 'HiddenServiceOptions'), lines);
    assert.deepEqual(
      (await control.getHiddenServiceConf()).map(({ key, value }) => `${key} ${value}`),
      lines,
    );
    assert.deepEqual(await getConf(control, 'HiddenServiceDir', 'hiddenserviceport'), []);
    assert.match(await readFile(join(a, 'hostname'), 'utf8'), /^[a-z2-7]{56}\.onion\n$/);

    // Tor refuses the second, and the first stays whole.
    await assert.rejects(
      setLines(`HiddenServiceDir ${a}\nHiddenServicePort 80\nHiddenServiceVersion 2\n`),
      { code: 'ERR_CONFIG_VALUE' },
    );
    await assert.rejects(control.setConf([{ key: 'HiddenServicePort', value: '80' }]), refusal(5));
    await assert.rejects(
      control.setConf([{ key: 'HiddenServiceOptions', value: 'x' }]),
      refusal(5),
    );
    assert.deepEqual(await getConf(control, 'HiddenServiceOptions'), lines);

    await setLines(`HiddenServiceDir ${b}\nHiddenServicePort 90\n`);
    assert.deepEqual(await getConf(control, 'HiddenServiceOptions'), [
      `HiddenServiceDir ${b}`,
      'HiddenServicePort 90',
    ]);
    // Any member clears the group.
    await setLines('HiddenServicePort\n');
    assert.deepEqual(await getConf(control, 'HiddenServiceOptions'), []);
    await setLines(`HiddenServiceDir ${b}\nHiddenServicePort 90\n`);
    await setLines('HiddenServiceOptions\n');
    assert.deepEqual(await inTor('HiddenServiceOptions'), ['HiddenServiceOptions -']);
  });

  test('[TC-3.3-04] [TC-3.1-08] one bad line and nothing has changed: Tor’s, ours, in whatever order', async () => {
    await setLines('ConnLimit 777\nContactInfo before\nLog notice stdout\n');
    const good = [
      'ConnLimit 778',
      'ContactInfo after',
      'Log warn stderr',
      'ControlPort auto\nControlPort auto',
    ];
    const bad: readonly (readonly [line: string, code: string, message: RegExp])[] = [
      [
        'CircuitStreamTimeout never',
        'ERR_CONFIG_VALUE',
        /^CircuitStreamTimeout \(line \d\): .*never/,
      ],
      ['Nickname a b', 'ERR_CONFIG_VALUE', /^Nickname \(line \d\): .*between 1 and 19/],
      ['Sandbox 1', 'ERR_CONFIG_VALUE', /^Sandbox \(line \d\): While Tor is running/],
      ['UseBridges 1\nClientTransportPlugin obfs4 socks5 nowhere', 'ERR_CONFIG_VALUE', /./],
      ['ClientTransportPlugin nosuch builtin', 'ERR_CONFIG_VALUE', /no transport nosuch/],
      ['ClientTransportPlugin b\u00e4d builtin', 'ERR_CONFIG_VALUE', /ClientTransportPlugin/],
      ['User nobody', 'ERR_CONFIG_VALUE', /User: start Postern as that user/],
      ['SafeLogging 2', 'ERR_CONFIG_VALUE', /^SafeLogging \(line \d\)/],
      ['ControlPort 192.0.2.1:9051', 'ERR_CONFIG_VALUE', /ControlPort/],
      ['ControlSocket relative', 'ERR_CONFIG_VALUE', /ControlSocket/],
      [`Log info file ${daemon.directory}/no/such/folder`, 'ERR_CONFIG_VALUE', /ENOENT/],
      ['Engine embedded', 'ERR_CONFIG_VALUE', /Engine: cannot be changed while/],
      ['DataDirectory /elsewhere', 'ERR_CONFIG_VALUE', /DataDirectory: cannot be changed while/],
      ['TorBinary /elsewhere', 'ERR_CONFIG_VALUE', /TorBinary: cannot be changed while/],
      ['NoSuchOption 1', 'ERR_CONFIG_KEY', /NoSuchOption \(line \d\)/],
      ['ConnLimit "7', 'ERR_CONFIG_SYNTAX', /line \d/],
    ];
    for (const [line, code, message] of bad) {
      for (const lines of [
        [...good, line],
        [line, ...good],
        [good[0]!, line, ...good.slice(1)],
      ]) {
        await assert.rejects(setLines(lines.join('\n')), { code, message }, lines.join(' | '));
        assert.deepEqual(
          await getConf(control, 'ConnLimit', 'ContactInfo', 'Log', 'ControlPort', 'Nickname'),
          ['ConnLimit 777', 'ContactInfo before', 'Log notice stdout', 'ControlPort auto'],
        );
        assert.deepEqual(await inTor('ConnLimit', 'ContactInfo', 'Log', 'UseBridges'), [
          'ConnLimit 777',
          'ContactInfo before',
          'Log notice stdout',
          'UseBridges 0',
        ]);
        assert.equal(daemon.daemon.endpoints.control.length, 1);
      }
    }
  });

  test('[TC-3.1-06] [TC-3.1-07] [TC-3.1-08] what is wrong has its code on the wire', async () => {
    const refused = (lines: string): Promise<void> =>
      control.setConf([{ key: 'ConnLimit' }]).then(() => setLines(lines));
    await assert.rejects(
      control.setConf([{ key: 'Nickname', value: 'a b' }]),
      refusal(5, /Nickname/),
    );
    await assert.rejects(control.setConf([{ key: 'Sandbox', value: '1' }]), refusal(5, /Sandbox/));
    await assert.rejects(control.setConf([{ key: 'Engine' }]), refusal(5, /Engine/));
    await assert.rejects(control.setConf([{ key: 'Foo', value: '1' }]), refusal(4, /Foo/));
    await assert.rejects(refused('ContactInfo a\0b'), { code: 'ERR_CONFIG_SYNTAX' });
    await assert.rejects(refused('ContactInfo "a\\nb"'), { code: 'ERR_CONFIG_VALUE' });
    await assert.rejects(refused('\\\n'), { code: 'ERR_CONFIG_SYNTAX' });
  });

  test('[TC-3.3-01] [TC-3.3-02] [TC-3.5-02] a value reaches Tor unharmed and comes back the same', async () => {
    const values = [
      'C:\\Tor\\new',
      '"quoted" and \\"half',
      '"',
      'a # no comment',
      '#',
      'ends in \\',
      'ends in space ',
      ' begins with one',
      'Ünï¢ødé 名前 🧅',
      'a\tb',
      "it's $(touch /tmp/x) `x` %s %n",
      '250 OK',
      '.',
      'x'.repeat(20_000),
      '\\x41 \\101 \\n',
    ];
    for (const value of values) {
      await control.setConf([{ key: 'ContactInfo', value }]);
      assert.deepEqual(await control.getConf(['ContactInfo']), [{ key: 'ContactInfo', value }]);
      assert.deepEqual(await inTor('ContactInfo'), [`ContactInfo ${value}`]);
    }
    // Not one of them has been a second command or a second option.
    assert.deepEqual(await getConf(control, 'ConnLimit', 'Nickname'), ['ConnLimit 1000']);
  });

  test('[TC-3.3-01] comments, CR LF, quotes and continued lines mean what they mean in a torrc', async () => {
    const cases: readonly (readonly [lines: string, value: string])[] = [
      ['ContactInfo plain # comment\r\n', 'plain'],
      ['# one\r\n\r\n  ContactInfo\t tabbed \t\r\n# two', 'tabbed'],
      ['ContactInfo "a # b" # c\n', 'a # b'],
      ['ContactInfo "\\x41\\102 \\"c\\" \\\\ \\t."\n', 'AB "c" \\ \t.'],
      ['ContactInfo "\\xc3\\xa9\\303\\251"', 'éé'],
      ['ContactInfo one \\\n# between\n two \\\r\n three\n', 'one  two  three'],
      ['CONTACTINFO first\ncontactinfo second', 'second'],
    ];
    for (const [lines, value] of cases) {
      await setLines(lines);
      assert.deepEqual((await control.getConf(['ContactInfo'])).at(-1)?.value, value, lines);
    }
    await setLines('');
    await setLines('\r\n# nothing\n');
    assert.equal((await control.getConf(['ContactInfo'])).at(-1)?.value, 'second');
    // Not an assignment as in Tor's own protocol.
    await assert.rejects(setLines('ContactInfo=x'), { code: 'ERR_CONFIG_KEY' });
    await assert.rejects(setLines('ContactInfo x Nickname=y\nNickname="z"'), {
      code: 'ERR_CONFIG_KEY',
    });
  });

  test('`builtin` is this program to Tor, and `builtin` again to us', async () => {
    await setLines(
      'clientTRANSPORTplugin obfs4,obfs3  BUILTIN\nClientTransportPlugin other exec /bin/other -v',
    );
    assert.deepEqual(await getConf(control, 'ClientTransportPlugin'), [
      'ClientTransportPlugin obfs4,obfs3 builtin',
      'ClientTransportPlugin other exec /bin/other -v',
    ]);
    const [first] = await inTor('ClientTransportPlugin');
    assert.match(first!, /^ClientTransportPlugin obfs4,obfs3 exec \/\S+/);
    await setLines('ClientTransportPlugin');
    assert.deepEqual(await getConf(control, 'ClientTransportPlugin'), []);
  });

  test('SETCONF of several controllers at once comes to one of the orders, in Tor as with us', async () => {
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        setLines(`ConnLimit ${500 + index}\nContactInfo number ${500 + index}\n`),
      ),
    );
    assert.deepEqual(await inTor('ConnLimit', 'ContactInfo'), [
      'ConnLimit 539',
      'ContactInfo number 539',
    ]);
  });

  test('[TC-3.9-02] SAVECONF keeps the user’s text and adds what was set; the torrc that we give Tor says the same', async () => {
    await setLines('ContactInfo "alice # not <bob>"\nConnLimit\n');
    await setLines(`Nickname gate\nBridge 192.0.2.1:1\nBridge 192.0.2.2:2\nLog notice stdout\n`);
    await setLines('ConnLimit 600\n');
    await control.saveConf();
    assert.equal(
      daemon.torrc.text,
      `Engine tor\nControlPort auto\n${offline}# Who to ask.\nContactInfo "alice # not <bob>" # the operator\nConnLimit 600\nBridge 192.0.2.1:1\nBridge 192.0.2.2:2\nNickname gate\nLog notice stdout\n`,
    );
    const own = await readFile(join(daemon.directory, 'postern', 'torrc'), 'utf8');
    assert.match(own, /^Nickname gate$/m);
    assert.equal((await stat(join(daemon.directory, 'postern'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(daemon.directory, 'postern', 'torrc'))).mode & 0o777, 0o600);
  });

  test('[TC-3.9-03] a torrc that cannot be written is an internal error, and nothing is lost', async () => {
    const { torrc } = daemon;
    const { text } = torrc;
    const write = torrc.write.bind(torrc);
    torrc.write = () =>
      Promise.reject(new PosternError('ERR_CONFIG_FILE', 'it cannot be saved (EROFS)'));
    await setLines('Nickname other');
    await assert.rejects(control.saveConf(), refusal(1, /EROFS/));
    torrc.write = write;
    assert.equal(torrc.text, text);
    assert.deepEqual(await getConf(control, 'Nickname'), ['Nickname other']);
    await control.saveConf();
    assert.equal(torrc.text, text.replace('Nickname gate', 'Nickname other'));
  });
});

test(
  '[TC-3.9-02] what was saved is in force after a restart of the daemon, and what was not is gone',
  { skip: torMissing },
  async (t) => {
    const first = await startTorDaemon(t, `${offline}ConnLimit 900\n`);
    const service = join(first.directory, 'service');
    await first.control.setConf([
      { key: 'ContactInfo', value: 'a "b" # \\ é' },
      { key: 'HiddenServiceDir', value: service },
      { key: 'HiddenServicePort', value: '80 127.0.0.1:8080' },
      { key: 'ConnLimit' },
    ]);
    await first.control.saveConf();
    await first.control.setConf([{ key: 'Nickname', value: 'unsaved' }]);
    await first.daemon.close();
    const text = first.torrc.text.replace(/^Engine tor\nControlPort auto\n/, '');
    const second = await startTorDaemon(t, text, { directory: first.directory });
    assert.deepEqual(
      await getConf(second.control, 'ContactInfo', 'HiddenServiceOptions', 'ConnLimit', 'Nickname'),
      [
        'ContactInfo a "b" # \\ é',
        `HiddenServiceDir ${service}`,
        'HiddenServicePort 80 127.0.0.1:8080',
        'ConnLimit 1000',
      ],
    );
  },
);
