/** The folder in Tor's data directory in which we leave it its torrc, and it opens its control socket. */
import { watch } from 'node:fs';
import { lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PosternError } from '../../errors.ts';
import { replaceFile } from '../../net/replace-file.ts';
import { connectTorControl } from './control/node/connect.ts';

/** Where the files for one Tor are. */
export interface Files {
  readonly directory: string;
  readonly torrc: string;
  readonly socket: string;
  /** Tor writes it as soon as the socket listens. */
  readonly announcement: string;
}

/**
 * Makes the folder and writes the torrc.
 *
 * @throws PosternError `ERR_DATA_DIRECTORY`, also when another daemon's Tor runs there
 */
export async function prepareFiles(dataDirectory: string, torrc: string): Promise<Files> {
  const directory = join(dataDirectory, 'postern');
  const files: Files = {
    directory,
    torrc: join(directory, 'torrc'),
    socket: join(directory, 'control'),
    announcement: join(directory, 'control.address'),
  };
  if (Buffer.byteLength(files.socket) > MAX_SOCKET_PATH_BYTES) {
    throw directoryError('its path is too long for a socket in it; choose a shorter one');
  }
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const isTaken = await isAnswered(files.socket);
    if (isTaken) throw directoryError('another daemon runs a Tor in it');
    await rm(files.socket, { force: true });
    await rm(files.announcement, { force: true });
  } catch (error) {
    throw error instanceof PosternError ? error : unwritable(error);
  }
  await writeTorrc(files, torrc);
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

/** Removes the folder. */
export async function removeFiles({ directory }: Files): Promise<void> {
  // What stays there harms nobody, and the next start uses it again.
  await rm(directory, { recursive: true, force: true }).catch(() => {});
}

/** Whether a Tor listens on a socket that was left there. */
async function isAnswered(path: string): Promise<boolean> {
  if ((await lstat(path).catch(() => undefined)) === undefined) return false;
  try {
    const control = await connectTorControl({ path });
    control.abort();
    return true;
  } catch (error) {
    // What answers and is no Tor is somebody as well.
    return !(error instanceof PosternError && error.code.startsWith('ERR_DIAL_'));
  }
}

function unwritable(error: unknown): PosternError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return directoryError(`it cannot be written to (${errno})`, error);
}

function directoryError(problem: string, cause?: unknown): PosternError {
  return new PosternError('ERR_DATA_DIRECTORY', `DataDirectory: ${problem}`, { cause });
}

/** What `sockaddr_un` has room for, without the final NUL: the least of the systems that Node runs on. */
const MAX_SOCKET_PATH_BYTES = 103;

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
    void until.then(() => watcher.close());
    look(); // it may be there already
  });
}
