/**
 * obfs4's handshake: ntor over Elligator representatives, hidden in random padding.
 *
 * client: X'(32) ‖ padding(77..8128) ‖ mark(16) ‖ MAC(16)
 * server: Y'(32) ‖ AUTH(32) ‖ padding(0..8051) ‖ mark(16) ‖ MAC(16), then at once a seed frame
 *
 * mark = HMAC(representative), and both it and the MAC under B ‖ NODEID. Where obfs4's specification differs from obfs4proxy, this follows
 * obfs4proxy.
 */
import { ByteQueue } from '../../bytes/queue.ts';
import { representativeToPublicKey, type ElligatorKeyPair } from '../../crypto/elligator2.ts';
import { equalInConstantTime, MacKey } from '../../crypto/hash.ts';
import { ntorClient, ntorServer } from '../../crypto/ntor.ts';
import { randomBytes, randomInteger } from '../../crypto/rng.ts';
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
import { DIRECTION_KEY_BYTES } from './frames.ts';
import type { BridgeIdentity, DrawPadding, ServerIdentity } from './identity.ts';

const REPRESENTATIVE_BYTES = 32;
const AUTH_BYTES = 32;
/** Neither side's handshake is longer than this. */
const MAX_HANDSHAKE_BYTES = 8192;
/** The seed frame that follows the server's handshake in the same write. */
const SEED_FRAME_BYTES = 45;

const CLIENT_FIXED_BYTES: number = REPRESENTATIVE_BYTES + TAIL_BYTES;
const SERVER_FIXED_BYTES: number =
  REPRESENTATIVE_BYTES + AUTH_BYTES + TAIL_BYTES + SEED_FRAME_BYTES;
/** A client's message is never shorter than a server's: a difference would tell who is who. */
const CLIENT_MIN_PADDING_BYTES: number = SERVER_FIXED_BYTES - CLIENT_FIXED_BYTES;
const CLIENT_MAX_PADDING_BYTES: number = MAX_HANDSHAKE_BYTES - CLIENT_FIXED_BYTES;
const SERVER_MAX_PADDING_BYTES: number = MAX_HANDSHAKE_BYTES - SERVER_FIXED_BYTES;

/** The key material of both directions, 72 bytes each. */
export interface SessionKeys {
  readonly clientToServer: Uint8Array;
  readonly serverToClient: Uint8Array;
}

/** What both ends key their marks and MACs with. */
function macKey({ publicKey, nodeId }: BridgeIdentity): MacKey {
  return new MacKey(Buffer.concat([publicKey, nodeId]));
}

function rejected(message: string): PosternError {
  return new PosternError('ERR_HANDSHAKE_REJECTED', message);
}

/** The client's half. */
export class ClientHandshake {
  readonly #bridge: BridgeIdentity;
  readonly #keyPair: ElligatorKeyPair;
  readonly #sources: Sources;
  readonly #drawPadding: DrawPadding;
  readonly #macKey: MacKey;
  readonly #received = new ByteQueue();
  #hour = 0;
  /** The mark that ends the server's padding, once its representative has come. */
  #serverMark: Uint8Array | undefined;

  /** @param keyPair made before the connection was, so that its making cannot be timed */
  constructor(
    bridge: BridgeIdentity,
    keyPair: ElligatorKeyPair,
    sources: Sources,
    drawPadding: DrawPadding,
  ) {
    this.#drawPadding = drawPadding;
    this.#bridge = bridge;
    this.#keyPair = keyPair;
    this.#sources = sources;
    this.#macKey = macKey(bridge);
  }

  /** The client's message; owned. */
  request(): Buffer {
    const { rng, clock } = this.#sources;
    const { representative } = this.#keyPair;
    const paddingBytes = randomInteger(rng, CLIENT_MIN_PADDING_BYTES, CLIENT_MAX_PADDING_BYTES);
    this.#hour = epochHour(clock);
    return formMessage(
      [representative, this.#drawPadding(rng, paddingBytes)],
      this.#macKey.mac128(representative),
      this.#macKey,
      this.#hour,
    );
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
    if (received.length < REPRESENTATIVE_BYTES + AUTH_BYTES + TAIL_BYTES) return undefined;
    const message = received.peek(0, MAX_HANDSHAKE_BYTES);
    const representative = message.subarray(0, REPRESENTATIVE_BYTES);
    this.#serverMark ??= this.#macKey.mac128(representative);
    const end = findMessageEnd(message, REPRESENTATIVE_BYTES + AUTH_BYTES, this.#serverMark);
    if (end === undefined) {
      if (message.length < MAX_HANDSHAKE_BYTES) return undefined;
      throw rejected('the bridge’s handshake has no mark: it does not hold the key of this cert');
    }
    // A server echoes the client's hour.
    if (matchHour(message.subarray(0, end), this.#macKey, [this.#hour]) === undefined) {
      throw rejected('the MAC of the bridge’s handshake is wrong: its clock may be hours off');
    }
    const keys = this.#agree(
      representative,
      message.subarray(REPRESENTATIVE_BYTES, REPRESENTATIVE_BYTES + AUTH_BYTES),
    );
    received.skip(end);
    return { keys, leftover: received.take() };
  }

  #agree(representative: Uint8Array, auth: Uint8Array): SessionKeys {
    const result = ntorClient({
      keyPair: this.#keyPair,
      serverPublicKey: representativeToPublicKey(representative),
      identityPublicKey: this.#bridge.publicKey,
      nodeId: this.#bridge.nodeId,
    });
    if (result === undefined || !equalInConstantTime(result.auth, auth)) {
      throw rejected('the bridge failed to authenticate itself: the cert is not its own');
    }
    return splitKeys(result.keyMaterial);
  }
}

/** The server's half. */
export class ServerHandshake {
  readonly #identity: ServerIdentity;
  readonly #takeKeyPair: () => ElligatorKeyPair;
  readonly #isReplay: (mac: Uint8Array) => boolean;
  readonly #sources: Sources;
  readonly #macKey: MacKey;
  readonly #received = new ByteQueue();
  #clientMark: Uint8Array | undefined;

  /**
   * @param takeKeyPair gives one to whoever has proven himself, made before his bytes were read, so that its
   *   making cannot be timed
   * @param isReplay whether a valid MAC was seen before; remembers it
   */
  constructor(
    identity: ServerIdentity,
    takeKeyPair: () => ElligatorKeyPair,
    isReplay: (mac: Uint8Array) => boolean,
    sources: Sources,
  ) {
    this.#identity = identity;
    this.#takeKeyPair = takeKeyPair;
    this.#isReplay = isReplay;
    this.#sources = sources;
    this.#macKey = macKey(identity);
  }

  /**
   * Takes bytes of the client's message.
   *
   * @returns the keys and the response to send, owned; undefined while more is needed
   * @throws PosternError `ERR_HANDSHAKE_REJECTED`
   */
  receive(chunk: Uint8Array): { keys: SessionKeys; response: Buffer } | undefined {
    const received = this.#received;
    received.push(chunk);
    const { length } = received;
    // A client has nothing to say until it has the keys, so its message ends where its bytes do.
    if (length >= CLIENT_FIXED_BYTES + CLIENT_MIN_PADDING_BYTES) {
      const message = received.peek();
      const representative = message.subarray(0, REPRESENTATIVE_BYTES);
      this.#clientMark ??= this.#macKey.mac128(representative);
      if (length <= MAX_HANDSHAKE_BYTES && endsWithMark(message, this.#clientMark)) {
        return this.#answer(message);
      }
    }
    if (length >= MAX_HANDSHAKE_BYTES) throw rejected('the client’s handshake has no mark');
    return undefined;
  }

  #answer(message: Buffer): { keys: SessionKeys; response: Buffer } {
    const { rng, clock } = this.#sources;
    const hour = matchHour(message, this.#macKey, epochHoursAround(clock));
    if (hour === undefined) {
      throw rejected('the MAC of the client’s handshake is wrong: its clock may be hours off');
    }
    if (this.#isReplay(macOf(message))) {
      throw new PosternError(
        'ERR_HANDSHAKE_REPLAYED',
        'the client’s handshake was seen before: someone replays it',
      );
    }
    const keyPair = this.#takeKeyPair();
    const result = ntorServer({
      keyPair,
      clientPublicKey: representativeToPublicKey(message.subarray(0, REPRESENTATIVE_BYTES)),
      identity: this.#identity,
      nodeId: this.#identity.nodeId,
    });
    if (result === undefined) throw rejected('the client’s key is degenerate');

    const { representative } = keyPair;
    const padding = randomBytes(rng, randomInteger(rng, 0, SERVER_MAX_PADDING_BYTES));
    const mark = this.#macKey.mac128(representative);
    const head = [representative, result.auth, padding];
    const response = formMessage(head, mark, this.#macKey, hour);
    return { keys: splitKeys(result.keyMaterial), response };
  }
}

/** The specification says it the other way round; this is what obfs4proxy does. */
function splitKeys(keyMaterial: Uint8Array): SessionKeys {
  return {
    clientToServer: keyMaterial.subarray(0, DIRECTION_KEY_BYTES),
    serverToClient: keyMaterial.subarray(DIRECTION_KEY_BYTES, 2 * DIRECTION_KEY_BYTES),
  };
}
