import { createHash } from 'node:crypto';
import { PosternError } from '../errors.ts';
import { equalInConstantTime } from './hash.ts';
import { randomBytes, type Rng } from './rng.ts';

/** A salted and hashed passphrase: iterated S2K with SHA-1 (RFC 2440, section 3.6.1.3). */
export interface PassphraseHash {
  /** 8 bytes. */
  readonly salt: Uint8Array;
  /** The octet that says how many bytes are hashed. */
  readonly countCode: number;
  /** 20 bytes. */
  readonly digest: Uint8Array;
}

/** Hashes a passphrase under a fresh salt, with Tor's count (65,536 bytes). */
export function hashPassphrase(passphrase: Uint8Array, rng: Rng): PassphraseHash {
  const salt = randomBytes(rng, SALT_BYTES);
  return { salt, countCode: TOR_COUNT_CODE, digest: digest(passphrase, salt, TOR_COUNT_CODE) };
}

/** Whether `passphrase` is the one that was hashed; the comparison takes constant time. */
export function verifyPassphrase(passphrase: Uint8Array, hash: PassphraseHash): boolean {
  return equalInConstantTime(digest(passphrase, hash.salt, hash.countCode), hash.digest);
}

/** The form that Tor prints today: `16:` and 58 hexadecimal digits. */
export function formatPassphraseHash({ salt, countCode, digest }: PassphraseHash): string {
  const bytes = Buffer.concat([salt, Buffer.of(countCode), digest]);
  return `16:${bytes.toString('hex').toUpperCase()}`;
}

/**
 * Reads `16:` and 58 hexadecimal digits, or the same 29 bytes in base64, as Tors of 2005 wrote them.
 *
 * @throws PosternError `ERR_PASSPHRASE_HASH`
 */
export function parsePassphraseHash(text: string): PassphraseHash {
  let bytes: Buffer;
  if (/^16:[0-9A-Fa-f]{58}$/.test(text)) bytes = Buffer.from(text.slice(3), 'hex');
  else if (/^[A-Za-z0-9+/]{39}=?$/.test(text)) bytes = Buffer.from(text, 'base64');
  else throw new PosternError('ERR_PASSPHRASE_HASH', 'the text is not a hashed passphrase');
  return {
    salt: bytes.subarray(0, SALT_BYTES),
    countCode: bytes[SALT_BYTES]!,
    digest: bytes.subarray(SALT_BYTES + 1),
  };
}

/** SHA-1 over salt and passphrase, again and again until the count is reached, cut at the count. */
function digest(passphrase: Uint8Array, salt: Uint8Array, countCode: number): Buffer {
  const hash = createHash('sha1');
  const unit = Buffer.concat([salt, passphrase]);
  let left = (16 + (countCode & 15)) << ((countCode >> 4) + 6);
  // As Tor does, and not as the RFC: a passphrase longer than the count is cut as well.
  for (; left > 0; left -= unit.length) hash.update(unit.subarray(0, left));
  return hash.digest();
}

const SALT_BYTES = 8;
const TOR_COUNT_CODE = 0x60;
