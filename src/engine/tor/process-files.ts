/** The folder in Tor's data directory where we write its torrc, and where it opens its control socket. */
import { watch } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PosternError } from '../../errors.ts';
import { checkSocketPath } from '../../net/socket-path.ts';
import { makeDirectory } from '../../state/make-directory.ts';
import { replaceFile } from '../../state/replace-file.ts';
import { unawaited } from '../../unawaited.ts';

/** In the data directory. */
const FOLDER = 'postern';

/** Where a Tor with this data directory is controlled. */
export function controlSocketIn(dataDirectory: string): string {
  return join(dataDirectory, FOLDER, 'control');
}

/** Where the files for one Tor are. */
export interface Files {
  readonly directory: string;
  readonly torrc: string;
  readonly socket: string;
  /** Tor writes it as soon as the socket listens. */
  readonly announcement: string;
}

/**
 * Makes the folder and writes the torrc. The data directory is ours: the daemon has locked it.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY`, `ERR_SOCKET_PATH`
 */
export async function prepareFiles(dataDirectory: string, torrc: string): Promise<Files> {
  const directory = join(dataDirectory, FOLDER);
  const socket = controlSocketIn(dataDirectory);
  checkSocketPath(socket);
  const files: Files = {
    directory,
    torrc: join(directory, 'torrc'),
    socket,
    announcement: join(directory, 'control.address'),
  };
  try {
    await makeDirectory(directory);
    await rm(files.socket, { force: true });
    await rm(files.announcement, { force: true });
  } catch (error) {
    throw unwritable(error);
  }
  await writeTorrc(files, torrc).catch(async (error: unknown) => {
    await removeFiles(files);
    throw error;
  });
  return files;
}

/**
 * Replaces the torrc, which may hold secrets of bridges.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY`
 */
export async function writeTorrc({ torrc: path }: Files, text: string): Promise<void> {
  try {
    await replaceFile(path, Buffer.from(text), 0o600);
  } catch (error) {
    throw unwritable(error);
  }
}

/** Removes the folder. If that fails it does no harm: the next start uses it again. */
export async function removeFiles({ directory }: Files): Promise<void> {
  await rm(directory, { recursive: true, force: true }).catch(() => {});
}

function unwritable(error: unknown): PosternError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return directoryError(`it cannot be written to (${errno})`, error);
}

function directoryError(problem: string, cause?: unknown): PosternError {
  return new PosternError('ERR_DATA_DIRECTORY', `DataDirectory: ${problem}`, { cause });
}

/** Resolves when a file is there; never, when `until` resolves first. */
export async function fileExists(
  directory: string,
  path: string,
  until: Promise<unknown>,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(directory);
    const look = (): void => {
      lstat(path).then(
        () => {
          watcher.close();
          resolve();
        },
        () => {},
      );
    };
    watcher.on('change', look).on('error', reject);
    unawaited(() => until.then(() => watcher.close()));
    look(); // It may be there already.
  });
}
