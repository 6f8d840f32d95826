/** A process that locks the directory in its argument, says how that went, and holds it until it is killed. */
import { lockDirectory } from '../../src/state/directory-lock.ts';

try {
  await lockDirectory(process.argv[2]!);
  process.stdout.write('held\n');
  process.stdin.resume();
} catch (error) {
  process.stdout.write(`${(error as Error).message}\n`);
}
