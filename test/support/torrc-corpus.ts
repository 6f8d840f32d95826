/** Torrc files of the world, with what a Tor said of each and what we say. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../scripts/paths.ts';
import { torrcFile } from '../../src/config/node.ts';
import { readTorrc } from '../../src/config/store.ts';
import type { TorrcPiece } from '../../src/config/torrc.ts';

/** One torrc. */
export interface TorrcCase {
  readonly group: string;
  readonly name: string;
  /** `{dir}` is a directory with the files. */
  readonly lines: readonly string[];
  /** By path; the same for a whole group. */
  readonly files?: Readonly<Record<string, string>>;
  /** What `tor --dump-config short` says of it; null when Tor refuses it. */
  readonly tor: readonly string[] | null;
  /** What the embedded engine says of it; null when it takes it. */
  readonly refusal: string | null;
  /** Why we refuse, or read in another way, what Tor takes; or take what Tor refuses. */
  readonly difference?: string;
}

/** The corpus, and the Tor that judged it. */
export interface TorrcCorpus {
  readonly tor: string;
  readonly cases: readonly TorrcCase[];
}

const path = join(packageRoot, 'test', 'vectors', 'torrc-corpus.json');

export const corpus: TorrcCorpus = JSON.parse(readFileSync(path, 'utf8')) as TorrcCorpus;

/** `POSTERN_RECORD=1` writes what both say today. What differs is then to be explained by hand. */
export function recordCorpus(recorded: TorrcCorpus): void {
  writeFileSync(path, `${JSON.stringify(recorded, null, 2)}\n`);
}

/** Runs `act` with the torrc of a case on disk, in whose directory relative paths begin. */
export async function withTorrc<T>(
  { lines, files = {} }: TorrcCase,
  act: (place: { readonly directory: string; readonly torrc: string }) => Promise<T> | T,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'postern-torrc-'));
  const fill = (text: string): string => text.replaceAll('{dir}', directory);
  const before = process.cwd();
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), fill(text));
    }
    const torrc = join(directory, 'the torrc');
    writeFileSync(torrc, fill(lines.join('\n')));
    process.chdir(directory);
    return await act({ directory, torrc });
  } finally {
    process.chdir(before);
    rmSync(directory, { recursive: true });
  }
}

/** The lines of a case, with those of the files that it includes. */
export function readCase(torrc: string): Promise<readonly TorrcPiece[]> {
  return readTorrc(torrcFile(torrc));
}

/** What Tor makes of a torrc: its lines in Tor's own form; null when it refuses it. */
export function dumpByTor(torrc: string, directory: string): readonly string[] | null {
  const what = ['-f', torrc, '--defaults-torrc', '/dev/null', '--hush', '--dump-config', 'short'];
  try {
    const dump = execFileSync('tor', what, {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      // `~` is to be the same everywhere.
      env: { PATH: process.env['PATH'], HOME: '/nowhere' },
    });
    // A log that Tor sends to stdout before it has read its torrc is none of its lines.
    return dump.split('\n').filter((line) => line !== '' && !/^[A-Z][a-z]{2} \d\d /.test(line));
  } catch {
    return null;
  }
}
