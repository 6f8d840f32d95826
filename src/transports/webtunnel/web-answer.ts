/**
 * Answers, as an nginx without `server_tokens` writes them: the order of the fields, the words and the pages. A
 * bridge that stands alone must look like one web server among millions, and nginx is the most common one.
 */
import { PosternBug } from '../../errors.ts';
import { dateOf } from '../../time.ts';

/** Some bytes of the file that is answered with. */
export interface Slice {
  readonly position: number;
  readonly length: number;
}

/** An answer without what the connection adds to it. */
export interface WebAnswer {
  readonly status: number;
  /** Fields before `Connection`, and behind it. */
  readonly fields: readonly Field[];
  readonly laterFields?: readonly Field[];
  /** What follows the head; slices are those of `file`. */
  readonly body: readonly (Uint8Array | Slice)[];
  readonly file?: readonly string[];
}

type Field = readonly [name: string, value: string];

const NAMES: Readonly<Record<number, string>> = {
  200: 'OK',
  206: 'Partial Content',
  301: 'Moved Permanently',
  304: 'Not Modified',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Not Allowed',
  412: 'Precondition Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  416: 'Requested Range Not Satisfiable',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
};

/** How many bytes follow the head. */
export function bodyLength({ body }: Pick<WebAnswer, 'body'>): number {
  return body.reduce((sum, part) => sum + part.length, 0);
}

/** The page of a status. */
export function pageOf(
  status: number,
  {
    reason,
    userAgent = '',
    laterFields = [],
    location,
  }: {
    reason?: string;
    userAgent?: string;
    laterFields?: readonly Field[];
    location?: string;
  } = {},
): WebAnswer {
  const name = NAMES[status];
  if (name === undefined) throw new PosternBug(`there is no page for status ${status}`);
  const center = (text: string): string => `<center>${text}</center>\r\n`;
  const title = `${status} ${reason ?? name}`;
  const heading = center(`<h1>${status} ${name}</h1>`);
  // Browsers replace short pages by their own.
  const padding = status >= 400 && isReplacing(userAgent) ? PADDING.repeat(6) : '';
  const html =
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n${heading}` +
    `${reason === undefined ? '' : center(reason)}<hr>${center(SERVER)}</body>\r\n</html>\r\n${padding}`;
  const body = [Buffer.from(html)];
  return {
    status,
    fields: [
      ['Content-Type', 'text/html'],
      ['Content-Length', String(bodyLength({ body }))],
      ...(location === undefined ? [] : [['Location', location] as const]),
    ],
    laterFields,
    body,
  };
}

const SERVER = 'nginx';
const PADDING = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n';

function isReplacing(userAgent: string): boolean {
  if (userAgent.includes('Opera')) return false;
  return userAgent.includes('Chrome/') || /MSIE [0-9]/.test(userAgent);
}

/** The head of an answer. */
export function encodeHead(
  { status, fields, laterFields = [] }: WebAnswer,
  connection: 'keep-alive' | 'close',
  nowMs: number,
): Buffer {
  return encode(`${status} ${NAMES[status]}`, nowMs, [
    ...fields,
    ['Connection', connection],
    ...laterFields,
  ]);
}

/** The head that makes a connection a WebSocket's. */
export function encodeSwitch(accept: string | undefined, nowMs: number): Buffer {
  return encode('101 Switching Protocols', nowMs, [
    ['Connection', 'upgrade'],
    ['Upgrade', 'websocket'],
    ...(accept === undefined ? [] : [['Sec-WebSocket-Accept', accept] as const]),
  ]);
}

function encode(status: string, nowMs: number, fields: readonly Field[]): Buffer {
  const all: readonly Field[] = [['Server', SERVER], ['Date', formatDate(nowMs)], ...fields];
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`, 'latin1');
}

/** As HTTP has dates (RFC 9110, section 5.6.7). */
export function formatDate(ms: number): string {
  return dateOf(ms).toUTCString();
}
