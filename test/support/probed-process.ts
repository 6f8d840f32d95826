import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildRoot } from '../../scripts/paths.ts';
import type { LimitName } from '../../src/limits.ts';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { LoggedProcess } from './logged-process.ts';
import { postern, type Cleanup } from './pt-programs.ts';

/** What a process is started with. */
export interface ProbedOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Other values for limits that a test cannot wait for. */
  readonly limits?: Partial<Record<LimitName, number>>;
}

/** What a process holds. */
export interface Holdings {
  /** What JavaScript holds, buffers included, once the garbage is collected. */
  readonly memoryBytes: number;
  /** Open files, sockets among them. */
  readonly files: number;
  /** What it has written into its log. */
  readonly logBytes: number;
}

/** Our program as a process of its own, until the test has ended, that can be asked what it holds. */
export class ProbedProcess extends LoggedProcess {
  constructor(
    t: Cleanup,
    args: readonly string[],
    { env = process.env, limits = {} }: ProbedOptions = {},
  ) {
    const [node, main] = postern.command;
    super(
      `postern ${args.join(' ')}`,
      [node, '--import', join(buildRoot, 'test', 'support', 'memory-probe.js'), main!, ...args],
      { ...env, POSTERN_TEST_LIMITS: JSON.stringify(limits) },
      ['ignore', 'pipe', 'inherit', 'ipc'],
    );
    t.after(() => this.kill());
  }

  /** The address in the first line, past or to come, that the pattern matches. */
  async address(pattern: RegExp): Promise<Endpoint> {
    return parseIpEndpoint((await this.line(pattern))[1]!)!;
  }

  /** @throws Error when it has ended */
  assertAlive(): void {
    const { exitCode, signalCode } = this.process;
    if (exitCode === null && signalCode === null) return;
    throw new Error(
      `${this.name} has ended (${exitCode ?? signalCode})\n${this.log.slice(-9).join('\n')}`,
    );
  }

  async holdings(): Promise<Holdings> {
    this.assertAlive();
    this.process.send('measure');
    const answer = once(this.process, 'message') as Promise<[number]>;
    const [memoryBytes] = await Promise.race([answer, this.ended.then(() => [Number.NaN])]);
    this.assertAlive();
    return {
      memoryBytes: memoryBytes!,
      files: readdirSync(`/proc/${this.process.pid}/fd`).length,
      logBytes: this.log.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
    };
  }

  /**
   * Waits until it holds no more than before, but for so many bytes.
   *
   * @throws Error when it takes too long
   */
  async comesBackTo(before: Holdings, slackBytes: number, patienceMs = 60_000): Promise<Holdings> {
    for (const startMs = performance.now(); ;) {
      const now = await this.holdings();
      const isBack =
        now.memoryBytes <= before.memoryBytes + slackBytes && now.files <= before.files;
      if (isBack) return now;
      if (performance.now() - startMs > patienceMs) {
        throw new Error(
          `${this.name} held ${JSON.stringify(before)}, and now ${JSON.stringify(now)}`,
        );
      }
      await delay(250);
    }
  }
}
