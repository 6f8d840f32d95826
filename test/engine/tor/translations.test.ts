/** Between the user's torrc and Tor's, and from Tor's complaints to the user's lines; no Tor. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../../src/config/configuration.ts';
import { valueFault } from '../../../src/config/value-types.ts';
import { torVocabulary } from '../../../src/config/vocabulary.ts';
import { explainRefusal, reasonIn, TorrcRefusal } from '../../../src/engine/tor/complaints.ts';
import { TorRefusal } from '../../../src/tor-control/messages.ts';
import { unavailable } from '../../../src/engine/tor/running-tor.ts';
import { TorSettings } from '../../../src/engine/tor/tor-settings.ts';
import { PosternError } from '../../../src/errors.ts';
import { builtinTransports } from '../../../src/transports/registry.ts';
import { holds, textOf } from '../../support/properties.ts';
import { parseTorrc } from '../../../src/config/torrc.ts';

const vocabulary = torVocabulary([
  ...['ContactInfo', 'Nickname', 'SocksPort', 'Bridge', 'ClientTransportPlugin', 'ORPort', 'User'],
  ...['ServerTransportPlugin', 'HiddenServiceDir', 'HiddenServicePort', 'Log', 'SafeLogging'],
  'LogMessageDomains',
]);
const settings = new TorSettings({
  command: ['/usr/bin/node', '/opt/main.js'],
  registry: builtinTransports,
});

function parse(text: string): Configuration {
  return Configuration.parse(text, {}, vocabulary);
}

describe('the torrc of a Tor that we start', () => {
  test('has Tor’s options and none of ours, and its log comes to us', () => {
    const text = settings.torrcFor(
      parse(
        `Engine tor\nControlPort 9051\nControlSocket /s\nCookieAuthentication 1\nDataDirectory /d\nTorBinary /t
HashedControlPassword 16:${'0'.repeat(58)}
Log warn file /l\nLog info-notice stderr\nSafeLogging 0
contactinfo "a # b"\nHiddenServiceDir /h\nHiddenServicePort 80\nNickname a\nNickname b
clienttransportplugin obfs4,obfs3 BUILTIN\nServerTransportPlugin obfs4 exec /bin/x -y\n`,
      ),
    );
    assert.deepEqual(text.split('\n'), [
      'ClientTransportPlugin obfs4,obfs3 exec /usr/bin/node /opt/main.js',
      'ServerTransportPlugin obfs4 exec /bin/x -y',
      ...['Nickname a', 'Nickname b', 'ContactInfo "a # b"'],
      ...['HiddenServiceDir /h', 'HiddenServicePort 80', 'Log info stdout', 'SafeLogging 0', ''],
    ]);
  });

  test('logs from notice on for controllers, and more where one of our logs takes more', () => {
    for (const [lines, level] of [
      ['', 'notice'],
      ['Log err stdout', 'notice'],
      ['Log debug-info file /l\nLog warn stdout', 'debug'],
    ] as const) {
      assert.match(settings.torrcFor(parse(lines)), new RegExp(`^Log ${level} stdout$`, 'm'));
    }
  });

  test('says to Tor what the user’s says, whatever the value', () => {
    holds(
      fc.property(textOf('a1 "\\#\té=\'%', { minLength: 1, maxLength: 30 }), (value) => {
        const known = parse('').changedBy(
          `ContactInfo "${value.replace(/["\\]/g, '\\$&').replace(/\t/g, '\\t')}"`,
        );
        const [line] = parseTorrc(settings.torrcFor(known)).flatMap(({ setting }) => setting ?? []);
        assert.deepEqual(line, { key: 'ContactInfo', value });
      }),
    );
  });

  test('refuses a transport that we do not have, and a program that Tor could not start', () => {
    for (const [line, message] of [
      ['ClientTransportPlugin obfs4,nosuch builtin', /no transport nosuch/],
      ['ServerTransportPlugin b,,c builtin', /ServerTransportPlugin/],
      ['USER nobody', /User/],
    ] as const) {
      assert.throws(() => settings.torrcFor(parse(line)), { code: 'ERR_CONFIG_VALUE', message });
    }
    const spaced = new TorSettings({ command: ['/my node', '/m'], registry: builtinTransports });
    assert.throws(() => spaced.torrcFor(parse('ClientTransportPlugin obfs4 builtin')), {
      code: 'ERR_CONFIG_VALUE',
      message: /whose path has a space/,
    });
    // Nobody asked for it.
    spaced.torrcFor(parse('ClientTransportPlugin obfs4 exec /x'));
  });

  test('`builtin` comes back as it went', () => {
    for (const key of ['ClientTransportPlugin', 'SERVERTRANSPORTPLUGIN']) {
      for (const value of ['obfs4 builtin', 'obfs4,obfs3 builtin', 'obfs4 exec /bin/x']) {
        const known = parse(`${key} ${value}`);
        const [home] = [...known.settings().keys()];
        const [told] = settings.linesFor(known, home!);
        assert.deepEqual(settings.fromTor(told!), { key: home, value });
      }
    }
    const other = { key: 'ContactInfo', value: 'a exec /usr/bin/node /opt/main.js' };
    assert.deepEqual(settings.fromTor(other), other);
  });

  test('the domains are asked for where a log of ours needs them, unless the user has said it', () => {
    const on = { key: 'LogMessageDomains', value: '1' };
    const log = { key: 'Log', value: 'info stdout' };
    const known = parse('Log [net]info stdout\n');
    assert.match(settings.torrcFor(known), /^LogMessageDomains 1$/m);
    assert.deepEqual(settings.changesFor(known, ['Log']), [log, on]);
    // The user's own line has gone.
    assert.deepEqual(settings.changesFor(known, ['LogMessageDomains']), [on]);
    assert.deepEqual(settings.changesFor(known, ['LogMessageDomains', 'Log']), [on, log]);
    const own = parse('Log [net]info stdout\nLogMessageDomains 0\n');
    assert.deepEqual(settings.torrcFor(own).match(/LogMessageDomains .*/g), [
      'LogMessageDomains 0',
    ]);
    // A Tor that has a torrc of its own is asked for nothing.
    const others = torVocabulary(['LogMessageDomains'], { isKeptElsewhere: true });
    const elsewhere = Configuration.parse('Log [net]info stdout\n', {}, others);
    assert.deepEqual(settings.changesFor(elsewhere, ['LogMessageDomains']), [
      { key: 'LogMessageDomains' },
    ]);
  });

  test('a change tells Tor the lines of what has changed, or its bare name', () => {
    const known = parse('SocksPort 1\nSocksPort 2\nHiddenServiceDir /h\nLog debug stdout\n');
    assert.deepEqual(
      settings.changesFor(known, ['SocksPort', 'Nickname', 'ControlPort', 'Log', 'SafeLogging']),
      [
        { key: 'SocksPort', value: '1' },
        { key: 'SocksPort', value: '2' },
        { key: 'Nickname' },
        { key: 'Log', value: 'debug stdout' },
        { key: 'LogMessageDomains' },
        { key: 'SafeLogging', value: '1' },
      ],
    );
    assert.deepEqual(settings.changesFor(parse(''), ['HiddenServiceOptions']), [
      { key: 'HiddenServiceOptions' },
    ]);
  });
});

describe('a complaint of Tor', () => {
  const text = `# first
Nickname gate
ContactInfo Nickname of mine
SocksPort 127.0.0.1:9050
SocksPort 127.0.0.1:9150
HiddenServiceDir /var/hs
ORPort auto
`;
  const refused = (said: string): TorRefusal =>
    new TorRefusal(513, said, { status: 513, text: said, lines: [] });

  test('stands behind the option and the line that it is about', () => {
    for (const [said, told] of [
      ["Unacceptable option value: Nickname 'x' is bad", "Nickname (line 2): Nickname 'x' is bad"],
      [
        'Failed to parse/validate config: Invalid SocksPort 127.0.0.1:9150',
        'SocksPort (line 5): Invalid SocksPort 127.0.0.1:9150',
      ],
      ['Invalid socksport', 'SocksPort (line 5): Invalid socksport'],
      [
        'Could not bind to 127.0.0.1:9050: Address already in use',
        'SocksPort (line 4): Could not bind to 127.0.0.1:9050: Address already in use',
      ],
      ['Cannot read /var/hs/key', 'HiddenServiceDir (line 6): Cannot read /var/hs/key'],
      // Not every word that looks like a value says which line is meant, and no part of a word does.
      ['auto is not what it was', 'auto is not what it was'],
      ['__ORPort is bad', '__ORPort is bad'],
      ['Out of memory', 'Out of memory'],
    ] as const) {
      for (const error of [
        refused(said),
        new TorrcRefusal(said),
        valueFault('as the store has it', refused(said)),
      ]) {
        const explained = explainRefusal(parseTorrc(text), error);
        assert.ok(explained instanceof PosternError);
        assert.equal(explained.message, told);
        assert.equal(explained.code, 'ERR_CONFIG_VALUE');
      }
    }
  });

  test('is the last that says why, with the details that it refers to', () => {
    const config = 'Reading config failed--see warnings above.';
    for (const [complaints, reason] of [
      [[], undefined],
      [[config], undefined],
      [['Nickname is bad', config], 'Nickname is bad'],
      [['in use', 'Failed to bind one of the listener ports.', config], 'in use'],
      [['/a is not there', 'No keys. See logs for details.', config], 'No keys: /a is not there'],
      [['No keys. See logs for details.', config], 'No keys. See logs for details.'],
    ] as const) {
      assert.equal(reasonIn(complaints), reason);
    }
  });

  test('names no option, and is about the only line of a change', () => {
    const said = 'See logs for details';
    for (const [lines, told] of [
      ['HiddenServiceDir /h\n', `HiddenServiceDir (line 1): ${said}`],
      ['HiddenServiceDir /h\nORPort 1\n', said],
      ['Engine tor\n', said],
    ] as const) {
      const explained = explainRefusal(parseTorrc(lines), refused(said));
      assert.ok(explained instanceof PosternError);
      assert.equal(explained.message, told);
    }
  });

  test('about a name that Tor does not know is one about a key', () => {
    const said = "Unrecognized option: Unknown option 'ORPort'.  Failing.";
    const explained = explainRefusal(parseTorrc(text), refused(said));
    assert.ok(explained instanceof PosternError);
    assert.equal(explained.code, 'ERR_CONFIG_KEY');
    assert.equal(explained.message, "ORPort (line 7): Unknown option 'ORPort'.  Failing.");
  });

  test('is not what comes of a Tor that is gone, or of a fault of ours', () => {
    const lost = unavailable();
    assert.equal(explainRefusal(parseTorrc(text), valueFault(lost.message, lost)), lost);
    for (const error of [lost, valueFault('ours'), new Error('a defect'), undefined]) {
      assert.equal(explainRefusal(parseTorrc(text), error), error);
    }
    const taken = valueFault('ControlPort', new PosternError('ERR_LISTEN_IN_USE', 'in use'));
    assert.equal(explainRefusal(parseTorrc(text), taken), taken);
  });
});
