/**
 * A small PT program that keeps the specification, or breaks it in one way.
 *
 * `faultyPt(fault)` is its command. The transports `xora` and `xorb` exclusive-or each byte with a key of
 * their ARGS, behind a hello that shows that the client knows the key; nothing is hidden from anybody. It
 * shares no code with src, so that a mistake there is not one here.
 */
import { existsSync, writeFileSync, writeSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { runClient } from './faulty-pt/client.ts';
import { has, side, type Side } from './faulty-pt/fault.ts';
import { envError, refuse, say, Stay } from './faulty-pt/lines.ts';
import { runServer } from './faulty-pt/server.ts';

export { faultyPtTransports, type Side } from './faulty-pt/fault.ts';

/** The command of a PT with one fault, or with none. */
export function faultyPt(fault = 'none', side?: Side): readonly [string, ...string[]] {
  return [execPath, fileURLToPath(import.meta.url), fault, ...(side === undefined ? [] : [side])];
}

function start(): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

function run(): void {
  process.on('uncaughtException', (error) => writeSync(2, `${error.stack}\n`));
  // From the first moment on.
  if (has('ignores-everything')) process.on('SIGTERM', () => {});
  else if (!has('default-sigterm'))
    process.on('SIGTERM', () => process.exit(has('dirty-exit') ? 1 : 0));
  if (has('method-before-version')) say('CMETHOD xora socks5 127.0.0.1:9');
  if (has('environment-first')) checkState();
  negotiate();
  if (has('writes-home')) writeFileSync(join(homedir(), 'log'), 'x');
  if (has('writes-temporary')) writeFileSync(join(tmpdir(), 'log'), 'x');
  if (has('strict-environment')) {
    for (const name of Object.keys(env)) {
      if (/^TOR_PT_NOT/.test(name)) envError(name, 'is not known');
    }
  }
  if (!has('environment-first')) checkState();
  const client = side === 'server' ? undefined : env['TOR_PT_CLIENT_TRANSPORTS'];
  const server = side === 'client' ? undefined : env['TOR_PT_SERVER_TRANSPORTS'];
  const isAskedTwice =
    env['TOR_PT_CLIENT_TRANSPORTS'] !== undefined && env['TOR_PT_SERVER_TRANSPORTS'] !== undefined;
  if (isAskedTwice && !has('both-roles')) {
    envError('TOR_PT_CLIENT_TRANSPORTS', 'and TOR_PT_SERVER_TRANSPORTS are both set');
  }
  if (client === undefined && server === undefined) {
    if (has('silent-without-role')) process.exit(1);
    envError('TOR_PT_CLIENT_TRANSPORTS', 'and TOR_PT_SERVER_TRANSPORTS are both missing');
  }
  watchForTheEnd();
  if (client !== undefined) void runClient(parseNames('TOR_PT_CLIENT_TRANSPORTS', client));
  else void runServer(parseNames('TOR_PT_SERVER_TRANSPORTS', server!));
}

function negotiate(): void {
  const list = env['TOR_PT_MANAGED_TRANSPORT_VER'];
  if (list === undefined && !has('version-unasked')) {
    envError('TOR_PT_MANAGED_TRANSPORT_VER', 'is missing');
  }
  const versions = (list ?? '1').split(',');
  if (has('fussy-list') && list!.includes('_')) refuse('VERSION-ERROR', 'no-version');
  const isKnown = has('first-version-only')
    ? versions[0] === '1'
    : has('version-prefix')
      ? versions.some((version) => version.startsWith('1') || version === '+1' || version === '01')
      : has('any-version') || versions.includes('1');
  if (!isKnown) {
    refuse('VERSION-ERROR', has('other-version-text') ? 'sorry' : 'no-version');
  }
  if (has('no-version-line')) return;
  say(has('version-two') ? 'VERSION 2' : 'VERSION 1');
  if (has('version-twice')) say('VERSION 1');
  if (has('keyword-colon')) say('NOTE: hello');
  if (has('blank-line')) say('');
  if (has('exclamation')) say('!hello');
}

function checkState(): void {
  const location = env['TOR_PT_STATE_LOCATION'];
  if (has('lenient-state')) return;
  if (location === undefined || !isAbsolute(location)) {
    envError('TOR_PT_STATE_LOCATION', 'is no absolute path');
  }
  if (has('needs-state') && !existsSync(location)) envError('TOR_PT_STATE_LOCATION', 'is missing');
  if (has('no-trailing-slash') && location.endsWith('/')) {
    envError('TOR_PT_STATE_LOCATION', 'ends in a slash');
  }
}

function parseNames(variable: string, text: string): string[] {
  const names = text.split(',');
  if (names.includes('') && !has('lenient-list')) envError(variable, 'has an empty name');
  for (const name of names) {
    const isName = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.includes('\n');
    if (!isName && !has('lenient-names') && !has('lenient-list')) {
      envError(variable, 'has an ill-formed name');
    }
    if (has('short-names') && name.length > 255) envError(variable, 'has a long name');
  }
  return [...new Set(names)];
}

function watchForTheEnd(): void {
  const isAsked = env['TOR_PT_EXIT_ON_STDIN_CLOSE'] === '1';
  const code = has('dirty-exit') ? 1 : 0;
  const heeds =
    has('heeds-stdin-always') || (isAsked && !has('ignores-stdin') && !has('ignores-everything'));
  if (has('leaves-on-bytes')) process.stdin.once('data', () => process.exit(0));
  if (heeds) process.stdin.once('end', () => process.exit(code)).resume();
  if (!has('orphan') && !has('ignores-everything')) {
    const parent = process.ppid;
    setInterval(() => {
      if (process.ppid !== parent) process.exit(0);
    }, 100);
  } else {
    setInterval(() => {}, 60_000);
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) start();
