/** `postern run`: the daemon that a torrc describes, controlled over TC and by signals. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { localDefaults, torrcFile } from '../config/node.ts';
import type { Signal } from '../control/messages.ts';
import { Daemon } from '../engine/daemon.ts';
import type { DaemonOptions } from '../engine/daemon-options.ts';
import { PosternError } from '../errors.ts';
import { unawaited } from '../unawaited.ts';
import { type CommandContext, ExitCode, type RequestSignal, say } from './context.ts';
import { watchDescriptors } from '../net/descriptors.ts';
import { reportError } from './report-error.ts';

/** The options of `postern run`. */
export interface RunOptions {
  /** The path of the torrc. */
  readonly file: string;
  /** Check it and do nothing else. */
  readonly verify?: true;
}

export async function run(context: CommandContext, options: RunOptions): Promise<number> {
  const { env, stdout, stderr } = context;
  const path = resolve(options.file);
  const home = env['HOME'] ?? homedir();
  const daemonOptions: DaemonOptions = {
    torrc: torrcFile(path),
    localDefaults: localDefaults(env, home),
    home,
    env,
    stdout,
    stderr,
    ownCommand: context.ownCommand,
    startSignal: context.stop.drain,
  };
  if (options.verify) {
    try {
      for (const note of await Daemon.verify(daemonOptions)) say(context, `Note: ${note}`);
    } catch (error) {
      if (!context.stop.drain.aborted) return reportError(context, error, path, true);
      say(context, 'Stopped before all was verified.');
      // The check was all that was asked for, and it was stopped.
      return ExitCode.failed;
    }
    say(context, `${path} is valid.`);
    return ExitCode.ok;
  }
  const starting = Daemon.start(daemonOptions);
  const ignoreSignals = obeySignals(context, starting);
  let daemon: Daemon;
  try {
    daemon = await starting;
  } catch (error) {
    ignoreSignals();
    // Stopped before it was up: that is no failure.
    if (context.stop.drain.aborted) return ExitCode.ok;
    return reportError(context, error, path, true);
  }
  watchDescriptors((text) => say(context, `Warning: ${text}.`), context.stop.now);
  const reason = await daemon.ended;
  ignoreSignals();
  context.stop.endNow(new Error('the daemon has ended'));
  await daemon.close();
  return reason === undefined ? ExitCode.ok : reportError(context, reason, path, true);
}

/**
 * Unix signals do what SIGNAL messages do (TC 3.10); those that come while it is starting do so then.
 *
 * @returns stops that
 */
function obeySignals({ stop, onSignal }: CommandContext, starting: Promise<Daemon>): () => void {
  const send = (signal: Signal) => (): void => {
    unawaited(
      async () => {
        // Why it does not start is reported elsewhere.
        const daemon = await starting.catch(() => undefined);
        await daemon?.obey(signal);
      },
      (error) => {
        // What went wrong is in the log already; there is nobody to answer a signal to.
        if (!(error instanceof PosternError)) throw error;
      },
    );
  };
  // SIGTERM aborts both signals, this one first.
  const shutDown = (): void =>
    queueMicrotask(() => {
      if (!stop.now.aborted) send('shutdown')();
    });
  const halt = send('halt');
  stop.drain.addEventListener('abort', shutDown);
  stop.now.addEventListener('abort', halt);
  if (stop.now.aborted) halt();
  else if (stop.drain.aborted) shutDown();
  const ends = Object.entries(signals).map(([name, signal]) =>
    onSignal(name as RequestSignal, send(signal)),
  );
  return () => {
    for (const end of ends) end();
    stop.drain.removeEventListener('abort', shutDown);
    stop.now.removeEventListener('abort', halt);
  };
}

const signals: Readonly<Record<RequestSignal, Signal>> = {
  SIGHUP: 'reload',
  SIGUSR1: 'dump',
  SIGUSR2: 'debug',
};
