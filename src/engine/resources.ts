import { PosternError } from '../errors.ts';
import type { ImmediateChange } from './part.ts';

/** What is to be open: how to open each, by a key that says all that it depends on. */
export type Wanted<T> = ReadonlyMap<string, () => T | Promise<T>>;

/** A change, and what comes of it. */
export interface ResourceChange<T> extends ImmediateChange {
  /** All that is open after the commit. */
  readonly next: ReadonlyMap<string, T>;
  /** What was opened for it. */
  readonly fresh: readonly T[];
}

/** Resources that follow the configuration: what stays the same is kept and not opened again. */
export class Resources<T> {
  readonly #close: (resource: T) => void | Promise<void>;
  #open: ReadonlyMap<string, T> = new Map();

  /** @param close is called once for each resource that was opened; may not throw */
  constructor(close: (resource: T) => void | Promise<void>) {
    this.#close = close;
  }

  /** What is open, by key. */
  get current(): ReadonlyMap<string, T> {
    return this.#open;
  }

  /**
   * Opens what is wanted and not open.
   *
   * @throws what opening one of them throws; those opened before it are closed then
   */
  async prepare(wanted: Wanted<T>): Promise<ResourceChange<T>> {
    const old = this.#open;
    const next = new Map<string, T>();
    const fresh: T[] = [];
    const rollback = async (): Promise<void> => {
      for (const resource of fresh.toReversed()) await this.#close(resource);
    };
    try {
      for (const [key, open] of wanted) {
        const kept = old.get(key);
        const resource = kept ?? (await open());
        if (kept === undefined) fresh.push(resource);
        next.set(key, resource);
      }
    } catch (error) {
      await rollback();
      throw error;
    }
    return {
      next,
      fresh,
      commit: () => {
        this.#open = next;
        for (const [key, resource] of old) if (!next.has(key)) void this.#close(resource);
      },
      rollback,
    };
  }

  /** Closes all. Idempotent. */
  async close(): Promise<void> {
    const resources = [...this.#open.values()];
    this.#open = new Map();
    for (const resource of resources.toReversed()) await this.#close(resource);
  }
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
