/** One start of a parent, with the kit in the place of its PT. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { dialWire, Trap, type Wire } from '../wire.ts';
import type { FakeNews, FakeOrder } from './fake-pt.ts';
import type { Launch } from './recipes.ts';

/** What the parent is given in its own environment, and must keep from the PT. */
export const strayVariables: Readonly<Record<string, string>> = {
  TOR_PT_PROXY: 'socks5://127.0.0.1:9',
  TOR_PT_AUTH_COOKIE_FILE: '/nonexistent/stray-cookie',
};

/** How a parent is started. */
export interface StageOptions {
  /** The command, in which `{pt}`, `{args}`, `{listen}` and `{dir}` stand for what the kit provides. */
  readonly launch: Launch;
  /** Bridge line arguments, for `{args}`. */
  readonly args: string;
  /** A folder that does not exist yet. */
  readonly folder: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** What happened to the fake PT, in order. */
export type StageEvent = 'stdin end' | 'SIGTERM' | 'gone';

/** A parent that runs, and the PT that it started. */
export class Stage {
  /** What the fake PT found in its environment; undefined until it is started. */
  env: Readonly<Record<string, string>> | undefined;
  parentPid: number | undefined;
  readonly events: { readonly event: StageEvent; readonly atMs: number }[] = [];
  /** How many fake PTs were started. */
  starts = 0;
  /** How the parent ended. */
  exit: { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null } | undefined;
  output = '';
  /** Where the fake PT's SOCKS listener is. */
  readonly socks: Trap;
  readonly #child: ChildProcess;
  readonly #control: Server;
  readonly #connections = new Set<Socket>();
  readonly #pokes = new Set<Wire>();
  #first: Socket | undefined;
  #isClosed = false;
  #wake: () => void = () => {};

  private constructor(options: StageOptions, control: Server, socks: Trap, listen: string) {
    const { folder, launch, args } = options;
    this.#control = control;
    this.socks = socks;
    const { port } = control.address() as AddressInfo;
    const pt = join(folder, 'pt');
    const script = fileURLToPath(new URL('./fake-pt.js', import.meta.url));
    writeFileSync(pt, `#!/bin/sh\nexec '${process.execPath}' '${script}' ${port}\n`);
    chmodSync(pt, 0o755);
    control.on('connection', (socket) => this.#accept(socket));
    const directory = join(folder, 'data');
    const fill = (text: string): string =>
      text
        .replaceAll('{pt}', pt)
        .replaceAll('{args}', args)
        .replaceAll('{listen}', listen)
        .replaceAll('{dir}', directory);
    for (const [name, text] of Object.entries(launch.files ?? {})) {
      writeFileSync(join(directory, name), fill(text));
    }
    // Without arguments nothing is left of their place but a space.
    const [program, ...rest] = launch.template.map((word) => fill(word).trimEnd());
    const { PATH = '/usr/bin:/bin' } = process.env;
    this.#child = spawn(program!, rest, {
      cwd: folder,
      env: { PATH, HOME: folder, TMPDIR: folder, ...options.variables },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('latin1').on('data', (text: string) => {
        this.output = (this.output + text).slice(-KEPT_OUTPUT_CHARACTERS);
      });
    }
    this.#child.once('exit', (exitCode, signal) => {
      this.exit ??= { exitCode, signal };
      this.#wake();
    });
    this.#child.once('error', () => {
      this.exit ??= { exitCode: null, signal: null };
      this.#wake();
    });
    void this.#poke(listen);
  }

  static async open(options: StageOptions): Promise<Stage> {
    mkdirSync(join(options.folder, 'data'), { recursive: true, mode: 0o700 });
    const control = createServer();
    await new Promise<void>((resolve) => void control.listen(0, '127.0.0.1', resolve));
    const socks = await Trap.open();
    const free = await Trap.open();
    free.close();
    return new Stage(options, control, socks, free.address);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits for something to be true; says whether it came in time. */
  until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (outcome: boolean): void => {
        clearTimeout(timer);
        clearInterval(look);
        resolve(outcome);
      };
      const timer = setTimeout(() => settle(condition()), timeoutMs);
      const check = (): void => {
        if (condition()) settle(true);
      };
      const look = setInterval(check, LOOK_EVERY_MS);
      this.#wake = check;
      check();
    });
  }

  /** Whether something has happened to the fake PT. */
  has(event: StageEvent): boolean {
    return this.events.some((each) => each.event === event);
  }

  /** Tells the first fake PT what to do. */
  order(order: FakeOrder): void {
    this.#first?.write(`${JSON.stringify(order)}\n`);
  }

  /** Asks the parent to end. */
  stopParent(): void {
    this.#child.kill('SIGTERM');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const { pid } = this.#child;
    if (pid !== undefined) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // All of it has gone by itself.
      }
    }
    await this.until(() => this.exit !== undefined, CLOSE_WAIT_MS);
    // What the parent started elsewhere ends with its connection.
    for (const socket of this.#connections) socket.destroy();
    for (const wire of this.#pokes) wire.close();
    this.#control.close();
    this.socks.close();
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => {});
    const isFirst = this.#first === undefined;
    if (isFirst) this.#first = socket;
    createInterface({ input: socket })
      .on('error', () => {})
      .on('line', (line) => {
        const news = JSON.parse(line) as FakeNews;
        if (news.type === 'start') this.starts += 1;
        if (isFirst) this.#hear(news);
      });
    socket.on('close', () => {
      this.#connections.delete(socket);
      if (isFirst) this.#note('gone');
    });
  }

  #hear(news: FakeNews): void {
    if (news.type === 'start') {
      this.env = news.env;
      this.parentPid = news.parentPid;
      this.#wake();
    } else {
      this.#note(news.type === 'sigterm' ? 'SIGTERM' : 'stdin end');
    }
  }

  #note(event: StageEvent): void {
    this.events.push({ event, atMs: Date.now() });
    this.#wake();
  }

  /** Plays the application where the parent has a listener for one. */
  async #poke(listen: string): Promise<void> {
    const [host = '', port = ''] = listen.split(':');
    while (!this.#isClosed && this.exit === undefined) {
      const wire = await dialWire({ host, port: Number(port) }, LOOK_EVERY_MS);
      if (typeof wire !== 'string') {
        this.#pokes.add(wire);
        await wire.ending(POKE_MS);
        wire.close();
      }
      await new Promise((resolve) => setTimeout(resolve, POKE_EVERY_MS));
    }
  }
}

const KEPT_OUTPUT_CHARACTERS = 20_000;
const LOOK_EVERY_MS = 20;
const POKE_EVERY_MS = 100;
const POKE_MS = 3000;
const CLOSE_WAIT_MS = 5000;
