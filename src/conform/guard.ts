/** Ends what the kit has started when the kit itself is killed and can do nothing more. */
import { type ChildProcess, spawn } from 'node:child_process';

/**
 * A shell that waits for the end of a pipe whose other end is the kit's. Whatever ends the kit, SIGKILL too,
 * ends the pipe; the shell then kills the process groups that it was told of and removes the kit's folder.
 */
export class Guard {
  readonly #shell: ChildProcess;

  /** @param folder goes with the kit */
  constructor(folder: string) {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'postern-conform-guard', folder], {
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

  /** Everything has been cleaned up. Idempotent. */
  close(): void {
    this.#shell.stdin!.end();
  }
}

const SCRIPT = `
live=" "
while read -r sign pid; do
  case $sign in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -9 "-$pid"; done
rm -rf "$1"
`;
