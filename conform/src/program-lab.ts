import { join } from 'node:path';
import { ExaminationError } from './errors.ts';
import { Lab } from './examine.ts';
import { Guard } from './guard.ts';
import { Pace } from './patience.ts';
import type { Program } from './program.ts';

/** How long to wait for a program. */
export interface Times {
  /** How long it may take for anything that it has to do, on a machine that keeps up. */
  readonly patienceMs?: number;
  /** How long it is watched where it has to do nothing, on such a machine. */
  readonly quietMs?: number;
}

/** Where programs are started, each in a folder of its own. */
export abstract class ProgramLab<P extends Program> extends Lab {
  /** Every start so far. */
  readonly runs: P[] = [];
  /** How fast programs start at the moment. */
  readonly pace: Pace;
  protected readonly guard: Guard = new Guard();
  /** The examination was given up, or is over. */
  protected readonly signal: AbortSignal;
  readonly #closed = new AbortController();
  #folders = 0;

  constructor(signal: AbortSignal) {
    super();
    this.signal = AbortSignal.any([signal, this.#closed.signal]);
    this.pace = new Pace(this.signal);
  }

  /** A folder of the kit's own, which goes with the lab. */
  get folder(): string {
    return this.guard.folder;
  }

  /** Kills everything that was started and removes what is left. */
  override async close(): Promise<void> {
    this.#closed.abort(new ExaminationError('ERR_CONFORM_PROGRAM', 'the examination is over'));
    await Promise.all(this.runs.map((run) => run.stop()));
    await this.guard.close();
  }

  /** A folder for the next start, which does not exist yet. @throws `signal.reason` */
  protected nextFolder(): string {
    this.signal.throwIfAborted();
    this.#folders += 1;
    return join(this.folder, String(this.#folders));
  }
}
