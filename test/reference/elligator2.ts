/** Elligator 2 and the field under it in the plainest way: one formula of the paper a line. */

export const P: bigint = 2n ** 255n - 19n;
const A = 486_662n;

export function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, square = base % P; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

export function invert(value: bigint): bigint {
  return power(value, P - 2n);
}

/** The u coordinate that a representative (32 bytes, little-endian) stands for. */
export function naiveDecode(representative: Uint8Array): bigint {
  const number = BigInt(`0x${Buffer.from(representative).reverse().toString('hex')}`);
  const r = number % 2n ** 254n;
  const u = ((P - A) * invert(1n + 2n * r * r)) % P;
  const onCurve = power(u ** 3n + A * u ** 2n + u, (P - 1n) / 2n) === 1n;
  return onCurve ? u : (2n * P - u - A) % P;
}
