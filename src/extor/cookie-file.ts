import { PosternError } from '../errors.ts';
import { COOKIE_FILE_HEADER, SECRET_BYTES } from './messages.ts';

/** A cookie file's whole length: the header line and the cookie. */
const COOKIE_FILE_BYTES = COOKIE_FILE_HEADER.length + SECRET_BYTES;

/**
 * The cookie of a cookie file, owned.
 *
 * @throws PosternError `ERR_EXTOR_COOKIE` unless it is exactly the header line and 32 bytes
 */
export function decodeCookieFile(content: Uint8Array): Buffer {
  const header = Buffer.from(content.subarray(0, COOKIE_FILE_HEADER.length)).toString('latin1');
  if (content.length !== COOKIE_FILE_BYTES || header !== COOKIE_FILE_HEADER) {
    throw new PosternError(
      'ERR_EXTOR_COOKIE',
      `the cookie file is not the header line and ${SECRET_BYTES} bytes`,
    );
  }
  return Buffer.from(content.subarray(COOKIE_FILE_HEADER.length));
}

/** The content of a cookie file for a cookie of 32 bytes. */
export function encodeCookieFile(cookie: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(COOKIE_FILE_HEADER, 'latin1'), cookie]);
}
