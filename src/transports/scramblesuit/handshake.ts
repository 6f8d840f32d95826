/**
 * ScrambleSuit's two handshakes.
 *
 * UniformDH, under the password:   client X(192), padding 0..1308;  server Y(192), padding 0..1308
 * Ticket, under the ticket's keys: client ticket(112), padding 0..1388; the server does not answer
 *
 * A server can tell them apart only by trying: first the ticket, then UniformDH.
 */
import { ByteQueue } from '../../bytes/queue.ts';
import { MacKey, sha256 } from '../../crypto/hash.ts';
import { randomBytes, randomInteger, type Rng } from '../../crypto/rng.ts';
import {
  generateUniformDhKeyPair,
  UNIFORM_DH_BYTES,
  uniformDhSecret,
  type UniformDhKeyPair,
} from '../../crypto/uniform-dh.ts';
import { PosternError } from '../../errors.ts';
import {
  endsWithMark,
  epochHour,
  epochHoursAround,
  findMessageEnd,
  formMessage,
  macOf,
  matchHour,
  TAIL_BYTES,
} from '../authenticated-message.ts';
import type { Sources } from '../contract.ts';
import { deriveSessionKeys, type SessionKeys } from './keys.ts';
import { TICKET_BYTES, ticketId, type Ticket, type TicketIssuer } from './tickets.ts';

/** No handshake message is longer. */
const MAX_MESSAGE_BYTES = 1532;
const MAX_UNIFORM_DH_PADDING_BYTES: number = MAX_MESSAGE_BYTES - UNIFORM_DH_BYTES - TAIL_BYTES;
const MAX_TICKET_PADDING_BYTES: number = MAX_MESSAGE_BYTES - TICKET_BYTES - TAIL_BYTES;

/** The message that redeems a ticket, and the keys that hold from then on. */
export function redeemTicket(
  ticket: Ticket,
  { rng, clock }: Sources,
): { keys: SessionKeys; message: Buffer } {
  const keys = deriveSessionKeys(ticket.masterKey);
  const padding = randomPadding(rng, MAX_TICKET_PADDING_BYTES);
  const macKey = new MacKey(keys.clientToServer.macKey);
  const mark = macKey.mac128(ticket.ticket);
  return { keys, message: formMessage([ticket.ticket, padding], mark, macKey, epochHour(clock)) };
}

/** The client's half of UniformDH. */
export class ClientHandshake {
  readonly #macKey: MacKey;
  readonly #keyPair: UniformDhKeyPair;
  readonly #sources: Sources;
  readonly #received = new ByteQueue();
  #hour = 0;
  /** The mark that ends the server's padding, once its public key has come. */
  #serverMark: Uint8Array | undefined;

  /** @param password 20 bytes */
  constructor(password: Uint8Array, sources: Sources) {
    this.#macKey = new MacKey(password);
    // Made before the connection is, so that its making cannot be timed.
    this.#keyPair = generateUniformDhKeyPair(sources.rng);
    this.#sources = sources;
  }

  /** The client's message; owned. */
  request(): Buffer {
    const { rng, clock } = this.#sources;
    this.#hour = epochHour(clock);
    const padding = randomPadding(rng, MAX_UNIFORM_DH_PADDING_BYTES);
    const { publicKey } = this.#keyPair;
    const mark = this.#macKey.mac128(publicKey);
    return formMessage([publicKey, padding], mark, this.#macKey, this.#hour);
  }

  /**
   * Takes bytes of the server's message.
   *
   * @returns the keys and what came behind the message, owned; undefined while more is needed
   * @throws PosternError `ERR_HANDSHAKE_REJECTED`
   */
  receive(chunk: Uint8Array): { keys: SessionKeys; leftover: Buffer } | undefined {
    const received = this.#received;
    received.push(chunk);
    if (received.length < UNIFORM_DH_BYTES + TAIL_BYTES) return undefined;
    const all = received.peek(0, MAX_MESSAGE_BYTES);
    const publicKey = all.subarray(0, UNIFORM_DH_BYTES);
    this.#serverMark ??= this.#macKey.mac128(publicKey);
    const end = findMessageEnd(all, UNIFORM_DH_BYTES, this.#serverMark);
    if (end === undefined) {
      if (all.length < MAX_MESSAGE_BYTES) return undefined;
      throw rejected('the bridge’s handshake has no mark: it has another password');
    }
    // A server echoes the client's hour.
    if (matchHour(all.subarray(0, end), this.#macKey, [this.#hour]) === undefined) {
      throw rejected('the MAC of the bridge’s handshake is wrong');
    }
    const keys = agree(this.#keyPair, publicKey);
    received.skip(end);
    return { keys, leftover: received.take() };
  }
}

/** What all handshakes of one server share. */
export interface ServerSecrets {
  readonly macKey: MacKey;
  readonly tickets: TicketIssuer;
  /** Whether a MAC or a ticket, 16 bytes, was seen before; remembers it. */
  readonly isReplay: (id: Uint8Array) => boolean;
}

/** The result of a client's handshake. */
export interface Accepted {
  readonly keys: SessionKeys;
  /** Owned; empty after a ticket. */
  readonly response: Buffer;
  /** What came behind the client's message: only after a ticket. Owned. */
  readonly leftover: Buffer;
}

/** The server's half. */
export class ServerHandshake {
  readonly #secrets: ServerSecrets;
  readonly #sources: Sources;
  readonly #received = new ByteQueue();
  /** The keys of the ticket that the client's message begins with, if it is one. */
  #ticketKeys: SessionKeys | undefined | 'unread' = 'unread';
  #uniformDhMark: Uint8Array | undefined;

  constructor(secrets: ServerSecrets, sources: Sources) {
    this.#secrets = secrets;
    this.#sources = sources;
  }

  /**
   * Takes bytes of the client's message.
   *
   * @returns undefined while more is needed
   * @throws PosternError `ERR_HANDSHAKE_REJECTED`
   */
  receive(chunk: Uint8Array): Accepted | undefined {
    const received = this.#received;
    received.push(chunk);
    if (received.length < TICKET_BYTES + TAIL_BYTES) return undefined;
    if (this.#ticketKeys === 'unread') {
      const masterKey = this.#secrets.tickets.open(received.peek(0, TICKET_BYTES));
      this.#ticketKeys = masterKey && deriveSessionKeys(masterKey);
    }
    const accepted =
      this.#ticketKeys === undefined
        ? this.#readUniformDh(received.peek())
        : this.#readTicket(received, this.#ticketKeys);
    if (accepted === undefined && received.length >= MAX_MESSAGE_BYTES) {
      throw rejected('the client’s handshake has no mark');
    }
    return accepted;
  }

  #readTicket(received: ByteQueue, keys: SessionKeys): Accepted | undefined {
    const macKey = new MacKey(keys.clientToServer.macKey);
    const all = received.peek(0, MAX_MESSAGE_BYTES);
    const ticket = all.subarray(0, TICKET_BYTES);
    const end = findMessageEnd(all, TICKET_BYTES, macKey.mac128(ticket));
    if (end === undefined) return undefined;
    this.#authenticate(all.subarray(0, end), macKey, ticketId(ticket));
    received.skip(end);
    return { keys, response: NOTHING, leftover: received.take() };
  }

  /** A client that waits for our answer sends nothing behind its message. */
  #readUniformDh(message: Buffer): Accepted | undefined {
    if (message.length < UNIFORM_DH_BYTES + TAIL_BYTES) return undefined;
    if (message.length > MAX_MESSAGE_BYTES) return undefined;
    const { macKey } = this.#secrets;
    const publicKey = message.subarray(0, UNIFORM_DH_BYTES);
    this.#uniformDhMark ??= macKey.mac128(publicKey);
    if (!endsWithMark(message, this.#uniformDhMark)) return undefined;
    const hour = this.#authenticate(message, macKey, macOf(message));

    const { rng } = this.#sources;
    const keyPair = generateUniformDhKeyPair(rng);
    const keys = agree(keyPair, publicKey);
    const padding = randomPadding(rng, MAX_UNIFORM_DH_PADDING_BYTES);
    const mark = macKey.mac128(keyPair.publicKey);
    const response = formMessage([keyPair.publicKey, padding], mark, macKey, hour);
    return { keys, response, leftover: NOTHING };
  }

  /** The hour of a message whose MAC is right, and which was not seen before. */
  #authenticate(message: Uint8Array, macKey: MacKey, replayId: Uint8Array): number {
    const hour = matchHour(message, macKey, epochHoursAround(this.#sources.clock));
    if (hour === undefined) {
      throw rejected('the MAC of the client’s handshake is wrong: its clock may be hours off');
    }
    if (this.#secrets.isReplay(replayId)) {
      throw new PosternError(
        'ERR_HANDSHAKE_REPLAYED',
        'the client’s handshake or ticket was seen before: someone replays it',
      );
    }
    return hour;
  }
}

const NOTHING = Buffer.alloc(0);

function agree({ privateKey }: UniformDhKeyPair, peerPublicKey: Uint8Array): SessionKeys {
  const secret = uniformDhSecret(privateKey, peerPublicKey);
  if (secret === undefined) throw rejected('the peer’s public key is degenerate');
  return deriveSessionKeys(sha256(secret));
}

function randomPadding(rng: Rng, maximumBytes: number): Buffer {
  return randomBytes(rng, randomInteger(rng, 0, maximumBytes));
}

function rejected(message: string): PosternError {
  return new PosternError('ERR_HANDSHAKE_REJECTED', message);
}
