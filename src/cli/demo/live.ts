/** The demo after its transfer: it keeps running, for the user to try it. */
import type { Socket } from 'node:net';
import { PosternError } from '../../errors.ts';
import { createApplication, serveApplication } from '../../net/applications.ts';
import type { Dialer } from '../../net/dialer.ts';
import { listenTcp } from '../../net/listener.ts';
import { type ChildEnd, describeEnd } from '../../parent/child-error.ts';
import type { Child } from '../../parent/launch.ts';
import { formatEndpoint } from '../../pt/address.ts';
import { type CommandContext, ExitCode } from '../context.ts';
import { type Display, formatMegabytes } from '../display.ts';
import { ownName } from '../own-name.ts';
import { untilAborted } from '../until-aborted.ts';

/** What the live part needs. */
export interface LiveDemo {
  /** Reaches the service behind the bridge, whatever its target. */
  readonly dial: Dialer;
  readonly bridgeLine: string;
  readonly children: readonly Child<unknown>[];
  /** More to try, as lines that go on after "or". */
  readonly tryNext: readonly string[];
}

/** Forwards connections and shows figures until it is told to stop. @returns the exit code */
export async function serveLive(
  context: CommandContext,
  display: Display,
  { dial, bridgeLine, children, tryNext: more }: LiveDemo,
): Promise<number> {
  const figures = new Figures();
  const serve = (socket: Socket): Promise<unknown> => {
    figures.add(socket);
    const { endpoint } = listener;
    return serveApplication(createApplication(socket, endpoint), (options) =>
      dial(endpoint, options),
    );
  };
  // A connection that failed shows in the application that made it.
  const listener = await listenTcp({ host: '127.0.0.1', port: 0 }, serve, () => {});
  const url = `http://${formatEndpoint(listener.endpoint)}`;
  for (const line of tryNext(url, bridgeLine, ownName(context), more)) display.line(line);

  const timer = setInterval(() => figures.show(display), FIGURES_MS);
  const ended = await Promise.race([
    untilAborted(context.stop.drain),
    ...children.map((child) => child.closed),
  ]);
  clearInterval(timer);
  listener.abort();
  // Ctrl-C in a terminal reaches the children as well, and may reach them first.
  if (ended === undefined || context.stop.drain.aborted) {
    display.line(`Ended. ${figures.describe()}`);
    return ExitCode.ok;
  }
  throw childGone(ended);
}

function tryNext(
  url: string,
  bridgeLine: string,
  postern: string,
  more: readonly string[],
): string[] {
  return [
    '',
    'Now try it from another terminal; this goes through the client and the bridge:',
    '',
    `  curl ${url}/`,
    `  curl -o /dev/null ${url}/bytes/500000000`,
    '',
    'or run a client of your own against the bridge:',
    '',
    `  ${postern} client '${bridgeLine}' --forward-from 127.0.0.1:8080`,
    '',
    ...more.map((text, index) => (index === 0 ? `or ${text}` : text)),
    '',
    'Running until Ctrl-C.',
  ];
}

function childGone(end: ChildEnd): PosternError {
  return new PosternError('ERR_PARENT_CRASHED', `a transport ended (${describeEnd(end)})`);
}

/** What has gone through so far, counted where applications connect. */
class Figures {
  readonly #startMs = performance.now();
  readonly #open = new Set<Socket>();
  #served = 0;
  #upBytes = 0;
  #downBytes = 0;
  #shown = '';
  #shownBytes = 0;

  add(socket: Socket): void {
    this.#served += 1;
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#upBytes += socket.bytesRead;
      this.#downBytes += socket.bytesWritten;
    });
  }

  /** Rewrites the line of figures; where that cannot be done, adds one when something has changed. */
  show(display: Display): void {
    const { up, down } = this.#bytes();
    const rate = ((up + down - this.#shownBytes) * 1000) / FIGURES_MS;
    this.#shownBytes = up + down;
    const figures = this.describe();
    if (display.isLive) {
      const seconds = Math.round((performance.now() - this.#startMs) / 1000);
      display.status(`${seconds} s: ${figures}, ${formatMegabytes(rate)}/s now`);
    } else if (figures !== this.#shown) {
      display.line(figures);
    }
    this.#shown = figures;
  }

  describe(): string {
    const { up, down } = this.#bytes();
    return (
      `${this.#open.size} connections open, ${this.#served} in all; ` +
      `${formatMegabytes(up)} up, ${formatMegabytes(down)} down`
    );
  }

  #bytes(): { up: number; down: number } {
    let up = this.#upBytes;
    let down = this.#downBytes;
    for (const { bytesRead, bytesWritten } of this.#open) {
      up += bytesRead;
      down += bytesWritten;
    }
    return { up, down };
  }
}

const FIGURES_MS = 1000;
