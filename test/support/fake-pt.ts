/**
 * A PT program that does exactly what a script says, for tests of the parent's side.
 *
 * `fakePt(script)` is the command to launch. Run as a program, this file takes the script from its first
 * argument, writes what it says, and then stays until stdin ends, a signal comes or the script ends it.
 */
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
  /** Writes so many bytes without a newline, and then one, to stderr and to stdout. */
  readonly floodBytes?: number;
  /** Written to stderr as it is. */
  readonly stderr?: string;
  /** Written to stdout as it is. */
  readonly stdout?: string;
  /** The same flood again, after all else. */
  readonly lastFloodBytes?: number;
  /** Written to stdout after all else, again and again, as fast as it is taken. */
  readonly flood?: string;
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
  if (script.floodBytes !== undefined) await flood(script.floodBytes);
  if (script.stderr !== undefined) await write(script.stderr, process.stderr);
  if (script.stdout !== undefined) await write(script.stdout);
  if (script.lastFloodBytes !== undefined) await flood(script.lastFloodBytes);
  if (script.flood !== undefined) {
    const text = script.flood.repeat(Math.ceil(65_536 / script.flood.length));
    for (;;) await write(text);
  }
  if (typeof script.end === 'number') process.exit(script.end);
  if (script.end !== undefined) process.kill(process.pid, script.end);
}

async function flood(bytes: number): Promise<void> {
  const text = `${'x'.repeat(bytes)}\n`;
  await write(text, process.stderr);
  await write(text);
}

function write(text: string, stream: NodeJS.WritableStream = process.stdout): Promise<void> {
  return new Promise((resolve) => void stream.write(text, () => resolve()));
}
