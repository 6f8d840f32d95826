/** An engine in memory, and ways to talk to the control server in front of it. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { ByteQueue } from '../../src/bytes/queue.ts';
import { parseTorrc } from '../../src/config/torrc.ts';
import {
  booleanType,
  integerType,
  intervalType,
  memoryType,
  valueFault,
  type ValueType,
} from '../../src/config/value-types.ts';
import { AddressMap } from '../../src/control/address-map.ts';
import { isAuthentic, type ControlSecrets } from '../../src/control/authentication.ts';
import { decodeFrame } from '../../src/control/decode.ts';
import { encodeEvent, encodeFrame } from '../../src/control/encode.ts';
import type { ControlEngine, EngineEvent } from '../../src/control/engine.ts';
import type {
  AddressMapping,
  ConfEntry,
  MappedAddress,
  Signal,
} from '../../src/control/messages.ts';
import { performRequest } from '../../src/control/requests.ts';
import { createControlServerMachine, type ControlServerAction } from '../../src/control/server.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { PosternError } from '../../src/errors.ts';

interface FakeOption {
  readonly name: string;
  readonly type?: ValueType<unknown>;
  readonly list?: true;
  readonly initial?: string;
  /** Accepted and never kept, as options of the past are. */
  readonly obsolete?: true;
  /** Found through `HiddenServiceOptions` only. */
  readonly grouped?: true;
}

const port: ValueType<unknown> = integerType(0, 65_535);

/** The options that the recorded exchanges name, as they were in that Tor. */
const options: ReadonlyMap<string, FakeOption> = new Map(
  (
    [
      { name: 'BandwidthBurst', type: memoryType(0), initial: '50331648' },
      { name: 'BandwidthRate', type: memoryType(0), initial: '798720' },
      { name: 'ClientOnly', type: booleanType, initial: '0' },
      { name: 'ContactInfo' },
      { name: 'ControlPort', type: port, initial: '19151' },
      { name: 'CookieAuthentication', type: booleanType, initial: '0' },
      { name: 'DirFetchPeriod', type: intervalType(0), initial: '3600' },
      {
        name: 'DirServer',
        list: true,
        initial: '127.0.0.1:1 FFCB 46DB 1339 DA84 674C 70D7 CB58 6434 C437 0441',
      },
      { name: 'FirewallPorts', initial: '80,443' },
      { name: 'HiddenServiceDir', grouped: true },
      { name: 'HiddenServicePort', grouped: true },
      { name: 'KeepalivePeriod', type: intervalType(0), initial: '300' },
      { name: 'LinkPadding', obsolete: true },
      {
        name: 'LongLivedPorts',
        initial: '21,22,706,1863,5050,5190,5222,5223,6667,8300,8888',
      },
      { name: 'MaxConn', type: integerType(1, 65_535), initial: '1024' },
      { name: 'MaxOnionsPending', type: integerType(1, 65_535), initial: '100' },
      { name: 'MyFamily' },
      { name: 'NodeFamily', list: true },
      { name: 'ORBindAddress', list: true },
      { name: 'PathlenCoinWeight', initial: '0.300000' },
      { name: 'SocksBindAddress', list: true, initial: '127.0.0.1' },
      { name: 'SocksPort', type: port, initial: '19150' },
      { name: 'User' },
    ] satisfies FakeOption[]
  ).map((option) => [option.name.toLowerCase(), option] as const),
);

const GROUP = 'hiddenserviceoptions';

/** An engine in memory. Tests set its fields, emit events, and read what was asked of it. */
export class FakeEngine implements ControlEngine {
  readonly addressMap: AddressMap = new AddressMap({ rng: systemRng });
  readonly signals: Signal[] = [];
  saves = 0;
  /** What the next call throws. */
  failure: Error | undefined;
  /** Hears of every call. */
  onCall: () => void = () => {};
  /** What every call waits for. */
  gate: Promise<void> | undefined;
  /** What `getConf` answers instead. */
  entries: readonly ConfEntry[] | undefined;
  /** Whether `shutdown` ends the engine at once, as on a client. */
  endsOnShutdown = true;
  /** Log lines that the next calls write, before they end. */
  readonly logLines: string[] = [];
  #values = new Map<string, readonly string[]>();
  #group: readonly ConfEntry[] = [];
  #saved = new Map<string, readonly string[]>();
  readonly #listeners = new Set<(event: EngineEvent) => void>();

  async getConf(keys: readonly string[]): Promise<readonly ConfEntry[]> {
    await this.#begin();
    return this.entries ?? keys.flatMap((key) => this.#get(key));
  }

  async setConf(lines: string): Promise<void> {
    await this.#begin();
    const values = new Map(this.#values);
    const named = new Set<string>();
    let group = this.#group;
    for (const { setting } of parseTorrc(lines)) {
      if (setting === undefined) continue;
      const key = setting.key.toLowerCase();
      if (key === GROUP) {
        if (setting.value !== '') throw valueFault(`${setting.key} cannot be set itself`);
        group = [];
        continue;
      }
      const option = find(setting.key);
      if (option.obsolete) continue;
      if (option.name === 'User') throw valueFault('User cannot be changed while running');
      if (option.grouped) {
        if (!named.has(GROUP)) group = [];
        named.add(GROUP);
        if (setting.value === '') continue;
        if (option.name === 'HiddenServicePort' && group.length === 0) {
          throw valueFault('HiddenServicePort needs a HiddenServiceDir before it');
        }
        group = [...group, { key: option.name, value: setting.value }];
        continue;
      }
      if (setting.value === '') {
        values.delete(key);
      } else {
        const value = canonical(option, setting.value);
        const before = option.list && named.has(key) ? (values.get(key) ?? []) : [];
        values.set(key, [...before, value]);
      }
      named.add(key);
    }
    this.#values = values;
    this.#group = group;
  }

  async saveConf(): Promise<void> {
    await this.#begin();
    this.saves += 1;
    this.#saved = new Map(this.#values);
  }

  async signal(signal: Signal): Promise<'done' | 'ending'> {
    await this.#begin();
    this.signals.push(signal);
    if (signal === 'reload') this.#values = new Map(this.#saved);
    const ends = signal === 'halt' || (signal === 'shutdown' && this.endsOnShutdown);
    return ends ? 'ending' : 'done';
  }

  async mapAddress(original: MappedAddress, replacement: MappedAddress): Promise<AddressMapping> {
    await this.#begin();
    return this.addressMap.map(original, replacement);
  }

  async mappings(): Promise<readonly AddressMapping[]> {
    await this.#begin();
    return this.addressMap.mappings();
  }

  onEvent(listener: (event: EngineEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  async #begin(): Promise<void> {
    this.onCall();
    await this.gate;
    for (const message of this.logLines.splice(0)) {
      this.emit({ type: 'log', level: 'notice', message });
    }
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) throw failure;
  }

  #get(key: string): readonly ConfEntry[] {
    if (key.toLowerCase() === GROUP) return this.#group;
    const option = find(key);
    const initial = option.initial === undefined ? [] : [option.initial];
    const values = this.#values.get(key.toLowerCase()) ?? initial;
    return values.map((value) => ({ key: option.name, value }));
  }
}

function find(key: string): FakeOption {
  const option = options.get(key.toLowerCase());
  if (option === undefined) throw new PosternError('ERR_CONFIG_KEY', `no option ${key}`);
  return option;
}

function canonical({ type }: FakeOption, value: string): string {
  return type === undefined ? value : type.format(type.parse(value));
}

/** A frame as it reads: `DONE`, `ERROR 0x0007`, or type and body. */
export interface SeenFrame {
  readonly type: number;
  readonly body: Buffer;
}

/** Splits bytes into frames; bytes that are left over are an error. */
export function splitFrames(bytes: Uint8Array): SeenFrame[] {
  const frames: SeenFrame[] = [];
  let rest = Buffer.from(bytes);
  while (rest.length > 0) {
    const decoded = decodeFrame(rest);
    if (decoded === NEED_MORE) throw new Error(`half a frame: ${rest.toString('hex')}`);
    frames.push({ type: decoded.message.type, body: Buffer.from(decoded.message.body) });
    rest = rest.subarray(decoded.length);
  }
  return frames;
}

/** What a test compares: `DONE`, `ERROR 3` (an error's text is for people), or type and body. */
export function describeFrame({ type, body }: SeenFrame): string {
  if (type === 0x0000) return `ERROR ${body.readUInt16BE(0)}`;
  if (type === 0x0001) return body.length === 0 ? 'DONE' : `DONE ${body.toString('hex')}`;
  if (type === 0x0004) return `CONFVALUE ${JSON.stringify(body.toString('utf8'))}`;
  if (type === 0x0006) return `EVENT ${body.toString('hex')}`;
  if (type === 0x000b) return `ADDRESSMAPPED ${body.toString('hex')}`;
  return `0x${type.toString(16)} ${body.toString('hex')}`;
}

/** A frame of this type, with a text or bytes. */
export function frame(type: number, body: string | Uint8Array | readonly number[] = ''): Buffer {
  return encodeFrame(type, typeof body === 'string' ? Buffer.from(body) : Uint8Array.from(body));
}

/** A controller without a socket: a server machine, its engine, and nothing between them. */
export class DirectController {
  readonly engine: FakeEngine;
  readonly reasons: string[] = [];
  closed = false;
  opened = false;
  readonly #machine: ReturnType<typeof createControlServerMachine>;
  #sent: Uint8Array[] = [];
  #performing: Promise<void> = Promise.resolve();

  constructor(
    engine: FakeEngine = new FakeEngine(),
    {
      secrets = {},
      trusted = true,
      open = false,
    }: { secrets?: ControlSecrets; trusted?: boolean; open?: boolean } = {},
  ) {
    this.engine = engine;
    this.#machine = createControlServerMachine({
      isAuthentic: (secret) => isAuthentic(secret, secrets, trusted),
      open,
    });
    engine.onEvent((event) => {
      if (event.type === 'log' && /debug|info/.test(event.level)) return;
      if (this.#machine.wants(event.type)) this.#sent.push(encodeEvent(event));
    });
  }

  /** Sends bytes in one piece, waits until everything is carried out, and describes what came. */
  async send(...parts: readonly Uint8Array[]): Promise<string[]> {
    this.#run(this.#machine.receive(Buffer.concat(parts)));
    return this.replies();
  }

  /** The same, for what comes as it is. */
  async sendRaw(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    this.#run(this.#machine.receive(bytes));
    await this.#performing;
    return this.#sent.splice(0);
  }

  async expireMessage(): Promise<void> {
    this.#run(this.#machine.expireMessage());
  }

  /** Sends nothing more. */
  async end(): Promise<string[]> {
    this.#run(this.#machine.receiveEnd());
    return this.replies();
  }

  async expire(): Promise<string[]> {
    this.#run(this.#machine.expire());
    return this.replies();
  }

  /** What came since the last call, once everything is carried out. */
  async replies(): Promise<string[]> {
    return splitFrames(await this.bytes()).map(describeFrame);
  }

  async bytes(): Promise<Buffer> {
    let performing: Promise<void>;
    do {
      performing = this.#performing;
      await performing;
    } while (performing !== this.#performing);
    return Buffer.concat(this.#sent.splice(0));
  }

  /** The bytes sent so far, without waiting for anything. */
  sentNow(): string[] {
    return splitFrames(Buffer.concat(this.#sent.splice(0))).map(describeFrame);
  }

  /** Feeds bytes without waiting for anything. */
  feed(bytes: Uint8Array): void {
    this.#run(this.#machine.receive(bytes));
  }

  #run(actions: readonly ControlServerAction[]): void {
    for (const action of actions) {
      if (this.closed) throw new Error(`${action.type} behind the end`);
      if (action.type === 'send') this.#sent.push(action.bytes);
      else if (action.type === 'opened') this.opened = true;
      else if (action.type === 'close') {
        this.closed = true;
        if (action.reason !== undefined) this.reasons.push(action.reason);
      } else {
        this.#performing = performRequest(this.engine, action.request).then(({ reply }) => {
          this.#run(this.#machine.answer(reply));
        });
      }
    }
  }
}

/** Reads exactly `count` frames from a stream; what comes behind them is put back. */
export async function readFrames(stream: Duplex, count: number): Promise<SeenFrame[]> {
  const queue = new ByteQueue();
  const frames: SeenFrame[] = [];
  while (frames.length < count) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) {
      if (stream.readableEnded || stream.destroyed) throw new Error(`ended at ${frames.length}`);
      await Promise.race([once(stream, 'readable'), once(stream, 'close')]);
      continue;
    }
    queue.push(chunk);
    for (;;) {
      const decoded = frames.length < count ? decodeFrame(queue.peek()) : NEED_MORE;
      if (decoded === NEED_MORE) break;
      frames.push({ type: decoded.message.type, body: Buffer.from(decoded.message.body) });
      queue.skip(decoded.length);
    }
  }
  if (queue.length > 0) stream.unshift(queue.take());
  return frames;
}
