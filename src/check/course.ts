/** The steps of one check. */
import { type ErrorCode, PosternError } from '../errors.ts';
import type { Step, StepName } from './report.ts';

/** Measures the steps, and gives each of them a limited time. */
export class Course {
  readonly steps: Step[] = [];
  readonly #timeoutMs: number;
  readonly #overdue = new AbortController();
  readonly #signals: AbortSignal[];
  #current: { readonly name: StepName; readonly startMs: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param timeoutMs for one step */
  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#signals = [this.#overdue.signal, signal ?? []].flat();
  }

  /** Aborted when a step takes too long, or when the whole check is given up. */
  get signal(): AbortSignal {
    return AbortSignal.any(this.#signals);
  }

  /** The step that is being taken: the one that failed when something did. */
  get current(): StepName | undefined {
    return this.#current?.name;
  }

  /** Whether a step has taken too long. */
  get isOverdue(): boolean {
    return this.#overdue.signal.aborted;
  }

  /** The step before has succeeded, and the next one begins. */
  enter(name: StepName, timeoutMs: number = this.#timeoutMs): void {
    this.leave();
    this.#current = { name, startMs: performance.now() };
    this.#timer = setTimeout(() => {
      const text = `it took longer than ${timeoutMs / 1000} s`;
      this.#overdue.abort(new PosternError(overdueCodes[name], text));
    }, timeoutMs);
  }

  /** The step has succeeded. */
  leave(): void {
    clearTimeout(this.#timer);
    if (this.#current === undefined) return;
    const { name, startMs } = this.#current;
    this.#current = undefined;
    this.steps.push({ name, ms: performance.now() - startMs });
  }

  /** Another way is tried: what became of the one before does not count any more. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#current = undefined;
    this.steps.length = 0;
  }

  /** The check is over. */
  end(): void {
    clearTimeout(this.#timer);
  }
}

const overdueCodes: Readonly<Record<StepName, ErrorCode>> = {
  program: 'ERR_PARENT_START_TIMED_OUT',
  lookup: 'ERR_DIAL_TIMED_OUT',
  proxy: 'ERR_TUNNEL_TIMED_OUT',
  tcp: 'ERR_DIAL_TIMED_OUT',
  connect: 'ERR_TUNNEL_TIMED_OUT',
  https: 'ERR_HANDSHAKE_TIMED_OUT',
  handshake: 'ERR_HANDSHAKE_TIMED_OUT',
  tls: 'ERR_TOR_LINK_TIMED_OUT',
  link: 'ERR_TOR_LINK_TIMED_OUT',
  traffic: 'ERR_TOR_LINK_TIMED_OUT',
};
