import { PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import type { ImmediateChange } from './part.ts';
import { unawaited } from '../unawaited.ts';

/** How to open something. */
export interface Opening<T> {
  readonly open: () => T | Promise<T>;
  /** The addresses that it listens on, where they are fixed: nothing else can have them meanwhile. */
  readonly takes?: readonly Endpoint[];
}

/** What is to be open, by a key that says all that it depends on. */
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

/** Resources that follow the configuration: what stays the same is kept and not opened again. */
export class Resources<T> {
  readonly #close: (resource: T) => void | Promise<void>;
  readonly #onLost: (error: unknown) => void;
  #open: ReadonlyMap<string, Entry<T>> = new Map();

  /**
   * @param close is called once for each resource that was opened; may not throw
   * @param onLost hears why something that had made room cannot be opened again
   */
  constructor(
    close: (resource: T) => void | Promise<void>,
    onLost: (error: unknown) => void = () => {},
  ) {
    this.#close = close;
    this.#onLost = onLost;
  }

  /** What is open, by key. */
  get current(): ReadonlyMap<string, T> {
    return resourcesOf(this.#open);
  }

  /**
   * Opens what is wanted and not open. What is not wanted any more is closed by the commit; at once,
   * where it has an address that is taken over.
   *
   * @throws what opening one of them throws; those opened before it are closed then, and those that
   *   made room are open again
   */
  async prepare(wanted: Wanted<T>): Promise<ResourceChange<T>> {
    const old = this.#open;
    const next = new Map<string, Entry<T>>();
    const fresh: T[] = [];
    const leaving = new Map([...old].filter(([key]) => !wanted.has(key)));
    const left = new Map<string, Entry<T>>();
    const rollback = async (): Promise<void> => {
      for (const resource of fresh.toReversed()) await this.#close(resource);
      await this.#reopen(left);
    };
    try {
      for (const [key, opening] of wanted) {
        let entry = old.get(key);
        if (entry === undefined) {
          for (const [name, one] of leaving) {
            if (!collide(one, opening)) continue;
            leaving.delete(name);
            left.set(name, one);
            await this.#close(one.resource);
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
        this.#open = next;
        for (const { resource } of leaving.values()) unawaited(() => this.#close(resource));
      },
      rollback,
    };
  }

  /** Closes all. Idempotent. */
  async close(): Promise<void> {
    const entries = [...this.#open.values()];
    this.#open = new Map();
    for (const { resource } of entries.toReversed()) await this.#close(resource);
  }

  async #reopen(left: ReadonlyMap<string, Entry<T>>): Promise<void> {
    const open = new Map(this.#open);
    for (const [key, entry] of left) {
      try {
        open.set(key, { ...entry, resource: await entry.open() });
      } catch (error) {
        open.delete(key);
        this.#onLost(error);
      }
    }
    this.#open = open;
  }
}

function resourcesOf<T>(entries: ReadonlyMap<string, Entry<T>>): ReadonlyMap<string, T> {
  return new Map([...entries].map(([key, { resource }]) => [key, resource] as const));
}

/** Whether the system would say of one that its address is in use, because of the other. */
function collide<T>({ takes: some = [] }: Opening<T>, { takes: others = [] }: Opening<T>): boolean {
  return some.some((one) => others.some((other) => overlap(one, other)));
}

function overlap(one: Endpoint, other: Endpoint): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  const hosts = [one.host, other.host];
  const isIpv6 = hosts.map((host) => host.includes(':'));
  return (
    one.host === other.host ||
    // `::` takes in IPv4, too.
    hosts.includes('::') ||
    (hosts.includes('0.0.0.0') && !isIpv6.includes(true))
  );
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
