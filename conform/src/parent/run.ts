/** One start of a parent, with the kit in the place of its PT. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { randomBytes } from 'node:crypto';
import type { Time } from '../patience.ts';
import { Program, type ProgramOptions, runnable } from '../program.ts';
import { dialWire, ownLoopbackAddress, Trap, type Wire } from '../wire.ts';
import type { FakeNews, FakeOrder, Moment } from './fake-pt.ts';
import type { Launch } from './recipes.ts';

/** What the parent is given in its own environment, and must keep from the PT. */
export const strayVariables: Readonly<Record<string, string>> = {
  TOR_PT_PROXY: 'socks5://127.0.0.1:9',
  TOR_PT_AUTH_COOKIE_FILE: '/nonexistent/stray-cookie',
};

/** How a parent is started. */
export interface ParentRunOptions extends Pick<ProgramOptions, 'pace' | 'guard'> {
  /** The command, in which `{pt}`, `{args}`, `{listen}` and `{dir}` stand for what the kit provides. */
  readonly launch: Launch;
  /** Bridge line arguments, for `{args}`. */
  readonly args: string;
  /** A folder that does not exist yet. */
  readonly folder: string;
}

/** What can happen to the fake PT. */
export type EventName = 'stdin end' | 'SIGTERM' | 'gone';

/** What has happened to it, by the kit's clock, and by its own as far as it has seen it. */
export interface PtEvent {
  readonly event: EventName;
  readonly atMs: number;
  readonly moment?: Moment;
}

/** A parent that runs, and the PT that it started. */
export class ParentRun extends Program {
  /** What the fake PT found in its environment; undefined until it is started. */
  env: Readonly<Record<string, string>> | undefined;
  parentPid: number | undefined;
  /** In the order in which the kit heard of them. */
  readonly events: PtEvent[] = [];
  /** Whether the fake PT looks closely at what happens to it. */
  isAttentive = false;
  /** Whether it has ended by itself, and was not killed. */
  hasLeft = false;
  #output = '';
  /** Where the fake PT's SOCKS listener is. */
  readonly socks: Trap;
  readonly #control: Server;
  readonly #connections = new Set<Socket>();
  readonly #pokes = new Set<Wire>();
  /** By this the fake PT of this run is known from whoever else connects. */
  readonly #word: string;
  #first: Socket | undefined;

  private constructor(options: ParentRunOptions, control: Server, socks: Trap, listen: string) {
    const { folder, launch, args } = options;
    const { port } = control.address() as AddressInfo;
    const word = randomBytes(16).toString('hex');
    const pt = join(folder, 'pt');
    const script = fileURLToPath(new URL('./fake-pt.js', import.meta.url));
    writeFileSync(pt, `#!/bin/sh\nexec '${process.execPath}' '${script}' ${port} ${word}\n`);
    chmodSync(pt, 0o755);
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
    super({
      ...options,
      command: [runnable(program!), ...rest],
      cwd: folder,
      env: { HOME: folder, TMPDIR: folder, ...strayVariables },
      stdio: ['ignore', 'pipe', 'pipe'],
      endsWith: 'exit',
    });
    this.#word = word;
    this.#control = control.on('connection', (socket) => this.#accept(socket));
    this.socks = socks;
    socks.news.listen(() => this.news.tell());
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('latin1').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARACTERS);
      });
    }
    const texts = [...launch.template, ...Object.values(launch.files ?? {})];
    // What becomes of an application's connections does not matter here.
    if (texts.some((text) => text.includes('{listen}'))) this.#poke(listen).catch(() => {});
  }

  static async open(options: ParentRunOptions): Promise<ParentRun> {
    mkdirSync(join(options.folder, 'data'), { recursive: true, mode: 0o700 });
    const control = createServer();
    await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve));
    const socks = await Trap.open();
    // An address of its own: nobody else gets its port in the meantime.
    const free = await Trap.open(ownLoopbackAddress());
    free.close();
    return new ParentRun(options, control, socks, free.address);
  }

  /** The end of what it has written, for messages. */
  get lastWords(): string {
    return this.#output.trim().split('\n').slice(-3).join(' / ');
  }

  /** Waits until it has started the PT, or has ended. */
  started(time: Time): Promise<boolean> {
    return this.until(() => this.env !== undefined || this.end !== undefined, time);
  }

  /** The parent's connections to the PT that have begun to speak SOCKS; others are somebody else's. */
  get conversations(): readonly Wire[] {
    return this.socks.wires.filter(({ first }) => first === 4 || first === 5);
  }

  /** The first of them; undefined when none comes, or the parent has ended before. */
  async conversation(time: Time): Promise<Wire | undefined> {
    await this.until(() => this.conversations.length > 0 || this.end !== undefined, time);
    return this.conversations[0];
  }

  /** Whether something has happened to the fake PT. */
  has(event: EventName): boolean {
    return this.find(event) !== undefined;
  }

  /** The first time that something has happened to it. */
  find(event: EventName): PtEvent | undefined {
    return this.events.find((each) => each.event === event);
  }

  /** Tells the fake PT what to do. */
  order(order: FakeOrder): void {
    this.#first?.write(`${JSON.stringify(order)}\n`);
  }

  /** Asks the parent to end. */
  stopParent(): void {
    this.child.kill('SIGTERM');
  }

  protected override cleanUp(): void {
    // What the parent started elsewhere ends with its connection.
    for (const socket of this.#connections) socket.destroy();
    for (const wire of this.#pokes) wire.close();
    this.#control.close();
    this.socks.close();
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', () => {});
    createInterface({ input: socket })
      .on('error', () => {})
      .on('line', (line) => this.#hear(socket, line));
    socket.on('close', () => {
      this.#connections.delete(socket);
      if (socket === this.#first) this.#note({ event: 'gone' });
    });
  }

  /** A parent may start the PT again; only its first start is looked at. */
  #hear(socket: Socket, line: string): void {
    if (this.#first === undefined) {
      if (!line.includes(this.#word)) return;
      this.#first = socket;
      this.answered();
    }
    if (socket !== this.#first) return;
    const news = JSON.parse(line) as FakeNews;
    switch (news.type) {
      case 'start':
        this.env = news.env;
        this.parentPid = news.parentPid;
        break;
      case 'attending':
        this.isAttentive = true;
        break;
      case 'leaving':
        this.hasLeft = true;
        break;
      case 'stdinEnd':
        return this.#note({ event: 'stdin end', moment: news });
      case 'sigterm':
        return this.#note({ event: 'SIGTERM', moment: news });
    }
    this.news.tell();
  }

  #note(event: Omit<PtEvent, 'atMs'>): void {
    this.events.push({ ...event, atMs: Date.now() });
    this.news.tell();
  }

  /** Plays the application where the parent has a listener for one. */
  async #poke(listen: string): Promise<void> {
    const [host = '', port = ''] = listen.split(':');
    while (!this.isStopped && this.end === undefined) {
      const wire = await dialWire({ host, port: Number(port) }, POKE_MS);
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
const POKE_EVERY_MS = 100;
const POKE_MS = 3000;
