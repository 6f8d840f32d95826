import fc, { type Arbitrary, type IProperty } from 'fast-check';
import type { Endpoint } from '../../src/pt/address.ts';

/** Checks a property on a fixed sequence of inputs, so that a failure comes back on every run. */
export function holds<T>(property: IProperty<T>, numRuns = 200): void {
  fc.assert(property, { numRuns, seed: 20_261_121 });
}

/** IP addresses of both families, in canonical form, with ports from 1. */
export const endpoints: Arbitrary<Endpoint> = fc.record(
  {
    host: fc.constantFrom('127.0.0.1', '192.0.2.3', '::1', '2001:db8::3'),
    port: fc.integer({ min: 1, max: 65_535 }),
  },
  { noNullPrototype: true },
);

/** Texts made of these characters only: those that a grammar treats specially, and a few others. */
export function textOf(
  characters: string,
  length: { minLength?: number; maxLength?: number } = {},
): Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...Array.from(characters)), ...length });
}
