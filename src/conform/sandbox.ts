/** Where a program under test is run: folders of its own, and a watch over all but one of them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** The surroundings of one start. */
export class Sandbox {
  readonly root: string;
  readonly home: string;
  readonly temporary: string;
  readonly cwd: string;
  /** For TOR_PT_STATE_LOCATION; neither it nor the folder above it exists. */
  readonly state: string;
  /** What appeared outside the state directory, as paths below `root`; also what has gone again. */
  readonly #strays = new Set<string>();
  readonly #watchers: readonly { close(): void }[];

  /** @param state an existing state directory to share, instead of a fresh one */
  constructor(root: string, state?: string) {
    this.root = root;
    this.home = join(root, 'home');
    this.temporary = join(root, 'tmp');
    this.cwd = join(root, 'cwd');
    this.state = state ?? join(root, 'var', 'pt_state');
    for (const folder of [root, this.home, this.temporary, this.cwd]) mkdirSync(folder);
    this.#watchers = [root, this.home, this.temporary, this.cwd].map((folder) => {
      const watcher = watch(folder, (_, name) => {
        if (name !== null) this.#add(join(folder, name));
      });
      return watcher.on('error', () => {});
    });
  }

  /** What a program finds in its environment besides TOR_PT_*. */
  get env(): Record<string, string> {
    const { PATH = '/usr/bin:/bin' } = process.env;
    return { PATH, HOME: this.home, TMPDIR: this.temporary, LANG: 'C' };
  }

  /** What was written outside the state directory, once the program has done its work. */
  strays(): readonly string[] {
    for (const path of filesBelow(this.root)) this.#add(path);
    return [...this.#strays];
  }

  /** Notes the files outside the state directory that a process holds open for writing, on Linux. */
  noteOpenFiles(pid: number): void {
    const folder = `/proc/${pid}/fd`;
    for (const number of entries(folder)) {
      try {
        const target = readlinkSync(join(folder, number));
        const flags = /^flags:\s*(\d+)/m.exec(
          readFileSync(`/proc/${pid}/fdinfo/${number}`, 'utf8'),
        );
        const isWritable = flags !== null && (Number.parseInt(flags[1]!, 8) & 3) !== 0;
        if (isWritable && target.startsWith('/') && !/^\/(?:dev|proc)\//.test(target)) {
          this.#add(target);
        }
      } catch {
        // Closed in the meantime.
      }
    }
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
  }

  #add(path: string): void {
    const below = relative(this.root, path);
    const [first = ''] = below.split(sep);
    const isOurs = ['', 'home', 'tmp', 'cwd', 'var'].includes(below) || first === 'var';
    const isState = path === this.state || path.startsWith(this.state + sep);
    if (!isOurs && !isState) this.#strays.add(below.startsWith('..') ? path : below);
  }
}

/** Every file and folder below a folder; none when it does not exist. */
export function filesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) =>
    join(folder, name),
  );
}

/** The TCP addresses on which a process listens, as `address:port`; undefined where nobody says. */
export function listeningAddresses(pid: number): readonly string[] | undefined {
  const inodes = new Set<string>();
  for (const number of entries(`/proc/${pid}/fd`)) {
    try {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${number}`));
      if (match !== null) inodes.add(match[1]!);
    } catch {
      // Closed in the meantime.
    }
  }
  return listeners(`/proc/${pid}/net`)
    ?.filter(({ inode }) => inodes.has(inode))
    .map(({ address }) => address);
}

/** The addresses of this machine on which anyone listens, as `address:port`; undefined where nobody says. */
export function localListeners(): readonly string[] | undefined {
  return listeners('/proc/net')?.map(({ address }) => address);
}

function listeners(
  folder: string,
): readonly { readonly address: string; readonly inode: string }[] | undefined {
  const tables = ['tcp', 'tcp6'].map((name) => join(folder, name)).filter(existsSync);
  if (tables.length === 0) return undefined;
  return tables.flatMap((table) =>
    readFileSync(table, 'latin1')
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .filter((fields) => fields[3] === LISTEN)
      .map((fields) => ({ address: addressOf(fields[1]!), inode: fields[9] ?? '' })),
  );
}

/** The state of a listening socket in /proc/net/tcp. */
const LISTEN = '0A';

/** `0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's (little) order. */
function addressOf(field: string): string {
  const [address = '', port = ''] = field.split(':');
  const bytes = (address.match(/.{8}/g) ?? []).flatMap((word) =>
    [...Buffer.from(word, 'hex')].reverse(),
  );
  const number = Number.parseInt(port, 16);
  if (bytes.length === 4) return `${bytes.join('.')}:${number}`;
  const isV4 = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  if (isV4) return `${bytes.slice(12).join('.')}:${number}`;
  const isLoopback = bytes.slice(0, 15).every((byte) => byte === 0) && bytes[15] === 1;
  const isAny = bytes.every((byte) => byte === 0);
  return `[${isAny ? '::' : isLoopback ? '::1' : Buffer.from(bytes).toString('hex')}]:${number}`;
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
