/** What one option is. */
import type { ValueType } from '../value-types.ts';

export interface OptionRow<T = unknown> {
  readonly type: ValueType<T>;
  /** Whether every line counts (`Bridge`), or only the last. */
  readonly isList: boolean;
  /** In canonical form. */
  readonly default?: string;
  /** Whether it can be set only before the start. */
  readonly isFixed?: true;
  /** Whether this program reads it also with `Engine tor`; the others are Tor's own then. */
  readonly isForEveryEngine?: true;
  /** Whether its value is a secret, or may hold one: shown to nobody who only looks. */
  readonly isSecret?: true;
  /** One sentence. */
  readonly summary: string;
}

/** The row that an option of this type of value must have. */
type RowOf<V> = [V] extends [readonly (infer T)[]]
  ? OptionRow<T | undefined> & { readonly isList: true }
  : OptionRow<V> & { readonly isList: false };

/** A row for each option of an interface of values. */
export type OptionRows<Values> = { readonly [Name in keyof Values]: RowOf<Values[Name]> };
