import { mkdir, open, readFile, type FileHandle } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
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
  const appenders = new Map<string, Promise<FileHandle>>();
  const pathOf = (file: string): string => join(path, file);

  return {
    read: (file) => readIfThere(pathOf(file)),
    readPrevious: (file) => readIfThere(pathOf(previousOf(file))),
    describe: pathOf,

    async write(file, content) {
      try {
        await mkdir(path, { recursive: true, mode: 0o700 });
        await closeAppender(appenders, file);
        await copyIfThere(pathOf(file), pathOf(previousOf(file)));
        await replaceFile(pathOf(file), content);
      } catch (error) {
        throw stateError(`${pathOf(file)} cannot be saved`, error);
      }
    },

    async append(file, content) {
      try {
        await mkdir(path, { recursive: true, mode: 0o700 });
        const handle = appenders.get(file) ?? open(pathOf(file), 'a', 0o600);
        appenders.set(file, handle);
        await (await handle).writeFile(content);
      } catch (error) {
        appenders.delete(file);
        throw stateError(`${pathOf(file)} cannot be saved`, error);
      }
    },

    async close() {
      await Promise.all([...appenders.keys()].map((file) => closeAppender(appenders, file)));
    },
  };
}

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

async function closeAppender(
  appenders: Map<string, Promise<FileHandle>>,
  file: string,
): Promise<void> {
  const handle = appenders.get(file);
  appenders.delete(file);
  await (await handle)?.close();
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
