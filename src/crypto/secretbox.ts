/**
 * XSalsa20-Poly1305 boxes ("secretbox" of NaCl), tag first, between views that the caller owns.
 *
 * The message may lie inside the box's own buffer if it stands where it is going to be: 16 bytes
 * behind the start of the box.
 */
import { PosternBug } from '../errors.ts';
import { loadNobleSalsa, sodiumBoxes, type SodiumBoxes } from './libraries.ts';

/** How much longer a box is than its message: the Poly1305 tag. */
export const BOX_OVERHEAD = 16;

/** One way of computing boxes. Nonces are 24 bytes, keys 32. */
export interface Secretbox {
  readonly name: 'sodium-native' | '@noble/ciphers';
  /** Writes the box of `message` into all of `box`, which is 16 bytes longer. */
  readonly seal: (box: Uint8Array, message: Uint8Array, nonce: Uint8Array, key: Uint8Array) => void;
  /** Writes the message into all of `message`; false, and nothing written, if the tag is wrong. */
  readonly open: (
    message: Uint8Array,
    box: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ) => boolean;
}

/** Boxes by libsodium: 860 MB/s a core. */
export function createSodiumSecretbox(library: SodiumBoxes): Secretbox {
  const { crypto_secretbox_easy: seal, crypto_secretbox_open_easy: open } = library;
  return {
    name: 'sodium-native',
    seal(box, message, nonce, key) {
      checkLengths(box, message, nonce, key);
      seal(box, message, nonce, key);
    },
    open(message, box, nonce, key) {
      checkLengths(box, message, nonce, key);
      return open(message, box, nonce, key);
    },
  };
}

/** @throws PosternBug where the library would end the process */
function checkLengths(
  box: Uint8Array,
  message: Uint8Array,
  nonce: Uint8Array,
  key: Uint8Array,
): void {
  if (box.length === message.length + BOX_OVERHEAD && nonce.length === 24 && key.length === 32) {
    return;
  }
  throw new PosternBug('a box, its message, the nonce or the key has a wrong length');
}

/** Boxes in JavaScript: 80 MB/s a core, on any platform. */
export function createNobleSecretbox(): Secretbox {
  const { xsalsa20poly1305 } = loadNobleSalsa();
  return {
    name: '@noble/ciphers',
    seal(box, message, nonce, key) {
      box.set(xsalsa20poly1305(key, nonce).encrypt(message));
    },
    open(message, box, nonce, key) {
      let opened: Uint8Array;
      try {
        opened = xsalsa20poly1305(key, nonce).decrypt(box);
      } catch {
        return false;
      }
      message.set(opened);
      return true;
    },
  };
}

const fastest =
  sodiumBoxes === undefined ? createNobleSecretbox() : createSodiumSecretbox(sodiumBoxes);

/** What computes the boxes here. */
export const secretboxBackend: Secretbox['name'] = fastest.name;
/** What a log says once, at the start, where boxes are slow; undefined where they are not. */
export const slowSecretboxNotice: string | undefined =
  sodiumBoxes === undefined
    ? 'sodium-native has no library for this system: encryption runs in JavaScript, ten times slower'
    : undefined;
/** Writes the box of `message` into all of `box`, which is `BOX_OVERHEAD` longer. */
export const seal: Secretbox['seal'] = fastest.seal;
/** Writes the message of `box` into all of `message`; false, and nothing written, if forged. */
export const open: Secretbox['open'] = fastest.open;
