/** What stands behind the TC server with one fault: options, mappings, and connections that cause events. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Endpoint } from 'postern/pt';

/** Whether the server has a fault. */
export type Has = (fault: string) => boolean;

/** What a request is refused with. */
export class Refusal extends Error {
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

interface Option {
  readonly name: string;
  readonly kind: 'number' | 'text' | 'list' | 'fixed';
  readonly initial?: readonly string[];
}

const GROUP = 'hiddenserviceoptions';
const groupMembers = ['dir', 'port', 'nodes', 'excludenodes'].map((end) => `hiddenservice${end}`);

/** Configuration lines, in force or in the file. */
interface Lines {
  values: Map<string, readonly string[]>;
  group: readonly string[];
}

/** The options. */
export class FaultyOptions {
  readonly #has: Has;
  readonly #options: ReadonlyMap<string, Option>;
  #now: Lines;
  #file: Lines;

  /**
   * @param waitSeconds how long it waits when it is shut down as a relay
   * @param extra options whose values do not change
   */
  constructor(has: Has, waitSeconds: number, extra: Readonly<Record<string, readonly string[]>>) {
    this.#has = has;
    const options: readonly Option[] = [
      { name: 'MaxCircuitDirtiness', kind: 'number', initial: ['600'] },
      { name: 'ShutdownWaitLength', kind: 'number', initial: [String(waitSeconds)] },
      { name: 'Nickname', kind: 'text', initial: ['Fake'] },
      { name: 'ContactInfo', kind: 'text' },
      { name: 'MapAddress', kind: 'list' },
    ];
    this.#options = new Map(
      [
        ...options,
        ...Object.entries(extra).map(
          ([name, initial]) => ({ name, kind: 'fixed', initial }) as const,
        ),
      ].map((option) => [option.name.toLowerCase(), option]),
    );
    this.#now = { values: new Map(), group: [] };
    this.#file = copyOf(this.#now);
  }

  /** The configuration's own mappings. */
  get mappings(): readonly (readonly [string, string])[] {
    return (this.#now.values.get('mapaddress') ?? []).map((line) => {
      const [from = '', to = ''] = line.split(' ');
      return [from, to];
    });
  }

  get waitSeconds(): number {
    return Number(this.#get('ShutdownWaitLength')[0]!.split(' ')[1]);
  }

  /** The body of the CONFVALUE. */
  getConf(body: string): string {
    if (this.#has('strict-getconf') && !/^(?:\S+\n)*$/.test(body)) {
      throw new Refusal(3, 'each key ends with NL');
    }
    if (this.#has('empty-getconf-fails') && body === '') throw new Refusal(3, 'there is no key');
    let keys = body.split('\n').map((key) => key.trim());
    keys = keys.filter((key) => key !== '');
    if (this.#has('sorted-values')) keys = keys.toSorted();
    if (this.#has('answers-once')) keys = [...new Set(keys)];
    const lines = keys.flatMap((key) => this.#get(key));
    const text = lines.map((line) => `${line}\n`).join('');
    const isContact = lines.some((line) => line.startsWith('ContactInfo'));
    return this.#has('no-final-newline') && isContact ? text.trimEnd() : text;
  }

  setConf(body: string): void {
    if (this.#has('needs-newline') && !/\n$|^$/.test(body)) throw new Refusal(3, 'no final NL');
    if (this.#has('empty-setconf-fails') && body === '') throw new Refusal(3, 'there is no line');
    if (body.includes('\0') && !this.#has('ignores-nul')) throw new Refusal(3, 'there is a NUL');
    const next = this.#has('partial') ? this.#now : copyOf(this.#now);
    const named = new Set<string>();
    for (const raw of body.split('\0')[0]!.split('\n')) {
      const line = (this.#has('no-comments') ? raw : raw.replace(/(^|\s)#.*/, '')).trim();
      if (line === '') continue;
      const [, word = '', value = ''] = /^(\S+)\s*(.*)$/.exec(line)!;
      this.#set(next, named, word, value);
    }
    if (!this.#has('setconf-does-nothing')) this.#now = next;
  }

  save(): void {
    if (!this.#has('saves-nothing')) this.#file = copyOf(this.#now);
  }

  reload(): void {
    if (!this.#has('reload-does-nothing')) this.#now = copyOf(this.#file);
  }

  #find(word: string): Option {
    const option = this.#options.get(word.toLowerCase());
    if (option === undefined || (this.#has('case-matters') && word !== option.name)) {
      throw new Refusal(this.#has('unknown-key-is-value') ? 5 : 4, `no option ${word}`);
    }
    return option;
  }

  #get(word: string): readonly string[] {
    const key = word.toLowerCase();
    const { group, values } = this.#now;
    if (key === GROUP && !this.#has('no-virtual-key')) {
      if (!this.#has('forgets-ports')) return group;
      return group.filter(
        (line, at) => !(line.includes('Port') && group[at - 1]!.includes('Port')),
      );
    }
    if (groupMembers.includes(key)) {
      if (!this.#has('fetches-members')) return [];
      return group.filter((line) => line.toLowerCase().startsWith(`${key} `));
    }
    if (this.#has('skips-unknown') && !this.#options.has(key)) return [];
    const { name, initial = [] } = this.#find(word);
    const lines = values.get(key) ?? initial;
    const order = this.#has('reversed-list') ? lines.toReversed() : lines;
    return order.map((value) => `${name} ${value}`);
  }

  #set(next: Lines, named: Set<string>, word: string, value: string): void {
    const key = word.toLowerCase();
    if (key === GROUP) {
      if (value !== '') throw new Refusal(5, 'it cannot be set itself');
      next.group = [];
      return;
    }
    if (groupMembers.includes(key)) {
      if (!named.has(GROUP) && !this.#has('adds-to-group')) next.group = [];
      named.add(GROUP);
      if (value !== '') next.group = [...next.group, `${word} ${value}`];
      return;
    }
    const { kind } = this.#find(word);
    const isFirst = !named.has(key);
    named.add(key);
    if (value === '') {
      if (this.#has('bare-is-empty')) next.values.set(key, ['']);
      else next.values.delete(key);
      return;
    }
    if (kind === 'fixed' || (kind === 'number' && !/^\d+$/.test(value))) {
      throw new Refusal(this.#has('value-is-syntax') ? 3 : 5, `${word} cannot be ${value}`);
    }
    const kept = kind === 'list' && !(isFirst && !this.#has('adds-to-list'));
    const before = kept && !this.#has('last-of-list') ? (next.values.get(key) ?? []) : [];
    const text = this.#has('squeezes-spaces') ? value.replace(/ +/g, ' ') : value;
    next.values.set(key, [...before, text]);
  }
}

function copyOf({ values, group }: Lines): Lines {
  return { values: new Map(values), group };
}

/** The mappings of controllers. */
export class FaultyMappings {
  readonly #has: Has;
  readonly #options: FaultyOptions;
  /** In the order in which they were made, with the connection that made them. */
  #all: { from: string; to: string; readonly owner: unknown }[] = [];
  readonly #picked = new Map<string, string>();
  #count = 0;

  constructor(has: Has, options: FaultyOptions) {
    this.#has = has;
    this.#options = options;
  }

  /** @returns the pair for ADDRESSMAPPED */
  map(from: string, to: string, owner: unknown): readonly [string, string] {
    if (nulls.includes(to) && !this.#has('null-is-fine')) {
      if (this.#has('refused-but-gone')) this.#remove(from);
      throw new Refusal(1, 'nothing leads to the null address');
    }
    if (nulls.includes(from)) return [this.#pick(from, to, owner), to];
    if (from === to && !this.#has('equal-is-mapping')) {
      this.#remove(from);
      return [from, to];
    }
    if (this.#has('keeps-first') && this.#all.some((each) => each.from === from)) return [from, to];
    if (!this.#has('both-mappings')) this.#remove(from);
    this.#all.push({ from, to, owner });
    return [from, to];
  }

  list(owner: unknown): readonly (readonly [string, string])[] {
    const own = this.#all
      .filter((each) => !this.#has('lists-own') || each.owner === owner)
      .map(({ from, to }) => [from, to] as const);
    return this.#has('hides-configured') ? own : [...this.#options.mappings, ...own];
  }

  /** Where a connection goes. */
  lookUp(host: string): string {
    if (this.#has('maps-nothing')) return host;
    const found = this.#all.findLast(({ from }) => from === host);
    return found?.to ?? this.#options.mappings.find(([from]) => from === host)?.[1] ?? host;
  }

  #remove(from: string): void {
    this.#all = this.#all.filter((each) => each.from !== from);
  }

  #pick(kind: string, to: string, owner: unknown): string {
    if (this.#has('no-picking')) throw new Refusal(1, 'there is no address to pick');
    const earlier = this.#picked.get(`${kind} ${to}`);
    if (earlier !== undefined && this.#has('reuse-forgets')) this.#remove(earlier);
    if (!this.#has('same-pick')) this.#count += 1;
    const host = this.#has('public-pick')
      ? {
          '0.0.0.0': `8.8.8.${this.#count}`,
          '::': `2600::${this.#count}`,
          '.': `p${this.#count}.com`,
        }
      : {
          '0.0.0.0': `127.192.0.${this.#count}`,
          '::': `fc00::${this.#count}`,
          '.': `p${this.#count}.virtual`,
        };
    const picked = this.#has('picks-ipv4') ? host['0.0.0.0'] : host[kind as '.'];
    this.#remove(picked);
    this.#all.push({ from: picked, to, owner });
    this.#picked.set(`${kind} ${to}`, picked);
    return picked;
  }
}

const nulls = ['0.0.0.0', '::', '.'];

/** Log files, of which a debug line tells the level. */
export class FaultyLogs {
  readonly paths: readonly string[];
  readonly #has: Has;
  #isDebug = false;

  constructor(has: Has, folder: string) {
    this.#has = has;
    this.paths = ['one.log', 'two.log'].map((name) => join(folder, name));
    for (const path of this.paths) writeFileSync(path, '');
  }

  set isDebug(value: boolean) {
    this.#isDebug = value;
  }

  /** A line that only a log at the level debug gets. */
  debug(): void {
    if (!this.#isDebug) return;
    const paths = this.#has('debug-one-log') ? this.paths.slice(0, 1) : this.paths;
    for (const path of paths) appendFileSync(path, '[debug] a request\n');
  }
}

/** Tells an event: its code, and what follows. */
export type Tell = (code: number, ...parts: readonly (number | string | Buffer)[]) => void;

/** The SOCKS port, whose connections lead to loopback and nowhere else. */
export class FaultyNetwork {
  readonly #has: Has;
  readonly #mappings: FaultyMappings;
  readonly #tell: Tell;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #streams = 0;
  #circuits = 0;
  #bytes = 0;

  private constructor(has: Has, mappings: FaultyMappings, tell: Tell) {
    this.#has = has;
    this.#mappings = mappings;
    this.#tell = tell;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async open(has: Has, mappings: FaultyMappings, tell: Tell): Promise<FaultyNetwork> {
    const network = new FaultyNetwork(has, mappings, tell);
    await new Promise<void>((resolve) => network.#server.listen(0, '127.0.0.1', resolve));
    return network;
  }

  get endpoint(): Endpoint {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** The octets since the last call. */
  takeCount(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    return this.#has('counts-nothing') ? 0 : bytes;
  }

  /** Streams that a new mapping reaches although they stand. */
  breakStreams(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Takes no connections any more; `drain`: those that stand go on. */
  close(drain = false): void {
    this.#server.close();
    if (!drain) this.breakStreams();
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }

  #accept(socket: Socket): void {
    this.#track(socket);
    let bytes = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes[0] === 5 && bytes.length === 3) {
        socket.write(Buffer.of(5, 0));
        return;
      }
      const request = bytes[0] === 4 ? readSocks4(bytes) : readSocks5(bytes.subarray(3));
      if (request === undefined) return;
      socket.off('data', read);
      this.#serve(socket, request);
    };
    socket.on('data', read);
  }

  #serve(socket: Socket, { version, host, port }: SocksRequest): void {
    if (this.#streams % 3 === 0) this.#buildCircuits();
    if (!this.#has('reuses-stream-ids')) this.#streams += 1;
    const id = Buffer.alloc(4);
    id.writeUInt32BE(Math.max(this.#streams, 1));
    const target = this.#has('target-without-port') ? host : `${host}:${port}`;
    const tell = (status: number): void => this.#tell(2, status, id, `${target}\0`);
    const reply = (isOpen: boolean): Buffer =>
      version === 4
        ? Buffer.of(0, isOpen ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0)
        : Buffer.of(5, isOpen ? 0 : 4, 0, 1, 0, 0, 0, 0, 0, 0);
    const mapped = this.#mappings.lookUp(host);
    const place = mapped === 'localhost' ? '127.0.0.1' : mapped;
    tell(0);
    const fail = (): void => {
      // Whoever asks for a long name wants much to be told.
      if (host.length > 200) this.#tell(5, `${'x'.repeat(60_000)}\0`);
      tell(3);
      socket.end(reply(false));
    };
    if (!place.startsWith('127.')) {
      fail();
      return;
    }
    const far = this.#track(connect({ host: place, port }));
    far.once('error', fail);
    far.once('connect', () => {
      far.off('error', fail);
      tell(2);
      socket.write(reply(true));
      for (const [from, to] of [
        [socket, far],
        [far, socket],
      ] as const) {
        from.on('data', (chunk: Buffer) => (this.#bytes += chunk.length));
        from.pipe(to);
        from.on('close', () => to.destroy());
      }
      far.once('close', () => {
        if (!this.#has('never-ends')) tell(4);
        if (this.#has('ends-twice')) tell(4);
      });
    });
  }

  /** One that fails, one that serves until the next one. */
  #buildCircuits(): void {
    const tell = (status: number, path: readonly string[]): void => {
      const id = Buffer.alloc(this.#has('short-circuit-id') ? 2 : 4);
      id.writeUIntBE(this.#has('reuses-circuit-ids') ? 1 : this.#circuits, 0, id.length);
      const shown = this.#has('whole-path') ? ['one', 'two'] : path;
      const end = this.#has('circuit-without-nul') ? '' : '\0';
      const built = this.#has('circuit-status-5') ? 5 : 1;
      this.#tell(1, status === 1 ? built : status, id, `${shown.join(',')}${end}`);
    };
    if (this.#circuits > 0) tell(4, ['one', 'two']);
    this.#circuits += 1;
    this.#tellLink(0, 'one');
    this.#tellLink(1, 'one');
    this.#tellLink(3, 'one');
    this.#tellLink(0, 'two');
    this.#tellLink(2, 'two');
    tell(0, []);
    tell(2, ['one']);
    tell(3, ['one']);
    this.#circuits += 1;
    tell(0, []);
    tell(2, ['one']);
    tell(2, ['one', 'two']);
    tell(1, ['one', 'two']);
  }

  #tellLink(status: number, name: string): void {
    if (this.#has('link-without-launch') && status === 0 && name === 'two') return;
    const shown = this.#has('link-status-4') && status === 3 ? 4 : status;
    this.#tell(3, shown, `${name}${this.#has('name-without-nul') ? '' : '\0'}`);
  }
}

interface SocksRequest extends Endpoint {
  readonly version: 4 | 5;
}

function readSocks4(bytes: Buffer): SocksRequest | undefined {
  if (bytes.length < 9 || bytes.at(-1) !== 0) return undefined;
  return { version: 4, port: bytes.readUInt16BE(2), host: bytes.subarray(4, 8).join('.') };
}

function readSocks5(bytes: Buffer): SocksRequest | undefined {
  const isName = bytes[3] === 3;
  const end = isName ? 5 + (bytes[4] ?? 0) : 8;
  if (bytes.length < end + 2) return undefined;
  const host = isName ? bytes.toString('latin1', 5, end) : bytes.subarray(4, end).join('.');
  return { version: 5, host, port: bytes.readUInt16BE(end) };
}
