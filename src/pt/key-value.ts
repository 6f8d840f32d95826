/**
 * Transport arguments once they are out of their wire form: order and duplicates are kept.
 *
 * The three wire forms (SOCKS arguments, server transport options, SMETHOD ARGS) are three grammars
 * with three escapers; what a transport sees is always this.
 */
export type KeyValues = readonly (readonly [key: string, value: string])[];
