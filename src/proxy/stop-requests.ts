/** How a process is told to end, whatever it runs. */
import { type EventEmitter, setMaxListeners } from 'node:events';
import { isUnderNohup } from './nohup.ts';
import { armLastResort, giveUpUnreadOutput } from './last-resort.ts';
import { letGoOfLostTerminals } from './lost-terminal.ts';

/** The two ways of being told to end. */
export interface StopRequests {
  /** Aborted by the first Ctrl-C (SIGINT): take no new connections, let those that stand finish. */
  readonly drain: AbortSignal;
  /**
   * Aborted by SIGTERM, by the second Ctrl-C and by `endNow`, with an Error that says why: end now. `drain`
   * is aborted then as well. The process is gone soon after, whatever hangs (`armLastResort`).
   */
  readonly now: AbortSignal;
  /** For other reasons to end, such as a drain that is done. */
  endNow(why: Error): void;
}

/** The stop requests of this process. */
export interface ProcessStopRequests extends StopRequests {
  /** The work of the process is done: if it was told to end, it ends now. */
  over(): void;
}

/**
 * The stop requests of this process, with a last resort behind them. From now on it does not die because
 * somebody stops reading its stdout or stderr.
 */
export function stopRequestsOfProcess(): ProcessStopRequests {
  // Nobody reads the messages: that is no reason to stop serving.
  process.stderr.on('error', () => {});
  letGoOfLostTerminals();
  const stop = stopRequestsOf(process, process.stdout, isUnderNohup(process.env));
  armLastResort(stop.now);
  return {
    ...stop,
    over() {
      if (!stop.drain.aborted) return;
      stop.endNow(new Error('the command is over'));
      giveUpUnreadOutput();
    },
  };
}

/**
 * Turns SIGINT, SIGTERM, SIGHUP and the loss of stdout into stop requests for as long as the process lives.
 *
 * The listeners do not keep the process alive.
 *
 * @param signals the process, which emits an event for each signal
 * @param stdout whose error means that nobody reads it any more: others get a SIGPIPE then, Node does not
 * @param outlivesTerminal whether SIGHUP is ignored, as `nohup` asks for
 */
export function stopRequestsOf(
  signals: EventEmitter,
  stdout: EventEmitter,
  outlivesTerminal = false,
): StopRequests {
  const drain = new AbortController();
  const now = new AbortController();
  // Every connection that is being made listens to them.
  setMaxListeners(0, drain.signal, now.signal);
  const endNow = (why: Error): void => {
    drain.abort();
    now.abort(why);
  };
  const onSignal = (): void => endNow(new Error('a signal told it to'));
  signals.on('SIGINT', () => {
    if (drain.signal.aborted) onSignal();
    else drain.abort();
  });
  signals.on('SIGTERM', onSignal);
  // The terminal has gone. A daemon has a listener of its own, and another meaning.
  signals.on('SIGHUP', () => {
    if (!outlivesTerminal && signals.listenerCount('SIGHUP') === 1) onSignal();
  });
  stdout.on('error', () => endNow(new Error('nobody reads its output any more')));
  return { drain: drain.signal, now: now.signal, endNow };
}
