/** How long the handshakes of obfs4 and ScrambleSuit may take, and what happens to those that fail. */
import { GoRand } from '../crypto/go-rand.ts';
import { SipHashDrbg } from '../crypto/siphash-drbg.ts';

/** How long a client waits for a server's handshake. */
export const CLIENT_TIMEOUT_MS = 60_000;
/** How long a server waits for a client's handshake. */
export const SERVER_TIMEOUT_MS = 30_000;
/** A rejected connection lives this much longer than the handshake may take, at most. */
const MAX_CLOSE_DELAY_SECONDS = 60;

/**
 * How long after its start a rejected connection is closed: fixed for the bridge's life, and drawn as obfs4proxy
 * draws it. A prober learns nothing from it, not even that the operator has changed the program.
 *
 * @param seed 24 bytes that the bridge keeps
 */
export function rejectAfterMs(seed: Uint8Array): number {
  const closeDelaySeconds = new GoRand(new SipHashDrbg(seed)).intn(MAX_CLOSE_DELAY_SECONDS);
  return SERVER_TIMEOUT_MS + closeDelaySeconds * 1000;
}
