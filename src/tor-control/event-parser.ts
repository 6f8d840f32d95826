import type {
  TorBootstrapEvent,
  TorEvent,
  TorLogEvent,
  TorRelay,
  TorStatusEvent,
  TorStatusSeverity,
} from './events.ts';
import type { TorReplyLine } from './messages.ts';
import { parseKeywords, parseSetting, takeWords } from './words.ts';

/**
 * Reads the lines of one 6xx reply as an event. Never throws: one that lacks what its name promises
 * becomes `malformed`, one that is not typed becomes `other`.
 */
export function parseTorEvent(lines: readonly TorReplyLine[]): TorEvent {
  const [[name = ''], text] = takeWords(lines[0]?.text ?? '', 1);
  // By own property: `constructor` is a name like any other.
  const parse = Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (parse === undefined) return { type: 'other', name, text, lines };
  return parse(text, lines, name) ?? { type: 'malformed', name, lines };
}

/**
 * The start's progress from `GETINFO status/bootstrap-phase`, which is written as the event is.
 *
 * @returns undefined when it is something else
 */
export function parseBootstrapPhase(text: string): TorBootstrapEvent | undefined {
  const event = parseStatus(text, 'client');
  return event?.type === 'bootstrap' ? event : undefined;
}

/**
 * A relay as Tor writes it: `$FINGERPRINT`, `$FINGERPRINT~nickname`, `$FINGERPRINT=nickname`, or a
 * nickname alone.
 *
 * @returns undefined for anything else
 */
export function parseTorRelay(text: string): TorRelay | undefined {
  const match = /^(?:\$([0-9A-Fa-f]{40})(?:[~=]([A-Za-z0-9]{1,19}))?|([A-Za-z0-9]{1,19}))$/.exec(
    text,
  );
  if (match === null) return undefined;
  const [, fingerprint, known, alone] = match;
  const nickname = known ?? alone;
  return {
    ...(fingerprint !== undefined && { fingerprint: fingerprint.toUpperCase() }),
    ...(nickname !== undefined && { nickname }),
  };
}

/** Reads what stands behind an event's name; undefined when it is malformed. */
type EventParser = (
  text: string,
  lines: readonly TorReplyLine[],
  name: string,
) => TorEvent | undefined;

const parsers: Readonly<Record<string, EventParser>> = {
  CIRC: parseCircuit,
  STREAM: parseStream,
  ORCONN: parseOrConnection,
  BW: parseBandwidth,
  STATUS_CLIENT: (text) => parseStatus(text, 'client'),
  STATUS_SERVER: (text) => parseStatus(text, 'server'),
  STATUS_GENERAL: (text) => parseStatus(text, 'general'),
  DEBUG: parseLog,
  INFO: parseLog,
  NOTICE: parseLog,
  WARN: parseLog,
  ERR: parseLog,
  ADDRMAP: parseAddressMap,
  CONF_CHANGED: parseConfigurationChanged,
  SIGNAL: (text) => (/^\w+$/.test(text) ? { type: 'signal', name: text } : undefined),
};

/** `1000 EXTENDED $…~moria1,$…~tor26 BUILD_FLAGS=… PURPOSE=GENERAL`; the path may be missing. */
function parseCircuit(text: string): TorEvent | undefined {
  const [[id, status], behind] = takeWords(text, 2);
  if (!isId(id) || !isState(status)) return undefined;
  const [[next = '']] = takeWords(behind, 1);
  const hasPath = next !== '' && !/^[A-Z][A-Z0-9_]*=/.test(next);
  const path = hasPath ? next.split(',').map(parseTorRelay) : [];
  const keywords = parseKeywords(hasPath ? behind.slice(next.length) : behind);
  if (keywords === undefined || !path.every((hop) => hop !== undefined)) return undefined;
  return { type: 'circuit', id, status, path, ...whyOf(keywords), keywords };
}

/** `42 NEW 0 www.example.com:443 PURPOSE=USER`. */
function parseStream(text: string): TorEvent | undefined {
  const [[id, status, circuitId, target = ''], behind] = takeWords(text, 4);
  const keywords = parseKeywords(behind);
  const end = parseTarget(target);
  if (!isId(id) || !isState(status) || !isId(circuitId)) return undefined;
  if (end === undefined || keywords === undefined) return undefined;
  return {
    type: 'stream',
    id,
    status,
    ...(circuitId !== '0' && { circuitId }),
    ...end,
    ...whyOf(keywords),
    keywords,
  };
}

/** `$…~moria1 CONNECTED ID=3`, or `192.0.2.3:9001 NEW ID=4`. */
function parseOrConnection(text: string): TorEvent | undefined {
  const [[name = '', status], behind] = takeWords(text, 2);
  const target = parseTorRelay(name) ?? parseTarget(name);
  const keywords = parseKeywords(behind);
  if (target === undefined || !isState(status) || keywords === undefined) return undefined;
  const id = keywords.get('ID');
  const reason = keywords.get('REASON');
  return {
    type: 'orConnection',
    ...(id !== undefined && { id }),
    status,
    target,
    ...(reason !== undefined && { reason }),
    keywords,
  };
}

function parseBandwidth(text: string): TorEvent | undefined {
  const match = /^([0-9]{1,15}) ([0-9]{1,15})(?: |$)/.exec(text);
  if (match === null) return undefined;
  return { type: 'bandwidth', readBytes: Number(match[1]), writtenBytes: Number(match[2]) };
}

/** `NOTICE BOOTSTRAP PROGRESS=10 TAG=conn_done SUMMARY="Connected to a relay"`. */
function parseStatus(
  text: string,
  source: TorStatusEvent['source'],
): TorStatusEvent | TorBootstrapEvent | undefined {
  const [[severity, action], behind] = takeWords(text, 2);
  const keywords = parseKeywords(behind);
  if (!isSeverity(severity) || !isState(action) || keywords === undefined) return undefined;
  if (action !== 'BOOTSTRAP') return { type: 'status', source, severity, action, keywords };
  const progress = keywords.get('PROGRESS') ?? '';
  if (!/^(?:100|[0-9]{1,2})$/.test(progress)) return undefined;
  const warning = keywords.get('WARNING');
  const reason = keywords.get('REASON');
  return {
    type: 'bootstrap',
    severity,
    progress: Number(progress),
    tag: keywords.get('TAG') ?? '',
    summary: keywords.get('SUMMARY') ?? '',
    ...(warning !== undefined && { warning }),
    ...(reason !== undefined && { reason }),
    keywords,
  };
}

/** One line behind the name, or, for a message of several lines, the data. */
function parseLog(text: string, lines: readonly TorReplyLine[], name: string): TorEvent {
  const severity = name.toLowerCase() as TorLogEvent['severity'];
  return { type: 'log', severity, message: lines[0]?.data ?? text };
}

/**
 * `www.example.com 192.0.2.7 "2026-11-21 12:00:00" EXPIRES="2026-11-21 11:00:00" CACHED="YES"`: the
 * first time is local, so only EXPIRES, which is UTC, is of use; `NEVER` stands for no time.
 */
function parseAddressMap(text: string): TorEvent | undefined {
  const [[original, replacement], behind] = takeWords(text, 2);
  const keywords = parseKeywords(behind);
  if (!original || !replacement || keywords === undefined) return undefined;
  const expires = keywords.get('EXPIRES');
  const expiresEpochMs =
    expires === undefined ? undefined : Date.parse(`${expires.replace(' ', 'T')}Z`);
  if (Number.isNaN(expiresEpochMs)) return undefined;
  return {
    type: 'addressMap',
    original,
    ...(replacement !== '<error>' && { replacement }),
    ...(expiresEpochMs !== undefined && { expiresEpochMs }),
    keywords,
  };
}

/** A line for each option, then `OK`. */
function parseConfigurationChanged(_text: string, lines: readonly TorReplyLine[]): TorEvent {
  const entries = lines.slice(1, -1).map((line) => parseSetting(line.text));
  return { type: 'configurationChanged', entries };
}

function whyOf(keywords: ReadonlyMap<string, string>): {
  purpose?: string;
  reason?: string;
  remoteReason?: string;
} {
  const purpose = keywords.get('PURPOSE');
  const reason = keywords.get('REASON');
  const remoteReason = keywords.get('REMOTE_REASON');
  return {
    ...(purpose !== undefined && { purpose }),
    ...(reason !== undefined && { reason }),
    ...(remoteReason !== undefined && { remoteReason }),
  };
}

/** `host:port`; Tor writes IPv6 addresses with brackets in some events and without in others. */
function parseTarget(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(\[[^\]]+\]|.*):([0-9]{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65_535) return undefined;
  return { host: match[1]!.replace(/^\[(.*)\]$/, '$1'), port: Number(match[2]) };
}

function isId(word: string | undefined): word is string {
  return word !== undefined && /^[A-Za-z0-9]{1,16}$/.test(word);
}

function isState(word: string | undefined): word is string {
  return word !== undefined && /^[A-Z][A-Z0-9_]*$/.test(word);
}

function isSeverity(word: string | undefined): word is TorStatusSeverity {
  return word === 'NOTICE' || word === 'WARN' || word === 'ERR';
}
