/**
 * A small transport that keeps to the contract, and each way in which it can be made to break it.
 *
 *     client: nonce(16) ‖ HMAC(key, nonce)(32)      server: HMAC(key, HMAC(key, nonce))(32)
 *
 * and then payload, each byte with one bit flipped.
 */
import { copyTightly } from '../../../src/bytes/tightly.ts';
import { equalInConstantTime, hmacSha256 } from '../../../src/crypto/hash.ts';
import { randomBytes, type Rng } from '../../../src/crypto/rng.ts';
import { PosternError } from '../../../src/errors.ts';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import type { Action, Session, Transport } from '../../../src/transports/contract.ts';

const NONCE_BYTES = 16;
const PROOF_BYTES = 32;
const HELLO_BYTES: number = NONCE_BYTES + PROOF_BYTES;
const TIMEOUT_MS = 1000;

/** The faults, by what they do. */
export const faults = [
  'takes no key',
  'throws another error',
  'quotes the key',
  'takes any option',
  'needs the hello in one chunk',
  'loses bytes of small chunks',
  'drops what follows the hello',
  'ends both directions at once',
  'keeps an end to itself',
  'holds bytes back for ever',
  'holds bytes back without a word',
  'holds bytes back without bounds',
  'waits for ever',
  'does not notice an end',
  'does not notice an end of payload',
  'answers strangers',
  'closes strangers at once',
  'reads strangers without end',
  'takes any hello',
  'rejects too early',
  'takes replays',
  'answers replays',
  'keeps lent chunks',
  'uses its buffer again',
  'hands over its memory twice',
  'corrupts the second megabyte',
  'throws in the data phase',
  'is large when idle',
  'is large when flooded',
] as const;
export type Fault = (typeof faults)[number];

/** The transport, with these faults. */
export function createFaulty(...present: readonly Fault[]): Transport {
  const has = (fault: Fault): boolean => present.includes(fault);
  return {
    name: 'faulty',
    summary: 'flips a bit of each byte, and whatever else it is told to do wrong',
    client(args, { rng }) {
      const key = readKey(args, has) ?? Buffer.from('a key that nobody gave');
      return () => new FaultySession('client', key, rng, has, new Set());
    },
    async server(options, { rng }) {
      if (!has('takes any option') && options.some(([name]) => name === 'wrong')) {
        throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'there is no option `wrong`');
      }
      const key = randomBytes(rng, 16).toString('hex');
      const seen = new Set<string>();
      return {
        clientArguments: [['key', key]],
        rejectAfterMs: has('rejects too early') ? TIMEOUT_MS - 1 : TIMEOUT_MS,
        createSession: () => new FaultySession('server', Buffer.from(key), rng, has, seen),
        close: async () => {},
      };
    },
  };
}

function readKey(args: KeyValues, has: (fault: Fault) => boolean): Buffer | undefined {
  const key = new Map(args).get('key');
  if (key?.length === 32) return Buffer.from(key);
  if (has('takes no key')) return undefined;
  if (has('throws another error')) throw new TypeError('no key');
  const quoted = has('quotes the key') ? `: ${key}` : '';
  throw new PosternError('ERR_TRANSPORT_ARGUMENT', `\`key\` is not 32 characters${quoted}`);
}

/** A buffer that belongs to nobody in particular. */
const shared = Buffer.alloc(1_000_000);
let constant: Buffer = Buffer.alloc(0);

class FaultySession implements Session {
  readonly #role: 'client' | 'server';
  readonly #key: Uint8Array;
  readonly #rng: Rng;
  readonly #has: (fault: Fault) => boolean;
  readonly #seen: Set<string>;
  readonly #ballast: Uint8Array;
  #received: Uint8Array[] = [];
  #proof: Uint8Array | undefined;
  #established = false;
  #writtenBytes = 0;
  #held: Uint8Array[] = [];
  #kept: Uint8Array | undefined;

  constructor(
    role: 'client' | 'server',
    key: Uint8Array,
    rng: Rng,
    has: (fault: Fault) => boolean,
    seen: Set<string>,
  ) {
    this.#role = role;
    this.#key = key;
    this.#rng = rng;
    this.#has = has;
    this.#seen = seen;
    this.#ballast = Buffer.alloc(has('is large when idle') ? 100_000 : 0);
  }

  get queuedBytes(): number {
    if (this.#has('holds bytes back without a word')) return 0;
    const held = this.#held.reduce((sum, { length }) => sum + length, 0);
    return this.#has('holds bytes back without bounds') ? held * 10 : held;
  }

  start(): readonly Action[] {
    const timer: Action[] = this.#has('waits for ever')
      ? []
      : [{ type: 'setTimer', delayMs: TIMEOUT_MS }];
    if (this.#role === 'server') return timer;
    const nonce = randomBytes(this.#rng, NONCE_BYTES);
    this.#proof = hmacSha256(this.#key, nonce);
    return [{ type: 'send', bytes: Buffer.concat([nonce, this.#proof]) }, ...timer];
  }

  receive(chunk: Uint8Array): readonly Action[] {
    if (this.#established) {
      if (this.#has('throws in the data phase')) throw new Error('a defect');
      if (this.#has('keeps lent chunks')) {
        const before = this.#kept;
        this.#kept = chunk;
        return before === undefined ? [] : this.#deliver(before);
      }
      return this.#deliver(chunk);
    }
    if (this.#has('loses bytes of small chunks') && chunk.length < 2) return [];
    this.#received.push(Uint8Array.from(chunk));
    const all = Buffer.concat(this.#received);
    return this.#role === 'server' ? this.#readHello(all) : this.#readAnswer(all);
  }

  #readHello(all: Buffer): readonly Action[] {
    const isCut = this.#has('needs the hello in one chunk') && this.#received.length > 1;
    if (all.length < HELLO_BYTES) return [];
    const nonce = all.subarray(0, NONCE_BYTES);
    const proof = hmacSha256(this.#key, nonce);
    const isRight = equalInConstantTime(proof, all.subarray(NONCE_BYTES, HELLO_BYTES));
    if (isCut || (!isRight && !this.#has('takes any hello'))) {
      if (this.#has('reads strangers without end')) return [];
      if (this.#has('is large when flooded')) {
        return all.length < 150_000 ? [] : [this.#reject('no proof')];
      }
      this.#received = [];
      if (this.#has('answers strangers')) {
        return [{ type: 'send', bytes: Buffer.from('no\n') }, this.#reject('no proof')];
      }
      if (!this.#has('closes strangers at once')) return [this.#reject('no proof')];
      return [{ type: 'failed', error: new PosternError('ERR_HANDSHAKE_REJECTED', 'no proof') }];
    }
    const id = nonce.toString('hex');
    if (this.#seen.has(id) && !this.#has('takes replays')) {
      if (!this.#has('answers replays')) return [this.#reject('a replay')];
      return [{ type: 'send', bytes: Buffer.from('again?') }, this.#reject('a replay')];
    }
    this.#seen.add(id);
    return this.#establish(hmacSha256(this.#key, proof), all.subarray(HELLO_BYTES));
  }

  #readAnswer(all: Buffer): readonly Action[] {
    if (all.length < PROOF_BYTES) return [];
    const expected = hmacSha256(this.#key, this.#proof!);
    if (equalInConstantTime(expected, all.subarray(0, PROOF_BYTES))) {
      return this.#establish(undefined, all.subarray(PROOF_BYTES));
    }
    return [{ type: 'failed', error: new PosternError('ERR_HANDSHAKE_REJECTED', 'no proof') }];
  }

  #establish(answer: Uint8Array | undefined, leftover: Uint8Array): readonly Action[] {
    this.#established = true;
    this.#received = [];
    const isLost = leftover.length === 0 || this.#has('drops what follows the hello');
    return [
      { type: 'clearTimer' },
      ...(answer === undefined ? [] : [{ type: 'send', bytes: answer } as const]),
      { type: 'established' },
      ...(isLost ? [] : this.#deliver(leftover)),
    ];
  }

  #deliver(bytes: Uint8Array): readonly Action[] {
    return [{ type: 'deliver', bytes: bytes.map((octet) => octet ^ 1) }];
  }

  write(chunk: Uint8Array): readonly Action[] {
    this.#writtenBytes += chunk.length;
    const bytes = Buffer.from(chunk).map((octet) => octet ^ 1);
    if (this.#has('corrupts the second megabyte') && this.#writtenBytes > 1_000_000) bytes[0]! ^= 2;
    if (this.#has('uses its buffer again')) {
      shared.set(bytes);
      return [{ type: 'send', bytes: shared.subarray(0, bytes.length) }];
    }
    if (this.#has('hands over its memory twice')) {
      if (!constant.equals(bytes)) constant = copyTightly(bytes);
      return [{ type: 'send', bytes: constant.subarray() }];
    }
    if (
      this.#has('holds bytes back for ever') ||
      this.#has('holds bytes back without a word') ||
      this.#has('holds bytes back without bounds')
    ) {
      this.#held.push(bytes);
      const isLost = !this.#has('holds bytes back without bounds');
      return isLost ? [] : [{ type: 'setTimer', delayMs: 1 }];
    }
    return [{ type: 'send', bytes }];
  }

  timerFired(): readonly Action[] {
    if (this.#established) {
      const bytes = Buffer.concat(this.#held);
      this.#held = [];
      return [{ type: 'send', bytes }];
    }
    if (this.#role === 'server') return [this.#reject('no hello in time')];
    return [{ type: 'failed', error: new PosternError('ERR_HANDSHAKE_TIMED_OUT', 'no answer') }];
  }

  receiveEnd(): readonly Action[] {
    if (this.#has('does not notice an end') && !this.#established) return [];
    if (this.#has('does not notice an end of payload') && this.#established) return [];
    if (!this.#established) {
      const error = new PosternError('ERR_HANDSHAKE_CLOSED', `an early end${this.#ballast.length}`);
      return [{ type: 'failed', error }];
    }
    if (this.#has('ends both directions at once')) {
      return [{ type: 'deliverEnd' }, { type: 'sendEnd' }];
    }
    return [{ type: 'deliverEnd' }];
  }

  writeEnd(): readonly Action[] {
    return this.#has('keeps an end to itself') ? [] : [{ type: 'sendEnd' }];
  }

  #reject(why: string): Action {
    return { type: 'rejected', error: new PosternError('ERR_HANDSHAKE_REJECTED', why) };
  }
}
