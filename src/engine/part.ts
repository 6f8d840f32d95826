import type { OptionValues } from '../config/options.ts';

/**
 * A part of a daemon that the configuration decides about. All parts prepare, then all commit: a change
 * that one of them refuses has changed nothing.
 */
export interface Part {
  /**
   * Opens what `next` needs and what is not there yet, beside what runs.
   *
   * @throws PosternError what is in the way; nothing is left open then
   */
  prepare(next: OptionValues): Promise<Change>;
  /**
   * Does all of that but listen, dial and start programs, and undoes it.
   *
   * @throws PosternError what would be in the way of a start
   */
  verify(first: OptionValues): Promise<void>;
  /** Closes everything now. Idempotent. */
  close(): Promise<void>;
}

/** A change that is ready. One of the two is called, once. */
export interface Change {
  /** Puts it in force; closes what is not needed any more. Does not throw, and never rejects. */
  readonly commit: () => void | Promise<void>;
  /** Closes what was opened for it. */
  readonly rollback: () => Promise<void>;
}

/** A change that is in force as soon as `commit` returns. */
export interface ImmediateChange extends Change {
  readonly commit: () => void;
}

/** The change of a part in which nothing can fail. */
export function simpleChange(commit: () => void): ImmediateChange {
  return { commit, rollback: async () => {} };
}

/**
 * Prepares every part, one after another.
 *
 * @throws what a part threw; those before it are rolled back then
 */
export function prepareAll(parts: readonly Part[], next: OptionValues): Promise<Change> {
  return prepareEach(parts.map((part) => () => part.prepare(next)));
}

/**
 * Prepares several changes, one after another.
 *
 * @throws what one of them threw; those before it are rolled back then
 */
export async function prepareEach(prepare: readonly (() => Promise<Change>)[]): Promise<Change> {
  const changes: Change[] = [];
  try {
    for (const next of prepare) changes.push(await next());
  } catch (error) {
    await rollBack(changes);
    throw error;
  }
  return {
    async commit() {
      // Without a pause between those that need none: nobody sees half of a change.
      for (const change of changes) {
        const committing = change.commit();
        if (committing !== undefined) await committing;
      }
    },
    rollback: () => rollBack(changes),
  };
}

/** Rolls changes back, the last one first. */
export async function rollBack(changes: readonly Change[]): Promise<void> {
  for (const change of changes.toReversed()) await change.rollback();
}
