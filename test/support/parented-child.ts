/** A program below a parent that can be killed on its own, while this process holds the program's pipes. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from './managed.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** How a program ended. */
export interface ChildExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that runs as a grandchild of this process. */
export class ParentedChild {
  readonly pid: number;
  /** All of its stdout so far. */
  stdout: string = '';
  /** All of its stderr so far. */
  stderr: string = '';
  /** Resolves when it has ended; undefined when its parent was killed first: nobody hears how then. */
  readonly ended: Promise<ChildExit | undefined>;
  /** Resolves when all of its stdout has been read. */
  readonly read: Promise<unknown>;
  readonly #parent: ChildProcess;
  readonly #stdin: number;
  readonly #stdout: Socket;
  #isStdinOpen = true;

  private constructor(pid: number, parent: ChildProcess, stdin: number, stdout: Socket) {
    this.pid = pid;
    this.#parent = parent;
    this.#stdin = stdin;
    this.#stdout = stdout;
    stdout.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    parent.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.read = once(stdout, 'end');
    const told = once(parent, 'message').then(([message]) => message as ChildExit);
    // Not by 'exit', which may come before a message that was sent before it.
    const untold = once(parent, 'disconnect').then(() => undefined);
    this.ended = Promise.all([Promise.race([told, untold]), once(parent.stderr!, 'end')]).then(
      ([end]) => end,
    );
  }

  /** Starts the program; whatever is left of the two is killed after the test. */
  static async start(
    t: Cleanup,
    command: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<ParentedChild> {
    // Not the pipes that `spawn` makes: those are closed, or read to their end, when the parent is gone.
    const directory = temporaryDirectory(t);
    const [stdinPath, stdoutPath] = [join(directory, 'stdin'), join(directory, 'stdout')];
    execFileSync('mkfifo', [stdinPath, stdoutPath]);
    // Opened in ways that wait for no other end.
    const stdin = openSync(stdinPath, constants.O_RDWR);
    const stdout = new Socket({
      fd: openSync(stdoutPath, constants.O_RDONLY | constants.O_NONBLOCK),
    });
    const parent = spawn(process.execPath, ['-e', PARENT, stdinPath, stdoutPath, ...command], {
      env,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    t.after(() => void parent.kill('SIGKILL'));
    const [pid] = (await once(parent, 'message')) as [number];
    const child = new ParentedChild(pid, parent, stdin, stdout);
    t.after(() => {
      child.closeStdin();
      stdout.destroy();
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should.
      }
    });
    return child;
  }

  /** The first match in its stdout, past or to come. */
  async match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      await once(this.#stdout, 'data');
    }
  }

  /** From now on nobody reads its stdout. */
  stopReading(): void {
    this.#stdout.pause();
  }

  closeStdin(): void {
    if (this.#isStdinOpen) closeSync(this.#stdin);
    this.#isStdinOpen = false;
  }

  killParent(): void {
    this.#parent.kill('SIGKILL');
  }

  send(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }
}

const PARENT = `
  const { openSync } = require('node:fs');
  const [stdin, stdout, program, ...args] = process.argv.slice(1);
  const child = require('node:child_process').spawn(program, args, {
    stdio: [openSync(stdin, 'r'), openSync(stdout, 'w'), 'inherit'],
  });
  child.on('spawn', () => process.send(child.pid));
  child.on('exit', (exitCode, signal) => process.send({ exitCode, signal }, () => process.exit()));
`;
