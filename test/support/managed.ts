/** Runs the managed proxy in this process, with a scripted environment and stdio. */
import { existsSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { runManagedProxy, type ManagedProxyOptions } from '../../src/proxy/run.ts';
import { TransportRegistry } from '../../src/transports/registry.ts';
import { createRot } from './test-transport.ts';

/** A test's context, as far as it is needed here. */
interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** Where files are in memory, if there is such a place: each sync of a busy disk takes long. */
export const memoryDisk: string = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** A directory that is gone after the test. */
export function temporaryDirectory(t: Cleanup, parent: string = tmpdir()): string {
  const path = mkdtempSync(join(parent, 'postern-test-'));
  // Again, where a program that is stopped only after this has just written a file.
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 10 }));
  return path;
}

/** A proxy that runs in this process. */
export class Managed {
  /** The lines so far, without their NL, and without the STATUS that says what program this is. */
  readonly lines: string[] = [];
  readonly exitCode: Promise<number>;
  readonly stdin: PassThrough = new PassThrough();
  readonly drain: AbortController = new AbortController();
  readonly now: AbortController = new AbortController();
  parentPid: number = 42;
  /** All that was written to stdout. */
  output: string = '';
  readonly #waiting: (() => void)[] = [];
  #exited = false;

  constructor(env: Record<string, string | undefined>, options: Partial<ManagedProxyOptions> = {}) {
    const stdout = new PassThrough();
    stdout.on('data', (chunk: Buffer) => {
      this.output += chunk.toString('latin1');
      this.lines.splice(
        0,
        Infinity,
        ...this.output
          .split('\n')
          .slice(0, -1)
          .filter((line) => !line.startsWith('STATUS TYPE=version ')),
      );
      this.#wake();
    });
    this.exitCode = runManagedProxy({
      env,
      stdin: this.stdin,
      stdout,
      registry: new TransportRegistry([createRot(), createRot({ name: 'rot2' })]),
      drain: this.drain.signal,
      now: this.now.signal,
      parentPid: () => this.parentPid,
      ...options,
    }).finally(() => {
      this.#exited = true;
      this.#wake();
    });
  }

  /** The first line that matches, as soon as it is there. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = this.lines.find((text) => pattern.test(text));
      if (line !== undefined) return line;
      if (this.#exited) throw new Error(`no line ${String(pattern)} in:\n${this.output}`);
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
  }

  /** Where a transport listens, from its CMETHOD or SMETHOD line. */
  async endpoint(transport = 'rot'): Promise<Endpoint> {
    const line = await this.line(new RegExp(`^[CS]METHOD ${transport} `));
    const endpoint = parseIpEndpoint(line.split(' ')[line.startsWith('C') ? 3 : 2]!);
    if (endpoint === undefined) throw new Error(`no address in: ${line}`);
    return endpoint;
  }

  /** The pairs behind `ARGS:` as SOCKS arguments, which for tests' keys look the same. */
  async socksArguments(transport = 'rot'): Promise<string> {
    const line = await this.line(new RegExp(`^SMETHOD ${transport} `));
    return /ARGS:(.*)$/.exec(line)![1]!.replaceAll(',', ';');
  }

  /** Ends it at once and waits for it. */
  stop(): Promise<number> {
    this.now.abort();
    return this.exitCode;
  }

  #wake(): void {
    for (const callback of this.#waiting.splice(0)) callback();
  }
}

/** A client's environment with everything that is required. */
export function clientEnv(
  state: string,
  extra: Record<string, string | undefined> = {},
): Record<string, string | undefined> {
  return { ...common(state), TOR_PT_CLIENT_TRANSPORTS: 'rot', ...extra };
}

/** A server's environment with everything that is required. */
export function serverEnv(
  state: string,
  extra: Record<string, string | undefined> = {},
): Record<string, string | undefined> {
  return {
    ...common(state),
    TOR_PT_SERVER_TRANSPORTS: 'rot',
    TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.1:0',
    TOR_PT_EXTENDED_SERVER_PORT: '',
    ...extra,
  };
}

function common(state: string): Record<string, string> {
  return {
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: state,
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
  };
}

/** Starts a proxy that is stopped after the test. */
export function startManaged(
  t: Cleanup,
  env: Record<string, string | undefined>,
  options: Partial<ManagedProxyOptions> = {},
): Managed {
  const managed = new Managed(env, options);
  t.after(async () => void (await managed.stop()));
  return managed;
}
