/** A Tor in name only: answers commands on a control port as a test tells it to. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Endpoint } from '../../src/pt/address.ts';
import { listen } from './sockets.ts';

/** What is sent for a command: lines, without the last CR LF, or whatever a function does. */
export type FakeAnswer = string | ((line: string, socket: Socket) => void);

/** A control port that lets everyone in, unless told otherwise. */
export interface FakeTor {
  readonly endpoint: Endpoint;
  /** What was received, line by line, on all connections. */
  readonly received: string[];
  /** The connections that stand, the newest last. */
  readonly sockets: readonly Socket[];
  /** Replaces what is answered to a keyword. */
  answer(keyword: string, answer: FakeAnswer): void;
  /** Says something unasked on the newest connection. */
  say(...lines: readonly string[]): void;
  /** Waits until no connection stands. */
  left(): Promise<void>;
}

const PROTOCOLINFO = [
  '250-PROTOCOLINFO 1',
  '250-AUTH METHODS=NULL',
  '250-VERSION Tor="0.4.9.11"',
  '250 OK',
].join('\r\n');

/** Listens on loopback until the test has ended. */
export async function startFakeTor(
  t: { after(callback: () => void | Promise<void>): void },
  answers: Readonly<Record<string, FakeAnswer>> = {},
): Promise<FakeTor> {
  const known = new Map<string, FakeAnswer>([
    ['PROTOCOLINFO', PROTOCOLINFO],
    ['QUIT', (_line, socket) => void socket.end('250 closing connection\r\n')],
    ...Object.entries(answers),
  ]);
  const received: string[] = [];
  const sockets: Socket[] = [];
  const { endpoint } = await listen(t, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => sockets.splice(sockets.indexOf(socket), 1));
    const reader = createInterface({ input: socket }).on('error', () => {});
    reader.on('line', (line) => {
      received.push(line);
      if (socket.writableEnded) return;
      const answer = known.get(/^\+?\w*/.exec(line)![0]) ?? '250 OK';
      if (typeof answer === 'function') answer(line, socket);
      else socket.write(`${answer}\r\n`);
    });
  });
  return {
    endpoint,
    received,
    sockets,
    answer: (keyword, answer) => void known.set(keyword, answer),
    say: (...lines) => void sockets.at(-1)!.write(lines.map((line) => `${line}\r\n`).join('')),
    async left() {
      // An error is an end as well, and `once` would reject with it.
      while (sockets.length > 0) await once(sockets[0]!, 'close').catch(() => {});
    },
  };
}
