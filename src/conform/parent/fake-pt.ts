/**
 * The program that a parent under test starts in the place of a PT. It decides nothing: it tells the kit
 * what happens to it, over a connection to the port of its first argument, and does what the kit says.
 */
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** What the fake PT tells, one JSON object a line. */
export type FakeNews =
  | { readonly type: 'start'; readonly env: Record<string, string>; readonly parentPid: number }
  | { readonly type: 'stdinEnd' }
  | { readonly type: 'sigterm' };

/** What the kit says, one JSON object a line. */
export type FakeOrder =
  /** Latin-1 text for stdout. */
  | { readonly type: 'write'; readonly text: string }
  | { readonly type: 'closeStdout' }
  | { readonly type: 'exit'; readonly code: number };

const [port = ''] = process.argv.slice(2);
const kit = connect(Number(port), '127.0.0.1');
const tell = (news: FakeNews): void => void kit.write(`${JSON.stringify(news)}\n`);
// Without the kit nobody would end this process.
kit.on('error', () => {}).on('close', () => process.kill(process.pid, 'SIGKILL'));

process.on('SIGTERM', () => tell({ type: 'sigterm' }));
process.on('SIGINT', () => {});
process.stdout.on('error', () => {});
process.stdin
  .on('error', () => {})
  .once('end', () => tell({ type: 'stdinEnd' }))
  .resume();
tell({ type: 'start', env: process.env as Record<string, string>, parentPid: process.ppid });

createInterface({ input: kit }).on('line', (line) => {
  const order = JSON.parse(line) as FakeOrder;
  if (order.type === 'write') process.stdout.write(order.text, 'latin1');
  else if (order.type === 'closeStdout') process.stdout.destroy();
  else {
    process.exitCode = order.code;
    kit.removeAllListeners('close').destroy();
    process.stdin.destroy();
  }
});
