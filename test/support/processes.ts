/** The processes of this machine, as Linux shows them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** A process that was seen. */
export interface SeenProcess {
  readonly pid: number;
  /** The name of its program, without folders. */
  readonly program: string;
}

/** The processes that have a directory among their arguments or in their environment. */
export function processesOf(directory: string): readonly SeenProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const read = (file: string): string => readFileSync(`/proc/${name}/${file}`, 'latin1');
        const command = read('cmdline');
        const program = basename(command.split('\0')[0]!);
        const isOf = command.includes(directory) || read('environ').includes(directory);
        return isOf ? [{ pid: Number(name), program }] : [];
      } catch {
        return []; // it has just ended, or is somebody else's
      }
    });
}

/** Resolves when a process has ended, whosever child it is. */
export async function processGone(pid: number): Promise<void> {
  const tail = spawn('tail', ['-f', '/dev/null', '-s', '0.05', '--pid', String(pid)]);
  await once(tail, 'exit');
}
