import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { resolve, sep } from 'node:path';
import type { Guard } from './guard.ts';
import { News, type Pace, type Time, waitFor } from './patience.ts';

/** How a program is started. */
export interface ProgramOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  /** All that it finds in its environment, besides PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdio: StdioOptions;
  /** What its end is: `close`, when all that it said has been read, or `exit`, whoever may still write. */
  readonly endsWith: 'close' | 'exit';
  /** Hears how long it took until the program did something or ended. */
  readonly pace: Pace;
  readonly guard: Guard;
}

/** How a process ended. */
export interface ProgramEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * A program that the kit has started, as the leader of a process group: all of it can be ended, by the guard
 * too if the kit itself is killed, and Ctrl-C is for the kit alone.
 *
 * Process numbers are used again, within minutes where many processes are started. So a group is forgotten as
 * soon as it is empty, and no other one is ever killed.
 */
export abstract class Program {
  end: ProgramEnd | undefined;
  readonly pace: Pace;
  protected readonly child: ChildProcess;
  protected readonly news: News = new News();
  readonly #guard: Guard;
  readonly #startedMs = performance.now();
  #group: number | undefined;
  #hasAnswered = false;
  #stopped: Promise<void> | undefined;

  constructor({ command, cwd, env, stdio, endsWith, pace, guard }: ProgramOptions) {
    const [file, ...args] = command;
    const { PATH = '/usr/bin:/bin' } = process.env;
    this.pace = pace;
    this.#guard = guard;
    this.child = spawn(file!, args, { cwd, env: { PATH, ...env }, stdio, detached: true });
    this.#group = this.child.pid;
    if (this.#group !== undefined) guard.watch(this.#group);
    this.child.once('exit', () => {
      // As long as a process is left in the group, its number is not given to another one.
      if (!this.#signalGroup(0)) this.#forgetGroup();
    });
    this.child.once(endsWith, (exitCode, signal) => this.#ended({ exitCode, signal }));
    this.child.once('error', () => this.#ended({ exitCode: null, signal: null }));
  }

  /** Its process number; undefined where there is none. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Waits for something to be true; says whether it came in time. */
  until(condition: () => boolean, time: Time): Promise<boolean> {
    return waitFor(condition, [this.news], time);
  }

  /** Whether it is gone within a time. */
  ends(time: Time): Promise<boolean> {
    return this.until(() => this.end !== undefined, time);
  }

  /** Kills it with all that it started. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  protected get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** Comes when it has been stopped. */
  protected abstract cleanUp(): void;

  /** It has done something, or ended: that is as long as a start takes. */
  protected answered(): void {
    if (!this.#hasAnswered && !this.isStopped) this.pace.note(performance.now() - this.#startedMs);
    this.#hasAnswered = true;
  }

  async #stop(): Promise<void> {
    // Also when it has ended: what it has started may be there still.
    this.#signalGroup('SIGKILL');
    await this.ends(STOP_WAIT_MS);
    this.#forgetGroup();
    this.cleanUp();
  }

  #ended(end: ProgramEnd): void {
    this.end ??= end;
    this.answered();
    this.news.tell();
  }

  #forgetGroup(): void {
    if (this.#group !== undefined) this.#guard.forget(this.#group);
    this.#group = undefined;
  }

  /** @returns whether there was a process to send it to */
  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    if (this.#group === undefined) return false;
    try {
      return process.kill(-this.#group, signal);
    } catch {
      return false;
    }
  }
}

/** A program as it is found from another folder: a relative path would lead nowhere there. */
export function runnable(program: string): string {
  return program.includes(sep) ? resolve(program) : program;
}

/** What was killed is gone at once; only a stopped machine takes longer. */
const STOP_WAIT_MS = 5000;
