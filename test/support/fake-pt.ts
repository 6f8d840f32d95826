/**
 * A PT program that does exactly what a script says, for tests of the parent's side.
 *
 * `fakePt(script)` is the command to launch. Run as a program, this file takes the script from its first
 * argument, writes what it says, and then stays until stdin ends, a signal comes or the script ends it.
 */
import { writeSync } from 'node:fs';
import { connect } from 'node:net';
import { argv, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

/** What the fake does, in this order. */
export interface FakePtScript {
  /** Takes no notice of SIGTERM, or exits with this code. */
  readonly onSigterm?: number | 'ignore';
  /** Connects to this port of 127.0.0.1 and stays connected: its end shows the fake's end. */
  readonly connectTo?: number;
  /** Writes `X-DUMP` and its environment and parent's process number as JSON, in one line. */
  readonly dump?: boolean;
  readonly stderr?: string;
  /** Writes so many bytes without a newline, and then one. */
  readonly floodBytes?: number;
  /** Written to stdout as it is. */
  readonly stdout?: string;
  /** Exits with this code, or ends by this signal, once all is written. */
  readonly end?: number | NodeJS.Signals;
  /** What the end of stdin does: exit with this code after so long; by default 0 at once. */
  readonly onStdinEnd?: { readonly code: number; readonly afterMs: number } | 'ignore';
}

/** What the dump says. */
export interface FakePtDump {
  readonly env: Readonly<Record<string, string>>;
  readonly parentPid: number;
}

/** The command that runs a script. */
export function fakePt(script: FakePtScript): readonly [string, ...string[]] {
  return [execPath, fileURLToPath(import.meta.url), JSON.stringify(script)];
}

if (argv[1] === fileURLToPath(import.meta.url)) await run(JSON.parse(argv[2]!) as FakePtScript);

async function run(script: FakePtScript): Promise<void> {
  const { onSigterm, onStdinEnd = { code: 0, afterMs: 0 } } = script;
  if (onSigterm !== undefined) {
    process.on('SIGTERM', () => {
      if (onSigterm !== 'ignore') process.exit(onSigterm);
    });
  }
  process.stdin.resume().once('end', () => {
    if (onStdinEnd !== 'ignore')
      setTimeout(() => process.exit(onStdinEnd.code), onStdinEnd.afterMs);
  });
  // Keeps the fake alive when stdin's end is ignored.
  setInterval(() => {}, 60_000);
  if (script.connectTo !== undefined) {
    const socket = connect(script.connectTo, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
  }
  if (script.dump === true) {
    const dump: FakePtDump = {
      env: process.env as Record<string, string>,
      parentPid: process.ppid,
    };
    await write(`X-DUMP ${JSON.stringify(dump)}\n`);
  }
  if (script.stderr !== undefined) writeSync(2, script.stderr);
  if (script.floodBytes !== undefined) await write(`${'x'.repeat(script.floodBytes)}\n`);
  if (script.stdout !== undefined) await write(script.stdout);
  if (typeof script.end === 'number') process.exit(script.end);
  if (script.end !== undefined) process.kill(process.pid, script.end);
}

function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}
