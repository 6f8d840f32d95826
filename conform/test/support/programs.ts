/** The programs that the tests start, and a place for what those write. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `postern`, as it is installed beside the kit. */
export const postern: readonly [string, ...string[]] = [
  process.execPath,
  join(dirname(fileURLToPath(import.meta.resolve('postern/package.json'))), 'bin', 'postern'),
];

/** The kit's own command. */
export const posternConform: readonly [string, ...string[]] = [
  process.execPath,
  fileURLToPath(new URL('../../src/cli/main.js', import.meta.url)),
];

/** How a run of the kit ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `postern-conform` with arguments to its end, as a person would. */
export function conform(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  const [file, ...first] = posternConform;
  return new Promise((resolve) => {
    const options = { env, maxBuffer: 1e8 };
    const child = execFile(file, [...first, ...args], options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, stdout, stderr });
    });
  });
}

/**
 * Why a test that needs a foreign program cannot run, or false. The variables are those of the root's tests:
 * `POSTERN_NO_PEERS=1` makes as if none were installed, `POSTERN_REQUIRE_PEERS=1` makes that a failure.
 */
export function missing(program: string): string | false {
  const { POSTERN_NO_PEERS: none, POSTERN_REQUIRE_PEERS: required } = process.env;
  try {
    if (none !== '1') execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return none === '1' && `${program} is not looked for`;
  } catch {
    if (required === '1') throw new Error(`${program} is demanded by POSTERN_REQUIRE_PEERS=1`);
    return `${program} is not installed`;
  }
}

/** A directory that is gone after the test. */
export function temporaryDirectory(t: { after(callback: () => Promise<void>): void }): string {
  const path = mkdtempSync(join(tmpdir(), 'postern-conform-test-'));
  // Again, where a program that is stopped only after this has just written a file.
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 10 }));
  return path;
}
