/** The start of the faulty PT as a server: a listener for each transport, whose key its state keeps. */
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { keyOf } from './arguments.ts';
import { faultyPtTransports, has } from './fault.ts';
import { serveClient } from './forward.ts';
import { finish, say, Stay } from './lines.ts';
import {
  type Bind,
  type Forward,
  parseBind,
  parseForward,
  parseOptions,
} from './server-settings.ts';
import { listen } from './sockets.ts';
import { stateFile } from './state.ts';

export async function runServer(names: readonly string[]): Promise<void> {
  try {
    const bind = parseBind(names);
    const options = parseOptions();
    const forward = parseForward();
    if (has('server-proxy-line')) say('PROXY DONE');
    const known = faultyPtTransports.filter(
      (name) => names.includes(name) || has('unasked-transports'),
    );
    for (const name of names) {
      const isKnown = (known as readonly string[]).includes(name);
      if (!isKnown && has('names-unknown')) say(`SMETHOD-ERROR ${name} unknown`);
      if (!isKnown && has('gives-up-at-unknown')) process.exit(1);
    }
    for (const name of known) {
      if (has('forgets-a-method') && name === 'xorb' && names.length === 1) continue;
      await announceServer(name, bind.get(name), options.get(name) ?? new Map(), forward);
    }
    if (known.length === 0 && has('no-done-without-methods')) throw new Stay();
    finish('SMETHOD');
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

async function announceServer(
  name: string,
  bind: Bind | undefined,
  options: ReadonlyMap<string, string>,
  forward: Forward | undefined,
): Promise<void> {
  let key = options.get('key');
  try {
    const file = stateFile(`${name}.key`);
    const stored =
      existsSync(file) && !has('forgets-state') ? readFileSync(file, 'utf8') : undefined;
    // Long enough to be recognised where it does not belong.
    key ??= stored ?? `key-${randomInt(1_000_000, 9_999_999) * 256 + randomInt(1, 255)}`;
    writeFileSync(file, key);
  } catch {
    if (has('silent-without-state')) process.exit(1);
    say(`SMETHOD-ERROR ${name} cannot keep state`);
    return;
  }
  const number = keyOf(new Map([['key', key]])) ?? 1;
  const { host, port } =
    has('own-port') || bind === undefined ? { host: '127.0.0.1', port: 0 } : bind;
  let real: number;
  try {
    real = await listen(host, port, (socket) => serveClient(socket, name, number, forward));
  } catch {
    if (has('moves-when-taken')) {
      real = await listen(host, 0, () => {});
    } else {
      if (has('silent-when-taken')) return;
      if (has('gives-up-when-taken')) {
        say(`SMETHOD-ERROR ${name} address in use`);
        throw new Stay();
      }
      say(`SMETHOD-ERROR ${name}${has('bare-method-error') ? '' : ' address in use'}`);
      return;
    }
  }
  if (has('extra-listener')) await listen('127.0.0.1', 0, () => {});
  const reported = has('names-host')
    ? `localhost:${real}`
    : has('port-zero')
      ? `${host}:0`
      : `${host}:${real}`;
  const args = has('empty-args')
    ? 'ARGS:'
    : has('unescaped-args')
      ? `ARGS:key=${key},note=a=b`
      : `ARGS:key=${key},note=a\\=b`;
  const space = has('two-spaces') ? '  ' : ' ';
  say(`SMETHOD ${name} ${reported}${space}${args}`);
  if (has('method-twice')) say(`SMETHOD ${name} ${reported} ${args}`);
}
