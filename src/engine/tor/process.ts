/** A Tor of our own: started with a torrc that is ours, controlled over a socket that only we reach. */
import { type LogDomain, logDomains, type LogLevel } from '../../config/log-values.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { ChildError, type ChildEnd } from '../../parent/child-error.ts';
import { type RunningProcess, startProcess } from '../../parent/child-process.ts';
import type { Supervised } from '../../parent/supervise.ts';
import { terminate } from '../../parent/terminate.ts';
import type { Timers } from '../../time.ts';
import type { LineEvent } from '../../pt/line-splitter.ts';
import type { EnvironmentVariables } from '../../pt/proxy-environment.ts';
import { connectTorControl } from '../../tor-control/node/connect.ts';
import type { TorControl } from '../../tor-control/node/control.ts';
import { reasonIn, TorrcRefusal } from './complaints.ts';
import { fileExists, type Files, prepareFiles, removeFiles, writeTorrc } from './process-files.ts';
import { unawaited } from '../../unawaited.ts';

/** What a Tor is started with. */
export interface TorLaunch {
  /** The program. */
  readonly binary: string;
  /** Where Tor keeps its state; the files for its control are in a folder of ours there. */
  readonly dataDirectory: string;
  /** The text of its torrc. */
  readonly torrc: string;
  readonly env: EnvironmentVariables;
  readonly timers: Timers;
  /** Hears every line that Tor logs to stdout. */
  readonly onLog: (level: LogLevel, message: string, domain?: LogDomain) => void;
  /** Gives the start up: Tor is stopped, then the promise rejects with `signal.reason`. */
  readonly signal: AbortSignal;
}

/** A Tor that runs and obeys. */
export interface TorProcess extends Supervised {
  readonly pid: number;
  readonly control: TorControl;
  /** Replaces its torrc, which it reads at RELOAD. */
  saveTorrc(torrc: string): Promise<void>;
  close(): Promise<ChildEnd>;
}

/**
 * Starts Tor and waits until its control port is ours. A Tor whose start fails is gone when the promise
 * rejects, and one whose owner dies ends by itself.
 *
 * @throws TorrcRefusal; PosternError `ERR_TOR_PROGRAM`, `ERR_TOR_ENDED`, `ERR_TOR_START_TIMED_OUT`,
 *   `ERR_DATA_DIRECTORY`, or what `connectTorControl` throws
 */
export async function launchTor(launch: TorLaunch): Promise<TorProcess> {
  const { signal } = launch;
  signal.throwIfAborted();
  const files = await prepareFiles(launch.dataDirectory, launch.torrc);
  if (signal.aborted) {
    await removeFiles(files);
    throw signal.reason;
  }
  return new Start(launch, files).run();
}

/** A Tor from its first line on. */
class Start {
  readonly #launch: TorLaunch;
  readonly #files: Files;
  readonly #process: RunningProcess;
  readonly #closed: Promise<ChildEnd>;
  #stopped: Promise<ChildEnd> | undefined;
  #level: LogLevel = 'notice';
  /** What Tor said that explains why it does not run. */
  readonly #complaints: string[] = [];
  #isReady = false;

  constructor(launch: TorLaunch, files: Files) {
    const { binary, dataDirectory, env, timers } = launch;
    this.#launch = launch;
    this.#files = files;
    this.#process = startProcess([binary, ...argumentsFor(files, dataDirectory)], {
      env,
      timers,
      isDetached: true,
      handlers: {
        onStdout: (event) => this.#read(event),
        onStdoutEnd: () => {},
        onStderr: (line) => launch.onLog('warn', line),
        // A flood slows it down, but does not end it: all traffic goes through it.
        onFlood: () => {},
      },
    });
    const wasRequested = this.#process.exited.then(() => this.#stopped !== undefined);
    this.#closed = this.#process.ended.then(async ({ exitCode, signal }) => {
      await removeFiles(files);
      return {
        wasRequested: await wasRequested,
        stage: this.#isReady ? 'ready' : 'starting',
        exitCode,
        signal,
        stderrLines: this.#process.stderrLines,
      };
    });
  }

  async run(): Promise<TorProcess> {
    const { signal, timers } = this.#launch;
    let fail: (reason: unknown) => void = () => {};
    const failed = new Promise<never>((_resolve, reject) => (fail = reject));
    const cancelTimeout = timers.after(limits.torStartMs, () =>
      fail(
        new PosternError('ERR_TOR_START_TIMED_OUT', `no control socket in ${limits.torStartMs} ms`),
      ),
    );
    const onAbort = (): void => fail(signal.reason);
    signal.addEventListener('abort', onAbort);
    unawaited(async () => {
      const { spawnError } = await this.#process.ended;
      const end = await this.#closed;
      fail(spawnError === undefined ? this.#endError(end) : this.#spawnError(spawnError));
    });
    try {
      const control = await Promise.race([this.#connect(), failed]);
      this.#isReady = true;
      return {
        pid: this.#process.pid!,
        control,
        closed: this.#closed,
        saveTorrc: (torrc) => writeTorrc(this.#files, torrc),
        close: () => this.#stop(),
      };
    } catch (error) {
      await this.#stop();
      throw error;
    } finally {
      cancelTimeout();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Connects as soon as Tor listens; from then on Tor ends when this connection does. */
  async #connect(): Promise<TorControl> {
    const { signal } = this.#launch;
    await fileExists(this.#files.directory, this.#files.announcement, this.#process.exited);
    try {
      const control = await connectTorControl({ path: this.#files.socket, signal });
      await control.takeOwnership();
      return control;
    } catch (error) {
      // A Tor that gives up closes its socket first: its exit tells more than the closed socket.
      await this.#goesOn();
      throw error;
    }
  }

  /** Resolves when it has not ended for a while; never, when it ends. */
  #goesOn(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#launch.timers.after(limits.childDrainMs, resolve);
      unawaited(() => this.#process.exited.then(cancel));
    });
  }

  /** Takes a line of Tor’s log apart: `Nov 21 23:59:59.000 [notice] text`, perhaps `{NET} text`. */
  #read(event: LineEvent): void {
    if (event.kind === 'over-long') return;
    const line = Buffer.from(event.bytes).toString('utf8').trimEnd();
    const match = /^\w{3} \d\d [\d:.]+ \[(\w+)\] (?:\{([A-Z_]+)\} )?(.*)$/.exec(line);
    // A message of several lines: the rest stands alone.
    const text = match?.[3] ?? line;
    const domain = logDomains.find((name) => name === match?.[2]?.toLowerCase());
    this.#level = (match?.[1] as LogLevel | undefined) ?? this.#level;
    if (!this.#isReady && (this.#level === 'warn' || this.#level === 'err')) {
      if (this.#complaints.length === limits.childStderrLines) this.#complaints.shift();
      this.#complaints.push(text);
    }
    this.#launch.onLog(this.#level, text, domain);
  }

  #endError(end: ChildEnd): PosternError {
    const isTorrc = this.#complaints.at(-1)?.startsWith('Reading config failed') === true;
    const reason = reasonIn(this.#complaints);
    if (isTorrc && reason !== undefined) return new TorrcRefusal(reason);
    const said = reason === undefined ? '' : `; its last complaint: ${reason}`;
    return new ChildError('ERR_TOR_ENDED', `Tor ended while it was starting${said}`, end);
  }

  #spawnError(error: Error): PosternError {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const message = `${this.#launch.binary} cannot be started (${errno})`;
    return new PosternError('ERR_TOR_PROGRAM', message, { cause: error });
  }

  #stop(): Promise<ChildEnd> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<ChildEnd> {
    // Tor does not read stdin: closing it, the first step of the ladder, has no effect.
    await terminate(this.#process, { stdinWaitMs: 0 }, this.#launch.timers);
    return this.#closed;
  }
}

/** Nothing but our torrc counts, and the control socket is ours alone. */
function argumentsFor(files: Files, dataDirectory: string): readonly string[] {
  return [
    ...['-f', files.torrc],
    ...['--defaults-torrc', '/dev/null'],
    ...['--DataDirectory', dataDirectory],
    ...['--RunAsDaemon', '0'],
    // Quoted: a ControlSocket would end at the first blank.
    ...['--ControlPort', `unix:"${files.socket.replace(/["\\]/g, '\\$&')}"`],
    ...['--ControlPortWriteToFile', files.announcement],
    // Who may enter the folder may control it.
    ...['--CookieAuthentication', '0'],
    // In case we die before the connection is made whose end ends Tor.
    ...['--__OwningControllerProcess', String(process.pid)],
  ];
}
