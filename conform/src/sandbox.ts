/** Where a program under test is run: folders of its own, and a watch over all but one of them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { bytesToIp, formatEndpoint } from 'postern/pt';

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

  /** What a program finds in its environment besides PATH and TOR_PT_*. */
  get env(): Record<string, string> {
    return { HOME: this.home, TMPDIR: this.temporary, LANG: 'C' };
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
  return listeners(socketsOf(pid, ['tcp', 'tcp6']));
}

/** The addresses of this machine on which anyone listens, as `address:port`; undefined where nobody says. */
export function localListeners(): readonly string[] | undefined {
  return listeners(socketsIn('/proc/net', ['tcp', 'tcp6']));
}

/**
 * The name servers to which a process has a UDP socket at this moment; undefined where nobody says. The tables
 * of TCP take too long to look often.
 */
export function nameServers(pid: number): readonly string[] | undefined {
  return socketsOf(pid, ['udp', 'udp6'])
    ?.map(({ remote }) => remote)
    .filter((address) => address.endsWith(':53'));
}

/** A socket, as a table of /proc/net has it. */
interface SocketRow {
  readonly local: string;
  readonly remote: string;
  readonly state: string;
  readonly inode: string;
}

function listeners(rows: readonly SocketRow[] | undefined): readonly string[] | undefined {
  return rows?.filter(({ state }) => state === LISTEN).map(({ local }) => local);
}

function socketsOf(pid: number, protocols: readonly string[]): readonly SocketRow[] | undefined {
  const inodes = new Set<string>();
  for (const number of entries(`/proc/${pid}/fd`)) {
    try {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${number}`));
      if (match !== null) inodes.add(match[1]!);
    } catch {
      // Closed in the meantime.
    }
  }
  return socketsIn(`/proc/${pid}/net`, protocols)?.filter(({ inode }) => inodes.has(inode));
}

function socketsIn(folder: string, protocols: readonly string[]): readonly SocketRow[] | undefined {
  const tables = protocols.map((name) => join(folder, name)).filter(existsSync);
  if (tables.length === 0) return undefined;
  return tables.flatMap((table) =>
    readTable(table).map((fields) => ({
      local: addressOf(fields[1]!),
      remote: addressOf(fields[2]!),
      state: fields[3]!,
      inode: fields[9]!,
    })),
  );
}

/** The rows of a table, without its heading; none when the process has gone. */
function readTable(path: string): readonly (readonly string[])[] {
  try {
    const rows = readFileSync(path, 'latin1').trimEnd().split('\n').slice(1);
    return rows.map((row) => row.trim().split(/\s+/));
  } catch {
    return [];
  }
}

/** The state of a listening socket in /proc/net/tcp. */
const LISTEN = '0A';

/** `0100007F:1F90` is 127.0.0.1:8080: words of four bytes, each in the machine's (little) order. */
function addressOf(field: string): string {
  const [address = '', port = ''] = field.split(':');
  const bytes = (address.match(/.{8}/g) ?? []).flatMap((word) =>
    [...Buffer.from(word, 'hex')].reverse(),
  );
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  const host = bytesToIp(Buffer.from(isMapped ? bytes.slice(12) : bytes));
  return formatEndpoint({ host, port: Number.parseInt(port, 16) });
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
