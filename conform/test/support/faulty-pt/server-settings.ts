/** How the faulty PT reads the variables that are for a server alone. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { env } from 'node:process';
import { unescapeBackslashes } from './arguments.ts';
import { has } from './fault.ts';
import { envError, refuse } from './lines.ts';

export type Bind = { readonly host: string; readonly port: number };

function parseAddress(text: string): Bind | undefined {
  const match = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(text);
  if (match === null || isIP(match[1]!) === 0 || Number(match[2]) > 65_535) return undefined;
  return { host: match[1]!, port: Number(match[2]) };
}

export function parseBind(names: readonly string[]): Map<string, Bind> {
  const bind = new Map<string, Bind>();
  const text = env['TOR_PT_SERVER_BINDADDR'];
  if (text === undefined) {
    if (has('needs-bind')) envError('TOR_PT_SERVER_BINDADDR', 'is missing');
    return bind;
  }
  for (const item of text.split(',')) {
    const dash = item.indexOf('-');
    const name = item.slice(0, dash);
    const address = parseAddress(item.slice(dash + 1));
    if (dash === -1 || address === undefined || !names.includes(name) || bind.has(name)) {
      if (has('lenient-bind')) continue;
      envError('TOR_PT_SERVER_BINDADDR', 'is malformed');
    }
    bind.set(name, address);
  }
  return bind;
}

export function parseOptions(): Map<string, Map<string, string>> {
  const all = new Map<string, Map<string, string>>();
  const text = env['TOR_PT_SERVER_TRANSPORT_OPTIONS'];
  if (text === undefined || has('ignores-options')) return all;
  const raw = has('raw-options') ? (piece: string) => piece : unescapeBackslashes;
  for (const item of text.match(/(?:\\[\s\S]?|[^;\\])+/g) ?? []) {
    const match = /^([A-Za-z_]\w*):((?:\\[\s\S]|[^\\:=])+)=((?:\\[\s\S]|[^\\:])*)$/.exec(item);
    if (match === null) {
      if (has('lenient-options')) continue;
      envError('TOR_PT_SERVER_TRANSPORT_OPTIONS', 'is malformed');
    }
    const [, name = '', key = '', value = ''] = match;
    const own = all.get(name) ?? new Map<string, string>();
    own.set(raw(key), raw(value));
    all.set(name, own);
    if (has('one-option')) break;
  }
  return all;
}

/** The parent's port for payload, with the cookie file of an Extended ORPort. */
export interface Forward {
  readonly address: Bind;
  readonly cookieFile?: string;
}

/** Where payload goes; undefined when nobody said. */
export function parseForward(): Forward | undefined {
  const extended = env['TOR_PT_EXTENDED_SERVER_PORT'] ?? '';
  const orPort = env['TOR_PT_ORPORT'];
  const cookieFile = env['TOR_PT_AUTH_COOKIE_FILE'];
  const plain = orPort === undefined ? undefined : parseAddress(orPort);
  if (orPort !== undefined && plain === undefined && !has('lenient-orport')) {
    envError('TOR_PT_ORPORT', 'is malformed');
  }
  if (orPort === undefined && extended === '' && has('needs-orport')) {
    envError('TOR_PT_ORPORT', 'is missing');
  }
  if (extended !== '' && !has('ignores-extended')) {
    const address = parseAddress(extended);
    if (address === undefined && !has('lenient-extended')) {
      envError('TOR_PT_EXTENDED_SERVER_PORT', 'is malformed');
    }
    if (cookieFile === undefined && !has('no-cookie-needed')) {
      if (has('vague-cookie')) refuse('ENV-ERROR', 'something is missing');
      envError('TOR_PT_AUTH_COOKIE_FILE', 'is missing for TOR_PT_EXTENDED_SERVER_PORT');
    }
    if (cookieFile !== undefined && !isAbsolute(cookieFile) && !has('lenient-cookie')) {
      envError('TOR_PT_AUTH_COOKIE_FILE', 'is no absolute path');
    }
    if (address !== undefined && cookieFile !== undefined) return { address, cookieFile };
  }
  return plain === undefined ? undefined : { address: plain };
}
