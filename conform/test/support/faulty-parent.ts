/**
 * A small parent that keeps the specification, or breaks it in one way: it launches a PT, dials through it
 * and stops it. `faultyParent(fault, role)` is its command, with the kit's placeholders. It shares no code
 * with src, so that a mistake there is not one here.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';

/** How to start a parent with one fault, or with none. */
export function faultyParent(
  fault: string,
  role: 'client' | 'upstream' | 'server',
): readonly string[] {
  return [execPath, fileURLToPath(import.meta.url), fault, role, '{pt}', '{dir}', '{args}'];
}

/** What its TOR_PT_PROXY is, where it is to use an upstream proxy. */
export const faultyParentUpstream: string = 'socks5://127.0.0.1:10';

/** What its TOR_PT_SERVER_TRANSPORT_OPTIONS are. */
export const faultyParentOptions: string = String.raw`conform_a:path=a\:b\;c\\d`;

const [, , fault, role, pt = '', dir = '', argsText = ''] = argv;
const has = (name: string): boolean => fault === name;
const names = ['conform_a', 'conform_b', 'conform_c'];
const hasUpstream = role === 'upstream';
const isClient = role === 'client' || hasUpstream;

function variables(): Record<string, string> {
  const all: Record<string, string | undefined> = {
    PATH: env['PATH'],
    TOR_PT_MANAGED_TRANSPORT_VER: has('spaced-versions') ? '1, 2' : '1',
    TOR_PT_STATE_LOCATION: has('no-state') ? undefined : has('relative-state') ? 'state' : dir,
    TOR_PT_EXIT_ON_STDIN_CLOSE: has('no-exit-variable') ? undefined : has('exit-zero') ? '0' : '1',
  };
  if (hasUpstream && !has('forgets-proxy')) all['TOR_PT_PROXY'] = faultyParentUpstream;
  if (has('inherits')) {
    all['TOR_PT_PROXY'] = env['TOR_PT_PROXY'];
    all['TOR_PT_AUTH_COOKIE_FILE'] = env['TOR_PT_AUTH_COOKIE_FILE'];
  }
  const list = has('ill-formed-names') ? 'conform-a' : names.join(',');
  all[`TOR_PT_${isClient ? 'CLIENT' : 'SERVER'}_TRANSPORTS`] = list;
  if (has('both-variables')) all[`TOR_PT_${isClient ? 'SERVER' : 'CLIENT'}_TRANSPORTS`] = list;
  if (isClient) return defined(all);
  const bind = names.map((name, index) => `${name}-127.0.0.1:${20_461 + index}`);
  if (has('unsorted-bind')) bind.reverse();
  if (has('host-bind')) bind[0] = 'conform_a-localhost:20461';
  if (has('two-binds')) bind.splice(1, 0, 'conform_a-127.0.0.1:20470');
  all['TOR_PT_SERVER_BINDADDR'] = bind.join(',');
  all['TOR_PT_ORPORT'] = '127.0.0.1:9';
  if (argsText === 'extended') {
    all['TOR_PT_SERVER_TRANSPORT_OPTIONS'] = has('raw-options')
      ? String.raw`conform_a:path=a:b;c\d`
      : faultyParentOptions;
    all['TOR_PT_EXTENDED_SERVER_PORT'] = has('no-extended') ? '' : '127.0.0.1:9';
    all['TOR_PT_AUTH_COOKIE_FILE'] = has('relative-cookie') ? 'cookie' : `${dir}/cookie`;
  } else {
    if (!has('no-empty-extended')) all['TOR_PT_EXTENDED_SERVER_PORT'] = '';
    if (has('needless-options')) all['TOR_PT_SERVER_TRANSPORT_OPTIONS'] = '';
  }
  return defined(all);
}

function defined(all: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function run(): void {
  if (Buffer.byteLength(argumentList()) > 510 && !has('truncates')) {
    process.exitCode = 1;
    const refused = spawn('/bin/true'); // Where a PT would have been started.
    refused.unref();
    return;
  }
  const command = has('middleman') ? ['/bin/sh', '-c', '"$@"; true', 'sh', pt] : [pt];
  const child = spawn(command[0]!, command.slice(1), {
    env: variables(),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  let isGone = false;
  child.once('exit', () => {
    isGone = true;
    clearInterval(alive);
  });
  const alive = setInterval(() => {}, 60_000);
  const later = (ms: number, act: () => void): void => {
    setTimeout(() => {
      if (!isGone) act();
    }, ms);
  };
  const stop = (): void => {
    if (has('term-first')) child.kill('SIGTERM');
    // At the same moment they would arrive in any order.
    if (!has('keeps-stdin')) setTimeout(() => child.stdin.end(), has('term-first') ? 300 : 0);
    later(has('no-wait') ? 0 : 500, () => {
      if (!has('no-term')) child.kill('SIGTERM');
      later(500, () => {
        if (!has('no-kill')) child.kill('SIGKILL');
      });
    });
  };
  const machine = new Machine(stop);
  let text = '';
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop()!;
    for (const line of lines) machine.read(line);
    if (has('acts-on-fragments') && text === 'CMETHODS DONE') machine.read(text);
  });
  child.stdout.once('close', () => machine.end());
  process.once('SIGTERM', () => {
    stop();
  });
}

/** A start, line by line. */
class Machine {
  #version = false;
  #proxy = has('needs-no-proxy-done');
  #state: 'starting' | 'ready' | 'failed' = 'starting';
  readonly #methods = new Map<string, { protocol: string; host: string; port: number }>();
  readonly #order: string[] = [];
  readonly #stop: () => void;
  #sawLog = false;

  constructor(stop: () => void) {
    this.#stop = stop;
  }

  read(raw: string): void {
    if (this.#state !== 'starting') {
      if (has('method-after-done') && raw.startsWith('CMETHOD ')) dialMethod(raw);
      return;
    }
    if (has('short-lines') && raw.length > 65_536) return this.#fail();
    let line = has('trims-lines') ? raw.trim() : raw;
    if (has('drops-nul')) line = line.replaceAll('\0', '');
    if (has('tabs-are-spaces')) line = line.replaceAll('\t', ' ');
    if (has('any-case'))
      line = line.replace(/^\w+:?/, (word) => word.toUpperCase().replace(':', ''));
    if (has('dies-of-empty-lines') && line === '') process.kill(process.pid, 'SIGABRT');
    const [first = '', ...args] = line.split(' ');
    let keyword = first;
    if (has('prefix-words'))
      keyword = /^(?:VERSION|CMETHOD)(?=[A-Z]$)/.exec(keyword)?.[0] ?? keyword;
    switch (keyword) {
      case 'VERSION': {
        const isGood = args.length === 1 && args[0] === '1';
        if (!isGood && !has('any-version')) return this.#fail();
        if (this.#version && !has('version-again')) return this.#fail();
        this.#version = true;
        return;
      }
      case 'VERSION-ERROR':
        return has('ignores-version-error') ? undefined : this.#fail();
      case 'ENV-ERROR':
        return has('ignores-env-error') ? undefined : this.#fail();
      case 'PROXY-ERROR':
        return has('ignores-proxy-error') ? undefined : this.#fail();
      case 'PROXY':
        if (hasUpstream && (args.join(' ') === 'DONE' || has('any-proxy-word'))) this.#proxy = true;
        else if (!has('ignores-proxy-done')) this.#fail();
        return;
      case 'CMETHOD':
        return isClient ? this.#cmethod(args) : undefined;
      case 'CMETHOD-ERROR':
        if (has('one-failure-ends')) this.#fail();
        if (has('dies-of-method-error')) process.kill(process.pid, 'SIGABRT');
        return;
      case 'SMETHOD':
        return isClient ? undefined : this.#smethod(args);
      case 'SMETHOD-ERROR':
        if (has('dies-of-server-error')) process.kill(process.pid, 'SIGABRT');
        return;
      case 'SMETHODS':
      case 'CMETHODS':
        return this.#done(keyword, args);
      case 'LOG':
        this.#sawLog = true;
        return;
      default:
        if (has('fails-at-unknown')) this.#fail();
    }
  }

  end(): void {
    if (this.#state === 'starting') {
      if (has('end-is-done')) this.#ready();
      else this.#fail();
    }
  }

  #cmethod(args: readonly string[]): void {
    const [name = '', protocol = '', address = ''] = args;
    const match = /^([\w.]+):(\d+)$/.exec(address);
    const [, host = '', port = ''] = match ?? [];
    const isGood =
      args.length === 3 &&
      /^socks[45]$/.test(protocol) &&
      (/^127\./.test(host) || (host === '0.0.0.0' && has('any-address'))) &&
      Number(port) <= 65_535 &&
      (/^[A-Za-z_]\w*$/.test(name) || has('any-name'));
    if (!this.#version && !has('no-version-needed')) return this.#fail();
    if (!isGood && !has('lenient-cmethod')) return this.#fail();
    if (this.#methods.has(name) && !has('duplicates')) return this.#fail();
    if (!names.includes(name) && !has('any-name')) {
      if (has('unasked-is-fatal')) this.#fail();
      return;
    }
    this.#methods.set(name, { protocol, host, port: Number(port) });
    this.#order.push(name);
  }

  #smethod(args: readonly string[]): void {
    const [name = '', , option = ''] = args;
    if (has('refuses-servers')) return this.#fail();
    if (has('refuses-options') && option !== '') return this.#fail();
    if (has('refuses-commas') && option.includes(',')) return this.#fail();
    if (has('refuses-escapes') && option.includes('\\')) return this.#fail();
    this.#order.push(name);
  }

  #done(keyword: string, args: readonly string[]): void {
    const isOwn = keyword === (isClient ? 'CMETHODS' : 'SMETHODS') || has('any-done-word');
    if (!isOwn || ((args.length !== 1 || args[0] !== 'DONE') && !has('any-done')))
      return this.#fail();
    if (!this.#version && !has('no-version-needed')) return this.#fail();
    if (hasUpstream && !this.#proxy) return this.#fail();
    const sorted = [...this.#order].sort();
    if (has('wants-order') && sorted.join() !== this.#order.join()) return this.#fail();
    if (has('wants-log') && !this.#sawLog) return this.#fail();
    this.#ready();
  }

  #ready(): void {
    this.#state = 'ready';
    for (const [name, { protocol, host, port }] of this.#methods) {
      dial(protocol, host, port, name === 'conform_a' ? argumentList() : '');
    }
  }

  #fail(): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#stop();
  }
}

function dialMethod(line: string): void {
  const [, , protocol = '', address = ''] = line.split(' ');
  const [host = '', port = ''] = address.split(':');
  dial(protocol, host, Number(port), '');
}

/** The bridge line's arguments as SOCKS is to carry them. */
function argumentList(): string {
  if (!isClient || argsText === '') return '';
  return argsText
    .split(' ')
    .map((pair) => {
      const at = pair.indexOf('=');
      return has('unescaped') ? pair : `${pair.slice(0, at)}=${escape(pair.slice(at + 1))}`;
    })
    .join(has('comma-joined') ? ',' : ';');
}

function escape(text: string): string {
  return text.replace(/[\\=;]/g, '\\$&');
}

function dial(protocol: string, host: string, port: number, list: string): void {
  const socket = connect({ host: host === '0.0.0.0' ? '127.0.0.1' : host, port });
  socket.on('error', () => {});
  const target = Buffer.of(1, 127, 0, 0, 1, 0, 21);
  socket.once('connect', () => {
    if (protocol === 'socks4' && !has('socks5-always')) {
      const userId = has('no-user-id') ? '' : list;
      const head = Buffer.of(4, 1, 0, 21, 127, 0, 0, 1);
      socket.write(Buffer.concat([head, Buffer.from(`${userId}\0`)]));
      return;
    }
    socket.write(has('no-password-method') ? Buffer.of(5, 1, 0) : Buffer.of(5, 2, 0, 2));
    socket.once('data', (answer: Buffer) => {
      if (answer[1] !== 2) {
        if (list === '' || has('accepts-any-method')) {
          socket.write(Buffer.concat([Buffer.of(5, 1, 0), target]));
        } else socket.destroy();
        return;
      }
      const bytes = Buffer.from(list);
      const split = has('splits-early') ? 254 : has('splits-late') ? 1000 : 255;
      let username = bytes.subarray(0, Math.min(split, 255));
      let password = bytes.subarray(split);
      if (password.length === 0) password = Buffer.from(has('password-of-space') ? ' ' : '\0');
      if (has('fields-swapped')) [username, password] = [password, username];
      socket.write(
        Buffer.concat([
          Buffer.of(1, username.length),
          username,
          Buffer.of(Math.min(password.length, 255)),
          password.subarray(0, 255),
        ]),
      );
    });
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) run();
