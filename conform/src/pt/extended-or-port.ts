/** The Extended ORPort: the kit plays the parent's side, as it should be and wrongly. */
import { createHmac, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeCookieFile } from 'postern/extor';
import { parseIpEndpoint } from 'postern/pt';
import type { PtLab } from './lab.ts';
import { begun } from '../parallel.ts';
import type { Time } from '../patience.ts';
import type { Trap, Wire } from '../wire.ts';
import { Pair } from './pair.ts';
import type { PtCheck } from './check.ts';

/** What the kit's side does differently. */
type Twist = 'none' | 'deny' | 'wrong hash' | 'no SAFE_COOKIE' | 'auth failure';

/** What the program did on one connection. */
interface Seen {
  /** What was not as it must be, if anything. */
  readonly fault: string | undefined;
  readonly transport: string | undefined;
  readonly userAddr: string | undefined;
  /** Bytes that came before OKAY. */
  readonly early: number;
  readonly wire: Wire | undefined;
}

const KEPT_WAITING_MS = 200;

export const extendedOrPortChecks: readonly PtCheck[] = [
  {
    clauses: 'PT-2-04 PT-3.2.3-19 PT-3.2.3-20 PT-3.2.3-17',
    title: 'an Extended ORPort that works',
    needs: 'pair',
    async run(lab) {
      await using parent = await ExtendedParent.open(lab);
      const { pair } = parent;
      for (const round of ['the first connection', 'one after the cookie has changed']) {
        if (round !== 'the first connection') parent.renewCookie();
        const { app, seen } = await parent.serve('none');
        const bytes = await seen.wire?.take(7, lab.patience);
        const isCarried = Buffer.isBuffer(bytes) && String(bytes) === 'payload';
        const sent = `${round} over the Extended ORPort`;
        const { fault, early, transport, userAddr } = seen;
        lab.on(sent, describe(seen, isCarried))(
          'PT-3.2.3-19',
          fault === undefined && isCarried,
          'the authentication, the metadata, and after OKAY the payload',
        );
        const judgeEarly = lab.on(sent, `${early} bytes between DONE and OKAY`);
        judgeEarly('PT-3.2.3-19', early === 0, 'nothing between DONE and OKAY');
        const from = userAddr === undefined ? undefined : parseIpEndpoint(userAddr);
        const said = `TRANSPORT ${transport ?? 'not sent'}, USERADDR ${userAddr ?? 'not sent'}`;
        lab.on(sent, said)(
          'PT-2-04 PT-3.2.3-20',
          transport === pair.name && from?.host === '127.0.0.1' && from.port !== 0,
          `TRANSPORT ${pair.name} and USERADDR with the client’s address and port`,
        );
        app.close();
        seen.wire?.close();
      }
      lab.judge('PT-3.2.3-19', pair.orPort.count === 0, {
        sent: 'a server launch with both TOR_PT_ORPORT and TOR_PT_EXTENDED_SERVER_PORT',
        came: `${pair.orPort.count} connections to TOR_PT_ORPORT`,
        expected: 'connections to the Extended ORPort alone',
      });
    },
  },
  ...(['deny', 'wrong hash', 'no SAFE_COOKIE', 'auth failure'] as const).map((twist): PtCheck => ({
    clauses: 'PT-3.2.3-19 PT-3.2.3-17',
    title: `an Extended ORPort with ${twist}`,
    needs: 'pair',
    async run(lab) {
      await using parent = await ExtendedParent.open(lab);
      const { seen } = await parent.serve(twist);
      const isMore = Buffer.isBuffer(await seen.wire?.take(1, lab.quiet));
      const { count } = parent.pair.orPort;
      lab.judge('PT-3.2.3-19', !isMore && count === 0, {
        sent: wrongs[twist],
        came: isMore ? 'more bytes' : `the end; ${count} connections to TOR_PT_ORPORT`,
        expected: 'the end of the connection without any payload, here or at TOR_PT_ORPORT',
      });
    },
  })),
];

const wrongs = {
  deny: 'DENY in answer to DONE',
  'wrong hash': 'a server hash made with another cookie',
  'no SAFE_COOKIE': 'a list of authentication types without SAFE_COOKIE',
  'auth failure': 'authentication status 0',
} as const;

/** The commands of the Extended ORPort (ext-orport-spec). */
const Command = {
  done: 0x0000,
  userAddr: 0x0001,
  transport: 0x0002,
  okay: 0x1000,
  deny: 0x1001,
} as const;

/** SAFE_COOKIE (ext-orport-spec, section 2.1.1). */
function safeCookieHash(
  direction: 'server-to-client' | 'client-to-server',
  cookie: Uint8Array,
  ...nonces: readonly Uint8Array[]
): Buffer {
  const hash = createHmac('sha256', cookie).update(`ExtORPort authentication ${direction} hash`);
  for (const nonce of nonces) hash.update(nonce);
  return hash.digest();
}

/** Serves one connection up to OKAY, or up to where it is wrong on purpose. */
async function serveParent(port: Trap, cookie: Buffer, twist: Twist, time: Time): Promise<Seen> {
  const wire = await port.accept(time);
  const seen: Seen = {
    fault: undefined,
    transport: undefined,
    userAddr: undefined,
    early: 0,
    wire,
  };
  const broken = (fault: string): Seen => ({ ...seen, fault });
  if (wire === undefined) return broken('no connection to the Extended ORPort');
  if (twist === 'no SAFE_COOKIE') {
    wire.write(Buffer.of(2, 0));
    return seen;
  }
  wire.write(Buffer.of(1, 0));
  const type = await wire.take(1, time);
  if (typeof type === 'string' || type[0] !== 1) return broken('no choice of SAFE_COOKIE');
  const clientNonce = await wire.take(32, time);
  if (typeof clientNonce === 'string') return broken('no client nonce');
  const nonce = randomBytes(32);
  const key = twist === 'wrong hash' ? Buffer.alloc(32, 1) : cookie;
  wire.write(Buffer.concat([safeCookieHash('server-to-client', key, clientNonce, nonce), nonce]));
  if (twist === 'wrong hash') return seen;
  const hash = await wire.take(32, time);
  const expected = safeCookieHash('client-to-server', cookie, clientNonce, nonce);
  if (typeof hash === 'string' || !hash.equals(expected)) return broken('a wrong client hash');
  if (twist === 'auth failure') {
    wire.write(Buffer.of(0));
    return seen;
  }
  wire.write(Buffer.of(1));
  let [transport, userAddr]: (string | undefined)[] = [];
  for (;;) {
    const head = await wire.take(4, time);
    if (typeof head === 'string') return broken('no DONE');
    const body = await wire.take(head.readUInt16BE(2), time);
    if (typeof body === 'string') return broken('a message that is cut off');
    const command = head.readUInt16BE();
    if (command === Command.transport) transport = body.toString('latin1');
    if (command === Command.userAddr) userAddr = body.toString('latin1');
    if (command === Command.done) break;
  }
  // The application's payload is there by now, and has to wait.
  await new Promise((resolve) => setTimeout(resolve, KEPT_WAITING_MS));
  const early = wire.received.length;
  const answer = Buffer.alloc(4);
  answer.writeUInt16BE(twist === 'deny' ? Command.deny : Command.okay);
  wire.write(answer);
  return { ...seen, transport, userAddr, early };
}

function describe({ fault }: Seen, isCarried: boolean): string {
  if (fault !== undefined) return fault;
  return isCarried ? 'all of it, and the payload' : 'all of it, but no payload';
}

/** A client and a server whose parent is played by an Extended ORPort of ours. */
class ExtendedParent {
  readonly pair: Pair;
  readonly #port: Trap;
  readonly #cookieFile: string;
  #cookie: Buffer;

  private constructor(pair: Pair, port: Trap, cookieFile: string, cookie: Buffer) {
    this.pair = pair;
    this.#port = port;
    this.#cookieFile = cookieFile;
    this.#cookie = cookie;
  }

  static async open(lab: PtLab): Promise<ExtendedParent> {
    const port = await lab.openTrap();
    const cookieFile = join(lab.folder, `cookie-${port.endpoint.port}`);
    const cookie = writeCookie(cookieFile);
    const server = {
      TOR_PT_EXTENDED_SERVER_PORT: port.address,
      TOR_PT_AUTH_COOKIE_FILE: cookieFile,
    };
    return new ExtendedParent(await Pair.open(lab, { server }), port, cookieFile, cookie);
  }

  renewCookie(): void {
    this.#cookie = writeCookie(this.#cookieFile);
  }

  /** Connects, sends a payload and serves what comes of it. */
  async serve(twist: Twist): Promise<{ readonly app: Wire; readonly seen: Seen }> {
    const connecting = this.pair.connect();
    const { patience } = this.pair.lab;
    const serving = begun(serveParent(this.#port, this.#cookie, twist, patience));
    const { app } = await connecting;
    app.write('payload');
    return { app, seen: await serving };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pair.close();
    this.#port.close();
    rmSync(this.#cookieFile, { force: true });
  }
}

function writeCookie(file: string): Buffer {
  const cookie = randomBytes(32);
  writeFileSync(file, encodeCookieFile(cookie), { mode: 0o600 });
  return cookie;
}
