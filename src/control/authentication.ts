import { equalInConstantTime } from '../crypto/hash.ts';
import { verifyPassphrase, type PassphraseHash } from '../crypto/passphrase.ts';

/** What opens a control connection: any one of these; none at all means that local users are trusted. */
export interface ControlSecrets {
  /** The content of the cookie file: 32 bytes. */
  readonly cookie?: Uint8Array;
  /** `HashedControlPassword`. */
  readonly passphrases?: readonly PassphraseHash[];
}

/** Whether a controller has to prove anything. */
export function demandsSecret({ cookie, passphrases = [] }: ControlSecrets): boolean {
  return cookie !== undefined || passphrases.length > 0;
}

/**
 * Whether the body of an AUTHENTICATE opens the connection (TC 3.8, 4.1). With secrets it must be one
 * of them, octet by octet. Without any it must be empty: that, and a connection from this machine,
 * is all the first method asks.
 *
 * @param trusted whether the connection can only come from this machine
 */
export function isAuthentic(body: Uint8Array, secrets: ControlSecrets, trusted: boolean): boolean {
  if (!demandsSecret(secrets)) return trusted && body.length === 0;
  const { cookie, passphrases = [] } = secrets;
  // No early return: how long the answer takes does not tell which secret was nearly right.
  const byCookie = cookie !== undefined && equalInConstantTime(body, cookie);
  const byPassphrase = passphrases.map((hash) => verifyPassphrase(body, hash)).includes(true);
  return byCookie || byPassphrase;
}
