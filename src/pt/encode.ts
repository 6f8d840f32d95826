import { PosternError, PosternBug } from '../errors.ts';
import { formatEndpoint, parseIpEndpoint, type Endpoint } from './address.ts';
import { formatCString, toAscii } from './c-string.ts';
import type { KeyValues } from './key-value.ts';
import type { Message } from './messages.ts';
import { isTransportName } from './names.ts';
import { formatSmethodArgs } from './smethod-args.ts';
import { isVersion } from './versions.ts';

/**
 * A message as its line, without the NL.
 *
 * Error texts are made to fit: line breaks become spaces, typographic characters their likes in
 * ASCII, others outside printable ASCII (and tab) `?`, an empty text becomes "unspecified" (PT 3.3: one line of US-ASCII). CR is legal
 * there, but no writer should end a line with it, so it goes too.
 *
 * @throws PosternError `ERR_PT_MESSAGE` or `ERR_PT_SMETHOD_ARGS` for a field that no line can carry: an
 *   ill-formed name or version, a host name, port 0, an ill-formed pair
 */
export function formatMessage(message: Message): string {
  switch (message.kind) {
    case 'VERSION':
      if (!isVersion(message.version)) throw fault('the version is ill-formed');
      return `VERSION ${message.version}`;
    case 'VERSION-ERROR':
    case 'ENV-ERROR':
    case 'PROXY-ERROR':
      return `${message.kind} ${toLineText(message.text)}`;
    case 'PROXY DONE':
    case 'CMETHODS DONE':
    case 'SMETHODS DONE':
      return message.kind;
    case 'CMETHOD':
      return `CMETHOD ${checkName(message.transport)} ${message.protocol} ${formatAddress(message.endpoint)}`;
    case 'SMETHOD':
      return `SMETHOD ${checkName(message.transport)} ${formatAddress(message.endpoint)}${formatArgs(message.args)}`;
    case 'CMETHOD-ERROR':
    case 'SMETHOD-ERROR':
      return `${message.kind} ${checkName(message.transport)} ${toLineText(message.text)}`;
    case 'LOG':
      return `LOG SEVERITY=${message.severity} MESSAGE=${formatCString(message.text)}`;
    case 'STATUS':
      if (message.pairs.length === 0) throw fault('a STATUS needs at least one pair');
      return `STATUS ${message.pairs.map(formatPair).join(' ')}`;
    default:
      throw new PosternBug(`no such message: ${String(message satisfies never)}`);
  }
}

function checkName(name: string): string {
  if (!isTransportName(name)) throw fault('the transport name is not a C identifier');
  return name;
}

function formatAddress(endpoint: Endpoint): string {
  const text = formatEndpoint(endpoint);
  const isUsable = parseIpEndpoint(text) !== undefined && endpoint.port !== 0;
  if (!isUsable) throw fault('the address is not an IP address with a port of 1..65535');
  return text;
}

function formatArgs(args: KeyValues): string {
  return args.length === 0 ? '' : ` ARGS:${formatSmethodArgs(args)}`;
}

/** `KEY=value`, quoted unless the value is a plain word. */
function formatPair([key, value]: readonly [string, string]): string {
  if (!/^[A-Za-z0-9_-]+$/.test(key)) throw fault('a STATUS key is not letters, digits, - and _');
  return `${key}=${/^[A-Za-z0-9_.:[\]+/-]+$/.test(value) ? value : formatCString(value)}`;
}

function toLineText(text: string): string {
  const line = toAscii(text)
    .replace(/[\r\n]+/g, ' ')
    .replace(/[^\x20-\x7e\t]/g, '?')
    .trim();
  return line === '' ? 'unspecified' : line;
}

function fault(message: string): PosternError {
  return new PosternError('ERR_PT_MESSAGE', message);
}
