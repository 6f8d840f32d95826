import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A disk of 16 KiB, until the test is over; undefined, and the test skipped, where that is not allowed. */
export function mountSmallDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'postern-disk-'));
  try {
    const args = ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder];
    execFileSync('mount', args, { stdio: 'ignore' });
  } catch {
    rmdirSync(folder);
    t.skip('needs the right to mount a file system');
    return undefined;
  }
  t.after(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return folder;
}
