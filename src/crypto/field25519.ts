/**
 * Arithmetic modulo p = 2^255 - 19 for Elligator 2: BigInt where a few operations are needed, and
 * doubles for the one long exponentiation (15 µs, where BigInt takes 50 and more).
 *
 * None of it takes constant time (BigInt cannot). Ephemeral keys are therefore made before the
 * peer's bytes are read, and what is computed from those is public.
 */
import { fromLimbs, multiply, squareTimes, toLimbs } from './field25519-limbs.ts';

/** The prime. */
export const P: bigint = (1n << 255n) - 19n;

/** The representative of `value` in 0..p-1; `value` may be negative. */
export function modulo(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

/** 32 little-endian bytes as a number, all 256 bits of it. */
export function decodeLittleEndian(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
  return (
    (((((view.getBigUint64(24, true) << 64n) | view.getBigUint64(16, true)) << 64n) |
      view.getBigUint64(8, true)) <<
      64n) |
    view.getBigUint64(0, true)
  );
}

/** A number below 2^256 as 32 little-endian bytes, owned. */
export function encodeLittleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (let offset = 0; offset < 32; offset += 8) {
    view.setBigUint64(offset, BigInt.asUintN(64, value >> BigInt(8 * offset)), true);
  }
  return bytes;
}

/** `base` to the power of (p - 5) / 8 = 2^252 - 3, from which square roots are made. */
export function power252Minus3(base: bigint): bigint {
  // Names say the exponent: eN is base^(2^N - 1).
  const x = toLimbs(base);
  const x2 = squareTimes(x, 1);
  const x9 = multiply(squareTimes(x2, 2), x);
  const x11 = multiply(x9, x2);
  const e5 = multiply(squareTimes(x11, 1), x9);
  const e10 = multiply(squareTimes(e5, 5), e5);
  const e20 = multiply(squareTimes(e10, 10), e10);
  const e40 = multiply(squareTimes(e20, 20), e20);
  const e50 = multiply(squareTimes(e40, 10), e10);
  const e100 = multiply(squareTimes(e50, 50), e50);
  const e200 = multiply(squareTimes(e100, 100), e100);
  const e250 = multiply(squareTimes(e200, 50), e50);
  return modulo(fromLimbs(multiply(squareTimes(e250, 2), x)));
}
