/** The arguments of both ends. */
import { PosternError } from '../../errors.ts';
import type { KeyValues } from '../../pt/key-value.ts';
import { parseBase32 } from './base32.ts';

/** The length of the shared secret that a password stands for. */
export const PASSWORD_BYTES = 20;

/** `iat-mode`: whether a sender delays its writes. Each side decides for its own. */
export const IatMode = { none: 0, enabled: 1 } as const;
export type IatMode = (typeof IatMode)[keyof typeof IatMode];

/** What may be said of either end. */
export interface Arguments {
  /** 20 bytes. */
  readonly password: Uint8Array | undefined;
  readonly iatMode: IatMode;
}

/** @throws PosternError `ERR_TRANSPORT_ARGUMENT` */
export function parseArguments(args: KeyValues): Arguments {
  const values = new Map(args);
  const password = values.get('password');
  return {
    password: password === undefined ? undefined : parsePassword(password),
    iatMode: parseIatMode(values.get('iat-mode') ?? '0'),
  };
}

/** 32 characters of Base32. @throws PosternError `ERR_TRANSPORT_ARGUMENT` */
export function parsePassword(text: string): Uint8Array {
  const bytes = parseBase32(text);
  if (bytes?.length === PASSWORD_BYTES) return bytes;
  throw argumentError('`password` is not Base32 of 20 bytes, 32 characters of A-Z and 2-7');
}

function parseIatMode(text: string): IatMode {
  const mode = Object.values(IatMode).find((value) => String(value) === text);
  if (mode === undefined) throw argumentError('`iat-mode` must be 0 or 1');
  return mode;
}

/** An error that names the argument and not its value. */
export function argumentError(message: string): PosternError {
  return new PosternError('ERR_TRANSPORT_ARGUMENT', `scramblesuit: ${message}`);
}
