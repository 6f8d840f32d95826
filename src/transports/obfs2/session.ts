/**
 * obfs2's session, the same for both ends.
 *
 * Each end sends, at once:
 *   seed(16) ‖ E(padding stream; magic(4) ‖ padding length(4) ‖ padding)
 * and then data under a stream that both seeds give. Whoever sees the seed can read the rest of the
 * header: that is why obfs2 is easy to block.
 */
import { ByteQueue } from '../../bytes/queue.ts';
import { Reader } from '../../bytes/reader.ts';
import { Writer } from '../../bytes/writer.ts';
import type { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { randomBytes, randomInteger, type Rng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import type { Action, Session } from '../contract.ts';
import type { KeyDerivation, Role } from './keys.ts';

const SEED_BYTES = 16;
const HEADER_BYTES = 8;
const MAGIC = 0x2bf5_ca7e;
const MAX_PADDING_BYTES = 8192;
/** How long either end waits for the other's header. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;

/** What is let go of when the handshake is done. */
interface Handshake {
  readonly seed: Uint8Array;
  readonly received: ByteQueue;
  /** Undefined until it has come. */
  peerSeed?: Uint8Array;
  /** How much of the peer's padding is still to come. */
  paddingBytes: number;
}

/** One connection. */
export class Obfs2Session implements Session {
  /** All that is written is sent at once. */
  readonly queuedBytes: number = 0;
  readonly #role: Role;
  readonly #keys: KeyDerivation;
  readonly #rng: Rng;
  #handshake: Handshake | undefined;
  /** Undefined until the handshake is done. */
  #data: { readonly send: AesCtrStream; readonly receive: AesCtrStream } | undefined;

  /** @param role this end's */
  constructor(role: Role, keys: KeyDerivation, rng: Rng) {
    this.#role = role;
    this.#keys = keys;
    this.#rng = rng;
    const seed = randomBytes(rng, SEED_BYTES);
    this.#handshake = { seed, received: new ByteQueue(), paddingBytes: 0 };
  }

  start(): readonly Action[] {
    return [
      ...this.#compute(this.#greet(this.#handshake!)),
      { type: 'setTimer', delayMs: HANDSHAKE_TIMEOUT_MS },
    ];
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.#data !== undefined) {
      return [{ type: 'deliver', bytes: this.#data.receive.process(chunk) }];
    }
    const handshake = this.#handshake!;
    const { received, peerSeed } = handshake;
    received.push(chunk);
    if (peerSeed !== undefined) return this.#skipPadding(handshake, peerSeed);
    if (received.length < SEED_BYTES + HEADER_BYTES) return [];
    handshake.peerSeed = received.take(SEED_BYTES);
    return this.#compute(this.#readHeader(handshake, handshake.peerSeed));
  }

  write(chunk: Uint8Array): readonly Action[] {
    return [{ type: 'send', bytes: this.#data!.send.process(chunk) }];
  }

  timerFired(): readonly Action[] {
    return [this.#failure('did not come in time', 'ERR_HANDSHAKE_TIMED_OUT')];
  }

  receiveEnd(): readonly Action[] {
    if (this.#data !== undefined) return [{ type: 'deliverEnd' }];
    const error = new PosternError('ERR_HANDSHAKE_CLOSED', 'the peer closed during the handshake');
    return [{ type: 'failed', error }];
  }

  writeEnd(): readonly Action[] {
    return [{ type: 'sendEnd' }];
  }

  /** At once what is quick, and in steps what is not. */
  #compute(work: Generator<undefined, readonly Action[]>): readonly Action[] {
    const step = (): readonly Action[] | undefined => {
      const { done, value } = work.next();
      return done ? value : undefined;
    };
    return (this.#keys.isSlow ? undefined : step()) ?? [{ type: 'compute', step }];
  }

  *#greet({ seed }: Handshake): Generator<undefined, readonly Action[]> {
    const padding = randomBytes(this.#rng, randomInteger(this.#rng, 0, MAX_PADDING_BYTES));
    const plain = new Writer().uint32(MAGIC).uint32(padding.length).bytes(padding).finish();
    const stream = yield* this.#keys.derive(this.#role, 'obfuscation padding', seed);
    return [{ type: 'send', bytes: Buffer.concat([seed, stream.process(plain)]) }];
  }

  *#readHeader(
    handshake: Handshake,
    peerSeed: Uint8Array,
  ): Generator<undefined, readonly Action[]> {
    const peer = peerOf(this.#role);
    const padding = yield* this.#keys.derive(peer, 'obfuscation padding', peerSeed);
    const header = new Reader(padding.process(handshake.received.take(HEADER_BYTES)));
    if (header.uint32() !== MAGIC) return [this.#failure('has a wrong magic value')];
    handshake.paddingBytes = header.uint32();
    if (handshake.paddingBytes > MAX_PADDING_BYTES) {
      return [this.#failure('announces too much padding')];
    }
    return this.#skipPadding(handshake, peerSeed);
  }

  #skipPadding(handshake: Handshake, peerSeed: Uint8Array): readonly Action[] {
    const skipped = Math.min(handshake.paddingBytes, handshake.received.length);
    handshake.received.skip(skipped);
    handshake.paddingBytes -= skipped;
    return handshake.paddingBytes > 0 ? [] : this.#compute(this.#establish(handshake, peerSeed));
  }

  *#establish(
    { seed, received }: Handshake,
    peerSeed: Uint8Array,
  ): Generator<undefined, readonly Action[]> {
    const isInitiator = this.#role === 'Initiator';
    const both = Buffer.concat(isInitiator ? [seed, peerSeed] : [peerSeed, seed]);
    const send = yield* this.#keys.derive(this.#role, 'obfuscated data', both);
    const receive = yield* this.#keys.derive(peerOf(this.#role), 'obfuscated data', both);
    this.#data = { send, receive };
    this.#handshake = undefined;
    const actions: Action[] = [{ type: 'clearTimer' }, { type: 'established' }];
    const leftover = received.take();
    if (leftover.length > 0) {
      actions.push({ type: 'deliver', bytes: receive.process(leftover) });
    }
    return actions;
  }

  /** A server does not answer a peer that it does not understand. */
  #failure(
    what: string,
    code: 'ERR_HANDSHAKE_REJECTED' | 'ERR_HANDSHAKE_TIMED_OUT' = 'ERR_HANDSHAKE_REJECTED',
  ): Action {
    const error = new PosternError(code, `the peer’s obfs2 header ${what}`);
    return { type: this.#role === 'Initiator' ? 'failed' : 'rejected', error };
  }
}

function peerOf(role: Role): Role {
  return role === 'Initiator' ? 'Responder' : 'Initiator';
}
