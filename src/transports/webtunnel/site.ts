/** A folder as a web site: what is asked of it is answered as nginx answers, which reads a request's path so too. */
import type { Folder, FoundFile } from '../contract.ts';
import type { BridgeUrl } from './bridge-url.ts';
import { mediaTypeOf } from './media-types.ts';
import { parseRanges } from './ranges.ts';
import type { RequestHead } from './request-head.ts';
import { bodyLength, formatDate, pageOf, type Slice, type WebAnswer } from './web-answer.ts';

/** Answers all requests that are not for the bridge. */
export class Site {
  readonly #folder: Folder | undefined;
  readonly #url: BridgeUrl;
  #boundaries = 0;

  /**
   * @param folder without one nothing is there
   * @param url where it is, for redirections
   */
  constructor(folder: Folder | undefined, url: BridgeUrl) {
    this.#folder = folder;
    this.#url = url;
  }

  /** The answer to a request. @throws what the system does where a file cannot be read */
  async answer(request: RequestHead): Promise<WebAnswer> {
    const { method, fields, target } = request;
    const userAgent = fields.get('user-agent')?.[0] ?? '';
    const page = (status: number): WebAnswer => pageOf(status, { userAgent });
    const path = parsePath(target);
    if (path === undefined) return page(400);
    if (!['GET', 'HEAD', 'POST'].includes(method)) return page(405);
    const names = path.isFolder ? [...path.names, 'index.html'] : path.names;
    let found = await this.#folder?.find(names);
    if (
      found === undefined &&
      path.isFolder &&
      (await this.#folder?.find(path.names)) === 'folder'
    ) {
      found = 'forbidden';
    }
    if (found === undefined) return page(404);
    if (found === 'forbidden') return page(403);
    if (found === 'folder') {
      return pageOf(301, { userAgent, location: this.#locationOf(request, path) });
    }
    if (method === 'POST') return page(405);
    return this.#file(request, names, found, userAgent);
  }

  #file(
    { fields }: RequestHead,
    names: readonly string[],
    { size, modifiedMs }: FoundFile,
    userAgent: string,
  ): WebAnswer {
    const seconds = Math.floor(modifiedMs / 1000);
    const modified = formatDate(seconds * 1000);
    const eTag = `"${seconds.toString(16)}-${size.toString(16)}"`;
    const first = (name: string): string | undefined => fields.get(name)?.[0];

    const unmodifiedSince = first('if-unmodified-since');
    const isTooNew =
      unmodifiedSince !== undefined && !(Date.parse(unmodifiedSince) >= seconds * 1000);
    if (isTooNew || !matches(first('if-match') ?? '*', eTag)) {
      return pageOf(412, { userAgent });
    }
    const since = first('if-modified-since');
    const noneOf = first('if-none-match');
    const asksForNews = since !== undefined || noneOf !== undefined;
    const isNews =
      (since !== undefined && since !== modified) ||
      (noneOf !== undefined && !matches(noneOf, eTag, true));
    if (asksForNews && !isNews) {
      const kept = [['Last-Modified', modified]] as const;
      return { status: 304, fields: kept, laterFields: [['ETag', eTag]], body: [] };
    }

    const type = mediaTypeOf(names.at(-1)!);
    const range = first('range');
    const ifRange = first('if-range');
    const isSame = ifRange === undefined || ifRange === eTag || ifRange === modified;
    const slices = range !== undefined && isSame ? parseRanges(range, size) : undefined;
    if (slices?.length === 0) {
      return pageOf(416, { userAgent, laterFields: [['Content-Range', `bytes */${size}`]] });
    }
    const boundary = String(
      (this.#boundaries += slices !== undefined && slices.length > 1 ? 1 : 0),
    );
    const { body, contentType, laterFields, status } = partsOf(slices, size, type, boundary);
    return {
      status,
      fields: [
        ['Content-Type', contentType],
        ['Content-Length', String(bodyLength({ body }))],
        ['Last-Modified', modified],
      ],
      laterFields: [['ETag', eTag], ...laterFields],
      body,
      file: names,
    };
  }

  #locationOf({ target, host, fields }: RequestHead, { names }: Path): string {
    // Under the name that was asked for, whatever that is.
    const asked = (host || fields.get('host')?.[0] || '').replace(/:[0-9]*$/, '').toLowerCase();
    const { isSecure, port, hasOddPort } = this.#url;
    const origin = `${isSecure ? 'https' : 'http'}://${asked || this.#url.host}${hasOddPort ? `:${port}` : ''}`;
    const query = /\?[^#]*/.exec(target)?.[0] ?? '';
    const path = names.map((name) => `/${encodeURIComponent(name)}`).join('');
    return `${origin}${path}/${query}`;
  }
}

/** What of a file is sent, and how it is called. */
function partsOf(
  slices: readonly Slice[] | undefined,
  size: number,
  type: string,
  boundaryNumber: string,
): Pick<WebAnswer, 'status' | 'body'> &
  Required<Pick<WebAnswer, 'laterFields'>> & { readonly contentType: string } {
  if (slices === undefined) {
    const laterFields = [['Accept-Ranges', 'bytes']] as const;
    const body = size === 0 ? [] : [{ position: 0, length: size }];
    return { status: 200, contentType: type, laterFields, body };
  }
  const describe = ({ position, length }: Slice): string =>
    `bytes ${position}-${position + length - 1}/${size}`;
  if (slices.length === 1) {
    const laterFields = [['Content-Range', describe(slices[0]!)]] as const;
    return { status: 206, contentType: type, laterFields, body: slices };
  }
  const boundary = boundaryNumber.padStart(20, '0');
  const body = slices.flatMap((slice) => [
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${describe(slice)}\r\n\r\n`,
    ),
    slice,
  ]);
  return {
    status: 206,
    contentType: `multipart/byteranges; boundary=${boundary}`,
    laterFields: [],
    body: [...body, Buffer.from(`\r\n--${boundary}--\r\n`)],
  };
}

/** Whether a list of entity tags has this one. */
function matches(list: string, eTag: string, isWeak = false): boolean {
  if (list.trim() === '*') return true;
  const tags = list.split(',').map((tag) => tag.trim());
  return tags.some((tag) => (isWeak ? tag.replace(/^W\//, '') : tag) === eTag);
}

interface Path {
  readonly names: readonly string[];
  /** Whether it ends in a slash: what is there is a folder's page. */
  readonly isFolder: boolean;
}

/** The path of a target, decoded and without detours; undefined for one that leads out of the site. */
function parsePath(target: string): Path | undefined {
  const written = /^[^?#]*/.exec(target)![0];
  if (/%(?![0-9a-f]{2})|%00/i.test(written)) return undefined;
  const bytes = written.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(parseInt(hex, 16)),
  );
  const path = Buffer.from(bytes, 'latin1').toString('utf8');
  const names: string[] = [];
  const parts = path.split('/');
  for (const part of parts) {
    if (part === '..' && names.pop() === undefined) return undefined;
    if (part !== '' && part !== '.' && part !== '..') names.push(part);
  }
  return { names, isFolder: ['', '.', '..'].includes(parts.at(-1)!) };
}
