/** One start of a program under test: its process, what it says, and how it ends. */
import type { Duplex, Writable } from 'node:stream';
import type { Time } from '../patience.ts';
import { Program, type ProgramOptions } from '../program.ts';
import { filesBelow, type Sandbox } from '../sandbox.ts';

/** `TOR_PT_*` variables; undefined leaves one out. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** How a program is started. */
export interface RunOptions extends Pick<ProgramOptions, 'command' | 'pace' | 'guard'> {
  /** How evidence names the start. */
  readonly what: string;
  readonly variables: Variables;
  readonly sandbox: Sandbox;
  /** `open`: a pipe that stays open. `none`: at its end from the start. */
  readonly stdin: 'open' | 'none';
  /** Starts it below another process, whose death `killParent` brings about. */
  readonly hasMiddleman: boolean;
}

/** A line of method status, as far as it can be read. */
export interface Method {
  readonly keyword: string;
  readonly transport: string;
  readonly rest: readonly string[];
}

const doneLines: ReadonlySet<string> = new Set(['CMETHODS DONE', 'SMETHODS DONE']);
const errorLine = /^(?:VERSION|ENV|PROXY)-ERROR(?: |$)/;

/** A program that was started. */
export class Run extends Program {
  readonly what: string;
  readonly variables: Variables;
  readonly sandbox: Sandbox;
  /** The lines of stdout so far, without NL; bytes as Latin-1 characters. */
  readonly lines: string[] = [];
  /** What stands behind the last NL. */
  tail = '';
  stderr = '';
  /** Whether it ended by itself after a line that announces just that; undefined without one. */
  endedAfterError: boolean | undefined;
  /** What it wrote outside its state directory; known when it has been stopped. */
  strays: readonly string[] = [];
  readonly #hasMiddleman: boolean;
  #middlemanSays = '';

  constructor({ what, variables, sandbox, stdin, hasMiddleman, ...options }: RunOptions) {
    const set = Object.entries(variables).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    super({
      ...options,
      command: hasMiddleman ? [...middleman, ...options.command] : options.command,
      cwd: sandbox.cwd,
      env: { ...sandbox.env, ...Object.fromEntries(set) },
      stdio: hasMiddleman
        ? ['ignore', 'pipe', 'pipe', 'pipe', 'pipe']
        : [stdin === 'open' ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      endsWith: 'close',
    });
    this.what = what;
    this.variables = variables;
    this.sandbox = sandbox;
    this.#hasMiddleman = hasMiddleman;
    this.child.stdin?.on('error', () => {});
    this.child.stdout!.setEncoding('latin1').on('data', (text: string) => this.#read(text));
    this.child.stderr!.setEncoding('latin1').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT_STDERR_CHARACTERS);
    });
    if (hasMiddleman) {
      const [, , , says, stdin] = this.child.stdio as readonly (Duplex | null)[];
      says?.setEncoding('latin1').on('data', (text: string) => {
        this.#middlemanSays += text;
        this.news.tell();
      });
      // Its end, which must be read to be seen, is that of the program.
      stdin?.on('error', () => {}).resume();
    }
  }

  /** The program's process number, not that of a middleman; undefined while it is not known. */
  override get pid(): number | undefined {
    if (!this.#hasMiddleman) return this.child.pid;
    const number = /^(\d+)\n/.exec(this.#middlemanSays);
    return number === null ? undefined : Number(number[1]);
  }

  /** It said CMETHODS DONE or SMETHODS DONE. */
  get isDone(): boolean {
    return this.lines.some((line) => doneLines.has(line));
  }

  /** The method lines so far, read leniently. */
  get methods(): readonly Method[] {
    return this.lines.flatMap((line) => {
      const [keyword = '', transport = '', ...rest] = line.trim().split(' ');
      return /^[CS]METHOD(?:-ERROR)?$/.test(keyword) ? [{ keyword, transport, rest }] : [];
    });
  }

  /** The line that reports a listener for a transport. */
  method(name: string): Method | undefined {
    return this.methods.find(
      ({ keyword, transport }) => /^[CS]METHOD$/.test(keyword) && transport === name,
    );
  }

  /** Waits until it is done, has failed, or has had its time; a line of failure is given time to come true. */
  async settle(time: Time): Promise<void> {
    const hasFailed = (): boolean => this.lines.some((line) => errorLine.test(line));
    await this.until(() => this.isDone || hasFailed() || this.end !== undefined, time);
    // What should not follow often does so at once.
    if (this.isDone) await this.until(() => this.end !== undefined, this.pace.moment(LINGER_MS));
    if (hasFailed()) {
      this.endedAfterError = await this.until(() => this.end !== undefined, time);
    }
    if (this.pid !== undefined && this.end === undefined) this.sandbox.noteOpenFiles(this.pid);
  }

  /** Ends its stdin. @returns whether it is gone within a time */
  endsWithStdin(time: Time): Promise<boolean> {
    this.stdin?.end();
    return this.ends(time);
  }

  get stdin(): Writable | null {
    return this.child.stdin;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.end === undefined) this.child.kill(signal);
  }

  /** Kills the process that started it, and nothing else. */
  async killParent(time: Time): Promise<void> {
    await this.until(() => this.pid !== undefined, time);
    this.child.kill('SIGKILL');
  }

  /** Everything that it wrote: what it said, and the text of its files. */
  async *written(): AsyncGenerator<{ readonly where: string; readonly text: string }> {
    yield { where: 'stdout', text: this.lines.join('\n') };
    yield { where: 'stderr', text: this.stderr };
    const { readFile, stat } = await import('node:fs/promises');
    for (const path of [...filesBelow(this.sandbox.root), ...filesBelow(this.sandbox.state)]) {
      const isFile = await stat(path).then(
        (status) => status.isFile(),
        () => false,
      );
      if (isFile) yield { where: path, text: await readFile(path, 'latin1') };
    }
  }

  protected override cleanUp(): void {
    this.strays = this.sandbox.strays();
    this.sandbox.close();
  }

  #read(text: string): void {
    const pieces = (this.tail + text).split('\n');
    this.tail = pieces.pop()!;
    this.lines.push(...pieces);
    if (pieces.length > 0) this.answered();
    this.news.tell();
  }
}

/**
 * A shell that starts the program with descriptor 4 as its stdin, says its process number on descriptor 3 and
 * waits. Not with its own stdin: Node closes that one when the shell dies.
 */
const middleman = ['/bin/sh', '-c', '"$@" <&4 3>&- 4<&- & echo $! >&3; exec 3>&- 4<&-; wait', 'sh'];

const LINGER_MS = 50;

const KEPT_STDERR_CHARACTERS = 100_000;
