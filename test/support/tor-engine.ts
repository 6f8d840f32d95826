/** Daemons in this process with a real Tor behind them, which no network ever hears of. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectControl, type ControlClient } from '../../src/control/node/client.ts';
import { Daemon } from '../../src/engine/daemon.ts';
import type { DaemonOptions } from '../../src/engine/daemon-options.ts';
import { connectTorControl } from '../../src/tor-control/node/connect.ts';
import type { TorControl } from '../../src/tor-control/node/control.ts';
import { systemTimers } from '../../src/time.ts';
import { Output } from './command.ts';
import { memoryTorrc, recordEvents, type MemoryTorrc, type RecordedEvents } from './engine.ts';
import { HandTimers } from './hand-timers.ts';
import { postern } from './pt-programs.ts';

/** What undoes things: a test, or `shared()`. */
export interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

/** What several tests of a file use: to be cleaned up by `after(() => all.close())`. */
export function shared(): Cleanup & { close(): Promise<void> } {
  const callbacks: (() => void | Promise<void>)[] = [];
  return {
    after: (callback) => void callbacks.push(callback),
    async close() {
      for (const callback of callbacks.splice(0).toReversed()) await callback();
    },
  };
}

/** What keeps a Tor from every network, and makes its start quick. */
export const offline = `DisableNetwork 1
SocksPort 0
GeoIPFile /dev/null
GeoIPv6File /dev/null
`;

/** A daemon that a test has started. */
export interface TestDaemon extends RecordedEvents {
  readonly daemon: Daemon;
  readonly torrc: MemoryTorrc;
  readonly directory: string;
  /** Both of its outputs. */
  readonly log: Output;
  /** A controller that came over TC. */
  readonly control: ControlClient;
}

/**
 * Where a test's daemons have their state: a short path, for the sake of sockets. It goes with this
 * process, when no Tor writes to it any more.
 */
export function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-tor-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What a test may change of it. */
type Changes = Partial<Omit<DaemonOptions, 'torrc' | 'stdout' | 'stderr'>>;

/** What a daemon is started with, its torrc in memory. */
export function daemonOptions(
  directory: string,
  text: string,
  changes: Changes = {},
): DaemonOptions & { readonly torrc: MemoryTorrc; readonly stdout: Output } {
  const log = new Output();
  return {
    torrc: memoryTorrc(text),
    localDefaults: { DataDirectory: directory },
    home: directory,
    env: process.env,
    stdout: log,
    stderr: log,
    ownCommand: postern.command,
    ...changes,
  };
}

/** Starts a daemon with `Engine tor`, these lines, and a control port. */
export async function startTorDaemon(
  t: Cleanup,
  lines = '',
  { directory = stateDirectory(), ...changes }: Changes & { readonly directory?: string } = {},
): Promise<TestDaemon> {
  const text = `Engine tor\nControlPort auto\n${lines}`;
  const started = daemonOptions(directory, text, changes);
  const daemon = await Daemon.start(started);
  t.after(() => daemon.close());
  const control = await connectControl(daemon.endpoints.control[0]!);
  const { torrc, stdout: log } = started;
  return { daemon, torrc, directory, log, control, ...recordEvents(daemon) };
}

/** Our own way to the Tor behind a daemon, to ask what it really has. */
export async function torBehind(t: Cleanup, { directory }: TestDaemon): Promise<TorControl> {
  const control = await connectTorControl({ path: join(directory, 'postern', 'control') });
  t.after(() => control.abort());
  return control;
}

/** What GETCONF answers, as `Key Value` lines. */
export async function getConf(control: ControlClient, ...keys: string[]): Promise<string[]> {
  return (await control.getConf(keys)).map(({ key, value }) => `${key} ${value}`);
}

/** For `assert.rejects`: an ERROR of this code. */
export function refusal(replyCode: number, message?: RegExp): object {
  return { code: 'ERR_CONTROL_REFUSED', replyCode, ...(message && { message }) };
}

/** Real timers, but for those of some delays: these run out when the test says so, with `fire`. */
export class HeldTimers extends HandTimers {
  readonly #heldMs: readonly number[];

  constructor(...heldMs: readonly number[]) {
    super();
    this.#heldMs = heldMs;
  }

  override after(delayMs: number, callback: () => void): () => void {
    return this.#heldMs.includes(delayMs)
      ? super.after(delayMs, callback)
      : systemTimers.after(delayMs, callback);
  }
}
