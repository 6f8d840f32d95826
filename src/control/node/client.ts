import type { Duplex } from 'node:stream';
import { PosternBug, PosternError } from '../../errors.ts';
import type { ControlResult } from '../client.ts';
import { formatConfSettings } from '../encode.ts';
import {
  ControlRefusal,
  type AddressMapping,
  type ConfEntry,
  type ConfSetting,
  type ControlEvent,
  type ControlRequest,
  type EventKind,
  type MappedAddress,
  type Signal,
} from '../messages.ts';
import { ClientConnection } from './client-connection.ts';
import { dialControl, type ControlAddress } from './dial.ts';

/** How to talk to a control server. */
export interface ControlClientOptions {
  /** The cookie (`readControlCookie`) or the passphrase; none where the server asks for none. */
  readonly secret?: Uint8Array | string;
  /** The server is a Tor of January 2005: send the signal numbers that it knew. */
  readonly oldTor?: boolean;
}

/** Gives up waiting. What was sent is not taken back: the server may still act on it. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects to a control server over TCP or a Unix-domain socket, and authenticates.
 *
 * @example
 * const control = await connectControl({ host: '127.0.0.1', port: 9051 });
 * await control.setConf([{ key: 'BandwidthRate', value: '1 MB' }]);
 * @throws PosternError `ERR_CONTROL_UNREACHABLE`, `ERR_CONTROL_REFUSED`, `ERR_CONTROL_V0_UNSUPPORTED`, …
 */
export function connectControl(
  address: ControlAddress,
  options: ControlClientOptions & Abortable = {},
): Promise<ControlClient> {
  const dial = async ({ signal }: Abortable = {}): Promise<Duplex> => {
    try {
      return await dialControl(address, signal);
    } catch (error) {
      if (!(error instanceof PosternError) || !error.code.startsWith('ERR_DIAL_')) throw error;
      const text =
        'host' in address ? `nobody answers on the control port: ${error.message}` : error.message;
      throw new PosternError('ERR_CONTROL_UNREACHABLE', text, { cause: error });
    }
  };
  return openControlClient(dial, options);
}

/**
 * A control client over a stream of any kind.
 *
 * @param dial opens the stream, for the first connection and for each `reconnect`
 */
export async function openControlClient(
  dial: (options?: Abortable) => Promise<Duplex>,
  { signal, ...options }: ControlClientOptions & Abortable = {},
): Promise<ControlClient> {
  const client = new ControlClient(dial, options);
  await client.reconnect({ signal });
  return client;
}

/**
 * The client's end of TC: typed requests and replies, pipelined as fast as they are called, and events.
 *
 * Every request rejects with a `ControlRefusal` (`ERR_CONTROL_REFUSED`) when the server answers with
 * an ERROR; with `ERR_CONTROL_CLOSED`, `ERR_CONTROL_PROTOCOL` or `ERR_CONTROL_V0_UNSUPPORTED` when
 * the connection ends before its reply; with `signal.reason` when it is aborted; and with
 * `ERR_CONTROL_UNENCODABLE` or `ERR_CONTROL_TOO_LONG` when it cannot be sent at all.
 */
export class ControlClient {
  readonly #dial: (options?: Abortable) => Promise<Duplex>;
  readonly #options: ControlClientOptions;
  #connection: ClientConnection | undefined;
  /** What the server was last told to report; told again after a reconnect. */
  #kinds: readonly EventKind[] = [];

  /** Not connected yet: use `connectControl` or `openControlClient`. */
  constructor(dial: (options?: Abortable) => Promise<Duplex>, options: ControlClientOptions) {
    this.#dial = dial;
    this.#options = options;
  }

  /**
   * Settles, and never rejects, when the connection that stands now has ended: with the reason, or
   * with undefined after `close` or `abort`.
   */
  get closed(): Promise<PosternError | undefined> {
    return this.#connected().closed;
  }

  /**
   * Replaces the connection by a new one: dials, authenticates, and asks for the same events. What
   * still waits on the old one fails.
   */
  async reconnect({ signal }: Abortable = {}): Promise<void> {
    this.#connection?.lose();
    const stream = await this.#dial({ signal });
    this.#connection = new ClientConnection(stream, this.#options);
    try {
      const { secret = '' } = this.#options;
      const bytes = typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret;
      await this.#request({ type: 'authenticate', secret: bytes }, 'done', { signal });
      if (this.#kinds.length > 0) await this.setEvents(this.#kinds, { signal });
    } catch (error) {
      this.#connection.lose();
      throw error;
    }
  }

  /** GETCONF: the values in the order of `keys`, several for a list, none for what is unset. */
  async getConf(keys: readonly string[], options?: Abortable): Promise<readonly ConfEntry[]> {
    return (await this.#request({ type: 'getConf', keys }, 'confValue', options)).entries;
  }

  /** GETCONF of the virtual key that all hidden-service options are read by (TC 3.4). */
  getHiddenServiceConf(options?: Abortable): Promise<readonly ConfEntry[]> {
    return this.getConf(['HiddenServiceOptions'], options);
  }

  /** SETCONF: all of it or nothing. All earlier values of each key named are gone. */
  async setConf(settings: readonly ConfSetting[], options?: Abortable): Promise<void> {
    await this.#request({ type: 'setConf', lines: formatConfSettings(settings) }, 'done', options);
  }

  /** SETEVENTS: the complete list of the kinds to be told of from now on; empty for none. */
  async setEvents(kinds: readonly EventKind[], options?: Abortable): Promise<void> {
    await this.#request({ type: 'setEvents', kinds }, 'done', options);
    this.#kinds = [...kinds];
  }

  /**
   * The events of the connection that stands now, as they come, each handed out once however many
   * iterate. A slow reader holds the server back, which closes a connection with 16 MiB unread. It
   * ends when the connection was closed here, and throws when it was lost.
   */
  events(options?: Abortable): AsyncIterableIterator<ControlEvent> {
    return this.#connected().events(options);
  }

  /** SAVECONF: the server writes its configuration to its torrc. */
  async saveConf(options?: Abortable): Promise<void> {
    await this.#request({ type: 'saveConf' }, 'done', options);
  }

  /** SIGNAL. For `halt` and `shutdown` the end of the connection counts as success. */
  async sendSignal(signal: Signal, options?: Abortable): Promise<void> {
    await this.#request({ type: 'signal', signal }, 'done', options);
  }

  /**
   * MAPADDRESS: connections for `original` go to `replacement` from now on. A null address (`0.0.0.0`,
   * `::`, `.`) lets the server pick one; equal addresses remove the mapping.
   *
   * @returns the mapping, with the address that was picked
   */
  async mapAddress(
    original: MappedAddress,
    replacement: MappedAddress,
    options?: Abortable,
  ): Promise<AddressMapping> {
    const mapping = { original, replacement };
    return (await this.#request({ type: 'mapAddress', mapping }, 'addressMapped', options)).mapping;
  }

  /** GETALLMAPPINGS: every mapping in force, whoever made it. */
  async mappings(options?: Abortable): Promise<readonly AddressMapping[]> {
    return (await this.#request({ type: 'getAllMappings' }, 'mappings', options)).mappings;
  }

  /** Ends the connection after what was asked is answered. Idempotent. */
  async close(): Promise<void> {
    await this.#connection?.close();
  }

  /** Ends the connection now; what waits for a reply fails. Idempotent. */
  abort(): void {
    this.#connection?.abort();
  }

  /** The same as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #request<Type extends ControlResult['type']>(
    request: ControlRequest,
    type: Type,
    { signal }: Abortable = {},
  ): Promise<Extract<ControlResult, { type: Type }>> {
    const result = await this.#connected().request(request, signal);
    if (result.type === 'error') {
      // The server's text may be printed: no byte of it shall reach a terminal as a command.
      throw new ControlRefusal(result.code, result.text.replace(/\p{Cc}+/gu, ' '));
    }
    if (result.type !== type) throw new PosternBug('the machine let a reply of a wrong type pass');
    return result as Extract<ControlResult, { type: Type }>;
  }

  #connected(): ClientConnection {
    if (this.#connection !== undefined) return this.#connection;
    throw new PosternError('ERR_CONTROL_CLOSED', 'the control client is not connected');
  }
}
