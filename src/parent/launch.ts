import { PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import { parseLine } from '../pt/decode.ts';
import {
  buildEnvironment,
  type ClientLaunch,
  type LaunchConfiguration,
} from '../pt/launch-environment.ts';
import type { LineEvent } from '../pt/line-splitter.ts';
import type { CmethodMessage, LogMessage, SmethodMessage, StatusMessage } from '../pt/messages.ts';
import type { EnvironmentVariables } from '../pt/proxy-environment.ts';
import { scrubAddresses } from '../pt/scrub.ts';
import { supportedVersions } from '../pt/versions.ts';
import { ChildError, type ChildEnd } from './child-error.ts';
import { startProcess, type RunningProcess } from './child-process.ts';
import { ChildMachine, type ChildAction } from './machine.ts';
import { SpeechLimit } from './speech-limit.ts';
import { terminate, type StopWaits } from './terminate.ts';
import { systemTimers, type Timers } from '../time.ts';
import { unawaited } from '../unawaited.ts';

/** What to launch, and how. */
export interface LaunchOptions<L extends LaunchConfiguration = LaunchConfiguration> {
  /** The program and its arguments; no shell reads them. */
  readonly command: readonly [program: string, ...args: string[]];
  /** What the program is to do, as `TOR_PT_*` variables will say it. */
  readonly configuration: L;
  /**
   * Where the few variables come from that a child inherits: PATH, HOME, the language, time zone,
   * temporary directory, library path and certificates. By default our own environment.
   */
  readonly env?: EnvironmentVariables;
  /** How long the start may take. */
  readonly startTimeoutMs?: number;
  /** How long each step of stopping may take. */
  readonly stopWaits?: StopWaits;
  /**
   * In a session of its own: a Ctrl-C in the terminal, or its end, reaches us alone, and we stop the program.
   * Only for callers that do stop it, whatever signal comes.
   */
  readonly isDetached?: boolean;
  /** Gives the start up: the child is stopped, then the promise rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Hears everything that the child says, from the first line on. */
  readonly onEvent?: (event: ChildEvent) => void;
  readonly timers?: Timers;
}

/** What a child says. */
export type ChildEvent =
  /** Every line of stdout, as it is. */
  | { readonly type: 'line'; readonly line: string }
  /**
   * A LOG line, addresses in its text scrubbed; or a line of ours about lines that were left out, because the
   * child says more than is heard in a second.
   */
  | { readonly type: 'log'; readonly message: LogMessage }
  /** A STATUS line; its values may hold a bridge's address, so scrub before logging. */
  | { readonly type: 'status'; readonly message: StatusMessage }
  /** A line of stdout without effect, and why. */
  | { readonly type: 'ignored'; readonly reason: string }
  /** A line of stderr, addresses scrubbed. */
  | { readonly type: 'stderr'; readonly line: string };

/** What a transport that listens is to a client launch, and to a server launch. */
export type MethodOf<L extends LaunchConfiguration> = L extends ClientLaunch
  ? CmethodMessage
  : SmethodMessage;

/** A PT program that runs and has said DONE. */
export interface Child<M> {
  readonly pid: number;
  /** The transports that listen, by name. */
  readonly methods: ReadonlyMap<string, M>;
  /** The transports that could not be started, with the program's own words. */
  readonly failures: ReadonlyMap<string, string>;
  /** The requested transports that the program does not know. */
  readonly missing: readonly string[];
  /** Resolves when the process is gone, with how it ended; never rejects. */
  readonly closed: Promise<ChildEnd>;
  /** Stops it by the ladder of PT 3.4. Idempotent. */
  close(): Promise<ChildEnd>;
  /** Kills it now. */
  abort(): void;
  /** As a block ends: stops it, and waits until it has gone. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a PT program and waits until it has said CMETHODS DONE or SMETHODS DONE. A child whose start
 * fails is gone when the promise rejects.
 *
 * @throws PosternError what `buildEnvironment` refuses, before anything is started; then ChildErrors:
 *   `ERR_PARENT_SPAWN`, `ERR_PARENT_VERSION`, `ERR_PARENT_CONFIGURATION`, `ERR_PARENT_UPSTREAM_PROXY`,
 *   `ERR_PARENT_PROTOCOL`, `ERR_PARENT_START_ENDED`, `ERR_PARENT_START_TIMED_OUT`
 */
export async function launch<L extends LaunchConfiguration>(
  options: LaunchOptions<L>,
): Promise<Child<MethodOf<L>>> {
  const { signal, startTimeoutMs = limits.childStartMs, timers = systemTimers } = options;
  signal?.throwIfAborted();
  const start = createStart(options, timers);
  const cancelTimeout = timers.after(startTimeoutMs, () =>
    start.fail(
      new PosternError('ERR_PARENT_START_TIMED_OUT', `no DONE within ${startTimeoutMs} ms`),
    ),
  );
  const onAbort = (): void => start.fail(signal!.reason);
  signal?.addEventListener('abort', onAbort);
  try {
    await start.settled;
  } catch (error) {
    const end = await start.stop();
    throw error instanceof PosternError
      ? new ChildError(error.code, error.message, end, { cause: error.cause })
      : error;
  } finally {
    cancelTimeout();
    signal?.removeEventListener('abort', onAbort);
  }
  return start.child() as Child<MethodOf<L>>;
}

/** Some faults of exec are thrown instead of reported, such as an argument that is too long. */
function createStart(options: LaunchOptions, timers: Timers): Start {
  try {
    return new Start(options, timers);
  } catch (error) {
    if (error instanceof PosternError) throw error;
    const { code, message, cause } = spawnFailure(error as Error);
    throw new ChildError(code, message, neverRan, { cause });
  }
}

const neverRan: ChildEnd = {
  wasRequested: false,
  stage: 'starting',
  exitCode: null,
  signal: null,
  stderrLines: [],
};

/** A child from its first line on: the process, the machine, and what to tell whom. */
class Start {
  readonly #machine: ChildMachine;
  readonly #process: RunningProcess;
  readonly #options: LaunchOptions;
  readonly #timers: Timers;
  readonly #requested: readonly string[];
  readonly #closed: Promise<ChildEnd>;
  readonly #log = new SpeechLimit();
  readonly #stderr = new SpeechLimit();
  #isFlooding = false;
  #stopped: Promise<ChildEnd> | undefined;
  #succeed!: () => void;
  /** The start is over: rejects with the first reason. */
  fail!: (reason: unknown) => void;
  /** Resolves at DONE. */
  readonly settled: Promise<void> = new Promise((resolve, reject) => {
    this.#succeed = resolve;
    this.fail = reject;
  });

  constructor(options: LaunchOptions, timers: Timers) {
    const { command, configuration, env = process.env, isDetached = false } = options;
    this.#options = options;
    this.#timers = timers;
    this.#requested = configuration.transports.map((transport) =>
      typeof transport === 'string' ? transport : transport.name,
    );
    this.#machine = new ChildMachine({
      role: configuration.role,
      versions: configuration.versions ?? supportedVersions,
      transports: this.#requested,
      hasUpstreamProxy:
        configuration.role === 'client' && configuration.upstreamProxy !== undefined,
    });
    this.#process = startProcess(command, {
      variables: buildEnvironment(configuration),
      env,
      timers,
      isDetached,
      handlers: {
        onStdout: (event) => this.#read(event),
        onStdoutEnd: () => this.#run(this.#machine.receiveEnd()),
        onStderr: (line) => this.#hear(this.#stderr, { type: 'stderr', line }),
        onFlood: () => this.#end('it writes without end'),
      },
    });
    const wasRequested = this.#process.exited.then(() => this.#stopped !== undefined);
    this.#closed = this.#process.ended.then(async ({ exitCode, signal }) => {
      for (const speech of [this.#log, this.#stderr]) this.#tellLeftOut(speech);
      return {
        wasRequested: await wasRequested,
        stage: this.#machine.reached,
        exitCode,
        signal,
        stderrLines: this.#process.stderrLines,
      };
    });
    unawaited(async () => {
      const { spawnError } = await this.#process.exited;
      if (spawnError !== undefined) this.fail(spawnFailure(spawnError));
    });
  }

  /** Stops the child by the ladder, once. */
  stop(): Promise<ChildEnd> {
    this.#stopped ??= terminate(this.#process, this.#options.stopWaits, this.#timers).then(
      () => this.#closed,
    );
    return this.#stopped;
  }

  /** The handle of a child that is ready. */
  child(): Child<CmethodMessage | SmethodMessage> {
    const { methods, failures } = this.#machine;
    return {
      pid: this.#process.pid!,
      methods,
      failures,
      missing: this.#requested.filter((name) => !methods.has(name) && !failures.has(name)),
      closed: this.#closed,
      close: () => this.stop(),
      abort: () => {
        this.#stopped ??= this.#closed;
        this.#process.kill('SIGKILL');
      },
      [Symbol.asyncDispose]: async () => {
        await this.stop();
      },
    };
  }

  #read(event: LineEvent): void {
    if (event.kind === 'over-long') {
      // Bounded, skipped up to its end, and no reason to give up: no line we need is as long.
      this.#tell({ type: 'ignored', reason: `a line of more than ${event.maxBytes} bytes` });
      return;
    }
    // They have no effect, and a child can write very many.
    if (event.bytes.length === 0) return;
    this.#tell({ type: 'line', line: Buffer.from(event.bytes).toString('utf8') });
    this.#run(this.#machine.receive(parseLine(event.bytes)));
  }

  #run(actions: readonly ChildAction[]): void {
    for (const action of actions) {
      if (action.type === 'ready') this.#succeed();
      else if (action.type === 'failed') this.fail(action.error);
      else if (action.type === 'log') {
        const text = scrubAddresses(action.message.text);
        this.#hear(this.#log, { type: 'log', message: { ...action.message, text } });
      } else this.#tell(action);
    }
  }

  /** Passes on what the child says for a log, unless it says too much. */
  #hear(speech: SpeechLimit, event: ChildEvent): void {
    const nowMs = performance.now();
    if (speech.hear(nowMs)) {
      this.#tellLeftOut(speech);
      this.#tell(event);
    } else if (speech === this.#log && speech.isFlood(nowMs)) {
      this.#end('it says too much for a log');
    }
  }

  #tellLeftOut(speech: SpeechLimit): void {
    const count = speech.takeLeftOut();
    if (count > 0) this.#warn(`${count} lines were left out; it says too much for a log`);
  }

  /** Kills a child that floods its pipes: it would take CPU time from everybody else. */
  #end(why: string): void {
    if (this.#isFlooding) return;
    this.#isFlooding = true;
    this.#warn(`ended: ${why}`);
    this.#process.kill('SIGKILL');
  }

  #warn(text: string): void {
    this.#tell({ type: 'log', message: { kind: 'LOG', severity: 'warning', text } });
  }

  #tell(event: ChildEvent): void {
    // An error of a listener is not the program's fault.
    unawaited(() => this.#options.onEvent?.(event));
  }
}

function spawnFailure(error: Error): PosternError {
  const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new PosternError('ERR_PARENT_SPAWN', `the program cannot be started (${errno})`, {
    cause: error,
  });
}
