import { PosternError } from '../errors.ts';
import type { ImmediateChange } from './part.ts';
import { collide, type GiveBack, type Holder, type Place, type Places } from './places.ts';
import { unawaited } from '../unawaited.ts';

/** How to open something. */
export interface Opening<T> {
  readonly open: () => T | Promise<T>;
  /** Where it listens, as far as that is fixed: nothing else can have these places meanwhile. */
  readonly takes?: readonly Place[];
}

/** What is to be open, by a key that contains all that it depends on. */
export type Wanted<T> = ReadonlyMap<string, Opening<T>>;

/** A change, and what comes of it. */
export interface ResourceChange<T> extends ImmediateChange {
  /** All that is open after the commit. */
  readonly next: ReadonlyMap<string, T>;
  /** What was opened for it. */
  readonly fresh: readonly T[];
}

/** What is open, and how it was opened. */
interface Entry<T> extends Opening<T> {
  readonly resource: T;
}

/** Resources that listen. */
export interface ListenOptions {
  /** Those of the whole daemon. */
  readonly places: Places;
  /** Hears why something that was closed to make room cannot be opened again. */
  readonly onLost: (error: unknown) => void;
}

/** Resources that follow the configuration: what stays the same is kept and not opened again. */
export class Resources<T> implements Holder {
  readonly #close: (resource: T) => void | Promise<void>;
  readonly #listening: ListenOptions | undefined;
  #open: ReadonlyMap<string, Entry<T>> = new Map();

  /**
   * @param close is called once for each resource that was opened; may not throw
   * @param listening for resources with a place
   */
  constructor(close: (resource: T) => void | Promise<void>, listening?: ListenOptions) {
    this.#close = close;
    this.#listening = listening;
    listening?.places.join(this);
  }

  /** What is open, by key. */
  get current(): ReadonlyMap<string, T> {
    return resourcesOf(this.#open);
  }

  /**
   * Opens what is wanted and not open yet. What is not wanted any more is closed by the commit, or before it
   * where another part is to have its place.
   *
   * @throws what opening one of them throws; those opened before it are closed then, and those that
   *   made room are open again
   */
  async prepare(wanted: Wanted<T>): Promise<ResourceChange<T>> {
    const next = new Map<string, Entry<T>>();
    const fresh: T[] = [];
    const undo: GiveBack[] = [];
    const rollback = async (): Promise<void> => {
      for (const resource of fresh.toReversed()) await this.#close(resource);
      for (const giveBack of undo.toReversed()) await giveBack();
    };
    try {
      for (const [key, opening] of wanted) {
        let entry = this.#open.get(key);
        if (entry === undefined) {
          for (const place of opening.takes ?? []) {
            undo.push(...((await this.#listening?.places.makeRoom(place)) ?? []));
          }
          entry = { ...opening, resource: await opening.open() };
          fresh.push(entry.resource);
        }
        next.set(key, entry);
      }
    } catch (error) {
      await rollback();
      throw error;
    }
    return {
      next: resourcesOf(next),
      fresh,
      commit: () => {
        const leaving = [...this.#open].filter(([key]) => !next.has(key));
        this.#open = next;
        for (const [, { resource }] of leaving) unawaited(() => this.#close(resource));
      },
      rollback,
    };
  }

  async leave(place: Place): Promise<readonly GiveBack[]> {
    const isThere = ({ takes = [] }: Entry<T>): boolean => takes.some((one) => collide(one, place));
    const leaving = [...this.#open].filter(([, entry]) => isThere(entry));
    this.#open = new Map([...this.#open].filter(([, entry]) => !isThere(entry)));
    for (const [, { resource }] of leaving) await this.#close(resource);
    return leaving.map(
      ([key, entry]) =>
        () =>
          this.#reopen(key, entry),
    );
  }

  /** Closes all. Idempotent. */
  async close(): Promise<void> {
    const entries = [...this.#open.values()];
    this.#open = new Map();
    for (const { resource } of entries.toReversed()) await this.#close(resource);
  }

  async #reopen(key: string, entry: Entry<T>): Promise<void> {
    try {
      const resource = await entry.open();
      this.#open = new Map([...this.#open, [key, { ...entry, resource }]]);
    } catch (error) {
      this.#listening?.onLost(error);
    }
  }
}

function resourcesOf<T>(entries: ReadonlyMap<string, Entry<T>>): ReadonlyMap<string, T> {
  return new Map([...entries].map(([key, { resource }]) => [key, resource] as const));
}

/**
 * Opens what an option asks for.
 *
 * @throws what `open` throws, a PosternError with the option's name before its message
 */
export async function forOption<T>(option: string, open: () => T | Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    throw blame(option, error);
  }
}

/** An error that says which option is at fault. */
export function blame(option: string, error: unknown): unknown {
  if (!(error instanceof PosternError)) return error;
  return new PosternError(error.code, `${option}: ${error.message}`, { cause: error.cause });
}

/** Keys for values of which several may be the same: `auto` twice are two ports. */
export function numbered<V>(
  values: readonly V[],
  keyOf: (value: V) => string,
): readonly (readonly [key: string, value: V])[] {
  const seen = new Map<string, number>();
  return values.map((value) => {
    const key = keyOf(value);
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    return [`${key} #${count}`, value] as const;
  });
}
