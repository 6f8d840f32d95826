import { resolve } from 'node:path';
import type { StateStore } from '../transports/contract.ts';
import { MemoryState } from '../transports/memory-state.ts';
import { openStateDirectory } from './state-directory.ts';

/**
 * Where clients keep what makes later connections better, such as session tickets. All who name the same
 * directory share one store: two stores would use the same ticket twice, and the bridge refuses the
 * second time.
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
