/**
 * The beginning of a link of Tor's, as a client sees it (tor-spec, "Negotiating and initializing
 * channels"), free of sockets:
 *
 *     client: VERSIONS          relay: VERSIONS CERTS AUTH_CHALLENGE NETINFO          client: NETINFO
 */
import type { Exchange, ExchangeAction } from '../bytes/exchange.ts';
import { ByteQueue } from '../bytes/queue.ts';
import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { randomBytes, type Rng } from '../crypto/rng.ts';
import { PosternError } from '../errors.ts';
import { ipToBytes } from '../pt/address.ts';

/** What a relay has said about itself. */
export interface TorLinkHello {
  /** The version of the link protocol that both ends know. */
  readonly version: number;
  /** By their type; not verified yet. */
  readonly certificates: ReadonlyMap<number, Uint8Array>;
  /** What time it has, in milliseconds since the epoch, to the second. */
  readonly clockMs: number;
}

const Command = {
  padding: 0,
  destroy: 4,
  createFast: 5,
  createdFast: 6,
  versions: 7,
  netinfo: 8,
  certs: 129,
} as const;

/** From here on a command's cells carry their length. */
const FIRST_VARIABLE_COMMAND = 128;
const PAYLOAD_BYTES = 509;
/** Of a cell with a circuit ID of four bytes. */
const CELL_BYTES: number = 5 + PAYLOAD_BYTES;
const OUR_VERSIONS: readonly number[] = [4, 5];
/** A CERTS cell takes about two thousand; more than this is no link of Tor's. */
const MAX_VARIABLE_BYTES = 16_384;

const codes = { closed: 'ERR_TOR_LINK_CLOSED', timedOut: 'ERR_TOR_LINK_TIMED_OUT' } as const;
const peer = 'the Tor behind the bridge';

/**
 * The handshake of a link, without proving who we are: clients do not.
 *
 * @param address the relay's own, as we see it: an IP address
 */
export function createTorLinkHello(address: string): Exchange<TorLinkHello> {
  const cells = new CellReader(2);
  const certificates = new Map<number, Uint8Array>();
  let version: number | undefined;
  return {
    peer,
    codes,
    start: () => [{ type: 'send', bytes: encodeVersions() }],
    receive: (chunk) =>
      guarded(() => {
        for (const { command, payload } of cells.read(chunk)) {
          if (version === undefined) {
            if (command !== Command.versions) throw stranger('its first cell is not VERSIONS');
            version = chooseVersion(payload);
            cells.useLongCircuitIds();
          } else if (command === Command.certs) {
            for (const [type, bytes] of decodeCerts(payload)) certificates.set(type, bytes);
          } else if (command === Command.netinfo) {
            const clockMs = new Reader(payload).uint32() * 1000;
            return [
              { type: 'send', bytes: encodeNetinfo(address) },
              done({ version, certificates, clockMs }, cells),
            ];
          }
        }
        return [];
      }),
  };
}

/**
 * Sends padding in whole cells, which the relay drops, then a request for a circuit: any answer to it shows
 * that everything before it has arrived.
 */
export function createTorTraffic(byteCount: number, rng: Rng): Exchange<void> {
  const cells = new CellReader(4);
  return {
    peer,
    codes,
    start() {
      const padding = Buffer.alloc(Math.ceil(byteCount / CELL_BYTES) * CELL_BYTES);
      const request = encodeCell(Command.createFast, randomBytes(rng, 20), CIRCUIT_ID);
      return [{ type: 'send', bytes: Buffer.concat([padding, request]) }];
    },
    receive: (chunk) =>
      guarded(() => {
        for (const { command } of cells.read(chunk)) {
          if (command === Command.createdFast || command === Command.destroy) {
            return [done(undefined, cells)];
          }
        }
        return [];
      }),
  };
}

/** The side that opened the connection sets the highest bit. */
const CIRCUIT_ID = 0x8000_0001;

interface Cell {
  readonly command: number;
  readonly payload: Uint8Array;
}

/** Cuts bytes into cells. */
class CellReader {
  readonly #queue = new ByteQueue();
  #circuitIdBytes: 2 | 4;

  constructor(circuitIdBytes: 2 | 4) {
    this.#circuitIdBytes = circuitIdBytes;
  }

  /** From version 4 on, behind VERSIONS. */
  useLongCircuitIds(): void {
    this.#circuitIdBytes = 4;
  }

  /** What was read and is no whole cell. */
  get leftover(): Uint8Array {
    return this.#queue.take();
  }

  /** Every whole cell, one after another, its payload owned. */
  *read(chunk: Uint8Array): Generator<Cell> {
    this.#queue.push(chunk);
    for (;;) {
      const at = this.#circuitIdBytes;
      const head = this.#queue.peek(0, at + 3);
      if (head.length < at + 3) return;
      const command = head[at]!;
      const isVariable = command >= FIRST_VARIABLE_COMMAND || command === Command.versions;
      const headBytes = isVariable ? at + 3 : at + 1;
      const payloadBytes = isVariable ? head.readUInt16BE(at + 1) : PAYLOAD_BYTES;
      if (isVariable && payloadBytes > MAX_VARIABLE_BYTES) throw stranger('a cell is too long');
      if (this.#queue.length < headBytes + payloadBytes) return;
      this.#queue.skip(headBytes);
      yield { command, payload: this.#queue.take(payloadBytes) };
    }
  }
}

function done<Result>(result: Result, cells: CellReader): ExchangeAction<Result> {
  return { type: 'done', result, leftover: cells.leftover };
}

/** Bytes that are no cells make the exchange fail. */
function guarded<Result>(
  step: () => readonly ExchangeAction<Result>[],
): readonly ExchangeAction<Result>[] {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    const isOurs = error.code === 'ERR_TOR_LINK_PROTOCOL';
    return [{ type: 'failed', error: isOurs ? error : stranger('a cell is too short') }];
  }
}

function encodeVersions(): Uint8Array {
  const writer = new Writer()
    .uint16(0)
    .uint8(Command.versions)
    .uint16(2 * OUR_VERSIONS.length);
  for (const version of OUR_VERSIONS) writer.uint16(version);
  return writer.finish();
}

function chooseVersion(payload: Uint8Array): number {
  const reader = new Reader(payload);
  const theirs: number[] = [];
  while (reader.remaining >= 2) theirs.push(reader.uint16());
  const version = OUR_VERSIONS.filter((candidate) => theirs.includes(candidate)).at(-1);
  if (version === undefined)
    throw stranger('it speaks no version of the link protocol that we know');
  return version;
}

/** `N [1]`, then N times `TYPE [1] LENGTH [2] CERTIFICATE`. */
function decodeCerts(payload: Uint8Array): [number, Uint8Array][] {
  const reader = new Reader(payload);
  return Array.from({ length: reader.uint8() }, () => [
    reader.uint8(),
    reader.bytes(reader.uint16()),
  ]);
}

/** As clients send it: no time, the relay's address, none of our own. */
function encodeNetinfo(address: string): Uint8Array {
  const bytes = ipToBytes(address)!;
  const payload = new Writer()
    .uint32(0)
    .uint8(bytes.length === 4 ? 4 : 6)
    .uint8(bytes.length)
    .bytes(bytes)
    .uint8(0);
  return encodeCell(Command.netinfo, payload.finish());
}

function encodeCell(command: number, payload: Uint8Array, circuitId = 0): Uint8Array {
  const filled = new Uint8Array(PAYLOAD_BYTES);
  filled.set(payload);
  return new Writer().uint32(circuitId).uint8(command).bytes(filled).finish();
}

function stranger(what: string): PosternError {
  return new PosternError(
    'ERR_TOR_LINK_PROTOCOL',
    `${peer} does not speak Tor’s protocol: ${what}`,
  );
}
