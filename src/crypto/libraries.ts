import { createRequire } from 'node:module';
import type * as NobleSalsa from '@noble/ciphers/salsa.js';
import type * as NobleCurve from '@noble/curves/ed25519.js';

/** The part of libsodium that is used here; `out` parameters come first, as in C. */
export interface Sodium {
  /** Throws when the result is all zero. */
  crypto_scalarmult(shared: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): void;
  crypto_scalarmult_base(publicKey: Uint8Array, privateKey: Uint8Array): void;
  /** Clamps the scalar. */
  crypto_scalarmult_ed25519_base(point: Uint8Array, scalar: Uint8Array): void;
  crypto_core_ed25519_add(sum: Uint8Array, p: Uint8Array, q: Uint8Array): void;
}

/**
 * Its boxes, as the library itself has them. What sodium-native puts before them costs a fifteenth of obfs4: it
 * looks lengths up by name, of views whose lengths are known. Wrong ones end the process.
 */
export interface SodiumBoxes {
  readonly crypto_secretbox_easy: (
    box: Uint8Array,
    message: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ) => unknown;
  readonly crypto_secretbox_open_easy: (
    message: Uint8Array,
    box: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ) => boolean;
}

const require = createRequire(import.meta.url);

/**
 * libsodium through sodium-native's prebuilt binary; undefined where there is none for this
 * platform, and then @noble/* does the same work many times slower.
 */
export const sodium: Sodium | undefined = load(() => require('sodium-native') as Sodium);
/** As `sodium`. */
export const sodiumBoxes: SodiumBoxes | undefined = load(
  () => require('sodium-native/binding') as SodiumBoxes,
);

function load<Library>(find: () => Library): Library | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

// The fallbacks are loaded when they are needed: together they cost 50 ms and 14 MB at the start.

/** XSalsa20-Poly1305 in JavaScript. */
export function loadNobleSalsa(): typeof NobleSalsa {
  return require('@noble/ciphers/salsa.js') as typeof NobleSalsa;
}

/** Curve25519 in JavaScript. */
export function loadNobleCurve(): typeof NobleCurve {
  return require('@noble/curves/ed25519.js') as typeof NobleCurve;
}
