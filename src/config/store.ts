import { PosternError } from '../errors.ts';
import { Configuration, type LocalDefaults } from './configuration.ts';
import { expandTorrc, type FindIncluded, hasInclude } from './include.ts';
import { rewriteTorrc } from './rewrite.ts';
import type { Setting, TorrcPiece } from './torrc.ts';
import { valueFault } from './value-types.ts';
import { embeddedVocabulary, type Vocabulary } from './vocabulary.ts';

/** The torrc. Its driver for files is `node.ts`. */
export interface TorrcFile {
  /**
   * @returns undefined when there is none
   * @throws PosternError `ERR_CONFIG_FILE`
   */
  read(): Promise<string | undefined>;
  /**
   * Replaces it in one step and keeps the previous one; a failure leaves it as it was.
   *
   * @throws PosternError `ERR_CONFIG_FILE`
   */
  write(text: string): Promise<void>;
  /** The files that a `%include` in it means. */
  readonly included: FindIncluded;
}

/**
 * Puts a configuration in force, or refuses by throwing; after a refusal everything must be as before.
 *
 * @param changed the options, and groups, that differ from `previous`, or may differ because they are
 *   kept elsewhere; empty only when the torrc was read again
 * @param isReload whether the torrc was read again
 */
export type ApplyConfiguration = (
  next: Configuration,
  previous: Configuration,
  changed: ReadonlySet<string>,
  isReload: boolean,
) => Promise<void>;

/**
 * The configuration of a running daemon: what is in force, and the ways in which it changes. A change
 * is checked as a whole, then applied, and only then `current`. Changes, saves and reloads run one
 * after another, in the order of the calls.
 */
export class ConfigStore {
  readonly #file: TorrcFile;
  readonly #localDefaults: LocalDefaults;
  #current: Configuration;
  #apply: ApplyConfiguration | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(file: TorrcFile, localDefaults: LocalDefaults, initial: Configuration) {
    this.#file = file;
    this.#localDefaults = localDefaults;
    this.#current = initial;
  }

  /**
   * Reads a torrc for the start of a daemon.
   *
   * @throws PosternError `ERR_CONFIG_FILE`, or like `Configuration.parse`
   */
  static async open(
    file: TorrcFile,
    localDefaults: LocalDefaults = {},
    vocabulary: Vocabulary = embeddedVocabulary,
  ): Promise<ConfigStore> {
    const initial = Configuration.parse(await readTorrc(file), localDefaults, vocabulary);
    return new ConfigStore(file, localDefaults, initial);
  }

  /** What is in force. */
  get current(): Configuration {
    return this.#current;
  }

  /** From now on every change goes through `apply`. To be called once, when `current` is in force. */
  onChange(apply: ApplyConfiguration): void {
    this.#apply = apply;
  }

  /** The lines in force for each key: see `Configuration.get`. */
  get(keys: readonly string[]): readonly Setting[] {
    return this.#current.get(keys);
  }

  /**
   * SETCONF: all of the lines, or none (TC 3.3).
   *
   * @param lines as in a torrc
   * @throws PosternError `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_KEY` or `ERR_CONFIG_VALUE`; nothing has
   *   changed then
   */
  set(lines: string): Promise<void> {
    return this.#inTurn(() =>
      this.#adopt(this.#current.changedBy(lines), { named: this.#current.namedBy(lines) }),
    );
  }

  /**
   * SAVECONF: writes what is in force into the torrc (TC 3.9), as it stands there at this moment:
   * comments that were added while the daemon ran are kept, settings are not.
   *
   * @throws PosternError `ERR_CONFIG_FILE`; `ERR_CONFIG_INCLUDE` for a torrc with `%include`, which Tor does
   *   not save either; the torrc is as it was then
   */
  save(): Promise<void> {
    return this.#inTurn(async () => {
      const text = (await this.#file.read()) ?? '';
      if (hasInclude(text)) throw new PosternError('ERR_CONFIG_INCLUDE', INCLUDES);
      await this.#file.write(rewriteTorrc(text, this.#current));
    });
  }

  /**
   * Reads the torrc again. What was set and not saved is lost, as with Tor.
   *
   * @param complete what belongs to it, before the next change may come
   * @throws PosternError `ERR_CONFIG_FILE`, or like `set`; the running configuration stays then
   */
  reload(complete: () => Promise<void> = async () => {}): Promise<void> {
    return this.#inTurn(async () => {
      const pieces = await readTorrc(this.#file);
      const { vocabulary } = this.#current;
      const next = Configuration.parse(pieces, this.#localDefaults, vocabulary);
      await this.#adopt(next, { isReload: true });
      await complete();
    });
  }

  async #adopt(
    next: Configuration,
    {
      named = new Set(),
      isReload = false,
    }: { readonly named?: ReadonlySet<string>; readonly isReload?: boolean },
  ): Promise<void> {
    const { vocabulary } = next;
    const changed = new Set([
      ...next.differencesFrom(this.#current),
      ...[...named].filter((name) => vocabulary.isKeptElsewhere(name)),
    ]);
    const fixed = [...changed].find((name) => {
      const keyword = vocabulary.find(name);
      return keyword?.kind === 'option' && keyword.rules.isFixed;
    });
    if (fixed !== undefined) {
      throw valueFault(
        `${fixed}: cannot be changed while the daemon runs; it is read at the start`,
      );
    }
    if (changed.size > 0 || isReload) {
      await this.#apply?.(next, this.#current, changed, isReload).catch(refuse);
    }
    this.#current = next;
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => {});
    return result;
  }
}

/**
 * Reads a torrc that must be there, with the files that it includes.
 *
 * @throws PosternError `ERR_CONFIG_FILE`, `ERR_CONFIG_SYNTAX`
 */
export async function readTorrc(file: TorrcFile): Promise<readonly TorrcPiece[]> {
  const text = await file.read();
  if (text === undefined) throw new PosternError('ERR_CONFIG_FILE', 'there is no torrc to read');
  return expandTorrc(text, file.included);
}

const INCLUDES = 'the torrc takes lines from other files by %include, and is not written over';

/** An effect that failed, such as a port in use, makes the value an impossible one (TC 3.1). */
function refuse(error: unknown): never {
  const isValue = error instanceof PosternError && error.code !== 'ERR_DAEMON_ENDING';
  throw isValue ? valueFault(error.message, error) : error;
}
