/**
 * The program that a parent under test starts instead of a PT. It decides nothing: it tells the kit what happens
 * to it, over a connection to the port in its first argument, and does what the kit says. The second argument
 * is a word by which the kit recognises it.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** What the fake PT tells, one JSON object a line. */
export type FakeNews =
  | {
      readonly type: 'start';
      readonly word: string;
      readonly env: Record<string, string>;
      readonly parentPid: number;
    }
  | { readonly type: 'attending' }
  /** It ends by itself. */
  | { readonly type: 'leaving' }
  | ({ readonly type: 'stdinEnd' | 'sigterm' } & Moment);

/** When something came, by the fake PT's own clock: a machine under load lets it look late. */
export interface Moment {
  /** When it was seen. */
  readonly seenMs: number;
  /** When the fake PT last looked and had not seen it. */
  readonly notBeforeMs: number;
}

/** What the kit says, one JSON object a line. */
export type FakeOrder =
  /** Latin-1 text for stdout. */
  | { readonly type: 'write'; readonly text: string }
  | { readonly type: 'closeStdout' }
  /** Look often, from now on, at what comes; leave so long after the end of stdin, or when told by SIGTERM. */
  | { readonly type: 'attend'; readonly leaveAfterMs?: number; readonly leaveOnSigterm: boolean }
  | { readonly type: 'exit'; readonly code: number };

const [port = '', word = ''] = process.argv.slice(2);
let lookedMs = performance.now();
let attention: Extract<FakeOrder, { type: 'attend' }> | undefined;
const kit = connect(Number(port), '127.0.0.1');
const tell = (news: FakeNews): void => {
  kit.write(`${JSON.stringify(news)}\n`);
};
// Without the kit nobody would end this process.
kit.on('error', () => {}).on('close', () => process.kill(process.pid, 'SIGKILL'));

const moment = (): Moment => ({ seenMs: performance.now(), notBeforeMs: lookedMs });

process.on('SIGTERM', () => {
  tell({ type: 'sigterm', ...moment() });
  if (attention?.leaveOnSigterm === true) leave(0);
});
process.on('SIGINT', () => {});
process.stdout.on('error', () => {});
process.stdin
  .on('error', () => {})
  .once('end', () => {
    tell({ type: 'stdinEnd', ...moment() });
    const { leaveAfterMs } = attention ?? {};
    if (leaveAfterMs !== undefined) setTimeout(() => leave(0), leaveAfterMs);
  })
  .resume();
tell({
  type: 'start',
  word,
  env: process.env as Record<string, string>,
  parentPid: process.ppid,
});

createInterface({ input: kit }).on('line', (line) => {
  const order = JSON.parse(line) as FakeOrder;
  if (order.type === 'write') process.stdout.write(order.text, 'latin1');
  else if (order.type === 'closeStdout') process.stdout.destroy();
  else if (order.type === 'attend') {
    attention = order;
    setInterval(look, LOOK_EVERY_MS).unref();
    tell({ type: 'attending' });
  } else leave(order.code);
});

/** What had come by now is read before the immediate. */
function look(): void {
  const nowMs = performance.now();
  setImmediate(() => (lookedMs = nowMs));
}

/** Nothing keeps the process any more; what has been told is on its way before the connection ends. */
function leave(code: number): void {
  tell({ type: 'leaving' });
  process.exitCode = code;
  kit.removeAllListeners('close').end();
  process.stdin.destroy();
}

const LOOK_EVERY_MS = 10;
