import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Configuration } from '../../src/config/configuration.ts';
import { rewriteTorrc } from '../../src/config/rewrite.ts';
import { holds } from '../support/properties.ts';

function rewritten(text: string, change: string): string {
  return rewriteTorrc(text, Configuration.parse(text).changedBy(change));
}

const torrc = [
  '# The client of the office.',
  '',
  'socksport   9150   # for the browser',
  'BandwidthRate 100 KB',
  '',
  '# One port for each controller.',
  'ControlPort 9051',
  '# the second one',
  'ControlPort 9052 # of Alice',
  'ControlPort \\',
  '# the third one',
  '  9053',
  '',
  '# The end.',
  '',
].join('\n');

describe('rewriteTorrc', () => {
  test('what has not changed stays as it was written', () => {
    assert.equal(rewritten(torrc, ''), torrc);
    assert.equal(rewritten(torrc, 'BandwidthRate 102400\nSocksPort 9150'), torrc);
    for (const text of [
      '',
      '# only a comment',
      'SocksPort\n',
      'Log info\r\n',
      'Nickname a\nNickname b\n',
    ]) {
      assert.equal(rewritten(text, '').trimEnd(), text.trimEnd());
    }
  });

  test('a changed line is written in its place, a new one at the end', () => {
    assert.equal(
      rewritten(torrc, 'BandwidthRate 1 MB\nNickname Office'),
      `${torrc.replace('100 KB', '1048576')}Nickname Office\n`,
    );
  });

  test('an option that went back to its default is gone from the text', () => {
    assert.equal(rewritten(torrc, 'BandwidthRate'), torrc.replace('BandwidthRate 100 KB\n', ''));
  });

  test('lines of a list that stay keep their place and their comment', () => {
    const change = (...ports: number[]): string =>
      rewritten(torrc, ports.map((port) => `ControlPort ${port}\n`).join(''));
    const third = 'ControlPort \\\n# the third one\n  9053\n';
    assert.equal(change(9051, 9052), torrc.replace(third, ''));
    assert.equal(change(9052, 9053), torrc.replace('ControlPort 9051\n', ''));
    assert.equal(change(9051, 9053), torrc.replace('ControlPort 9052 # of Alice\n', ''));
    assert.equal(
      change(9051, 9052, 9053, 9054),
      torrc.replace(third, `${third}ControlPort 9054\n`),
    );
    assert.equal(
      change(1, 9051, 2, 9052, 9053),
      torrc.replace('ControlPort 9051\n', 'ControlPort 1\nControlPort 9051\nControlPort 2\n'),
    );
  });

  test('a group keeps its order', () => {
    const text = '# A\nHiddenServiceDir /a\nHiddenServicePort 80\n# B\nHiddenServiceDir /b\n';
    const change =
      'HiddenServiceDir /a\nHiddenServicePort 80\nHiddenServicePort 81\nHiddenServiceDir /b';
    assert.equal(
      rewritten(text, change),
      text.replace('Port 80\n', 'Port 80\nHiddenServicePort 81\n'),
    );
    assert.equal(rewritten(text, 'HiddenServiceOptions'), '# A\n# B\n');
  });

  test('a key alone in the old text does not undo what is now in force', () => {
    const text = 'ControlPort 1\nControlPort\nControlPort 2\n';
    assert.equal(rewritten(text, 'ControlPort 1\nControlPort 2'), 'ControlPort 1\nControlPort 2\n');
  });

  test('values that need quotes get them', () => {
    assert.equal(rewritten('', 'ContactInfo "a # b"'), 'ContactInfo "a # b"\n');
  });

  test('an old last line without an end gets one', () => {
    assert.equal(rewritten('Nickname a', 'ContactInfo b'), 'Nickname a\nContactInfo b\n');
  });

  test('of a text that is no torrc any more nothing is kept', () => {
    const target = Configuration.parse('Nickname a\nControlPort 9051\n');
    for (const broken of ['Nick name', 'Nickname "x', 'UseBridges 1', '\0']) {
      assert.equal(rewriteTorrc(broken, target), 'Nickname a\nControlPort 9051\n');
    }
  });

  test('whatever stood there and whatever is in force, the text says it and keeps all comments', () => {
    const line = fc.oneof(
      fc.integer({ min: 0, max: 5 }).map((n) => `ControlPort ${9050 + n} # c${n}`),
      fc.integer({ min: 0, max: 5 }).map((n) => `controlport 127.0.0.1:${9050 + n}`),
      fc.constantFrom('ControlPort', 'Nickname a', 'Nickname b', 'Nickname', 'BandwidthRate 1 KB'),
      fc.constantFrom('HiddenServiceDir /a', 'HiddenServiceDir /b', 'HiddenServiceOptions'),
      fc.constantFrom(
        '# comment',
        '',
        '  # other \\',
        'ContactInfo \\\n# in it\nx',
        'ContactInfo "#"',
      ),
    );
    const texts = fc
      .tuple(fc.array(line, { maxLength: 12 }), fc.constantFrom('', '\n'))
      .map(([lines, end]) => lines.join('\n') + end);
    holds(
      fc.property(texts, texts, (before, after) => {
        const target = Configuration.parse(after);
        const result = rewriteTorrc(before, target);
        assert.equal(Configuration.parse(result).differencesFrom(target).size, 0);
        assert.equal(rewriteTorrc(result, target), result);
        const comments = (text: string): string[] =>
          text.split('\n').filter((each) => each === '# comment' || each === '  # other \\');
        assert.deepEqual(comments(result), comments(before));
      }),
      2000,
    );
  });
});
