/**
 * What TC controls: the interface between the control server and an engine.
 *
 * The server decodes requests, calls these methods one after another for each connection, and turns
 * what comes back, or what is thrown, into replies. It never looks behind this interface: the
 * embedded engine and a real Tor are the same to it.
 */
import type { LogLevel } from '../config/log-values.ts';
import type { AddressMapping, ConfEntry, EventStatus, MappedAddress, Signal } from './messages.ts';

/**
 * A thing that TC can control. A method may answer at once or take its time: for one connection the
 * next is called only when the one before has ended, but several connections may call at once.
 */
export interface ControlEngine {
  /**
   * The effective values of `keys`, in the order of the request: every line of a list, in order; the
   * default of an unset option that has one, else no entry; canonical key spelling and units; no
   * entry for an option that is only found through its group (`HiddenServiceDir`), all lines of the
   * group for the virtual key (`HiddenServiceOptions`). TC 3.4.
   *
   * @param keys trimmed, not empty, in any letter case
   * @throws PosternError `ERR_CONFIG_KEY` when any of them is unknown
   */
  getConf(keys: readonly string[]): MaybePromise<readonly ConfEntry[]>;

  /**
   * Applies configuration lines as if they had just been read from the file, with the reset rule of
   * TC 3.3, all or nothing, and returns once they are in force.
   *
   * @param lines the body: torrc syntax, free of NUL; possibly empty
   * @throws PosternError `ERR_CONFIG_SYNTAX`, `ERR_CONFIG_KEY`, `ERR_CONFIG_VALUE` (also for a value
   *   whose effect failed, such as a port in use); nothing has changed then
   */
  setConf(lines: string): MaybePromise<void>;

  /** Writes the configuration to the torrc. A failure of any kind is told as an internal error. */
  saveConf(): MaybePromise<void>;

  /**
   * Acts on a signal.
   *
   * @returns `done`: answer DONE. `ending`: the process ends now; the connection closes without a
   *   reply, after the replies to everything asked before. The engine's owner closes the control
   *   server, which waits for those replies, before the process exits.
   */
  signal(signal: Signal): MaybePromise<'done' | 'ending'>;

  /**
   * Maps an address, with the meanings of TC 3.11 for null addresses and for equal ones. An engine
   * with its own streams delegates to an `AddressMap`.
   *
   * @returns the mapping with the original address filled in
   * @throws PosternError `ERR_ADDRESS_MAP` when it cannot be fulfilled
   */
  mapAddress(original: MappedAddress, replacement: MappedAddress): MaybePromise<AddressMapping>;

  /** All current mappings, whoever made them. */
  mappings(): MaybePromise<readonly AddressMapping[]>;

  /**
   * Hands every event to `listener`, which does not throw and does not wait, until the function that
   * is returned is called. The server subscribes once and drops what no controller asked for.
   */
  onEvent(listener: (event: EngineEvent) => void): () => void;
}

/** An answer at once, or later. */
type MaybePromise<T> = T | Promise<T>;

/** Something that happened, told when it happens. */
export type EngineEvent =
  /**
   * A circuit changed. `path` is what is built so far: empty when launched, one hop more with each
   * `extended`, whole when `built` and `closed`. Identifiers are 32-bit and never used twice.
   */
  | {
      readonly type: 'circuit';
      readonly status: EventStatus['circuit'];
      readonly id: number;
      readonly path: readonly string[];
    }
  /**
   * A stream changed; each ends with `failed` or `closed` exactly once. `target` is `host:port`, as
   * asked for, IPv6 in brackets. Identifiers are 32-bit and never used twice.
   */
  | {
      readonly type: 'stream';
      readonly status: EventStatus['stream'];
      readonly id: number;
      readonly target: string;
    }
  /** A link ("OR connection") to a bridge changed; `name` is its nickname, else its fingerprint. */
  | {
      readonly type: 'orConnection';
      readonly status: EventStatus['orConnection'];
      readonly name: string;
    }
  /** Bytes of the last second, each second, zeros too. */
  | { readonly type: 'bandwidth'; readonly read: number; readonly written: number }
  /** A log message of any level; only `notice` and above reach a controller. */
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string };
