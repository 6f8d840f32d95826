/** The processes of this machine, as Linux shows them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
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

/** The TCP ports on which a process listens, in order. */
export function listeningPorts(pid: number): readonly number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
      } catch {
        return ''; // it has just been closed
      }
    }),
  );
  return ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'latin1').split('\n').slice(1))
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(`socket:[${inode}]`))
    .map(([, local]) => Number.parseInt(local!.split(':')[1]!, 16))
    .sort((one, other) => one - other);
}
