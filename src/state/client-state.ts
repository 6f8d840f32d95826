import { resolve } from 'node:path';
import type { StateStore } from '../transports/contract.ts';
import { MemoryState } from '../transports/memory-state.ts';
import { openStateDirectory } from './state-directory.ts';

/**
 * Where clients keep what makes later connections better, such as session tickets. Whoever names the
 * same directory is given the same store: a ticket that two stores knew of would be used twice, and
 * the bridge refuses that.
 *
 * @param directory without one, the state is shared by this process and ends with it
 */
export function openClientState(directory?: string): StateStore {
  if (directory === undefined) return inMemory;
  const path = resolve(directory);
  let store = directories.get(path);
  if (store === undefined) {
    store = openStateDirectory(path);
    directories.set(path, store);
  }
  return store;
}

const inMemory = new MemoryState();
const directories = new Map<string, StateStore>();
