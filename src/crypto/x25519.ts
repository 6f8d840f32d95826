/**
 * The group of Curve25519, in both of its forms: X25519 (RFC 7748) for the agreement, and Edwards
 * points (RFC 8032) for the keys that Elligator 2 hides.
 *
 * Private keys are 32 bytes as they were drawn; every function clamps them itself.
 */
import { decodeLittleEndian } from './field25519.ts';
import { loadNobleCurve, sodium, type Sodium } from './libraries.ts';

/** One way of computing in the group. */
export interface Curve25519 {
  /** X25519 of a private key and a peer's public key; undefined when the result is all zero. */
  readonly x25519: (privateKey: Uint8Array, publicKey: Uint8Array) => Uint8Array | undefined;
  /** X25519 of a private key and the base point. */
  readonly x25519PublicKey: (privateKey: Uint8Array) => Uint8Array;
  /** The Edwards point (private key) * B + `summand`, both encoded as in RFC 8032. */
  readonly edwardsPublicPointPlus: (privateKey: Uint8Array, summand: Uint8Array) => Uint8Array;
}

/** The group by libsodium. */
export function createSodiumCurve(library: Sodium): Curve25519 {
  return {
    x25519(privateKey, publicKey) {
      const shared = new Uint8Array(32);
      try {
        library.crypto_scalarmult(shared, privateKey, publicKey);
      } catch {
        return undefined; // libsodium itself refuses the points that give zero
      }
      return shared;
    },
    x25519PublicKey(privateKey) {
      const publicKey = new Uint8Array(32);
      library.crypto_scalarmult_base(publicKey, privateKey);
      return publicKey;
    },
    edwardsPublicPointPlus(privateKey, summand) {
      const point = new Uint8Array(32);
      library.crypto_scalarmult_ed25519_base(point, privateKey);
      library.crypto_core_ed25519_add(point, point, summand);
      return point;
    },
  };
}

/** The group in JavaScript, many times slower. */
export function createNobleCurve(): Curve25519 {
  const { ed25519, x25519 } = loadNobleCurve();
  return {
    x25519(privateKey, publicKey) {
      try {
        return x25519.scalarMult(privateKey, publicKey);
      } catch {
        return undefined;
      }
    },
    x25519PublicKey: (privateKey) => x25519.scalarMultBase(privateKey),
    edwardsPublicPointPlus(privateKey, summand) {
      const scalar = clampedScalar(privateKey) % ed25519.Point.Fn.ORDER;
      return ed25519.Point.BASE.multiply(scalar).add(ed25519.Point.fromBytes(summand)).toBytes();
    },
  };
}

/** What X25519 makes of a private key: a multiple of 8 with bit 254 set (RFC 7748, section 5). */
function clampedScalar(privateKey: Uint8Array): bigint {
  const scalar = decodeLittleEndian(privateKey);
  return BigInt.asUintN(254, scalar - (scalar & 7n)) | (1n << 254n);
}

const fastest = sodium === undefined ? createNobleCurve() : createSodiumCurve(sodium);

/** X25519 of a private key and a peer's public key; undefined when the result is all zero. */
export const x25519: Curve25519['x25519'] = fastest.x25519;
/** X25519 of a private key and the base point. */
export const x25519PublicKey: Curve25519['x25519PublicKey'] = fastest.x25519PublicKey;
/** The Edwards point (private key) * B + `summand`, both encoded as in RFC 8032. */
export const edwardsPublicPointPlus: Curve25519['edwardsPublicPointPlus'] =
  fastest.edwardsPublicPointPlus;
