/** What the faulty PT says to its parent. */
import { writeSync } from 'node:fs';
import { has } from './fault.ts';

export function say(line: string): void {
  const end = has('crlf') ? '\r\n' : '\n';
  const text = has('leading-space') ? ` ${line}` : has('trailing-space') ? `${line} ` : line;
  writeSync(1, `${text}${end}`, null, has('non-ascii') ? 'utf8' : 'latin1');
}

/** The last word of a start that failed; the process then ends unless it is to stay. */
export function refuse(
  keyword: 'VERSION-ERROR' | 'ENV-ERROR' | 'PROXY-ERROR',
  text: string,
): never {
  const stays = has(`stays-after-${keyword.toLowerCase()}`);
  const message = has('vague') ? 'no' : has('non-ascii') ? `${text} \u00e9` : text;
  if (has('no-message')) writeSync(1, `${keyword}\n`);
  else if (has('no-newline')) writeSync(1, `${keyword} ${message}`);
  else say(`${keyword} ${message}`);
  if (has('error-then-done')) say('CMETHODS DONE');
  if (stays) {
    setInterval(() => {}, 60_000);
    throw new Stay();
  }
  process.exit(1);
}

/** Ends the work, not the process. */
export class Stay extends Error {}

export function envError(variable: string, why: string): never {
  refuse('ENV-ERROR', `${variable} ${why}`);
}

/** The last line of the method lines. */
export function finish(kind: 'CMETHOD' | 'SMETHOD'): void {
  if (has('no-done')) return;
  say(`${kind}S DONE`);
  if (has('done-twice')) say(`${kind}S DONE`);
  if (has('method-after-done'))
    say(`${kind} xorz ${kind === 'CMETHOD' ? 'socks5 ' : ''}127.0.0.1:9`);
  if (has('env-error-after-done')) say('ENV-ERROR too late');
}
