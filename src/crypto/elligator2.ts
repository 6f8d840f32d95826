/**
 * Ephemeral X25519 key pairs whose public key can travel as 32 uniform random bytes: Elligator 2
 * (Bernstein, Hamburg, Krasnova, Lange: "Elligator", section 5), as obfs4proxy uses it.
 *
 * A public key has a representative if -2u(u + A) is a square, which holds for every second point.
 * Two things that a censor could test, and that obfs4proxy got wrong before 0.0.12 and 0.0.14:
 * representatives of the prime-order subgroup alone are not uniform, so a low-order point is added
 * (X25519's clamped scalars cancel it); and a representative is below 2^254, so the two top bits
 * are filled at random.
 */
import { decodeLittleEndian, encodeLittleEndian, modulo, P, power252Minus3 } from './field25519.ts';
import type { Rng } from './rng.ts';
import { edwardsPublicPointPlus } from './x25519.ts';

/** An X25519 key pair with a representative; all parts are 32 bytes. */
export interface ElligatorKeyPair {
  /** As it was drawn, not clamped: its low three bits chose the low-order point. */
  readonly privateKey: Uint8Array;
  /** The u coordinate, which enters the transcript. */
  readonly publicKey: Uint8Array;
  /** What travels. */
  readonly representative: Uint8Array;
}

/**
 * Draws key pairs until one has a representative: two on average, some 100 µs together.
 *
 * Make it before the peer's bytes are read: how long it takes tells how many were drawn.
 */
export function generateElligatorKeyPair(rng: Rng): ElligatorKeyPair {
  for (;;) {
    const privateKey = new Uint8Array(32);
    const tweak = new Uint8Array(1);
    rng.fill(privateKey);
    rng.fill(tweak);
    const point = edwardsPublicPointPlus(privateKey, LOW_ORDER_POINTS[privateKey[0]! & 7]!);
    const hidden = hidePoint(point, tweak[0]!);
    if (hidden !== undefined) return { privateKey, ...hidden };
  }
}

/** The public key that a representative stands for: every 32 bytes stand for one. */
export function representativeToPublicKey(representative: Uint8Array): Uint8Array {
  // The two top bits are random filling. With r the rest, u is -A/(1 + 2r²) if that is on the curve,
  // else -A minus that.
  const r = BigInt.asUintN(254, decodeLittleEndian(representative));
  const w = modulo(1n + 2n * r * r);
  const ww = modulo(w * w);
  // u = -A/w is on the curve if u³ + Au² + u = g/w⁴ is a square. g is never zero.
  const h = modulo(-A * modulo(A2 - A2 * w + ww));
  const g = modulo(h * w);
  const { root, quartic } = inverseRoot(g);
  // 1/g = root²/quartic gives 1/w as well; the inverse of a fourth root of one is its cube.
  const inverseW = modulo(modulo(root * root) * modulo(h * modulo(quartic * quartic * quartic)));
  const u = modulo(-A * inverseW);
  const onCurve = quartic === 1n || quartic === P - 1n;
  return encodeLittleEndian(onCurve ? u : modulo(-u - A));
}

/** The public key and the representative of an encoded Edwards point; undefined if it has none. */
function hidePoint(
  point: Uint8Array,
  tweak: number,
): { publicKey: Uint8Array; representative: Uint8Array } | undefined {
  // u = n/d; the sign of the Edwards x in the top bit makes no difference to it.
  const y = BigInt.asUintN(255, decodeLittleEndian(point));
  const n = y + 1n;
  const d = 1n - y;
  const m = modulo(n + A * d); // u + A = m/d
  const minus2nm = modulo(-2n * modulo(n * m));
  const { root, quartic } = inverseRoot(modulo(minus2nm * modulo(d * d)));
  let s = root; // becomes 1/sqrt(-2nmd²)
  if (quartic === P - 1n) s = modulo(root * SQRT_MINUS_1);
  else if (quartic !== 1n) return undefined;

  const u = modulo(modulo(n * d) * modulo(modulo(s * s) * minus2nm));
  // r² is -u/(2(u + A)) or -(u + A)/(2u); both stand for u, with either sign of v.
  const r = modulo(modulo(((tweak & 1) === 0 ? n : m) * d) * s);
  const representative = encodeLittleEndian(r > (P - 1n) / 2n ? P - r : r);
  representative[31]! |= tweak & 0xc0;
  return { publicKey: encodeLittleEndian(u), representative };
}

/**
 * `root` with root² * value = `quartic`, a fourth root of one (zero for zero): the value is a square
 * if that is 1 or -1.
 */
function inverseRoot(value: bigint): { root: bigint; quartic: bigint } {
  const root = power252Minus3(value);
  return { root, quartic: modulo(modulo(root * root) * value) };
}

/** The coefficient of Curve25519: v² = u³ + Au² + u. */
const A = 486_662n;
const A2 = A * A;
const SQRT_MINUS_1 = 0x2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0n;

/** The eight points whose order divides 8, encoded as in RFC 8032. */
const LOW_ORDER_POINTS: readonly Uint8Array[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '0000000000000000000000000000000000000000000000000000000000000080',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
].map((hex) => Buffer.from(hex, 'hex'));
