/**
 * The bytes, or a copy of them where they would keep more than about twice their length alive: for bytes that are
 * kept for as long as a peer likes. Never a slice of Node's pool, of which a single byte keeps 8 KiB alive,
 * and 64 KiB from Node 26 on.
 */
export function tightly<T extends Uint8Array>(bytes: T): T | Buffer {
  return isTight(bytes) ? bytes : copyTightly(bytes);
}

/** Whether the bytes keep no more memory alive than about twice their length. */
export function isTight(bytes: Uint8Array): boolean {
  return bytes.buffer.byteLength <= 2 * bytes.length;
}

/** A copy with memory of its own. */
export function copyTightly(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
