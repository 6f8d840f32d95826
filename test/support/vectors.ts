import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../scripts/paths.ts';

/** A file of known answers under test/vectors; each says in `source` where they come from. */
export function readVectors<T>(file: string): T & { readonly source: string } {
  const text = readFileSync(join(packageRoot, 'test', 'vectors', file), 'utf8');
  return JSON.parse(text) as T & { readonly source: string };
}

/** The bytes of a hexadecimal text. */
export function fromHex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** The hexadecimal text of bytes, for comparisons that print well. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
