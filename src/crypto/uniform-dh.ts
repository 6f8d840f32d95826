/**
 * UniformDH: Diffie-Hellman whose public keys are 192 uniform random bytes, for obfs3 and
 * ScrambleSuit (obfs3's specification, section "UniformDH").
 *
 * The group is the 1536-bit one of RFC 3526. 2^x alone would always be a square, which a censor can
 * test; so a coin decides whether X or p - X is sent. x is even, and so the sign vanishes from the
 * shared secret.
 *
 * obfs4proxy draws x of 1536 bits; ours have 256. The exponents that RFC 3526 (section 8) gives for
 * this group are 180 to 240 bits, since the group itself resists no better than 120 bits: a longer
 * one adds nothing but four times the CPU. Nobody sees the difference: telling 2^x with a short x
 * from a random square is as hard as finding x (Koshiba and Kurosawa, "Short Exponent Diffie-Hellman
 * Problems", PKC 2004).
 */
import { createDiffieHellman, getDiffieHellman, type DiffieHellman } from 'node:crypto';
import type { Rng } from './rng.ts';

/** The length of public keys and of shared secrets, left-padded with zeros. */
export const UNIFORM_DH_BYTES = 192;

/** An ephemeral key pair. */
export interface UniformDhKeyPair {
  /** Even, big-endian. */
  readonly privateKey: Uint8Array;
  /** `UNIFORM_DH_BYTES` long. */
  readonly publicKey: Uint8Array;
}

const PRIVATE_KEY_BYTES = 32;
const prime: Buffer = getDiffieHellman('modp5').getPrime();
const primeNumber = toNumber(prime);
let group: DiffieHellman | undefined;

/**
 * 2 or the base to the power of a private key.
 *
 * One object serves all, made when it is first needed: Node 24 tests the prime again, for 130 ms. Its
 * private key is set before each use and overwritten after it.
 */
function power(privateKey: Uint8Array, base?: Uint8Array): Uint8Array {
  group ??= createDiffieHellman(prime, 2);
  group.setPrivateKey(privateKey);
  try {
    return leftPad(base === undefined ? group.generateKeys() : group.computeSecret(base));
  } finally {
    group.setPrivateKey(NO_KEY);
  }
}

/** Draws a key pair, some 160 µs. Make it ahead of need: the peer waits for its use already. */
export function generateUniformDhKeyPair(rng: Rng): UniformDhKeyPair {
  const privateKey = new Uint8Array(PRIVATE_KEY_BYTES);
  rng.fill(privateKey);
  // The lowest bit is the coin and is then cleared.
  const sendsNegative = (privateKey[PRIVATE_KEY_BYTES - 1]! & 1) === 1;
  privateKey[PRIVATE_KEY_BYTES - 1]! &= 0xfe;
  const square = power(privateKey);
  return { privateKey, publicKey: sendsNegative ? subtractFromPrime(square) : square };
}

/**
 * The shared secret with a peer's public key, `UNIFORM_DH_BYTES` long, some 160 µs; 1.3 ms on Node 22,
 * which tests that a public key is a square by another power of it.
 *
 * Half the public keys are none, and Node 22.12 to 24 refuses those. So (Y^2)^(x/2) is computed, which
 * is Y^x since x is even.
 *
 * @returns undefined for a public key that is not in 2..p-2: it would make the secret guessable
 */
export function uniformDhSecret(
  privateKey: Uint8Array,
  peerPublicKey: Uint8Array,
): Uint8Array | undefined {
  // Node lets values above p pass.
  const isSafe =
    Buffer.compare(peerPublicKey, TWO) >= 0 && Buffer.compare(peerPublicKey, LARGEST) <= 0;
  if (!isSafe) return undefined;
  return power(halve(privateKey), squareModPrime(peerPublicKey));
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

/** The square of a public key modulo p; public keys are no secret, so its time may vary. */
function squareModPrime(publicKey: Uint8Array): Uint8Array {
  const number = toNumber(publicKey);
  const square = (number * number) % primeNumber;
  return Buffer.from(square.toString(16).padStart(2 * UNIFORM_DH_BYTES, '0'), 'hex');
}

/** Half of an even number, big-endian. */
function halve(even: Uint8Array): Uint8Array {
  return even.map((byte, index) => (byte >>> 1) | ((even[index - 1] ?? 0) << 7));
}

function leftPad(number: Uint8Array): Uint8Array {
  const padded = new Uint8Array(UNIFORM_DH_BYTES);
  padded.set(number, UNIFORM_DH_BYTES - number.length);
  return padded;
}

/** p - `number`, big-endian; `number` is less than p. */
function subtractFromPrime(number: Uint8Array): Uint8Array {
  const difference = new Uint8Array(UNIFORM_DH_BYTES);
  let borrow = 0;
  for (let index = UNIFORM_DH_BYTES - 1; index >= 0; index -= 1) {
    const digit = prime[index]! - number[index]! - borrow;
    difference[index] = digit;
    borrow = digit < 0 ? 1 : 0;
  }
  return difference;
}

/** The public keys that are safe: 2..p-2. */
const TWO: Uint8Array = leftPad(Uint8Array.of(2));
const LARGEST: Uint8Array = subtractFromPrime(TWO);
/** What the shared object holds between uses. */
const NO_KEY: Uint8Array = Uint8Array.of(2);
