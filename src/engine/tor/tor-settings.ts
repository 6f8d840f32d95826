/** The part of a configuration that Tor gets: its own options, and a few that it shares with us. */
import type { Configuration } from '../../config/configuration.ts';
import { type LogLevel, logLevels, type LogLine } from '../../config/log-values.ts';
import { formatSetting, type Setting } from '../../config/torrc.ts';
import { valueFault } from '../../config/value-types.ts';
import { PosternError } from '../../errors.ts';
import { parseTransportList } from '../../pt/names.ts';
import type { TransportRegistry } from '../../transports/registry.ts';
import type { TorSetting } from '../../tor-control/format.ts';

/** What `builtin` stands for in the plugin lines of a Tor: this program, run as its child. */
export interface OwnProgram {
  /** The program and its arguments, as `exec` takes them: split at white space, nothing quoted. */
  readonly command: readonly string[];
  /** The transports that it has. */
  readonly registry: TransportRegistry;
  /** Whose process it is; undefined for a user without a name. */
  readonly user?: string | undefined;
}

/** Translates between the torrc that the user wrote and what the Tor behind us has. */
export class TorSettings {
  readonly #own: OwnProgram;

  constructor(own: OwnProgram) {
    this.#own = own;
  }

  /**
   * The whole torrc for a Tor that we start.
   *
   * @throws PosternError `ERR_CONFIG_VALUE`, `ERR_CONFIG_SYNTAX`
   */
  torrcFor(configuration: Configuration): string {
    const homes = [...configuration.settings().keys()].filter(
      (home) => !isOurs(home, configuration),
    );
    return [...new Set([...homes, ...sharedOptions])]
      .flatMap((home) => this.linesFor(configuration, home))
      .map((setting) => `${formatSetting(setting)}\n`)
      .join('');
  }

  /**
   * What RESETCONF needs to bring options into force: their lines, or the bare key for those that
   * have none. Options that are ours alone are left out.
   *
   * @throws PosternError `ERR_CONFIG_VALUE`
   */
  changesFor(configuration: Configuration, homes: Iterable<string>): readonly TorSetting[] {
    // Whether Tor is to tell the domains depends on both.
    const all = [...homes].flatMap((home) => (home === 'Log' ? [home, DOMAINS] : home));
    return [...new Set(all)]
      .filter((home) => sharedOptions.includes(home) || !isOurs(home, configuration))
      .flatMap((home): readonly TorSetting[] => {
        const lines = this.linesFor(configuration, home);
        return lines.length > 0 ? lines : [{ key: home }];
      });
  }

  /** The lines of one option or group, as Tor is to have them. */
  linesFor(configuration: Configuration, home: string): readonly Setting[] {
    const { Log, SafeLogging } = configuration.values;
    const option = home.toLowerCase();
    if (option === 'user') {
      const user = configuration.settingsOf(home).at(-1)?.value;
      if (user === undefined || user === this.#own.user) return [];
      // Tor would lose its way to the files that we share with it.
      throw valueFault(
        `User: start Postern as that user, and Tor is the same: sudo -u ${user} postern run -f TORRC`,
      );
    }
    // Tor must stay our child: it must not become a daemon of its own.
    if (option === 'runasdaemon') return [];
    if (home === 'SafeLogging') return [{ key: home, value: SafeLogging ? '1' : '0' }];
    if (home === 'Log') return [{ key: home, value: `${lowestLevel(Log)} stdout` }];
    if (home === DOMAINS && tellsDomains(configuration)) {
      const isWanted = Log.some(({ ranges }) => ranges.some(({ domains }) => domains));
      return isWanted && !configuration.vocabulary.isKeptElsewhere(home)
        ? [{ key: home, value: '1' }]
        : [];
    }
    return configuration.settingsOf(home).map(({ key, value }) => ({
      key,
      value: pluginOptions.has(key.toLowerCase()) ? this.#withProgram(key, value) : value,
    }));
  }

  /** Whether Tor is to say the domain of each line of its log. */
  asksForDomains(configuration: Configuration): boolean {
    return this.linesFor(configuration, DOMAINS).at(-1)?.value === '1';
  }

  /** A value of Tor as the user's torrc has it. */
  fromTor({ key, value }: Setting): Setting {
    if (!pluginOptions.has(key.toLowerCase())) return { key, value };
    const exec = ` exec ${this.#own.command.join(' ')}`;
    return { key, value: value.endsWith(exec) ? `${value.slice(0, -exec.length)} builtin` : value };
  }

  #withProgram(key: string, value: string): string {
    const names = /^(\S+)\s+builtin$/i.exec(value)?.[1];
    if (names === undefined) return value;
    const unknown = parseNames(key, names).find(
      (name) => this.#own.registry.find(name) === undefined,
    );
    if (unknown !== undefined) throw valueFault(`${key}: this program has no transport ${unknown}`);
    if (this.#own.command.some((word) => /\s/.test(word))) {
      throw valueFault(
        `${key}: Tor takes no program whose path has a space; move Postern or Node to another place`,
      );
    }
    return `${names} exec ${this.#own.command.join(' ')}`;
  }
}

/** Whether Tor says the domain of each line for our sake alone. */
export function tellsDomains(configuration: Configuration): boolean {
  return configuration.settingsOf(DOMAINS).length === 0;
}

/** The lowest level of Tor's log that is needed: by our own logs, and from `notice` on by controllers. */
export function lowestLevel(lines: readonly LogLine[]): LogLevel {
  const minima: readonly LogLevel[] = [
    'notice',
    ...lines.flatMap(({ ranges }) => ranges.map(({ minimum }) => minimum)),
  ];
  return logLevels.find((level) => minima.includes(level))!;
}

/** Whether each line of Tor's log says its domain. */
const DOMAINS = 'LogMessageDomains';

/** Options that we carry out and Tor has to know of. */
const sharedOptions: readonly string[] = ['Log', DOMAINS, 'SafeLogging'];

const pluginOptions: ReadonlySet<string> = new Set([
  'clienttransportplugin',
  'servertransportplugin',
]);

function isOurs(home: string, { vocabulary }: Configuration): boolean {
  return (vocabulary.read as ReadonlySet<string>).has(home);
}

function parseNames(key: string, text: string): readonly string[] {
  try {
    return parseTransportList(text);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    throw valueFault(`${key}: ${error.message}`, error);
  }
}
