import type { ChildProcess } from 'node:child_process';
import type { Guard } from './guard.ts';

/**
 * The process group that a child leads, which was started `detached`: killed as a whole, and by the guard when
 * the kit itself is killed.
 *
 * Process numbers are used again, within minutes where many processes are started. So a group is forgotten as
 * soon as it is empty, and no other one is ever killed.
 */
export class ProcessGroup {
  readonly #guard: Guard;
  #leader: number | undefined;

  constructor(child: ChildProcess, guard: Guard) {
    this.#guard = guard;
    this.#leader = child.pid;
    if (child.pid === undefined) return;
    guard.watch(child.pid);
    child.once('exit', () => {
      // As long as a process is left in the group, its number is not given to another one.
      if (!this.#send(0)) this.forget();
    });
  }

  /** Kills all that are left of it. */
  kill(): void {
    this.#send('SIGKILL');
  }

  /** All of it is gone. Idempotent. */
  forget(): void {
    if (this.#leader !== undefined) this.#guard.forget(this.#leader);
    this.#leader = undefined;
  }

  /** @returns whether there was a process to send it to */
  #send(signal: NodeJS.Signals | 0): boolean {
    if (this.#leader === undefined) return false;
    try {
      return process.kill(-this.#leader, signal);
    } catch {
      return false;
    }
  }
}
