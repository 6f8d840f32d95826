import { createHash } from 'node:crypto';

/** A SHA-256 over bytes that come piece by piece. */
export interface RunningSha256 {
  update(chunk: Uint8Array): void;
  /** The digest of everything so far, in hexadecimal; ends it. */
  hex(): string;
}

/** Starts a SHA-256. */
export function createSha256(): RunningSha256 {
  const hash = createHash('sha256');
  return {
    update(chunk) {
      hash.update(chunk);
    },
    hex: () => hash.digest('hex'),
  };
}
