/** Who of several processes may use a folder: the one that listens on a socket in it. */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { isSocketAlive } from '../../net/socket-probe.ts';

/** A folder that is ours, until we give it back or end: a socket without a process answers nobody. */
export interface Claim {
  /** Gives it back, and removes the socket. At once. */
  release(): void;
}

/**
 * Claims by a Unix-domain socket: only one process can make it.
 *
 * @returns undefined when another process has it
 * @throws what the system says against the path
 */
export async function claim(path: string): Promise<Claim | undefined> {
  const first = await listenOn(path);
  if (first !== undefined) return first;
  if (await isSocketAlive(path)) return undefined;
  // Whoever made it has ended without a word.
  await rm(path, { force: true });
  return listenOn(path);
}

async function listenOn(path: string): Promise<Claim | undefined> {
  const server: Server = createServer((socket) => socket.destroy()).unref();
  try {
    await once(server.listen(path), 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  return { release: () => void server.close() };
}
