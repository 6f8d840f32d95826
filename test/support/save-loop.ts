/**
 * A child that sets and saves a torrc again and again until it is killed, which tests do:
 *
 *     node save-loop.js PATH
 *
 * It writes one line to stdout when it begins.
 */
import { torrcFile } from '../../src/config/node.ts';
import { ConfigStore } from '../../src/config/store.ts';

const store = await ConfigStore.open(torrcFile(process.argv[2]!));
process.stdout.write('saving\n');
for (let count = 0; ; count += 1) {
  const ports = Array.from({ length: 1 + (count % 40) }, (_, n) => `ControlPort ${10_000 + n}\n`);
  await store.set(ports.join(''));
  await store.save();
}
