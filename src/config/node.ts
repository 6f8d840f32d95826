/** The torrc as a file, and what the place where the daemon runs says about its defaults. */
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { replaceFile } from '../state/replace-file.ts';
import type { LocalDefaults } from './configuration.ts';
import type { TorrcFile } from './store.ts';

/**
 * A torrc on disk. A link is followed and stays a link. The one that a save replaces is kept beside
 * it as `<path>.previous`.
 *
 * @param path absolute
 */
export function torrcFile(path: string): TorrcFile {
  return {
    async read() {
      try {
        const bytes = await readIfThere(path);
        return bytes === undefined ? undefined : decode(bytes);
      } catch (error) {
        throw fileError(`${path} cannot be read`, error);
      }
    },

    async write(text) {
      try {
        const target = await realpath(path).catch(() => path);
        const old = await readIfThere(target);
        const mode = old === undefined ? 0o600 : (await stat(target)).mode & 0o777;
        const content = Buffer.from(text, 'utf8');
        // Saving twice in a row must not lose what stood there before the first time.
        if (old !== undefined && !content.equals(old)) {
          await replaceFile(`${target}.previous`, old, mode);
        }
        await replaceFile(target, content, mode);
      } catch (error) {
        throw fileError(`${path} cannot be saved`, error);
      }
    },
  };
}

/**
 * Where a daemon keeps its state when the torrc does not say: where systemd or the XDG directories
 * have it.
 */
export function localDefaults(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
): LocalDefaults {
  // systemd gives a list when there are several; the first is the daemon's.
  const service = env['STATE_DIRECTORY']?.split(':')[0];
  const state = env['XDG_STATE_HOME'];
  if (service !== undefined && isAbsolute(service)) return { DataDirectory: service };
  const base = state !== undefined && isAbsolute(state) ? state : join(home, '.local', 'state');
  return { DataDirectory: join(base, 'postern') };
}

/** The path that a value of the configuration means: `~/` is the home directory. */
export function expandPath(path: string, home: string): string {
  return path.startsWith('~/') ? join(home, path.slice(2)) : path;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  try {
    return handle === undefined ? undefined : await readLimited(handle);
  } finally {
    await handle?.close();
  }
}

async function readLimited(handle: FileHandle): Promise<Uint8Array> {
  const buffer = Buffer.alloc(limits.torrcBytes + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
    length += bytesRead;
    if (length > limits.torrcBytes) {
      throw fileError(`the torrc is larger than ${limits.torrcBytes} bytes`);
    }
    if (bytesRead === 0) return buffer.subarray(0, length);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fileError('the torrc is not UTF-8 text');
  }
}

function fileError(message: string, cause?: unknown): PosternError {
  if (cause instanceof PosternError) return cause;
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
  return new PosternError(
    'ERR_CONFIG_FILE',
    errno === undefined ? message : `${message} (${errno})`,
    { cause },
  );
}
