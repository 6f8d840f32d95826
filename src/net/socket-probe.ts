import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Whether a process listens on a Unix-domain socket. Only what the system says is dead counts as dead:
 * one with too many callers waiting refuses as well, and is not to be taken for a leftover.
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
