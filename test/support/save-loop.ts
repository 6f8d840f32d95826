/**
 * A child that sets and saves torrcs again and again until it is killed, which tests do:
 *
 *     node save-loop.js PATH …
 *
 * It writes one line to stdout when each has been saved once.
 */
import { torrcFile } from '../../src/config/node.ts';
import { ConfigStore } from '../../src/config/store.ts';

async function openAndSave(path: string): Promise<ConfigStore> {
  const store = await ConfigStore.open(torrcFile(path));
  await change(store);
  return store;
}

async function change(store: ConfigStore): Promise<void> {
  const length = 1 + Math.floor(Math.random() * 40);
  const ports = Array.from({ length }, (_, index) => `ControlPort ${10_000 + index}\n`);
  await store.set(ports.join(''));
  await store.save();
}

async function changeForEver(store: ConfigStore): Promise<never> {
  for (;;) await change(store);
}

const stores = await Promise.all(process.argv.slice(2).map(openAndSave));
process.stdout.write('saving\n');
await Promise.all(stores.map(changeForEver));
