/** Decoders over the front of a byte stream: a message, `NEED_MORE`, or a thrown error. */
import { NEED_MORE, type Decoded } from '../bytes/decoded.ts';
import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { parseIpEndpoint } from '../pt/address.ts';
import { isTransportName } from '../pt/names.ts';
import { END_OF_AUTH_TYPES, ExtOrCommand, type ExtOrMessage } from './messages.ts';

/** The server's list of authentication types, without its end mark; at most 255 of them. */
export function decodeAuthTypes(bytes: Uint8Array): Decoded<readonly number[]> | typeof NEED_MORE {
  const end = bytes.subarray(0, MAX_AUTH_TYPES + 1).indexOf(END_OF_AUTH_TYPES);
  if (end !== -1) return { message: [...bytes.subarray(0, end)], length: end + 1 };
  if (bytes.length <= MAX_AUTH_TYPES) return NEED_MORE;
  throw malformed('the list of authentication types has no end');
}

/** One octet names a type and none has reason to stand twice. */
const MAX_AUTH_TYPES = 255;

/** One message as it stands on the wire; its body is not decoded yet. */
export interface ExtOrFrame {
  readonly command: number;
  /** A view of the bytes that it was taken from. */
  readonly body: Uint8Array;
}

/**
 * One message: `COMMAND(2) LENGTH(2) BODY`.
 *
 * @throws PosternError `ERR_BYTES_OVERFLOW` for a body over the limit, as soon as its length is there
 */
export function decodeFrame(bytes: Uint8Array): Decoded<ExtOrFrame> | typeof NEED_MORE {
  if (bytes.length < 4) return NEED_MORE;
  const command = (bytes[0]! << 8) | bytes[1]!;
  const length = 4 + ((bytes[2]! << 8) | bytes[3]!);
  if (length - 4 > limits.extorBodyBytes) {
    throw new PosternError(
      'ERR_BYTES_OVERFLOW',
      `an Extended ORPort message has a body of more than ${limits.extorBodyBytes} bytes`,
    );
  }
  if (bytes.length < length) return NEED_MORE;
  return { message: { command, body: bytes.subarray(4, length) }, length };
}

/**
 * One message of the PT; bodies of commands that define none are ignored.
 *
 * @throws PosternError `ERR_EXTOR_MALFORMED` for a known command with a bad body; `ERR_BYTES_OVERFLOW`
 */
export function decodeMessage(bytes: Uint8Array): Decoded<ExtOrMessage> | typeof NEED_MORE {
  const frame = decodeFrame(bytes);
  if (frame === NEED_MORE) return NEED_MORE;
  const { command, body } = frame.message;
  return { message: messageOf(command, body), length: frame.length };
}

function messageOf(command: number, body: Uint8Array): ExtOrMessage {
  switch (command) {
    case ExtOrCommand.done:
      return { type: 'done' };
    case ExtOrCommand.userAddr: {
      const address = parseIpEndpoint(Buffer.from(body).toString('latin1'));
      if (address === undefined) throw malformed('USERADDR holds no <ip>:<port>');
      return { type: 'userAddr', address };
    }
    case ExtOrCommand.transport: {
      const name = Buffer.from(body).toString('latin1');
      if (!isTransportName(name)) throw malformed('TRANSPORT holds no transport name');
      return { type: 'transport', name };
    }
    case ExtOrCommand.okay:
      return { type: 'okay' };
    case ExtOrCommand.deny:
      return { type: 'deny' };
    case ExtOrCommand.control:
      return { type: 'control' };
    default:
      return { type: 'unknown', command };
  }
}

function malformed(what: string): PosternError {
  return new PosternError('ERR_EXTOR_MALFORMED', what);
}
