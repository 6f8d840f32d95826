/**
 * `npm run bench -- --attack [--quick] [--json] [--write]`: what strangers and hostile clients cost an obfs4
 * bridge and its good clients: Postern's, and those of obfs4proxy and lyrebird.
 *
 * Nothing passes or fails. `--quick` attacks with a tenth, `--write` writes its section of
 * docs/BENCHMARKS.md.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { buildRoot } from '../scripts/paths.ts';
import { connectControl } from '../src/control/node/client.ts';
import { systemRng } from '../src/crypto/rng.ts';
import { createDirectDialer } from '../src/net/direct-dialer.ts';
import { openTransportStream } from '../src/net/transport-stream.ts';
import { formatEndpoint, type Endpoint } from '../src/pt/address.ts';
import { formatSmethodArgs } from '../src/pt/smethod-args.ts';
import { systemClock } from '../src/time.ts';
import { builtinTransports } from '../src/transports/registry.ts';
import { startDaemons } from './daemons.ts';
import { askForEcho, roundTrip, startTarget } from './load.ts';
import { options, progress, share } from './options.ts';
import { environment, environmentList, writeSection } from './page.ts';
import { startPair, type Pair } from './pair.ts';
import { cpuSeconds, memoryBytes, openFiles } from './process-stats.ts';
import { peers, postern, type Program } from './programs.ts';
import { formatTable, type Row } from './report.ts';

const SILENT: number = 18_000 * share;
const NOISY: number = 5000 * share;
const POURED_BYTES: number = 1e9 * share;
const BARE: number = 5000 * share;
const IDLE: number = 10_000 * share;
const GONE = 50;
const FLOODING = 10;
const FLOOD_MS = 10_000;
/** What a stranger sends who has no secret: as much as obfs4 reads before it gives up. */
const NOISE = Buffer.alloc(9000, 'x');
/** How long a bridge has to notice that clients are gone. */
const NOTICE_MS = 30_000;

/** Figures of one program, by attack and name. */
type Figures = Map<string, { readonly unit: string; readonly value: number }>;

const programs: readonly Program[] = [postern, ...peers];
const names = programs.map(({ name }) => name);

async function attackAll(program: Program): Promise<Figures> {
  const figures: Figures = new Map();
  for (const [name, attack] of Object.entries(attacks)) {
    progress(`${program.name}: ${name}`);
    // In fresh processes: no attack finds what another one left.
    const pair = await startPair(program, 'obfs4', target.endpoint);
    try {
      await serve(pair);
      await attack(pair, (figure, unit, value) =>
        figures.set(`${name}: ${figure}`, { unit, value }),
      );
    } finally {
      pair.stop();
    }
  }
  return figures;
}

type Tell = (figure: string, unit: string, value: number) => void;

const attacks: Readonly<Record<string, (pair: Pair, tell: Tell) => Promise<void>>> = {
  async 'silent connections'(pair, tell) {
    await withStrangers(pair, SILENT, Buffer.alloc(0), tell);
  },

  async noise(pair, tell) {
    await withStrangers(pair, NOISY, NOISE, tell);
  },

  async 'a rejected stranger who pours'(pair, tell) {
    const socket = await connectTo(pair.server.endpoint);
    socket.write(NOISE);
    await delay(200);
    const before = cpuSeconds(pair.serverPid);
    const chunk = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < POURED_BYTES; sent += chunk.length) {
      if (!socket.write(chunk)) await once(socket, 'drain');
    }
    const seconds = cpuSeconds(pair.serverPid) - before;
    socket.destroy();
    tell('CPU per GB', 's', seconds / (POURED_BYTES / 1e9));
  },

  async 'frames of one byte'(pair, tell) {
    const { endpoint, args } = pair.server;
    const good = await pair.connect();
    await askForEcho(good);
    await roundTrip(good, 1);
    const memory = memoryBytes(pair.serverPid);
    const argument = formatSmethodArgs(args);
    const script = join(buildRoot, 'bench', 'attackers.js');
    const attackers = spawn(
      process.execPath,
      [script, String(endpoint.port), String(FLOODING), argument],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(attackers.stdout, 'data');
    const tripsMs: number[] = [];
    for (const startMs = performance.now(); performance.now() - startMs < FLOOD_MS * share;) {
      tripsMs.push(await roundTrip(good, 1));
      await delay(5);
    }
    const held = memoryBytes(pair.serverPid) - memory;
    attackers.kill('SIGKILL');
    attackers.stdout.destroy();
    good.destroy();
    tripsMs.sort((a, b) => a - b);
    tell('round trip of a good client, median', 'ms', tripsMs[tripsMs.length >> 1]!);
    tell('round trip of a good client, slowest', 'ms', tripsMs.at(-1)!);
    tell('memory for each of them', 'KiB', held / FLOODING / 1024);
  },

  async 'a connection and no more'(pair, tell) {
    const before = cpuSeconds(pair.serverPid);
    for (let count = 0; count < BARE; count += 1) {
      const socket = await connectTo(pair.server.endpoint);
      socket.resume().end();
      await once(socket, 'close');
    }
    tell('CPU for each', 'ms', (1000 * (cpuSeconds(pair.serverPid) - before)) / BARE);
  },

  async 'clients that reset behind their end'(pair, tell) {
    const filesBefore = openFiles(pair.serverPid);
    for (let count = 0; count < GONE; count += 1) {
      const { stream, wire } = await connectAsClient(pair);
      stream.end();
      await once(wire, 'finish');
      wire.resetAndDestroy();
    }
    await delay(NOTICE_MS);
    tell(
      'descriptors that are left after 30 s',
      '',
      Math.max(0, openFiles(pair.serverPid) - filesBefore),
    );
  },
};

/** What no transport has: idle connections to a control port, and the operator beside them. */
async function attackControlPort(): Promise<Figures> {
  const figures: Figures = new Map();
  progress(`${postern.name}: idle controllers`);
  const daemons = await startDaemons(postern);
  try {
    const { endpoint, cookie } = daemons.controlPort;
    const idle: Socket[] = [];
    for (let come = 0; come < IDLE; come += 1) idle.push((await connectTo(endpoint)).resume());
    const tell = async (figure: string, ask: () => Promise<unknown>): Promise<void> => {
      const startMs = performance.now();
      await ask();
      const value = performance.now() - startMs;
      figures.set(`idle controllers: ${figure}`, { unit: 'ms', value });
    };
    await tell('round trip of one that stands', () => daemons.control.getConf(['SocksPort']));
    await tell('answer to one that connects and has the cookie', async () => {
      const control = await connectControl(endpoint, { secret: readFileSync(cookie) });
      await control.getConf(['SocksPort']);
      await control.close();
    });
    await tell('postern ctl, Node’s start included', () => {
      const [file, ...args] = postern.command;
      const control = ['--control', formatEndpoint(endpoint), '--cookie', cookie];
      return promisify(execFile)(file, [...args, 'ctl', ...control, 'getconf', 'SocksPort']);
    });
    for (const socket of idle) socket.destroy();
  } finally {
    daemons.stop();
  }
  return figures;
}

const target = await startTarget();
const measured = new Map<string, Figures>();
try {
  for (const program of programs) measured.set(program.name, await attackAll(program));
  measured.set(
    postern.name,
    new Map([...measured.get(postern.name)!, ...(await attackControlPort())]),
  );
} finally {
  target.stop();
}
const rows = [...measured.get(postern.name)!].map(([key, { unit }]): Row => {
  const [subject, figure] = key.split(': ') as [string, string];
  const values = [...measured].flatMap(([name, figures]) => {
    const value = figures.get(key)?.value;
    return value === undefined ? [] : [[name, value] as const];
  });
  return { subject, figure, unit, values: Object.fromEntries(values) };
});
const table = formatTable(rows, names, names.slice(1));
if (options.write) writeSection('Under attack', section(table));
process.stdout.write(
  options.json ? `${JSON.stringify({ ...environment(), rows }, null, 2)}\n` : table,
);

/** Has strangers come, and a good client again and again beside them. */
async function withStrangers(pair: Pair, count: number, says: Buffer, tell: Tell): Promise<void> {
  const pid = pair.serverPid;
  const [memory, files, cpu] = [memoryBytes(pid), openFiles(pid), cpuSeconds(pid)];
  const strangers: Socket[] = [];
  let isOver = false;
  const coming = (async () => {
    for (let come = 0; come < count; come += 1) {
      const socket = await connectTo(pair.server.endpoint);
      if (says.length > 0) socket.write(says);
      strangers.push(socket.resume());
    }
    isOver = true;
  })();
  const servedMs: number[] = [];
  let failed = 0;
  do {
    try {
      servedMs.push(await serve(pair));
    } catch {
      failed += 1;
    }
    await delay(5);
  } while (!isOver);
  await coming;
  tell('good client that comes meanwhile, slowest', 'ms', Math.max(...servedMs));
  tell('good clients that failed', '', failed);
  // Not all who are connected have been accepted.
  await delay(1000);
  tell('CPU for each stranger', 'ms', (1000 * (cpuSeconds(pid) - cpu)) / count);
  tell('memory for each stranger', 'KiB', (memoryBytes(pid) - memory) / count / 1024);
  tell('descriptors for each stranger', '', (openFiles(pid) - files) / count);
  tell('good client beside those that stand', 'ms', await serve(pair));
  for (const socket of strangers) socket.destroy();
}

/** One good client: a connection through both programs, and a byte there and back. @returns how long */
async function serve(pair: Pair): Promise<number> {
  const startMs = performance.now();
  const stream = await pair.connect();
  await askForEcho(stream);
  await roundTrip(stream, 1);
  stream.destroy();
  return performance.now() - startMs;
}

async function connectTo(endpoint: Endpoint): Promise<Socket> {
  const socket = connect(endpoint.port, endpoint.host).on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** A client with the secret, which ends as it likes. */
async function connectAsClient({ server: { endpoint, args } }: Pair) {
  const sources = { rng: systemRng, clock: systemClock };
  const session = builtinTransports.get('obfs4').client(args, sources)(endpoint);
  const wire = (await createDirectDialer()(endpoint)) as Socket;
  return { stream: await openTransportStream(wire, session), wire };
}

function section(table: string): string {
  return `An obfs4 bridge, a good client of it, and who means it ill. Measured on

${environmentList()}
${table}
- *silent connections*: ${SILENT} that say nothing; *noise*: ${NOISY} that send ${NOISE.length} bytes without a secret.
- *frames of one byte*: ${FLOODING} clients send them, padded, as fast as they can, to an echo; the good client's trips
  are a byte each way, and one of the machine's processors is the attackers'.
- *idle controllers*: ${IDLE} connections to the control port of a daemon, which say nothing.
- *good client*: a SOCKS request, the handshake, one byte each way; again and again while strangers come one after
  another, and once when all stand.
- *memory* is the proportional set size; *descriptors for each stranger* are fewer than one where the oldest
  made room.
`;
}
