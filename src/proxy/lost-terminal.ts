/** Lets a process end normally although its terminal is gone: Node would abort. */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { isatty } from 'node:tty';

/**
 * Has /dev/null take the place of a terminal that this process had at its start and that is gone at its
 * end, for as long as the process lives.
 *
 * Node sets terminals back to how it found them, after all else, and takes an error of that for a fault of
 * its own: what ended in order would still end by SIGABRT. Only a lost one is touched, and its number does
 * not become free: what is opened next takes the lowest.
 */
export function letGoOfLostTerminals(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.on('exit', () => {
    for (const fd of terminals) {
      if (isatty(fd)) continue;
      closeSync(fd);
      openSync(devNull, 'r+');
    }
  });
}
