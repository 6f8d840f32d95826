import { open, readFile, type FileHandle } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../errors.ts';
import type { StateStore } from '../transports/contract.ts';
import { makeDirectory } from './make-directory.ts';
import { replaceFile } from './replace-file.ts';

/** A state store that holds files open and wants to be closed. */
export interface StateDirectory extends StateStore {
  /** Closes what `append` keeps open. Idempotent. */
  close(): Promise<void>;
}

/**
 * A directory as a state store. It is made at the first write, with missing ancestors, for its
 * owner only; nothing outside it is ever touched (PT 3.2.1).
 *
 * @param path absolute
 */
export function openStateDirectory(path: string): StateDirectory {
  if (!isAbsolute(path)) throw unusable('the state directory must be an absolute path');
  const appenders = new Map<string, Appender>();
  const pathOf = (file: string): string => join(path, file);
  const closeAppender = async (file: string): Promise<void> => {
    const appender = appenders.get(file);
    appenders.delete(file);
    await appender?.close();
  };

  return {
    describe: pathOf,

    async read(file) {
      try {
        return await readFile(pathOf(file));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw unusable(`${pathOf(file)} cannot be read`, error);
      }
    },

    async write(file, content) {
      try {
        await makeDirectory(path);
        await closeAppender(file);
        await replaceFile(pathOf(file), content);
      } catch (error) {
        throw unusable(`${pathOf(file)} cannot be saved`, error);
      }
    },

    async append(file, content) {
      let appender = appenders.get(file);
      if (appender === undefined) {
        appender = new Appender(makeDirectory(path).then(() => open(pathOf(file), 'a', 0o600)));
        appenders.set(file, appender);
      }
      try {
        await appender.append(content);
      } catch (error) {
        // The next `append` opens the file anew: the disk may be another one by then.
        if (appenders.get(file) === appender) await closeAppender(file);
        throw unusable(`${pathOf(file)} cannot be saved`, error);
      }
    },

    async close() {
      await Promise.all([...appenders.keys()].map(closeAppender));
    },
  };
}

/**
 * A file that is appended to. What comes within a moment is written together: a server appends at
 * every handshake, and a write for each would be a tenth of its CPU time.
 */
class Appender {
  readonly #file: Promise<FileHandle>;
  readonly #hurry = new AbortController();
  #parts: Uint8Array[] = [];
  /** The write that will take what waits now. */
  #next: Promise<void> | undefined;
  /** The last write that was begun. */
  #last: Promise<void> = Promise.resolve();

  constructor(file: Promise<FileHandle>) {
    this.#file = file;
  }

  /** Resolves when `content` is written. */
  append(content: Uint8Array): Promise<void> {
    this.#parts.push(content);
    this.#next ??= this.#writeSoon();
    return this.#next;
  }

  /** Writes what waits, and closes the file. A failure is told to the caller of `append`, not here. */
  async close(): Promise<void> {
    this.#hurry.abort();
    await Promise.allSettled([this.#next, this.#last]);
    await (await this.#file.catch(() => undefined))?.close();
  }

  async #writeSoon(): Promise<void> {
    const file = await this.#file;
    await setTimeout(GATHER_MS, undefined, { signal: this.#hurry.signal }).catch(() => {});
    await this.#last.catch(() => {});
    this.#last = this.#next!;
    this.#next = undefined;
    const content = Buffer.concat(this.#parts);
    this.#parts = [];
    const { size } = await file.stat();
    try {
      await file.writeFile(content);
    } catch (error) {
      // A piece of a record would make all that come behind it unreadable.
      await file.truncate(size).catch(() => {});
      throw error;
    }
  }
}

const GATHER_MS = 50;

function unusable(message: string, cause?: unknown): PosternError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new PosternError(
    'ERR_DIRECTORY_UNUSABLE',
    errno === undefined ? message : `${message} (${errno})`,
    { cause },
  );
}
