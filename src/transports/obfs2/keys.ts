/** obfs2's key derivation: MAC(s, x) = SHA-256(s ‖ x ‖ s), split into a key and a counter block. */
import { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { sha256 } from '../../crypto/hash.ts';
import { iteratedSha256 } from '../../crypto/iterated-sha256.ts';

/** Which end of the connection: the client is the initiator. */
export type Role = 'Initiator' | 'Responder';

/** Derives the stream that a role uses for its padding or its data, from the seeds; may take its time. */
type DeriveStream = (
  role: Role,
  use: 'obfuscation padding' | 'obfuscated data',
  seeds: Uint8Array,
) => Generator<undefined, AesCtrStream>;

/** How one end derives its streams. */
export interface KeyDerivation {
  readonly derive: DeriveStream;
  /** Whether a stream costs so much that other connections should not wait for it. */
  readonly isSlow: boolean;
}

/**
 * The derivation with or without a shared secret. With one, SHA-256 is iterated a hundred thousand
 * times over s ‖ x ‖ SHA-256(secret) ‖ s: 40 ms for each stream, and a connection has four.
 */
export function createKeyDerivation(sharedSecret: string | undefined): KeyDerivation {
  const secretHash = sharedSecret === undefined ? undefined : sha256(Buffer.from(sharedSecret));
  return {
    *derive(role, use, seeds) {
      const label = Buffer.from(`${role} ${use}`, 'latin1');
      const mac =
        secretHash === undefined
          ? sha256(label, seeds, label)
          : yield* iteratedSha256(
              Buffer.concat([label, seeds, secretHash, label]),
              SECRET_ITERATIONS,
            );
      return new AesCtrStream(mac.subarray(0, KEY_BYTES), mac.subarray(KEY_BYTES));
    },
    isSlow: secretHash !== undefined,
  };
}

const KEY_BYTES = 16;
const SECRET_ITERATIONS = 100_000;
