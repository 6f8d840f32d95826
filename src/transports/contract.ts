/**
 * What a transport is: the whole plug-in interface.
 *
 * A transport is pure. It reads no clock, draws no randomness and touches no socket or file of its
 * own: all of that is handed in. `net/transport-stream.ts` is the driver that runs a session over a
 * TCP connection; `docs/write-a-transport.md` walks through an example.
 */
import type { Exchange } from '../bytes/exchange.ts';
import type { Clock } from '../time.ts';
import type { Rng } from '../crypto/rng.ts';
import type { PosternError } from '../errors.ts';
import type { Endpoint } from '../pt/address.ts';
import type { KeyValues } from '../pt/key-value.ts';

/** A transport: a name and the two ends. */
export interface Transport {
  /** The PT name, a C identifier (PT 3.1). */
  readonly name: string;
  /** One line for `--help` and the documents: what it hides and from whom it does not. */
  readonly summary: string;
  /**
   * A danger that a user must hear of when this transport is started, or undefined. A transport
   * with a warning is off unless it is asked for by name.
   */
  readonly warning?: string;
  /** The names of all arguments and options that it takes; without them no name is refused as unknown. */
  readonly argumentNames?: Readonly<Record<'client' | 'server', readonly string[]>>;
  /**
   * Reads the client's per-connection arguments, before anything is dialled.
   *
   * @throws PosternError `ERR_TRANSPORT_ARGUMENT`, naming the argument and not its value
   */
  client(args: KeyValues, context: ClientContext): SessionFactory;
  /**
   * Reads the server's options and loads the persistent state, or makes it at the first start.
   *
   * @throws PosternError `ERR_TRANSPORT_ARGUMENT` for an option, `ERR_TRANSPORT_STATE` and
   *   `ERR_DIRECTORY_UNUSABLE` for the state
   */
  server(options: KeyValues, context: ServerContext): Promise<TransportServer>;
}

/** Where a session takes randomness and time from: they are handed in, so that a test can choose them. */
export interface Sources {
  readonly rng: Rng;
  readonly clock: Clock;
}

/** What the client of a transport is given. The caller may have no place for state and nobody to tell. */
export interface ClientContext extends Sources {
  /** Keeps what makes later connections better, such as session tickets. A client works without it. */
  readonly state?: StateStore;
  /** Tells the user something worth knowing, once however often it is said. */
  readonly notify?: (notice: string) => void;
}

/** Makes a client's sessions, one for each connection. */
export interface SessionFactory {
  /** @param bridge where the connection leads, if known: state is kept for each bridge by itself */
  (bridge?: Endpoint): Session;
  /**
   * The ways to the bridge for one connection, to be tried in order: the next one when the one before was
   * reached and its handshake failed. Without `routes` there is one: TCP to the address of the bridge line. The
   * caller dials, with its own dialer: a transport has none, and so cannot get around an upstream proxy.
   */
  readonly routes?: () => readonly Route[];
  /** Resolves when saved state has been read, which sessions made earlier go without. Never rejects. */
  readonly ready?: Promise<void>;
}

/** One way to a bridge. */
export interface Route {
  /** An IP address or a host name. */
  readonly target: Endpoint;
  /** TLS under the session, if any. */
  readonly tls?: ClientTls;
}

/** How a client speaks TLS, and how it knows the other end. */
export interface ClientTls {
  /** The name in the ClientHello (SNI); none when absent. */
  readonly serverName?: string;
  /** What the certificate must be for, a name or an IP address; when absent, for anything. */
  readonly checkedName?: string;
  /** The hash of the chain of certificates (`crypto/certificates.ts`): if given, nothing else counts. */
  readonly pin?: Uint8Array;
}

/** What the server of a transport is given: a place for its own state, and a way to tell the operator. */
export interface ServerContext extends Sources {
  readonly state: StateStore;
  /** Tells the operator something worth knowing, such as a repaired state file or a full disk. */
  readonly notify: (notice: string) => void;
  /** Opens a folder that the operator named. @throws PosternError `ERR_DIRECTORY_UNUSABLE` */
  readonly openFolder?: (path: string) => Promise<Folder>;
}

/** A folder that is read from, and nothing above it. Paths are names, none of them `..`, empty or with a slash. */
export interface Folder {
  /** What lies there. */
  find(path: readonly string[]): Promise<FoundFile | 'folder' | 'forbidden' | undefined>;
  /** Some bytes of a file, owned; fewer only where it ends. @throws what the system does */
  read(path: readonly string[], position: number, byteCount: number): Promise<Uint8Array>;
}

/** A file that can be read. */
export interface FoundFile {
  readonly size: number;
  readonly modifiedMs: number;
}

/**
 * A directory of small state files. What must never be lost is kept in two copies: `kept-state.ts`.
 *
 * Its methods reject with `ERR_DIRECTORY_UNUSABLE` when the system does not let us.
 */
export interface StateStore {
  /** The whole of a file; undefined when there is none. */
  read(file: string): Promise<Uint8Array | undefined>;
  /** Replaces a file in one step: temporary file, sync, rename, mode 0600. */
  write(file: string, content: Uint8Array): Promise<void>;
  /** Appends to a file without a sync: for records whose loss costs little. */
  append(file: string, content: Uint8Array): Promise<void>;
  /** Where a file lies, for messages to the operator. */
  describe(file: string): string;
}

/** One configured server, from which sessions come. */
export interface TransportServer {
  /** What clients need, for the `ARGS:` of SMETHOD and for the bridge line (PT 3.3.3). */
  readonly clientArguments: KeyValues;
  /**
   * How long a connection that is rejected, or that came while the server was overloaded, is read
   * and discarded, counted from when it was accepted. Fixed for the server's lifetime, so that a
   * probe learns nothing from the cause of its failure.
   */
  readonly rejectAfterMs: number;
  /** TLS under the sessions, if any. */
  readonly tls?: ServerTls | undefined;
  /** Where to listen when the parent or the operator asked for `asked`; without it, exactly there. */
  listenAt?(asked: Endpoint): Promise<Endpoint>;
  /** It listens there. @returns the address that clients are told instead; without it, that address itself */
  publish?(listening: Endpoint): Promise<Endpoint>;
  /**
   * A session for one accepted connection.
   *
   * @param peer where it comes from, if known
   */
  createSession(peer?: Endpoint): Session;
  /** A session for a peer that does not speak TLS where it should; without it such a peer is closed. */
  createSessionWithoutTls?(): Session | undefined;
  /** Saves what is still in memory. Idempotent. */
  close(): Promise<void>;
}

/** A server's certificates, as PEM: in files, which may be replaced while it runs, or here. */
export type ServerTls =
  | { readonly certFile: string; readonly keyFile: string }
  | { readonly cert: string; readonly key: string };

/**
 * Who a connection is for, where the handshake says so: a web server in front tells for whom it connects.
 * Undefined when it is for the other end of the wire.
 */
export type ClientAddress = Endpoint | 'unknown' | undefined;

/**
 * One connection, as a state machine over bytes: events in, actions out.
 *
 * Chunks handed in are borrowed for the call; bytes in actions are owned by whoever receives them, who may write
 * into them, and give their memory back where they are most of it.
 * No method is called again once an action `failed` or `rejected` came out.
 */
export interface Session {
  /** The TCP connection is there. */
  start(): readonly Action[];
  /** Bytes from the wire. */
  receive(chunk: Uint8Array): readonly Action[];
  /** Bytes from the application; only after `established`. */
  write(chunk: Uint8Array): readonly Action[];
  /** The timer that was set last has run out. */
  timerFired(): readonly Action[];
  /** The peer will send no more. */
  receiveEnd(): readonly Action[];
  /** The application will send no more; only when nothing is queued. */
  writeEnd(): readonly Action[];
  /** Bytes that were written and not sent yet; the driver writes on when there are none. */
  readonly queuedBytes: number;
  /**
   * For a session that leaves all bytes after its handshake as they are (`handshake-only.ts`): that handshake. A
   * driver may run it instead of the session, and go on with the wire itself.
   */
  readonly onlyHandshake?: Exchange<ClientAddress>;
}

/** What a session asks its driver to do, in order. */
export type Action =
  /** Put bytes on the wire, in one write. */
  | { readonly type: 'send'; readonly bytes: Uint8Array }
  /** Half-close the wire. */
  | { readonly type: 'sendEnd' }
  /** Hand bytes to the application: at least one. */
  | { readonly type: 'deliver'; readonly bytes: Uint8Array }
  /** Tell the application that no more will come. */
  | { readonly type: 'deliverEnd' }
  /** The handshake is done: `write` may be called from now on. */
  | { readonly type: 'established' }
  /**
   * Call `step`, a little work each time, until it returns actions, and perform those. Other connections
   * have their turn between two calls; until then nothing from this one's wire is handed in.
   */
  | {
      readonly type: 'compute';
      /** A piece of the work; undefined as long as there is more. */
      readonly step: () => readonly Action[] | undefined;
    }
  /** Call `timerFired` after this delay, which replaces an earlier one. */
  | { readonly type: 'setTimer'; readonly delayMs: number }
  /** Forget the timer. */
  | { readonly type: 'clearTimer' }
  /** The connection is lost: close it now. */
  | { readonly type: 'failed'; readonly error: PosternError }
  /**
   * Servers only: the peer has not proven itself. Read and discard, say nothing, and close when
   * `rejectAfterMs` is over: the one observable behaviour, whatever the cause.
   */
  | { readonly type: 'rejected'; readonly error: PosternError };
