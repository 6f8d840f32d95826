/**
 * The kernel of `field25519.ts`: products modulo 2^255 - 19 in doubles.
 *
 * It follows Bernstein's "Curve25519: new Diffie-Hellman speed records" (section 4): twelve limbs,
 * limb i a multiple of 2^ceil(21.25 i) that already has its weight, so that products need no shifts;
 * a limb is carried by adding and subtracting a constant so large that the sum is rounded to the
 * next limb's unit. No sum needs more than the 53 bits of a double, so all are exact. Unrolled, for
 * a loop over arrays takes five times as long; the twin in test/reference shows the plain way. Limbs are read by
 * their index: taken apart as a pattern they would each be an object on the heap, a third of all that a handshake makes.
 */

/** A field element, not unique: the sum of the limbs modulo 2^255 - 19. */
export type Limbs = readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

/** The exponent of each limb's unit, and of the modulus. */
const UNITS = [0, 22, 43, 64, 85, 107, 128, 149, 170, 192, 213, 234, 255] as const;

const WEIGHTS: readonly number[] = UNITS.map((unit) => 2 ** unit);

/** The limbs of a number below 2^255. */
export function toLimbs(value: bigint): Limbs {
  const limbs: number[] = [];
  for (let index = 0; index < 12; index += 1) {
    const unit = UNITS[index]!;
    const digit = BigInt.asUintN(UNITS[index + 1]! - unit, value >> BigInt(unit));
    limbs.push(Number(digit) * WEIGHTS[index]!);
  }
  return limbs as unknown as Limbs;
}

/** The number that limbs stand for: not reduced, and possibly negative. */
export function fromLimbs(limbs: Limbs): bigint {
  let sum = 0n;
  for (const limb of limbs) sum += BigInt(limb);
  return sum;
}

/** What weighs 2^255 counts 19. */
const FOLD = 19 * 2 ** -255;

/** Adding and subtracting one of these rounds limb k to a multiple of limb k + 1's unit. */
const R0 = 3 * 2 ** 73;
const R1 = 3 * 2 ** 94;
const R2 = 3 * 2 ** 115;
const R3 = 3 * 2 ** 136;
const R4 = 3 * 2 ** 158;
const R5 = 3 * 2 ** 179;
const R6 = 3 * 2 ** 200;
const R7 = 3 * 2 ** 221;
const R8 = 3 * 2 ** 243;
const R9 = 3 * 2 ** 264;
const R10 = 3 * 2 ** 285;
const R11 = 3 * 2 ** 306;

/** `limbs` squared `times` times. */
export function squareTimes(limbs: Limbs, times: number): Limbs {
  let a0 = limbs[0];
  let a1 = limbs[1];
  let a2 = limbs[2];
  let a3 = limbs[3];
  let a4 = limbs[4];
  let a5 = limbs[5];
  let a6 = limbs[6];
  let a7 = limbs[7];
  let a8 = limbs[8];
  let a9 = limbs[9];
  let a10 = limbs[10];
  let a11 = limbs[11];
  let c: number;
  for (let round = 0; round < times; round += 1) {
    // Products of different limbs come twice (d = doubled); limbs from 12 on fold back (f).
    const d0 = 2 * a0;
    const d1 = 2 * a1;
    const d2 = 2 * a2;
    const d3 = 2 * a3;
    const d4 = 2 * a4;
    const d5 = 2 * a5;
    const d6 = 2 * a6;
    const d7 = 2 * a7;
    const d8 = 2 * a8;
    const d9 = 2 * a9;
    const d10 = 2 * a10;
    const f6 = FOLD * a6;
    const f7 = FOLD * a7;
    const f8 = FOLD * a8;
    const f9 = FOLD * a9;
    const f10 = FOLD * a10;
    const f11 = FOLD * a11;
    let h0 = a0 * a0 + d1 * f11 + d2 * f10 + d3 * f9 + d4 * f8 + d5 * f7 + a6 * f6;
    let h1 = d0 * a1 + d2 * f11 + d3 * f10 + d4 * f9 + d5 * f8 + d6 * f7;
    let h2 = d0 * a2 + a1 * a1 + d3 * f11 + d4 * f10 + d5 * f9 + d6 * f8 + a7 * f7;
    let h3 = d0 * a3 + d1 * a2 + d4 * f11 + d5 * f10 + d6 * f9 + d7 * f8;
    let h4 = d0 * a4 + d1 * a3 + a2 * a2 + d5 * f11 + d6 * f10 + d7 * f9 + a8 * f8;
    let h5 = d0 * a5 + d1 * a4 + d2 * a3 + d6 * f11 + d7 * f10 + d8 * f9;
    let h6 = d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3 + d7 * f11 + d8 * f10 + a9 * f9;
    let h7 = d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4 + d8 * f11 + d9 * f10;
    let h8 = d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4 + d9 * f11 + a10 * f10;
    let h9 = d0 * a9 + d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5 + d10 * f11;
    let h10 = d0 * a10 + d1 * a9 + d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5 + a11 * f11;
    let h11 = d0 * a11 + d1 * a10 + d2 * a9 + d3 * a8 + d4 * a7 + d5 * a6;
    // Two chains, from limb 0 and from limb 6: each step waits for the one before, so they run side by side.
    c = h0 + R0 - R0;
    h0 -= c;
    h1 += c;
    c = h6 + R6 - R6;
    h6 -= c;
    h7 += c;
    c = h1 + R1 - R1;
    h1 -= c;
    h2 += c;
    c = h7 + R7 - R7;
    h7 -= c;
    h8 += c;
    c = h2 + R2 - R2;
    h2 -= c;
    h3 += c;
    c = h8 + R8 - R8;
    h8 -= c;
    h9 += c;
    c = h3 + R3 - R3;
    h3 -= c;
    h4 += c;
    c = h9 + R9 - R9;
    h9 -= c;
    h10 += c;
    c = h4 + R4 - R4;
    h4 -= c;
    h5 += c;
    c = h10 + R10 - R10;
    h10 -= c;
    h11 += c;
    c = h5 + R5 - R5;
    h5 -= c;
    h6 += c;
    c = h11 + R11 - R11;
    h11 -= c;
    h0 += c * FOLD;
    c = h6 + R6 - R6;
    h6 -= c;
    h7 += c;
    c = h0 + R0 - R0;
    h0 -= c;
    h1 += c;
    a0 = h0;
    a1 = h1;
    a2 = h2;
    a3 = h3;
    a4 = h4;
    a5 = h5;
    a6 = h6;
    a7 = h7;
    a8 = h8;
    a9 = h9;
    a10 = h10;
    a11 = h11;
  }
  return [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11];
}

/** The product. */
export function multiply(left: Limbs, right: Limbs): Limbs {
  const a0 = left[0];
  const a1 = left[1];
  const a2 = left[2];
  const a3 = left[3];
  const a4 = left[4];
  const a5 = left[5];
  const a6 = left[6];
  const a7 = left[7];
  const a8 = left[8];
  const a9 = left[9];
  const a10 = left[10];
  const a11 = left[11];
  const b0 = right[0];
  const b1 = right[1];
  const b2 = right[2];
  const b3 = right[3];
  const b4 = right[4];
  const b5 = right[5];
  const b6 = right[6];
  const b7 = right[7];
  const b8 = right[8];
  const b9 = right[9];
  const b10 = right[10];
  const b11 = right[11];
  let c: number;
  const f1 = FOLD * b1;
  const f2 = FOLD * b2;
  const f3 = FOLD * b3;
  const f4 = FOLD * b4;
  const f5 = FOLD * b5;
  const f6 = FOLD * b6;
  const f7 = FOLD * b7;
  const f8 = FOLD * b8;
  const f9 = FOLD * b9;
  const f10 = FOLD * b10;
  const f11 = FOLD * b11;
  let h0 =
    a0 * b0 +
    a1 * f11 +
    a2 * f10 +
    a3 * f9 +
    a4 * f8 +
    a5 * f7 +
    a6 * f6 +
    a7 * f5 +
    a8 * f4 +
    a9 * f3 +
    a10 * f2 +
    a11 * f1;
  let h1 =
    a0 * b1 +
    a1 * b0 +
    a2 * f11 +
    a3 * f10 +
    a4 * f9 +
    a5 * f8 +
    a6 * f7 +
    a7 * f6 +
    a8 * f5 +
    a9 * f4 +
    a10 * f3 +
    a11 * f2;
  let h2 =
    a0 * b2 +
    a1 * b1 +
    a2 * b0 +
    a3 * f11 +
    a4 * f10 +
    a5 * f9 +
    a6 * f8 +
    a7 * f7 +
    a8 * f6 +
    a9 * f5 +
    a10 * f4 +
    a11 * f3;
  let h3 =
    a0 * b3 +
    a1 * b2 +
    a2 * b1 +
    a3 * b0 +
    a4 * f11 +
    a5 * f10 +
    a6 * f9 +
    a7 * f8 +
    a8 * f7 +
    a9 * f6 +
    a10 * f5 +
    a11 * f4;
  let h4 =
    a0 * b4 +
    a1 * b3 +
    a2 * b2 +
    a3 * b1 +
    a4 * b0 +
    a5 * f11 +
    a6 * f10 +
    a7 * f9 +
    a8 * f8 +
    a9 * f7 +
    a10 * f6 +
    a11 * f5;
  let h5 =
    a0 * b5 +
    a1 * b4 +
    a2 * b3 +
    a3 * b2 +
    a4 * b1 +
    a5 * b0 +
    a6 * f11 +
    a7 * f10 +
    a8 * f9 +
    a9 * f8 +
    a10 * f7 +
    a11 * f6;
  let h6 =
    a0 * b6 +
    a1 * b5 +
    a2 * b4 +
    a3 * b3 +
    a4 * b2 +
    a5 * b1 +
    a6 * b0 +
    a7 * f11 +
    a8 * f10 +
    a9 * f9 +
    a10 * f8 +
    a11 * f7;
  let h7 =
    a0 * b7 +
    a1 * b6 +
    a2 * b5 +
    a3 * b4 +
    a4 * b3 +
    a5 * b2 +
    a6 * b1 +
    a7 * b0 +
    a8 * f11 +
    a9 * f10 +
    a10 * f9 +
    a11 * f8;
  let h8 =
    a0 * b8 +
    a1 * b7 +
    a2 * b6 +
    a3 * b5 +
    a4 * b4 +
    a5 * b3 +
    a6 * b2 +
    a7 * b1 +
    a8 * b0 +
    a9 * f11 +
    a10 * f10 +
    a11 * f9;
  let h9 =
    a0 * b9 +
    a1 * b8 +
    a2 * b7 +
    a3 * b6 +
    a4 * b5 +
    a5 * b4 +
    a6 * b3 +
    a7 * b2 +
    a8 * b1 +
    a9 * b0 +
    a10 * f11 +
    a11 * f10;
  let h10 =
    a0 * b10 +
    a1 * b9 +
    a2 * b8 +
    a3 * b7 +
    a4 * b6 +
    a5 * b5 +
    a6 * b4 +
    a7 * b3 +
    a8 * b2 +
    a9 * b1 +
    a10 * b0 +
    a11 * f11;
  let h11 =
    a0 * b11 +
    a1 * b10 +
    a2 * b9 +
    a3 * b8 +
    a4 * b7 +
    a5 * b6 +
    a6 * b5 +
    a7 * b4 +
    a8 * b3 +
    a9 * b2 +
    a10 * b1 +
    a11 * b0;
  // Two chains, from limb 0 and from limb 6: each step waits for the one before, so they run side by side.
  c = h0 + R0 - R0;
  h0 -= c;
  h1 += c;
  c = h6 + R6 - R6;
  h6 -= c;
  h7 += c;
  c = h1 + R1 - R1;
  h1 -= c;
  h2 += c;
  c = h7 + R7 - R7;
  h7 -= c;
  h8 += c;
  c = h2 + R2 - R2;
  h2 -= c;
  h3 += c;
  c = h8 + R8 - R8;
  h8 -= c;
  h9 += c;
  c = h3 + R3 - R3;
  h3 -= c;
  h4 += c;
  c = h9 + R9 - R9;
  h9 -= c;
  h10 += c;
  c = h4 + R4 - R4;
  h4 -= c;
  h5 += c;
  c = h10 + R10 - R10;
  h10 -= c;
  h11 += c;
  c = h5 + R5 - R5;
  h5 -= c;
  h6 += c;
  c = h11 + R11 - R11;
  h11 -= c;
  h0 += c * FOLD;
  c = h6 + R6 - R6;
  h6 -= c;
  h7 += c;
  c = h0 + R0 - R0;
  h0 -= c;
  h1 += c;
  return [h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, h10, h11];
}
