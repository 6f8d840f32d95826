/** What the operating system says that a process has used (Linux only: /proc). */
import { readdirSync, readFileSync } from 'node:fs';

/** What one reading says, by name; two of the same kind can be subtracted. */
export type Reading = Readonly<Record<string, number>>;

/** `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time of all threads so far, in seconds. */
export function cpuTimes(pid: number): { readonly user: number; readonly system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the program's name in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = [fields[11], fields[12]].map(Number);
  return { user: userTicks! / TICKS_PER_SECOND, system: systemTicks! / TICKS_PER_SECOND };
}

/** User and system CPU time of all threads so far, in seconds. */
export function cpuSeconds(pid: number): number {
  const { user, system } = cpuTimes(pid);
  return user + system;
}

/** The same to the nanosecond, of the threads that live. */
export function fineCpuSeconds(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1'))
    .reduce((sum, text) => sum + Number(text.split(' ')[0]) / 1e9, 0);
}

/** Memory in bytes: what only this process has and has written to, and all that it has mapped in. */
export function memoryOf(pid: number): { readonly private: number; readonly resident: number } {
  return { private: rollup(pid, 'Private_Dirty'), resident: rollup(pid, 'Rss') };
}

/** Memory in use: the proportional set size, which counts a shared page as its share. */
export function memoryBytes(pid: number): number {
  return rollup(pid, 'Pss');
}

function rollup(pid: number, name: string): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)![1]) * 1024;
}

/** Open files, sockets among them. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
