import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { optionTable, type OptionName } from '../../src/config/options.ts';
import { rewriteTorrc } from '../../src/config/rewrite.ts';
import { ConfigStore } from '../../src/config/store.ts';
import { embeddedVocabulary, readEngine, torVocabulary } from '../../src/config/vocabulary.ts';
import { memoryTorrc } from '../support/engine.ts';
import { parseTorrcFile } from '../../src/config/torrc.ts';

/** What some Tor says that it knows, ours among them. */
const names = [
  ...['SocksPort', 'SocksTimeout', 'ConnLimit', 'ControlPort', 'DataDirectory', 'Log', 'Bridge'],
  ...['HiddenServiceDir', 'HiddenServicePort', 'HiddenServiceMaxStreams'],
  ...['HiddenServiceNonAnonymousMode', 'HiddenServiceSingleHopMode', 'HiddenServiceStatistics'],
];

function parse(text: string, vocabulary = torVocabulary(names)): Configuration {
  return Configuration.parse(text, {}, vocabulary);
}

describe('readEngine', () => {
  const cases: readonly (readonly [text: string, engine: string])[] = [
    ['', 'embedded'],
    ['Engine tor', 'tor'],
    ['engine TOR # a comment', 'tor'],
    ['ENGINE "tor"', 'tor'],
    ['Engine \\\n tor\r\n', 'tor'],
    ['#Engine tor', 'embedded'],
    ['Engine tor\nEngine embedded', 'embedded'],
    ['Engine embedded\nEngine tor', 'tor'],
    ['Engine tor\nEngine', 'embedded'],
    ['Engines tor', 'embedded'],
    ['Engine tornado', 'embedded'],
    ['Nickname Engine tor', 'embedded'],
  ];
  for (const [text, engine] of cases) {
    test(`${JSON.stringify(text)} asks for ${engine}`, () =>
      assert.equal(readEngine(parseTorrcFile(text)), engine));
  }

  test('agrees with what the configuration then says', () => {
    for (const [text, engine] of cases) {
      if (!/Engines|tornado|Nickname/.test(text)) assert.equal(parse(text).values.Engine, engine);
    }
    assert.throws(() => parse('Engine tornado'), { code: 'ERR_CONFIG_VALUE', message: /Engine/ });
  });

  test('a line that is none is a syntax error with its number', () => {
    assert.throws(() => readEngine(parseTorrcFile('Engine tor\nNickname "a')), {
      code: 'ERR_CONFIG_SYNTAX',
      message: /line 2/,
    });
  });
});

describe('the vocabulary of the embedded engine', () => {
  test('is the whole table, in any letter case, and nothing more', () => {
    for (const name of Object.keys(optionTable)) {
      assert.equal(embeddedVocabulary.find(name.toUpperCase())?.name, name);
      assert.ok(embeddedVocabulary.read.has(name as OptionName));
      assert.equal(embeddedVocabulary.isKeptElsewhere(name), false);
    }
    assert.equal(embeddedVocabulary.find('hiddenservicenodes')?.kind, 'member');
    assert.equal(embeddedVocabulary.find('ConnLimit'), undefined);
    assert.equal(embeddedVocabulary.find('Socks'), undefined);
  });
});

describe('the vocabulary of a Tor', () => {
  const vocabulary = torVocabulary(names);

  test('reads what is for every engine by our rules, and hands on the rest as it is', () => {
    assert.deepEqual(
      [...vocabulary.read].toSorted(),
      Object.entries(optionTable)
        .flatMap(([name, row]) => (row.isForEveryEngine ? [name] : []))
        .toSorted(),
    );
    assert.throws(() => parse('ControlPort nonsense'), { code: 'ERR_CONFIG_VALUE' });
    assert.throws(() => parse('Log [nosuch]info stdout'), { code: 'ERR_CONFIG_VALUE' });
    const configuration = parse('sockSPORT  what "Tor" may \\ think # of it\nBridge nonsense');
    assert.deepEqual(configuration.get(['SOCKSPORT', 'bridge']), [
      { key: 'SocksPort', value: 'what "Tor" may \\ think' },
      { key: 'Bridge', value: 'nonsense' },
    ]);
  });

  test('knows the options of this Tor and no others', () => {
    assert.throws(() => parse('SocksPort 1\nNoSuchOption 1'), {
      code: 'ERR_CONFIG_KEY',
      message: /NoSuchOption \(line 2\)/,
    });
    // Options of the embedded engine that this Tor does not have.
    assert.throws(() => parse('CircuitHops 2'), { code: 'ERR_CONFIG_KEY' });
    for (const name of ['', '__proto__', 'constructor', 'Socks']) {
      assert.equal(vocabulary.find(name), undefined);
    }
  });

  test('has the rules among our own options, and none about Tor’s', () => {
    for (const [lines, message] of [
      ['Engine tor\nTorBinary /tor\nTorControlPort 9051', /TorBinary/],
      ['Engine tor\nTorControlPort 9051\nTorControlSocket /s', /only one of them/],
      ['Engine tor\nTorControlPort auto', /port of a running Tor/],
      ['Engine tor\nTorControlPasswordFile /f', /needs TorControlPort/],
      ['TorBinary /tor', /need Engine tor/],
      ['Engine embedded\nTorControlSocket /s', /need Engine tor/],
      ['Engine tor\nControlPort 0.0.0.0:9051', /off loopback/],
    ] as const) {
      assert.throws(() => parse(lines), { code: 'ERR_CONFIG_VALUE', message });
    }
  });

  test('makes a group of the hidden services, of which Tor has options that stand alone', () => {
    const configuration = parse(
      'hiddenservicedir /a\nHiddenServicePort 80\nHiddenServiceStatistics 0\nhiddenserviceDIR /b',
    );
    assert.deepEqual(configuration.get(['HIDDENSERVICEOPTIONS']), [
      { key: 'HiddenServiceDir', value: '/a' },
      { key: 'HiddenServicePort', value: '80' },
      { key: 'HiddenServiceDir', value: '/b' },
    ]);
    assert.deepEqual(configuration.get(['HiddenServiceDir', 'HiddenServicePort']), []);
    assert.deepEqual(configuration.get(['hiddenservicestatistics']), [
      { key: 'HiddenServiceStatistics', value: '0' },
    ]);
    assert.throws(() => parse('HiddenServicePort 80'), {
      code: 'ERR_CONFIG_VALUE',
      message: /HiddenServicePort \(line 1\): must come after a HiddenServiceDir/,
    });
    assert.throws(() => parse('HiddenServiceNodes a'), { code: 'ERR_CONFIG_KEY' });
    assert.throws(() => parse('HiddenServiceOptions a'), { code: 'ERR_CONFIG_VALUE' });
    assert.deepEqual(configuration.changedBy('HiddenServiceMaxStreams').settings().size, 1);
  });

  test('takes every name while the names are not known, and ours by our rules', () => {
    const anything = torVocabulary(undefined);
    const text = 'hiddenservicedir /a\nhiddenserviceport 80\nWhatEver x\ncontrolport 9051\n';
    const configuration = parse(text, anything);
    assert.deepEqual(configuration.values.ControlPort, [{ host: '127.0.0.1', port: 9051 }]);
    assert.equal(configuration.values.DataDirectory, undefined);
    assert.throws(() => parse('ControlPort x', anything), { code: 'ERR_CONFIG_VALUE' });
  });
});

describe('a Tor that keeps its own options', () => {
  const vocabulary = torVocabulary(names, { isKeptElsewhere: true });

  test('has none of them in our torrc, hidden services neither', () => {
    for (const line of ['SocksPort 1', 'HiddenServiceDir /a', 'hiddenservicestatistics 0']) {
      assert.throws(() => parse(`ControlPort 9051\n${line}\n`, vocabulary), {
        code: 'ERR_CONFIG_VALUE',
        message: /belongs in the torrc of the Tor that is controlled/,
      });
    }
    parse('SocksPort\nControlPort 9051', vocabulary);
  });

  test('is told of every line that names one, and our torrc never is', async () => {
    const file = memoryTorrc('# mine\nLog info stdout\n');
    const store = await ConfigStore.open(file, {}, vocabulary);
    const applied: string[][] = [];
    store.onChange(async (_next, _previous, changed) => void applied.push([...changed]));
    // The same twice, and a return to the default of what we have never seen: only Tor can tell.
    await store.set('SocksPort 1');
    await store.set('SocksPort 1\nLog info stdout');
    await store.set('ConnLimit');
    await store.set('HiddenServiceDir /a\nHiddenServicePort 80');
    await store.set('HiddenServiceOptions');
    await store.set('Log warn stdout\nHiddenServiceMaxStreams');
    assert.deepEqual(applied, [
      ['SocksPort'],
      ['SocksPort'],
      ['ConnLimit'],
      ['HiddenServiceOptions'],
      ['HiddenServiceOptions'],
      ['Log', 'HiddenServiceOptions'],
    ]);
    await store.set('HiddenServiceDir /a\nSocksPort 2');
    await store.save();
    assert.equal(file.text, '# mine\nLog warn stdout\n');
  });
});

describe('saving what a Tor has', () => {
  const vocabulary = torVocabulary(names);
  const text = '# first\nSocksTimeout 60 # why\nConnLimit 1000\n\n# last\nsocksport 9150\n';
  const after = (...changes: string[]): string =>
    rewriteTorrc(
      text,
      changes.reduce((known, lines) => known.changedBy(lines), parse(text, vocabulary)),
    );

  test('keeps the text of what has not changed, abbreviations of case and quotes included', () => {
    assert.equal(after(), text);
    assert.equal(after('SocksPort 9150'), text);
    assert.equal(after('Bridge "a # b"'), `${text}Bridge "a # b"\n`);
  });

  test('goes on when the options stand in another order than in the text', () => {
    // Gone, and set again: last in what is in force, in its old place in the text.
    assert.equal(
      after('SocksTimeout', 'SocksTimeout 30'),
      text.replace('SocksTimeout 60 # why', 'SocksTimeout 30'),
    );
    assert.equal(
      after('SocksTimeout', 'Bridge b', 'HiddenServiceDir /a', 'SocksTimeout 60'),
      `${text}Bridge b\nHiddenServiceDir /a\n`,
    );
  });
});
