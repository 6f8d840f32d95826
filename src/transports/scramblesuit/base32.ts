/** Base32 (RFC 4648, section 6), in which ScrambleSuit writes passwords and tickets. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Upper-case Base32, padded with `=` to a multiple of 8 characters. */
export function formatBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let bitCount = 0;
  for (const octet of bytes) {
    bits = (bits << 8) | octet;
    bitCount += 8;
    for (; bitCount >= 5; bitCount -= 5) text += ALPHABET[(bits >>> (bitCount - 5)) & 31]!;
  }
  if (bitCount > 0) text += ALPHABET[(bits << (5 - bitCount)) & 31]!;
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}

/**
 * The bytes of a Base32 text, read as forgivingly as obfsproxy does: in either case, with `1` for
 * `I` and `0` for `O`, which people who copy by hand confuse; the padding may be left out.
 *
 * @returns undefined for any other character, and for a length that no bytes have
 */
export function parseBase32(text: string): Buffer | undefined {
  const digits = text.toUpperCase().replaceAll('1', 'I').replaceAll('0', 'O').replace(/=+$/, '');
  const bytes = Buffer.alloc(Math.floor((digits.length * 5) / 8));
  // More characters than these bytes need: a text that was cut.
  if (Math.ceil((bytes.length * 8) / 5) !== digits.length) return undefined;
  let at = 0;
  let bits = 0;
  let bitCount = 0;
  for (const digit of digits) {
    const value = ALPHABET.indexOf(digit);
    if (value === -1) return undefined;
    bits = (bits << 5) | value;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[at] = bits >>> bitCount;
      at += 1;
    }
  }
  return bytes;
}
