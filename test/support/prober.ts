/** Who connects to a server transport to see what answers. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { systemRng } from '../../src/crypto/rng.ts';
import { confirmEnd } from '../../src/net/clean-end.ts';
import type { Clock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { rejectAfterMs } from '../../src/transports/handshake-time.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import type { PtServer } from './pt-programs.ts';

/** What a prober does when it has said what it has to say. */
type Then = 'stays' | 'ends' | 'resets';

/** What one prober does. */
export interface Probe {
  readonly name: string;
  /** What it sends, each piece by itself. */
  readonly says: (server: PtServer) => readonly Buffer[];
  readonly then: Then;
  /** Lets another one say it first, and waits for the answer. */
  readonly isReplay?: boolean;
  /** Says the rest once it has been answered. */
  readonly waits?: boolean;
}

/** What a prober sees of a server. */
export interface Sight {
  /** Whether anything came back. */
  readonly bytes: number;
  /** How it was closed; undefined while it stands. */
  readonly end: 'FIN' | 'RST' | undefined;
  readonly afterMs: number;
}

/** A prober at work. */
export interface Prober {
  /** Resolves when it has done what it does. */
  readonly said: Promise<void>;
  /** Resolves when the server has closed. */
  readonly closed: Promise<Sight>;
  /** What it has seen so far. */
  readonly sight: () => Sight;
  readonly stop: () => void;
}

/** Has one connect, say its words, and watch; it is gone with `stop`. */
export function startProber(server: PtServer, probe: Probe): Prober {
  const { then, isReplay = false, waits = false } = probe;
  const pieces = probe.says(server);
  const startMs = performance.now();
  let bytes = 0;
  let end: Sight['end'];
  let afterMs = 0;
  let socket: Socket | undefined;
  let isStopped = false;
  const sight = (): Sight => ({ bytes, end, afterMs });
  let settleClosed!: (sight: Sight) => void;
  const closed = new Promise<Sight>((resolve) => (settleClosed = resolve));
  const onEnd = (how: Sight['end']): void => {
    if (end !== undefined) return;
    end = how;
    afterMs = performance.now() - startMs;
    socket!.destroy();
    settleClosed(sight());
  };
  const say = async (): Promise<void> => {
    if (isReplay) await sayAndWait(server, pieces);
    if (isStopped) return;
    const wire = connect({ ...server.endpoint, allowHalfOpen: true, noDelay: true });
    socket = wire;
    socket.on('data', (chunk: Buffer) => void (bytes += chunk.length));
    const gone = new Promise((resolve) => socket!.once('close', resolve));
    wire.on('end', () => confirmEnd(wire, () => onEnd('FIN')));
    socket.once('error', () => onEnd('RST'));
    await Promise.race([once(socket, 'connect'), gone]);
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) {
        const answered = waits && new Promise((resolve) => socket!.once('data', resolve));
        await Promise.race([answered || delay(PIECE_MS), gone]);
      }
      if (socket.destroyed) return;
      socket.write(piece);
    }
    if (then === 'ends') socket.end();
    if (then === 'resets') socket.resetAndDestroy();
  };
  const said = say();
  const stop = (): void => {
    isStopped = true;
    socket?.destroy();
  };
  return { said, closed, sight, stop };
}

/** Says it as a client does, and is answered. */
function sayAndWait({ endpoint }: PtServer, pieces: readonly Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, noDelay: true });
    socket.once('error', reject).once('data', () => {
      socket.destroy();
      resolve();
    });
    socket.write(Buffer.concat(pieces));
  });
}

/** Apart for the wire: each is a read of its own to the server. */
const PIECE_MS = 3;

/** What a client of the server says first, by a clock that may be wrong. */
export function firstMessage(
  { endpoint, args, transport }: PtServer,
  clock: Clock = { epochMs: () => Date.now() },
): Buffer {
  const sources = { rng: systemRng, clock };
  const session = builtinTransports.get(transport).client(args, sources)(endpoint);
  const sent = session.start().flatMap((action) => (action.type === 'send' ? [action.bytes] : []));
  return Buffer.concat(sent);
}

/** Options for an obfs4 server that closes whom it rejects so long after it came. */
export function identityClosingAfter(ms: number): KeyValues {
  let seed: Buffer;
  do seed = randomBytes(24);
  while (rejectAfterMs(seed) !== ms);
  return [
    ['node-id', randomBytes(20).toString('hex')],
    ['private-key', randomBytes(32).toString('hex')],
    ['drbg-seed', seed.toString('hex')],
  ];
}

const HOUR_MS = 3_600_000;

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? bytes.length + at : at]! ^= 1;
  return copy;
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

/** What can be said to any port. */
const words: Readonly<Record<string, () => readonly Buffer[]>> = {
  nothing: () => [],
  'one byte': () => [Buffer.of(0)],
  'an HTTP request': () => [Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')],
  'a TLS hello': () => [
    Buffer.concat([Buffer.from('16030100fa010000f60303', 'hex'), randomBytes(244)]),
  ],
  'an SSH banner': () => [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  'a SOCKS greeting': () => [Buffer.of(5, 1, 0)],
  '23 random bytes': () => [randomBytes(23)],
  '500 random bytes': () => [randomBytes(500)],
  '8191 random bytes': () => [randomBytes(8191)],
  '8192 random bytes': () => [randomBytes(8192)],
  '8193 random bytes': () => [randomBytes(8193)],
  '9000 bytes of text': () => [Buffer.alloc(9000, 'x')],
  '17000 random bytes': () => [randomBytes(17_000)],
  'a megabyte': () => [randomBytes(9000), randomBytes(1_000_000)],
  'random bytes that drip': () => inPieces(randomBytes(60), 1),
};

/** What only who knows the transport can say. */
const handshakes: Readonly<Record<string, Readonly<Record<string, Probe['says']>>>> = {
  obfs4: {
    'half a handshake': (server) => {
      const valid = firstMessage(server);
      return [valid.subarray(0, valid.length >> 1)];
    },
    'a handshake but its last byte': (server) => [firstMessage(server).subarray(0, -1)],
    'a handshake but its MAC': (server) => [firstMessage(server).subarray(0, -16)],
    'a handshake with a wrong MAC': (server) => [changed(firstMessage(server), -1)],
    'a handshake with a wrong mark': (server) => [changed(firstMessage(server), -20)],
    'a handshake with another key': (server) => [changed(firstMessage(server), 0)],
    'a handshake with a byte behind it': (server) => [
      Buffer.concat([firstMessage(server), Buffer.of(0)]),
    ],
    'a handshake of two hours ago': (server) => [
      firstMessage(server, { epochMs: () => Date.now() - 2 * HOUR_MS }),
    ],
    'a handshake of two hours from now': (server) => [
      firstMessage(server, { epochMs: () => Date.now() + 2 * HOUR_MS }),
    ],
    'a handshake': (server) => [firstMessage(server)],
    'a handshake in pieces': (server) => inPieces(firstMessage(server), 997),
  },
  obfs3: {
    'half a public key': () => [randomBytes(96)],
    'a public key': () => [randomBytes(192)],
    'a public key that drips': () => inPieces(randomBytes(192), 8),
    'a public key of zeros': () => [Buffer.alloc(192)],
    'a public key and padding': () => [randomBytes(192 + 4097)],
    'a public key and as much noise as is searched': () => [randomBytes(192), randomBytes(8225)],
    'a public key and more noise than is searched': () => [randomBytes(192), randomBytes(8227)],
    'a public key and much more noise': () => [randomBytes(192), randomBytes(100_000)],
    'what a client says first': (server) => [firstMessage(server)],
  },
  obfs2: {
    'half a seed': () => [randomBytes(8)],
    'a seed': () => [randomBytes(16)],
    'a seed and another magic value': () => [randomBytes(16), randomBytes(8)],
    'a header but its padding': (server) => [firstMessage(server).subarray(0, 24)],
    'a header with another magic value': (server) => [changed(firstMessage(server), 16)],
    'a header with too much padding': (server) => [
      Buffer.concat([changed(firstMessage(server), 20), Buffer.alloc(100)]),
    ],
    'what a client says first': (server) => [firstMessage(server)],
    'what a client says first, in pieces': (server) => inPieces(firstMessage(server), 997),
    'what a client says first, and noise': (server) => [firstMessage(server), randomBytes(9000)],
  },
};

/** All probes of a transport: what anybody can say, and what takes knowing it. */
export function probesOf(transport: string): Probe[] {
  const said = { ...words, ...handshakes[transport] };
  const probes: Omit<Probe, 'then'>[] = Object.entries(said).map(([name, says]) => ({
    name,
    says,
  }));
  if (transport === 'obfs4') {
    const valid = handshakes['obfs4']!['a handshake']!;
    probes.push({ name: 'a handshake that was seen before', says: valid, isReplay: true });
    for (const bytes of [1, 1448, 20_000]) {
      const says: Probe['says'] = (server) => [...valid(server), randomBytes(bytes)];
      const name = `a handshake, and ${bytes} bytes of noise when it is answered`;
      probes.push({ name, says, waits: true });
    }
  }
  return probes.flatMap((probe) =>
    (['stays', 'ends', 'resets'] as const).map((then): Probe => ({
      ...probe,
      name: `${probe.name}, then ${then}`,
      then,
    })),
  );
}

/** What a prober tells apart. */
export function describeSight({ bytes, end }: Sight): string {
  return `${bytes === 0 ? 'nothing' : 'bytes'}, ${end ?? 'open'}`;
}

/**
 * Waits until all have seen the close, or nothing of it for `watchMs`; while they differ the other one may only
 * be slower.
 *
 * @returns what each has seen
 */
export async function watch(probers: readonly Prober[], watchMs: number): Promise<string[]> {
  const closed = Promise.all(probers.map((prober) => prober.closed));
  await Promise.race([closed, delay(watchMs)]);
  for (const startMs = performance.now(); ;) {
    const seen = probers.map((prober) => describeSight(prober.sight()));
    if (new Set(seen).size === 1 || performance.now() - startMs > PATIENCE_MS) return seen;
    await delay(50);
  }
}

/** Before any server gives a handshake up. */
const PATIENCE_MS = 20_000;
