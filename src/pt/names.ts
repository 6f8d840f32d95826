import { PosternError } from '../errors.ts';

/**
 * Whether `text` is a transport name: a C identifier, whole, of any length (PT 3.1). Names are
 * compared byte for byte; C keywords are names like any other.
 */
export function isTransportName(text: string): boolean {
  // Without the m flag, $ matches only at the very end: a trailing newline is refused.
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(text);
}

/**
 * The names of `TOR_PT_CLIENT_TRANSPORTS` or `TOR_PT_SERVER_TRANSPORTS`: `obfs3,obfs4`
 * (PT 3.2.2, 3.2.3), in order. A name that stands there twice comes out once.
 *
 * @throws PosternError `ERR_PT_NAME` for an empty list, an empty item or an ill-formed name
 */
export function parseTransportList(text: string): readonly string[] {
  const names = text.split(',');
  for (const [index, name] of names.entries()) checkName(name, index);
  return [...new Set(names)];
}

/**
 * The inverse of `parseTransportList`.
 *
 * @throws PosternError `ERR_PT_NAME` for an empty list, an ill-formed name or a repeated one
 */
export function formatTransportList(names: readonly string[]): string {
  if (names.length === 0) throw new PosternError('ERR_PT_NAME', 'no transport is named');
  for (const [index, name] of names.entries()) {
    checkName(name, index);
    if (names.indexOf(name) !== index) {
      throw new PosternError('ERR_PT_NAME', `transport ${name} is named twice`);
    }
  }
  return names.join(',');
}

function checkName(name: string, index: number): void {
  if (name === '') throw new PosternError('ERR_PT_NAME', `name ${index + 1} of the list is empty`);
  if (!isTransportName(name)) {
    throw new PosternError('ERR_PT_NAME', `name ${index + 1} of the list is not a C identifier`);
  }
}
