import { Writer } from '../bytes/writer.ts';
import { formatEndpoint } from '../pt/address.ts';
import { ExtOrCommand, type ExtOrMessage } from './messages.ts';

/** A message that one of the two ends really sends. */
export type SentMessage = Exclude<ExtOrMessage, { type: 'unknown' } | { type: 'control' }>;

/** One message as `COMMAND(2) LENGTH(2) BODY`, in a fresh array. */
export function encodeMessage(message: SentMessage): Buffer {
  const body = Buffer.from(bodyOf(message), 'latin1');
  return new Writer().uint16(ExtOrCommand[message.type]).uint16(body.length).bytes(body).finish();
}

function bodyOf(message: SentMessage): string {
  switch (message.type) {
    case 'userAddr':
      return formatEndpoint(message.address);
    case 'transport':
      return message.name;
    default:
      return '';
  }
}
