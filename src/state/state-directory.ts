import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { PosternError } from '../errors.ts';
import type { StateStore } from '../transports/contract.ts';
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
  if (!isAbsolute(path)) throw stateError('the state directory must be an absolute path');
  const appenders = new Map<string, Appender>();
  const pathOf = (file: string): string => join(path, file);
  const makeDirectory = (): Promise<unknown> => mkdir(path, { recursive: true, mode: 0o700 });
  const closeAppender = async (file: string): Promise<void> => {
    const appender = appenders.get(file);
    appenders.delete(file);
    await appender?.close();
  };

  return {
    read: (file) => readIfThere(pathOf(file)),
    readPrevious: (file) => readIfThere(pathOf(previousOf(file))),
    describe: pathOf,

    async write(file, content) {
      try {
        await makeDirectory();
        await closeAppender(file);
        await copyIfThere(pathOf(file), pathOf(previousOf(file)));
        await replaceFile(pathOf(file), content);
      } catch (error) {
        throw stateError(`${pathOf(file)} cannot be saved`, error);
      }
    },

    async append(file, content) {
      let appender = appenders.get(file);
      if (appender === undefined) {
        appender = new Appender(makeDirectory().then(() => open(pathOf(file), 'a', 0o600)));
        appenders.set(file, appender);
      }
      try {
        await appender.append(content);
      } catch (error) {
        appenders.delete(file);
        throw stateError(`${pathOf(file)} cannot be saved`, error);
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
  #written: Promise<void> | undefined;

  constructor(file: Promise<FileHandle>) {
    this.#file = file;
  }

  /** Resolves when `content` is written. */
  append(content: Uint8Array): Promise<void> {
    this.#parts.push(content);
    this.#written ??= this.#writeSoon();
    return this.#written;
  }

  /** Writes what waits, and closes the file. */
  async close(): Promise<void> {
    this.#hurry.abort();
    // Whoever appended has heard of a failure already.
    await this.#written?.catch(() => {});
    await (await this.#file.catch(() => undefined))?.close();
  }

  async #writeSoon(): Promise<void> {
    const file = await this.#file;
    await setTimeout(GATHER_MS, undefined, { signal: this.#hurry.signal }).catch(() => {});
    const parts = this.#parts;
    this.#parts = [];
    this.#written = undefined;
    await file.writeFile(Buffer.concat(parts));
  }
}

const GATHER_MS = 50;

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw stateError(`${path} cannot be read`, error);
  }
}

async function copyIfThere(from: string, to: string): Promise<void> {
  const content = await readIfThere(from);
  if (content !== undefined) await replaceFile(to, content);
}

function previousOf(file: string): string {
  return `${file}.previous`;
}

function stateError(message: string, cause?: unknown): PosternError {
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new PosternError(
    'ERR_TRANSPORT_STATE',
    errno === undefined ? message : `${message} (${errno})`,
    { cause },
  );
}
