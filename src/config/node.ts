/** The torrc as a file, and what the place where the daemon runs says about its defaults. */
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { replaceFile } from '../state/replace-file.ts';
import type { LocalDefaults } from './configuration.ts';
import { type FindIncluded, isPattern, parsePatternPart } from './include.ts';
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
        // Saving twice in a row must not lose the text from before the first time.
        if (old !== undefined && !content.equals(old)) {
          await replaceFile(`${target}.previous`, old, mode);
        }
        await replaceFile(target, content, mode);
      } catch (error) {
        throw fileError(`${path} cannot be saved`, error);
      }
    },

    included: findIncluded,
  };
}

/** Relative to the working directory, as Tor has it. */
const findIncluded: FindIncluded = async (pattern) => {
  const paths = await pathsLike(pattern);
  const files: { path: string; text: string }[] = [];
  for (const found of paths) {
    for (const path of await filesAt(found)) {
      const bytes = await readIfThere(path).catch((error: unknown) => {
        throw fileError(`${path} cannot be read`, error);
      });
      if (bytes !== undefined) files.push({ path, text: decode(bytes) });
    }
  }
  return files;
};

/** What there is of a pattern, in order; of a path without one, the path itself. */
async function pathsLike(pattern: string): Promise<readonly string[]> {
  if (!isPattern(pattern)) return [pattern];
  const parts = pattern.split('/').map(parsePatternPart);
  let found: readonly string[] = [pattern.startsWith('/') ? '/' : ''];
  for (const part of parts) {
    if (part === '') continue;
    const next: string[] = [];
    for (const directory of found) {
      const names =
        typeof part === 'string'
          ? [part]
          : (await namesIn(directory)).filter((name) => part.test(name));
      for (const name of names) {
        const path = join(directory, name);
        // A link that leads nowhere counts as found.
        if (typeof part !== 'string' || (await kindOf(path)) !== undefined) next.push(path);
      }
    }
    found = next;
  }
  const isForDirectories = pattern.endsWith('/');
  const kinds = await Promise.all(found.map(kindOf));
  return found
    .filter((_, index) => !isForDirectories || kinds[index] === 'directory')
    .toSorted(byBytes);
}

async function filesAt(path: string): Promise<readonly string[]> {
  const kind = await kindOf(path);
  if (kind === 'file') return [path];
  if (kind !== 'directory') throw fileError(`there is no file or directory ${resolve(path)}`);
  const names = (await namesIn(path)).filter((name) => !name.startsWith('.')).toSorted(byBytes);
  const paths = names.map((name) => join(path, name));
  const kinds = await Promise.all(paths.map(kindOf));
  return paths.filter((_, index) => kinds[index] === 'file');
}

async function kindOf(path: string): Promise<'file' | 'directory' | undefined> {
  const entry = await stat(path).catch(() => undefined);
  if (entry?.isDirectory()) return 'directory';
  return entry?.isFile() ? 'file' : undefined;
}

async function namesIn(path: string): Promise<readonly string[]> {
  return readdir(path === '' ? '.' : path).catch(() => []);
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
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

/** The path that a value of the configuration means, absolute: `~/` is the home directory. */
export function expandPath(path: string, home: string): string {
  return resolve(path.startsWith('~/') ? join(home, path.slice(2)) : path);
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
