/**
 * obfs3's session, the same for both roles:
 *
 *     public key(192) ‖ padding(0..4097)              at once
 *     padding(0..4097) ‖ magic(32) ‖ AES-128-CTR data  with the first data
 *
 * Each direction has its own magic, so either side may speak first, or only one.
 */
import { ByteQueue } from '../../bytes/queue.ts';
import type { AesCtrStream } from '../../crypto/aes-ctr.ts';
import { randomBytes, randomInteger, type Rng } from '../../crypto/rng.ts';
import {
  UNIFORM_DH_BYTES,
  uniformDhSecret,
  type UniformDhKeyPair,
} from '../../crypto/uniform-dh.ts';
import { PosternError } from '../../errors.ts';
import type { Action, Session } from '../contract.ts';
import { deriveDirection, type Role } from './keys.ts';

/** How long either side waits for the other's public key. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;
const MAX_PADDING_BYTES = 4097;
const MAGIC_BYTES = 32;
/** Behind the public key the magic begins here at the latest: both paddings are before it. */
const MAX_SCAN_BYTES: number = 2 * MAX_PADDING_BYTES + MAGIC_BYTES;

/** One connection of obfs3. */
export class Obfs3Session implements Session {
  /** All that is written is sent at once. */
  readonly queuedBytes: number = 0;
  readonly #role: Role;
  readonly #rng: Rng;
  /** Let go of when the secret is there. */
  #keyPair: UniformDhKeyPair | undefined;
  /** What has come and cannot be read yet: the peer's public key, then padding. */
  #received: ByteQueue | undefined = new ByteQueue();
  #sending: AesCtrStream | undefined;
  #receiving: AesCtrStream | undefined;
  /** Let go of when it is sent, and the other one when it is found. */
  #magicToSend: Uint8Array | undefined;
  #magicToFind: Uint8Array | undefined;

  /** @param keyPair made before the connection was, for the peer should not wait for it */
  constructor(role: Role, keyPair: UniformDhKeyPair, rng: Rng) {
    this.#role = role;
    this.#keyPair = keyPair;
    this.#rng = rng;
  }

  start(): readonly Action[] {
    const bytes = Buffer.concat([this.#keyPair!.publicKey, this.#padding()]);
    return [
      { type: 'send', bytes },
      { type: 'setTimer', delayMs: HANDSHAKE_TIMEOUT_MS },
    ];
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.#received === undefined) return [this.#deliver(chunk)];
    if (this.#magicToFind !== undefined) return this.#scan(this.#magicToFind, chunk);

    const missing = UNIFORM_DH_BYTES - this.#received.length;
    this.#received.push(chunk.subarray(0, missing));
    if (chunk.length < missing) return [];
    const secret = uniformDhSecret(
      this.#keyPair!.privateKey,
      this.#received.take(UNIFORM_DH_BYTES),
    );
    if (secret === undefined) {
      return [this.#fail('ERR_HANDSHAKE_REJECTED', 'the peer’s public key is degenerate')];
    }
    this.#keyPair = undefined;
    const [ours, theirs] = ROLES[this.#role];
    ({ stream: this.#sending, magic: this.#magicToSend } = deriveDirection(secret, ours));
    ({ stream: this.#receiving, magic: this.#magicToFind } = deriveDirection(secret, theirs));
    return [
      { type: 'clearTimer' },
      { type: 'established' },
      ...this.#scan(this.#magicToFind, chunk.subarray(missing)),
    ];
  }

  write(chunk: Uint8Array): readonly Action[] {
    const data = this.#sending!.process(chunk);
    const magic = this.#magicToSend;
    if (magic === undefined) return [{ type: 'send', bytes: data }];
    this.#magicToSend = undefined;
    return [{ type: 'send', bytes: Buffer.concat([this.#padding(), magic, data]) }];
  }

  timerFired(): readonly Action[] {
    return [this.#fail('ERR_HANDSHAKE_TIMED_OUT', 'the peer did not send its public key in time')];
  }

  /** A peer that sent no data sends no magic either. */
  receiveEnd(): readonly Action[] {
    if (this.#receiving !== undefined) return [{ type: 'deliverEnd' }];
    const error = new PosternError('ERR_HANDSHAKE_CLOSED', 'the peer closed during the handshake');
    return [{ type: 'failed', error }];
  }

  writeEnd(): readonly Action[] {
    return [{ type: 'sendEnd' }];
  }

  /** Looks for the magic; what is behind it is data. */
  #scan(magic: Uint8Array, chunk: Uint8Array): readonly Action[] {
    const received = this.#received!;
    const searchFrom = Math.max(0, received.length - (MAGIC_BYTES - 1));
    const room = MAX_SCAN_BYTES - received.length;
    received.push(chunk.subarray(0, room));
    const magicAt = received.peek().indexOf(magic, searchFrom);
    if (magicAt === -1) {
      if (received.length < MAX_SCAN_BYTES) return [];
      return [this.#fail('ERR_HANDSHAKE_REJECTED', 'the peer did not send the magic in time')];
    }
    received.skip(magicAt + MAGIC_BYTES);
    this.#received = undefined;
    this.#magicToFind = undefined;
    const data = Buffer.concat([received.peek(), chunk.subarray(room)]);
    return data.length === 0 ? [] : [this.#deliver(data)];
  }

  #deliver(chunk: Uint8Array): Action {
    return { type: 'deliver', bytes: this.#receiving!.process(chunk) };
  }

  #padding(): Uint8Array {
    return randomBytes(this.#rng, randomInteger(this.#rng, 0, MAX_PADDING_BYTES));
  }

  #fail(code: 'ERR_HANDSHAKE_REJECTED' | 'ERR_HANDSHAKE_TIMED_OUT', message: string): Action {
    const type = this.#role === 'initiator' ? 'failed' : 'rejected';
    return { type, error: new PosternError(code, `obfs3: ${message}`) };
  }
}

/** Who sends and who receives, from each role's place. */
const ROLES = {
  initiator: ['initiator', 'responder'],
  responder: ['responder', 'initiator'],
} as const;
