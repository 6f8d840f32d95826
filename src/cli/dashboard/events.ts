/** Server-sent events for the open pages: the state of the daemon, and its changes. */
import type { ServerResponse } from 'node:http';
import type { Follower } from '../../view/node.ts';

/** How often a page's state is sent at most. */
const STATE_MS = 500;
/** How many pages may be open. */
const MAX_PAGES = 16;
/** A page that does not read is closed; the browser makes a new connection. */
const MAX_UNREAD_BYTES = 4_000_000;
/** How many rows of each kind are sent; the totals count all of them. */
const MAX_ROWS = 200;

/** All pages that are open. */
export class PageEvents {
  readonly #follower: Follower;
  readonly #place: string;
  readonly #pages = new Set<ServerResponse>();
  #seconds = 0;
  #lines = 0;
  #pending: NodeJS.Timeout | undefined;

  constructor(follower: Follower, place: string) {
    this.#follower = follower;
    this.#place = place;
  }

  /** A page connects. */
  add(response: ServerResponse): void {
    if (this.#pages.size >= MAX_PAGES) {
      response.writeHead(503).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const { bandwidth, log } = this.#follower.model;
    write(response, 'history', { bandwidth, log });
    write(response, 'state', this.#state());
    this.#pages.add(response);
    response.once('close', () => this.#pages.delete(response));
  }

  /** The follower has something new. */
  tell(): void {
    const { model } = this.#follower;
    for (const sample of lastOf(model.bandwidth, model.seconds - this.#seconds)) {
      this.#send('bandwidth', sample);
    }
    for (const line of lastOf(model.log, model.lines - this.#lines)) this.#send('log', line);
    this.#seconds = model.seconds;
    this.#lines = model.lines;
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined;
      this.#send('state', this.#state());
    }, STATE_MS);
  }

  close(): void {
    clearTimeout(this.#pending);
    for (const page of this.#pages) page.destroy();
  }

  #send(name: string, data: unknown): void {
    for (const page of this.#pages) write(page, name, data);
  }

  #state(): unknown {
    const { model, mappings, problem } = this.#follower;
    const first = <Entry>(entries: Iterable<Entry>): Entry[] => [...entries].slice(-MAX_ROWS);
    return {
      place: this.#place,
      problem,
      process: model.process,
      bridge: model.bridge,
      counts: {
        links: model.links.size,
        circuits: model.circuits.size,
        streams: model.streams.size,
      },
      links: first(model.links).map(([name, status]) => ({ name, status })),
      circuits: first(model.circuits).map(([id, circuit]) => ({ id, ...circuit })),
      streams: first(model.streams).map(([id, stream]) => ({ id, ...stream })),
      mappings: first(mappings).map(({ original, replacement }) => ({
        from: original.host,
        to: replacement.host,
      })),
    };
  }
}

function lastOf<Entry>(entries: readonly Entry[], count: number): readonly Entry[] {
  return count === 0 ? [] : entries.slice(-count);
}

function write(page: ServerResponse, name: string, data: unknown): void {
  if (page.writableLength > MAX_UNREAD_BYTES) page.destroy();
  else page.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
