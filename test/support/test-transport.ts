/**
 * `rot`: the smallest transport with everything that a test of the programs around it needs. A key
 * of 1..255 is added to each byte; the client proves that it knows the key, the server answers.
 *
 *     client: "ROT1" + payload, all with the key added        server: "OK" + payload, likewise
 */
import { randomInteger } from '../../src/crypto/rng.ts';
import { PosternError } from '../../src/errors.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import type { Action, Session, Transport } from '../../src/transports/contract.ts';

/** How a `rot` behaves apart from its key. */
export interface RotOptions {
  readonly name?: string;
  readonly warning?: string;
  /** How long a server reads from a rejected client. */
  readonly rejectAfterMs?: number;
  /** Called with the arguments of each client session and the options of each server. */
  readonly onArguments?: (args: KeyValues) => void;
}

/** A `rot` transport. */
export function createRot(options: RotOptions = {}): Transport {
  const { name = 'rot', warning, rejectAfterMs = 50, onArguments = () => {} } = options;
  return {
    name,
    summary: 'adds a key to each byte; hides nothing from anyone',
    ...(warning !== undefined && { warning }),
    client(args) {
      onArguments(args);
      const key = keyOf(args);
      if (key === undefined) {
        throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'argument key is missing or not 1..255');
      }
      return () => new RotSession(key, 'ROT1', 'OK');
    },
    async server(serverOptions, { state, rng, notify }) {
      onArguments(serverOptions);
      const stored = await state.read(`${name}.key`);
      const key = keyOf(serverOptions) ?? stored?.[0] ?? randomInteger(rng, 1, 255);
      if (stored === undefined) {
        await state.write(`${name}.key`, Uint8Array.of(key));
        notify('made a new key');
      }
      const extra = serverOptions.filter(([name]) => name === 'publish');
      return {
        clientArguments: [['key', String(key)], ...extra],
        rejectAfterMs,
        createSession: () => new RotSession(key, 'OK', 'ROT1'),
        close: async () => {},
      };
    },
  };
}

function keyOf(args: KeyValues): number | undefined {
  const text = args.find(([name]) => name === 'key')?.[1];
  if (text === undefined) return undefined;
  const key = Number(text);
  return Number.isInteger(key) && key >= 1 && key <= 255 ? key : undefined;
}

/** Both ends: one sends its hello at the start, the other in answer to it. */
class RotSession implements Session {
  readonly queuedBytes: number = 0;
  readonly #key: number;
  readonly #hello: string;
  readonly #expected: string;
  #received = Buffer.alloc(0);
  #established = false;

  constructor(key: number, hello: string, expected: string) {
    this.#key = key;
    this.#hello = hello;
    this.#expected = expected;
  }

  get #isServer(): boolean {
    return this.#hello === 'OK';
  }

  start(): readonly Action[] {
    return this.#isServer ? [] : [this.#send(Buffer.from(this.#hello))];
  }

  receive(chunk: Uint8Array): readonly Action[] {
    const bytes = Buffer.from(chunk).map((byte) => byte - this.#key);
    if (this.#established) return [{ type: 'deliver', bytes }];
    this.#received = Buffer.concat([this.#received, bytes]);
    const { length } = this.#expected;
    const head = this.#received.toString('latin1', 0, length);
    if (!this.#expected.startsWith(head)) {
      const error = new PosternError('ERR_HANDSHAKE_REJECTED', 'the hello is not the expected one');
      return [{ type: this.#isServer ? 'rejected' : 'failed', error }];
    }
    if (head.length < length) return [];
    this.#established = true;
    const rest = this.#received.subarray(length);
    return [
      ...(this.#isServer ? [this.#send(Buffer.from(this.#hello))] : []),
      { type: 'established' },
      ...(rest.length > 0 ? [{ type: 'deliver', bytes: rest } as const] : []),
    ];
  }

  write(chunk: Uint8Array): readonly Action[] {
    return [this.#send(chunk)];
  }

  timerFired(): readonly Action[] {
    return [];
  }

  receiveEnd(): readonly Action[] {
    if (this.#established) return [{ type: 'deliverEnd' }];
    const error = new PosternError(
      'ERR_HANDSHAKE_CLOSED',
      'the peer closed before its hello ended',
    );
    return [{ type: this.#isServer ? 'rejected' : 'failed', error }];
  }

  writeEnd(): readonly Action[] {
    return [{ type: 'sendEnd' }];
  }

  #send(bytes: Uint8Array): Action {
    return { type: 'send', bytes: Buffer.from(bytes).map((byte) => byte + this.#key) };
  }
}
