/**
 * A directory belongs to the one process that listens on a socket in it.
 *
 * A socket, not a file with a process number in it: when the process ends, in whatever way, nobody answers
 * any more, and no other process that got the same number can be taken for it.
 *
 * A process that wants the directory makes a socket with a name of its own, and then looks at all others.
 * Of two that try at once at least one sees the other, so never do both get it; and since names are not
 * used again, the socket of a dead process can be removed safely.
 */
import { once } from 'node:events';
import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { randomBytes, systemRng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { makeDirectory } from './make-directory.ts';

/** A directory that is locked until it is released or this process ends. */
export interface DirectoryLock {
  /** Unlocks it. Idempotent. */
  release(): Promise<void>;
}

/**
 * Locks a directory against all other processes, and against others in this one. It is made if it is
 * missing. The lock of a process that was killed is taken over.
 *
 * @param path absolute
 * @throws PosternError `ERR_DIRECTORY_IN_USE` with the process that has it; `ERR_DIRECTORY_UNUSABLE`
 */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  try {
    await makeDirectory(path);
    for (;;) {
      const claim = await Claim.make(path);
      try {
        if (await claim.succeeds()) return claim;
      } catch (error) {
        await claim.release();
        throw error;
      }
      await claim.release();
      await setTimeout(RETRY_MS);
    }
  } catch (error) {
    if (error instanceof PosternError) throw error;
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new PosternError('ERR_DIRECTORY_UNUSABLE', `${path} cannot be locked (${errno})`, {
      cause: error,
    });
  }
}

/** One attempt: a socket in the directory. */
class Claim implements DirectoryLock {
  readonly #path: string;
  readonly #name = `lock-${process.pid}-${randomBytes(systemRng, 6).toString('hex')}`;
  readonly #server: Server;
  /** Where paths in the directory are too long for a socket: the directory itself. */
  readonly #handle: FileHandle | undefined;
  /** What the lock answers when it is asked. */
  #answer = ASKING;

  private constructor(path: string, handle: FileHandle | undefined) {
    this.#path = path;
    this.#handle = handle;
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      socket.end(this.#answer);
    }).unref();
  }

  static async make(path: string): Promise<Claim> {
    const fits = Buffer.byteLength(join(path, 'x'.repeat(MAX_NAME_BYTES))) <= MAX_SOCKET_PATH_BYTES;
    const claim = new Claim(path, fits ? undefined : await open(path, 'r'));
    try {
      await once(claim.#server.listen(claim.#pathOf(claim.#name)), 'listening');
    } catch (error) {
      await claim.release();
      throw error;
    }
    return claim;
  }

  /**
   * Whether the directory is ours now. If not, nobody holds it for good either: try again.
   *
   * @throws PosternError `ERR_DIRECTORY_IN_USE`
   */
  async succeeds(): Promise<boolean> {
    for (;;) {
      const names = (await readdir(this.#path)).filter((name) => NAME.test(name));
      // A process that looked before we listened took our socket for a dead one.
      if (!names.includes(this.#name)) return false;
      const rivals: string[] = [];
      for (const name of names) {
        if (name === this.#name) continue;
        const answer = await this.#ask(name);
        if (answer === HELD) throw inUse(this.#path, name);
        if (answer === ASKING) rivals.push(name);
        else await rm(join(this.#path, name), { force: true });
      }
      if (rivals.length === 0) {
        this.#answer = HELD;
        return true;
      }
      // Of all that ask at the same time the first by name stays, and the others step back.
      if (rivals.some((name) => name < this.#name)) return false;
      await setTimeout(RETRY_MS);
    }
  }

  async release(): Promise<void> {
    // With it goes the socket's file, in the same instant.
    this.#server.close();
    await this.#handle?.close();
  }

  /** What the process behind a socket says; undefined when there is none. */
  async #ask(name: string): Promise<typeof HELD | typeof ASKING | undefined> {
    const socket = connect(this.#pathOf(name));
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('no answer')));
    try {
      await once(socket, 'connect');
      return (await text(socket)) === ASKING ? ASKING : HELD;
    } catch (error) {
      // Only what the system says is dead counts as dead: one that is stopped says nothing, and one
      // with too many callers refuses as well.
      return GONE.has((error as NodeJS.ErrnoException).code) ? undefined : HELD;
    } finally {
      socket.destroy();
    }
  }

  #pathOf(name: string): string {
    const { fd } = this.#handle ?? {};
    if (fd === undefined) return join(this.#path, name);
    if (process.platform === 'linux') return `/proc/self/fd/${fd}/${name}`;
    throw new PosternError(
      'ERR_DIRECTORY_UNUSABLE',
      `${this.#path} cannot be locked: its path is too long for a socket in it`,
    );
  }
}

function inUse(path: string, name: string): PosternError {
  const pid = NAME.exec(name)![1]!;
  return new PosternError('ERR_DIRECTORY_IN_USE', `process ${pid} uses ${path}`);
}

/** Nobody listens, the file is gone, or its process has just ended or stepped back. */
const GONE: ReadonlySet<unknown> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET']);
const HELD = 'held';
const ASKING = 'asking';
const NAME = /^lock-(\d+)-[0-9a-f]{12}$/;
const MAX_NAME_BYTES = 'lock--'.length + 10 + 12;
/** What `sockaddr_un` has room for, without the final NUL. */
export const MAX_SOCKET_PATH_BYTES: number = process.platform === 'linux' ? 107 : 103;
const RETRY_MS = 5;
/** How long the process behind a socket may take to say what it does. */
const ANSWER_MS = 1000;
