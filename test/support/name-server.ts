/** A name server on loopback, which says nothing of names that end in `.silent`. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** What it knows: addresses of IPv4 by name; every other name does not exist. */
export type Zone = Readonly<Record<string, string>>;

/** A name server that runs until the test has ended. */
export interface NameServer {
  /** As a resolver takes it. */
  readonly address: string;
  /** The names that it was asked for, each once. */
  readonly asked: ReadonlySet<string>;
  /** Resolves when it was asked for so many names. */
  untilAsked(count: number): Promise<void>;
}

/** Starts one. */
export async function startNameServer(t: Cleanup, zone: Zone): Promise<NameServer> {
  const asked = new Set<string>();
  const waiters = new Set<() => void>();
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query);
    asked.add(name);
    for (const waiter of waiters) waiter();
    if (name.endsWith('.silent')) return;
    const ip = zone[name];
    const bytes = ip !== undefined && type === 1 ? ip.split('.').map(Number) : undefined;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(ip === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(bytes === undefined ? 0 : 1, 6);
    head.writeUInt32BE(0, 8);
    const answer = bytes === undefined ? [] : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...bytes];
    socket.send(Buffer.concat([head, query.subarray(12, end), Buffer.from(answer)]), from.port);
  });
  await once(socket.bind(0, '127.0.0.1'), 'listening');
  t.after(() => void socket.close());
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    untilAsked: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (asked.size < count) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  while (query[at] !== 0) {
    const length = query[at]!;
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}
