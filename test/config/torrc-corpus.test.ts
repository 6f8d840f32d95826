/** Where Tor takes a line that both know, so do we, with the same meaning. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { packageRoot } from '../../scripts/paths.ts';
import { Configuration } from '../../src/config/configuration.ts';
import { formatSetting, parseTorrcFile } from '../../src/config/torrc.ts';
import { PosternError } from '../../src/errors.ts';
import { optionTable, type OptionValues } from '../../src/config/options.ts';
import { torVocabulary } from '../../src/config/vocabulary.ts';
import { TorSettings } from '../../src/engine/tor/tor-settings.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { torMissing } from '../support/tor.ts';
import {
  corpus,
  dumpByTor,
  readCase,
  recordCorpus,
  type TorrcCase,
  withTorrc,
} from '../support/torrc-corpus.ts';

const ours = new Set(Object.keys(optionTable).map((name) => name.toLowerCase()));

/** Why we refuse it, if we do; and whether we and Tor mean the same. */
function judge(entry: TorrcCase): Promise<{ refusal: string | null; isAgreed: boolean }> {
  return withTorrc(entry, async ({ torrc, directory }) => {
    try {
      const { values } = Configuration.parse(await readCase(torrc));
      const dump = entry.tor?.map((line) => line.replaceAll('{dir}', directory));
      return { refusal: null, isAgreed: dump !== undefined && isSame(values, dump) };
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      const refusal = `${error.message} (${error.code})`.replaceAll(directory, '{dir}');
      return { refusal, isAgreed: entry.tor === null || isForeign(refusal) };
    }
  });
}

function isSame(values: OptionValues, dump: readonly string[]): boolean {
  try {
    assert.deepEqual(values, valuesOfDump(dump));
    return true;
  } catch {
    return false;
  }
}

/** What Tor's own form of it means to us, of the options that are ours too. */
function valuesOfDump(dump: readonly string[]): OptionValues {
  const lines = dump.flatMap((line) => {
    const [, key, value] = /^(\S+) ?(.*)$/s.exec(line)!;
    if (!ours.has(key!.toLowerCase())) return [];
    // A backslash at the end of a value would go on with the next line.
    return value!.startsWith('"') ? line : formatSetting({ key: key!, value: value! });
  });
  return Configuration.parse(lines.join('\n')).values;
}

/** An option that is Tor's alone, or no more anybody's: nothing that both know. */
function isForeign(refusal: string): boolean {
  return /this is Tor’s: add `Engine tor`|Tor itself has it no more/.test(refusal);
}

const LENIENT = 'Tor refuses it, and nothing else can be meant';

if (process.env['POSTERN_RECORD'] !== undefined) {
  const cases: TorrcCase[] = [];
  for (const entry of corpus.cases) {
    const { difference, ...rest } = entry;
    const tor = await withTorrc(
      entry,
      ({ torrc, directory }) =>
        dumpByTor(torrc, directory)?.map((line) => line.replaceAll(directory, '{dir}')) ?? null,
    );
    const { refusal, isAgreed } = await judge({ ...rest, tor });
    const reason = difference ?? (tor === null ? LENIENT : 'to be explained');
    cases.push({ ...rest, tor, refusal, ...(!isAgreed && { difference: reason }) });
  }
  const [version] = /[\d.]+\d/.exec(execFileSync('tor', ['--version'], { encoding: 'utf8' }))!;
  recordCorpus({ tor: version, cases });
}

/** What a Tor behind us does not get to see as it is written. */
const isCarriedOutHere =
  /^(?:Control(?:Port|Socket)|Cookie|HashedControl|DataDirectory|Log|LogMessageDomains|SafeLogging|User|RunAsDaemon|PidFile)\b|^(?:Control|Cookie|Hashed)/;

describe('torrc files of the world', () => {
  for (const entry of corpus.cases) {
    const { group, name, refusal, difference } = entry;
    test(`${group}: ${name}`, async () => {
      const judged = await judge(entry);
      assert.equal(judged.refusal, refusal);
      assert.equal(judged.isAgreed, difference === undefined, difference);
    });
  }

  test('what is read in another way than by Tor is explained', () => {
    for (const { name, difference = '' } of corpus.cases)
      assert.ok(!/to be/.test(difference), name);
  });

  test('of what Tor takes nothing is refused or read otherwise but what is Tor’s alone', (t) => {
    const taken = corpus.cases.filter(({ tor }) => tor !== null);
    const count = (what: (entry: TorrcCase) => boolean): number => taken.filter(what).length;
    const counts = {
      same: count(({ refusal, difference }) => refusal === null && difference === undefined),
      otherwise: count(({ refusal, difference }) => refusal === null && difference !== undefined),
      foreign: count(({ refusal }) => refusal !== null && isForeign(refusal)),
      refused: count(({ refusal }) => refusal !== null && !isForeign(refusal)),
    };
    t.diagnostic(`Tor takes ${taken.length} of ${corpus.cases.length}: ${JSON.stringify(counts)}`);
    assert.equal(counts.otherwise + counts.refused, 0);
    // What the documentation says of it.
    const text = readFileSync(join(packageRoot, 'docs', 'torrc.md'), 'utf8');
    const stated =
      /holds (\d+) torrc files [^]*? takes (\d+) of them\. (\d+) mean the same here; (\d+) have/;
    assert.deepEqual(stated.exec(text)?.slice(1).map(Number), [
      corpus.cases.length,
      taken.length,
      counts.same,
      counts.foreign,
    ]);
  });

  test(
    'lines however continued, quoted and commented are what Tor reads',
    { skip: torMissing },
    async () => {
      const bits = fc.constantFrom(
        ...[
          ' ',
          '\\',
          '\n',
          '#',
          'a',
          'b',
          '"',
          '\t',
          '\\\n',
          '\\\n',
          '\\\n#',
          '\n\n',
          ' # ',
          '\r\n',
          '\x01',
        ],
        ...["\\'", '\\n', '\\x41', '\\101'],
      );
      const text = fc
        .tuple(
          fc.constantFrom('x ', 'a', '', ' \\\n', 'x # y', '"'),
          fc.array(bits, { maxLength: 9 }),
          fc.constantFrom('', '\n', '\nNickname gate\n'),
        )
        .map(([first, rest, end]) => `ContactInfo ${first}${rest.join('')}${end}`);
      let count = 0;
      for (const sample of fc.sample(text, { seed: 4, numRuns: 120 })) {
        const dump = await withTorrc(
          { group: '', name: '', lines: [sample], tor: null, refusal: null },
          ({ torrc, directory }) => dumpByTor(torrc, directory),
        );
        if (dump === null) continue;
        const settings = parseTorrcFile(sample).flatMap(({ setting }) => setting ?? []);
        // Words that are options of nobody but a prefix of one are another matter.
        if (settings.some(({ key }) => key !== 'ContactInfo' && key !== 'Nickname')) continue;
        const read = new Map(settings.map(({ key, value }) => [key, value]));
        const meant = dump.map((line) => {
          const [, key, value] = /^(\S+) ?(.*)$/s.exec(line)!;
          const isQuoted = value!.startsWith('"');
          return isQuoted ? parseTorrcFile(line)[0]!.setting! : { key: key!, value: value!.trim() };
        });
        // Blanks at the ends, which Tor sometimes leaves, mean nothing to any option.
        for (const { key, value } of meant) {
          assert.equal(read.get(key)?.trim(), value.trim(), JSON.stringify(sample));
        }
        const set = [...read].filter(([, value]) => value !== '');
        assert.equal(set.length, meant.length, JSON.stringify(sample));
        count += 1;
      }
      assert.ok(count > 40);
    },
  );

  test(
    'a Tor that is here says the same as the one that was asked',
    { skip: torMissing },
    async () => {
      for (const entry of corpus.cases) {
        const dump = await withTorrc(
          entry,
          ({ torrc, directory }) =>
            dumpByTor(torrc, directory)?.map((line) => line.replaceAll(directory, '{dir}')) ?? null,
        );
        assert.deepEqual(dump, entry.tor, entry.name);
      }
    },
  );

  test('with Engine tor a Tor is given what means the same', { skip: torMissing }, async () => {
    const names = execFileSync('tor', ['--list-torrc-options'], { encoding: 'utf8' }).split('\n');
    const vocabulary = torVocabulary(names.filter((name) => /^\w+$/.test(name)));
    const settings = new TorSettings({ command: ['/postern'], registry: builtinTransports });
    let count = 0;
    for (const entry of corpus.cases.filter(({ tor }) => tor !== null)) {
      await withTorrc(entry, async ({ torrc, directory }) => {
        let given: string;
        try {
          const pieces = await readCase(torrc);
          given = settings.torrcFor(Configuration.parse(pieces, {}, vocabulary));
        } catch (error) {
          // What we read ourselves, and refuse for a reason that is told.
          assert.ok(error instanceof PosternError);
          const isTold = entry.difference !== undefined || /^User: /.test(error.message);
          assert.ok(isTold, `${entry.name}: ${error.message}`);
          return;
        }
        if (entry.difference !== undefined) return;
        writeFileSync(torrc, given);
        const meant = (dump: readonly string[]): readonly string[] =>
          dump
            .filter((line) => !isCarriedOutHere.test(line))
            .map((line) => line.replaceAll(directory, '{dir}'));
        assert.deepEqual(meant(dumpByTor(torrc, directory) ?? []), meant(entry.tor!), entry.name);
        count += 1;
      });
    }
    assert.ok(count > 200);
  });
});
