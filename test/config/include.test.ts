/** `%include`, and the names that nobody knows; what Tor does with each is in the corpus. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { nearestName } from '../../src/config/near-miss.ts';
import { torrcFile } from '../../src/config/node.ts';
import { optionTable } from '../../src/config/options.ts';
import { ConfigStore, readTorrc } from '../../src/config/store.ts';
import { obsoleteTorOptions, torAliases, torOptions } from '../../src/config/tor-options.ts';
import { torVocabulary } from '../../src/config/vocabulary.ts';
import { limits } from '../../src/limits.ts';
import { temporaryDirectory } from '../support/managed.ts';

/** A directory with a torrc and others. */
function place(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'd'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text.replaceAll('{dir}', directory));
  }
  return directory;
}

describe('%include', () => {
  test('an error names the file and the line in it', async (t) => {
    const directory = place(t, {
      torrc: 'SocksPort 0\n%include {dir}/d\n',
      'd/a': '\nNickname a-b\n',
      'd/b': 'x "\n',
    });
    const open = (): Promise<unknown> => ConfigStore.open(torrcFile(join(directory, 'torrc')));
    await assert.rejects(open, {
      code: 'ERR_CONFIG_SYNTAX',
      message: new RegExp(`line 1 of ${directory}/d/b`),
    });
    writeFileSync(join(directory, 'd/b'), '');
    await assert.rejects(open, {
      code: 'ERR_CONFIG_VALUE',
      message: new RegExp(`^Nickname \\(line 2 of ${directory}/d/a\\)`),
    });
    writeFileSync(
      join(directory, 'torrc'),
      '\n%include {dir}/nothing\n'.replace('{dir}', directory),
    );
    await assert.rejects(open, {
      code: 'ERR_CONFIG_FILE',
      message: /^%include \(line 2\): there is no file or directory/,
    });
  });

  test('a reload reads the files again, and what they say can be read', async (t) => {
    const directory = place(t, {
      torrc: '%include {dir}/d/*.conf\n',
      'd/a.conf': 'Nickname one\n',
    });
    const store = await ConfigStore.open(torrcFile(join(directory, 'torrc')));
    assert.equal(store.current.values.Nickname, 'one');
    writeFileSync(join(directory, 'd/b.conf'), 'Nickname two\n');
    await store.reload();
    assert.deepEqual(store.get(['Nickname']), [{ key: 'Nickname', value: 'two' }]);
  });

  test('such a torrc is not saved, as with Tor, and stays as it is; a change can be made', async (t) => {
    const directory = place(t, { torrc: '# mine\n%include {dir}/d\n', 'd/a': 'Nickname one\n' });
    const path = join(directory, 'torrc');
    const before = readFileSync(path, 'utf8');
    const store = await ConfigStore.open(torrcFile(path));
    await store.set('Nickname two');
    await assert.rejects(store.save(), { code: 'ERR_CONFIG_INCLUDE' });
    assert.equal(readFileSync(path, 'utf8'), before);
    assert.equal(readFileSync(join(directory, 'd/a'), 'utf8'), 'Nickname one\n');
    // Also when it came to include something only while the daemon ran.
    const plain = place(t, { torrc: 'Nickname one\n' });
    const other = await ConfigStore.open(torrcFile(join(plain, 'torrc')));
    writeFileSync(join(plain, 'torrc'), '%include /nothing\n');
    await assert.rejects(other.save(), { code: 'ERR_CONFIG_INCLUDE' });
  });

  test('is not for SETCONF, and is written in lower case', async (t) => {
    const directory = place(t, { torrc: '' });
    const store = await ConfigStore.open(torrcFile(join(directory, 'torrc')));
    await assert.rejects(store.set('%include /etc/passwd'), {
      code: 'ERR_CONFIG_KEY',
      message: /only a torrc can include/,
    });
    assert.throws(() => Configuration.parse('%Include /x'), {
      message: /write %include in lower case/,
    });
  });

  test('a pipe, a device or too much of everything is not read for ever', async (t) => {
    const directory = place(t, { torrc: '%include /dev/zero\n' });
    const read = (): Promise<unknown> => readTorrc(torrcFile(join(directory, 'torrc')));
    await assert.rejects(read, { code: 'ERR_CONFIG_FILE' });
    writeFileSync(join(directory, 'd/much'), `# ${'x'.repeat(limits.torrcBytes / 2)}\n`);
    writeFileSync(join(directory, 'torrc'), `%include ${directory}/d/much\n`.repeat(3));
    await assert.rejects(read, { code: 'ERR_CONFIG_FILE', message: /line 2\): more than/ });
  });
});

describe('a name that is no option', () => {
  const said = (text: string): string => {
    try {
      Configuration.parse(text);
    } catch (error) {
      return (error as Error).message;
    }
    return 'taken';
  };

  test('is Tor’s, was Tor’s, or is nearly one of ours', () => {
    for (const [text, message] of [
      ['HiddenServiceVersion 3', /this is Tor’s: add `Engine tor`, or leave the line out/],
      ['dnsport 53', /^dnsport \(line 1\): this is Tor’s/],
      ['DNSPo 53', /^DNSPo \(line 1\): this is Tor’s/],
      ['FastFirstHopPK 1', /Tor itself has it no more: leave the line out/],
      ['UseBirdges 1', /did you mean UseBridges\?/],
      ['Bridges obfs4 192.0.2.1:1', /did you mean Bridge\?/],
      ['ClientTransportPlugins x', /did you mean ClientTransportPlugin\?/],
      ['SockPort 9050', /did you mean SocksPort\?/],
      ['SokcsPort 9050', /did you mean SocksPort\?/],
      ['CircuitHop 1', /did you mean CircuitHops\?/],
      ['Nickname=gate', /a blank stands behind the name/],
      ['Banana 1', /there is no option of this name$/],
    ] as const) {
      assert.match(said(text), message, text);
    }
  });

  test('every option of Tor that is not ours is said to be Tor’s, and none of ours is', () => {
    const ours = new Set(Object.keys(optionTable).map((name) => name.toLowerCase()));
    const members = /^HiddenService(?:Dir|Port|Nodes|ExcludeNodes)$/;
    for (const name of [...torOptions, ...torAliases]) {
      if (ours.has(name.toLowerCase()) || members.test(name)) continue;
      if (/^(?:VirtualAddrNetwork|Bandwidth(?:Rate|Burst)Bytes)$/.test(name)) continue;
      assert.match(said(`${name} x`), /this is Tor’s/, name);
    }
    for (const name of obsoleteTorOptions)
      assert.match(said(`${name} x`), /Tor itself has it no more/, name);
    assert.equal(said('VirtualAddrNetwork 10.0.0.0/8'), 'taken');
  });

  test('what Tor had once is handed on to it, and what it never had is not', () => {
    const vocabulary = torVocabulary(torOptions);
    const { values } = Configuration.parse(
      'Engine tor\nFastFirstHopPK 1\nMaxConn 9\n',
      {},
      vocabulary,
    );
    assert.equal(values.Engine, 'tor');
    assert.throws(
      () => Configuration.parse('EntryNode {us}\nStrictNode 1\nEntyNodes x', {}, vocabulary),
      {
        code: 'ERR_CONFIG_KEY',
        message: /did you mean EntryNodes\?/,
      },
    );
  });

  test('near is at most two letters off, or a beginning that only one name has', () => {
    const names = ['SocksPort', 'SocksPolicy', 'Log', 'Nickname'];
    for (const [text, near] of [
      ['sockport', 'SocksPort'],
      ['Socks', undefined],
      ['Nick', 'Nickname'],
      ['Lgo', 'Log'],
      ['xyz', undefined],
      ['', undefined],
    ] as const) {
      assert.equal(nearestName(text, names), near, text);
    }
  });
});
