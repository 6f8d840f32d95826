/** From a torrc with `Engine tor` to the engine: which Tor, which options, ours or somebody else's. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { Configuration } from '../../config/configuration.ts';
import { expandPath } from '../../config/node.ts';
import type { OptionValues } from '../../config/options.ts';
import { ConfigStore } from '../../config/store.ts';
import type { TorrcPiece } from '../../config/torrc.ts';
import { valueFault } from '../../config/value-types.ts';
import { torVocabulary, type Vocabulary } from '../../config/vocabulary.ts';
import { systemRng } from '../../crypto/rng.ts';
import { systemTimers } from '../../time.ts';
import { builtinTransports } from '../../transports/registry.ts';
import type { DaemonOptions, EnginePlan } from '../daemon-options.ts';
import { dataDirectory } from '../data-directory.ts';
import { checkSocketPath } from '../../net/socket-path.ts';
import { forOption } from '../resources.ts';
import { AttachedTor } from './attached-tor.ts';
import { connectTorControl, type TorControlAddress } from '../../tor-control/node/connect.ts';
import { TorEngine, type TorEngineParts } from './engine.ts';
import { OwnedTor } from './owned-tor.ts';
import { controlSocketIn } from './process-files.ts';
import { findTor, listTorOptions } from './program.ts';
import { tellsDomains, TorSettings } from './tor-settings.ts';
import { verifyWithTor } from './verify.ts';

/**
 * Which Tor it will be, and which options it has.
 *
 * @param pieces the torrc, as it was when it was found to say `Engine tor`
 * @param mayDial whether a Tor that runs already is asked; the names of its options are else not judged
 * @throws PosternError `ERR_CONFIG_*`, `ERR_TOR_*`
 */
export function planTorEngine(
  options: DaemonOptions,
  pieces: readonly TorrcPiece[],
  mayDial: boolean,
): Promise<EnginePlan> {
  const values = ownValues(options, pieces);
  const address = addressOf(values, options.home);
  return address === undefined
    ? planOwned(options, values, pieces)
    : planAttached(options, values, pieces, address, mayDial);
}

async function planOwned(
  options: DaemonOptions,
  values: OptionValues,
  pieces: readonly TorrcPiece[],
): Promise<EnginePlan> {
  const { env, home, rng = systemRng, timers = systemTimers, startSignal } = options;
  const { binary, vocabulary } = await installedTor(options, values);
  const store = await ConfigStore.open(options.torrc, options.localDefaults, vocabulary);
  const settings = settingsFor(options);
  const keep: TorEngineParts['keep'] = (hooks, log) =>
    OwnedTor.start({
      ...hooks,
      ...{ binary, env, rng, timers, startSignal },
      dataDirectory: dataDirectory(values, home),
      torrc: () => settings.torrcFor(store.current),
      onLog: (level, message, domain) => {
        const isShown = domain !== undefined && !tellsDomains(store.current);
        const shown = isShown ? `{${domain.toUpperCase()}} ${message}` : message;
        // The first lines come before Tor has read that it is to tell; of a Tor that is not to tell nobody knows.
        const part = log.in(
          domain ?? (settings.asksForDomains(store.current) ? 'general' : undefined),
        );
        // Tor's version has four parts, like an address.
        if (/^(?:\{\w+\} )?Tor [\d.]+\S* running on /.test(shown)) part.announce(shown);
        else part.write(level, shown);
      },
    });
  const verify = async (first: Configuration): Promise<void> => {
    const directory = dataDirectory(values, home);
    checkSocketPath(controlSocketIn(directory));
    await verifyWithTor(binary, settings.torrcFor(first), directory, env, timers, startSignal);
  };
  const parts: TorEngineParts = { pieces, settings, keep, verify, isOwned: true };
  return { store, build: (host) => new TorEngine(host, parts) };
}

/** The Tor to start, and the options that it has for users. */
async function installedTor(
  { env, home, timers = systemTimers, startSignal }: DaemonOptions,
  { TorBinary: path }: OptionValues,
): Promise<{ readonly binary: string; readonly vocabulary: Vocabulary }> {
  const binary = await findTor(path && expandPath(path, home), env);
  const names = await listTorOptions(binary, env, timers, startSignal);
  return { binary, vocabulary: torVocabulary(names.filter((name) => !isPrivate(name))) };
}

/** Options that would open the control of our own Tor to others. */
function isPrivate(name: string): boolean {
  return /^(?:__(?:OwningController|ControlPort|HashedControl)|Control(?:Port|Sockets)|CookieAuth)/.test(
    name,
  );
}

async function planAttached(
  options: DaemonOptions,
  values: OptionValues,
  pieces: readonly TorrcPiece[],
  address: TorControlAddress,
  mayDial: boolean,
): Promise<EnginePlan> {
  const { home, rng = systemRng, timers = systemTimers, startSignal } = options;
  const password = await readPassword(values.TorControlPasswordFile, home);
  const login = { ...address, timers, ...(password !== undefined && { password }) };
  const option = 'path' in address ? 'TorControlSocket' : 'TorControlPort';
  const names = mayDial
    ? await forOption(option, () =>
        askForOptions({ ...login, ...(startSignal && { signal: startSignal }) }),
      )
    : undefined;
  const vocabulary = torVocabulary(names, elsewhere);
  const store = await ConfigStore.open(options.torrc, options.localDefaults, vocabulary);
  const keep: TorEngineParts['keep'] = (hooks) =>
    AttachedTor.start({ ...login, ...hooks, rng, startSignal });
  const verify = async (): Promise<void> => {
    if ('path' in address) await forOption(option, () => checkSocketPath(address.path));
  };
  const settings = settingsFor(options);
  const parts: TorEngineParts = { pieces, settings, keep, verify, isOwned: false };
  return { store, build: (host) => new TorEngine(host, parts) };
}

const elsewhere = { isKeptElsewhere: true };

/** Our own part of the torrc, before it is known which options Tor has. */
function ownValues({ localDefaults }: DaemonOptions, pieces: readonly TorrcPiece[]): OptionValues {
  return Configuration.parse(pieces, localDefaults, torVocabulary(undefined)).values;
}

function settingsFor({ ownCommand, registry = builtinTransports }: DaemonOptions): TorSettings {
  return new TorSettings({ command: ownCommand, registry, user: userName() });
}

function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

function addressOf(
  { TorControlPort: endpoint, TorControlSocket: path }: OptionValues,
  home: string,
): TorControlAddress | undefined {
  if (endpoint !== undefined) return { endpoint };
  return path === undefined ? undefined : { path: expandPath(path, home) };
}

async function askForOptions(
  login: Parameters<typeof connectTorControl>[0],
): Promise<readonly string[]> {
  await using control = await connectTorControl(login);
  const names = (await control.getInfo('config/names')).get('config/names') ?? '';
  return names.split('\n').map((line) => line.split(' ')[0]!);
}

/** The first line of the file. */
async function readPassword(path: string | undefined, home: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    const text = await readFile(expandPath(path, home), 'utf8');
    return text.split(/\r?\n/)[0]!;
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw valueFault(`TorControlPasswordFile: it cannot be read (${errno})`);
  }
}
