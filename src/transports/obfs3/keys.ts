/** What both ends of obfs3 derive from the shared secret of UniformDH (obfs3-protocol-spec, 4). */
import { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { hmacSha256 } from '../../crypto/hash.ts';

/** The initiator is the client. */
export type Role = 'initiator' | 'responder';

/** What protects the bytes that one role sends. */
export interface DirectionKeys {
  readonly stream: AesCtrStream;
  /** 32 bytes that end the padding before the first data. */
  readonly magic: Uint8Array;
}

const KEY_BYTES = 16;
const LABELS = { initiator: 'Initiator', responder: 'Responder' } as const;

/** @param secret as long as the group, leading zeros included */
export function deriveDirection(secret: Uint8Array, sender: Role): DirectionKeys {
  const label = LABELS[sender];
  const keys = hmacSha256(secret, Buffer.from(`${label} obfuscated data`));
  return {
    stream: new AesCtrStream(keys.subarray(0, KEY_BYTES), keys.subarray(KEY_BYTES)),
    magic: hmacSha256(secret, Buffer.from(`${label} magic`)),
  };
}
