import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Whether a process listens on a Unix-domain socket. Only one that the system calls dead counts as dead: a
 * socket with too many waiting callers refuses as well, and must not be taken for a leftover.
 */
export async function isSocketAlive(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT';
  } finally {
    probe.destroy();
  }
}
