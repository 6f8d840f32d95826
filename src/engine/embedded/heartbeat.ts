/** A line in the log each six hours, as Tor has it: shows that a quiet daemon lives. */
import type { Emitter } from '../../bytes/emitter.ts';
import type { EngineEvent } from '../../control/engine.ts';
import { limits } from '../../limits.ts';
import type { Figures } from '../../metrics/registry.ts';
import type { Timers } from '../../time.ts';
import type { Log } from '../log.ts';

/** What it is given. */
export interface HeartbeatOptions {
  readonly events: Emitter<EngineEvent>;
  readonly timers: Timers;
  readonly log: Log;
  readonly figures: () => Figures;
}

/** Beats from now on. @returns ends that */
export function startHeartbeat({ events, timers, log, figures }: HeartbeatOptions): () => void {
  let [beats, read, written] = [0, 0, 0];
  const unsubscribe = events.subscribe((event) => {
    if (event.type !== 'bandwidth') return;
    read += event.read;
    written += event.written;
  });
  const beat = (): void => {
    beats += 1;
    cancel = timers.after(limits.heartbeatMs, beat);
    const { links, circuits, streams, bridgeLinks } = figures();
    const hours = (beats * limits.heartbeatMs) / 3_600_000;
    log.write(
      'notice',
      `Heartbeat: running for ${hours} hours, with ${links} links, ${circuits} circuits and ${streams} streams, ` +
        `and ${bridgeLinks} links of clients; read ${megabytes(read)} MB and written ${megabytes(written)} MB.`,
    );
  };
  let cancel = timers.after(limits.heartbeatMs, beat);
  return () => {
    unsubscribe();
    cancel();
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
