/** The daemon that a torrc asks for, with the engine that it names. */
import { ConfigStore, readTorrc } from '../config/store.ts';
import { readEngine } from '../config/vocabulary.ts';
import type { Daemon, DaemonOptions } from './daemon-options.ts';
import { EmbeddedEngine } from './embedded/engine.ts';
import { startTorEngine, verifyTorrc } from './tor/start.ts';

/**
 * Reads the torrc and starts what it asks for.
 *
 * @throws PosternError what `EmbeddedEngine.start` and `startTorEngine` throw; nothing runs then
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const text = await readTorrc(options.torrc);
  return readEngine(text) === 'tor' ? startTorEngine(options, text) : EmbeddedEngine.start(options);
}

/**
 * Checks a torrc and starts nothing.
 *
 * @throws PosternError `ERR_CONFIG_*`; with `Engine tor` also `ERR_TOR_PROGRAM`
 */
export async function verifyDaemon(options: DaemonOptions): Promise<void> {
  const text = await readTorrc(options.torrc);
  if (readEngine(text) === 'tor') await verifyTorrc(options, text);
  else await ConfigStore.open(options.torrc, options.localDefaults);
}
