/** The kit's folder, and a guard that kills all that the kit has started if the kit itself is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A shell that waits for the end of a pipe whose other end is the kit's. Whatever ends the kit, SIGKILL too,
 * ends the pipe; the shell then kills the process groups that it was told of and removes the kit's folder.
 */
export class Guard {
  /** A new folder of the kit's own, which goes with it. */
  readonly folder: string = mkdtempSync(join(tmpdir(), `postern-conform-${process.pid}-`));
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'postern-conform-guard', this.folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // What ends the kit, like Ctrl-C, must not end the shell.
      detached: true,
    });
    this.#shell.on('error', () => {});
    this.#shell.stdin!.on('error', () => {});
    this.#shell.unref();
  }

  /** A process that leads a group of its own has been started. */
  watch(pid: number): void {
    this.#shell.stdin!.write(`+ ${pid}\n`);
  }

  /** It is gone; the number may soon be somebody else's. */
  forget(pid: number): void {
    this.#shell.stdin!.write(`- ${pid}\n`);
  }

  /** Removes the folder; all processes have been ended. Idempotent. */
  async close(): Promise<void> {
    try {
      // Tries again: something that is being killed may just have written a file.
      await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    } finally {
      this.#shell.stdin!.end();
    }
  }
}

const SCRIPT = `
live=" "
while read -r sign pid; do
  case $sign in
    +) live="$live$pid " ;;
    -) case $live in *" $pid "*) live="\${live%% $pid *} \${live#* $pid }" ;; esac ;;
  esac
done
for pid in $live; do kill -9 "-$pid"; done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;
