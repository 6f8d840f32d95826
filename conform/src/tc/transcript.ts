/** What must hold of every message that the server sends, whatever the check was for. */
import type { Findings, Judge } from '../findings.ts';
import {
  Code,
  codeOf,
  confLines,
  decodeChange,
  decodePair,
  describeFrame,
  type Frame,
  hex,
  Type,
} from './frames.ts';
import { type Received, type Session } from './session.ts';

/** The clauses that `judgeTranscript` may judge: everything that is sent is looked at for them. */
export const transcriptClauses: string =
  'TC-1-06 TC-2-03 TC-3.1-02 TC-3.1-13 TC-3.1-14 TC-3.2-02 TC-3.5-01 TC-3.5-02 ' +
  'TC-3.6-02 TC-3.7-01 TC-3.7-02 TC-3.7-03 TC-3.7-04 TC-3.7-07 TC-3.7-08 TC-3.7-10 ' +
  'TC-3.7-11 TC-3.7-12 TC-3.7-13 TC-3.12-01 TC-3.12-02';

/** Judges every message of every session. */
export function judgeTranscript(sessions: readonly Session[], findings: Findings): void {
  for (const received of sessions.flatMap(({ log }) => log)) {
    const { frame, request } = received;
    const came = describeFrame(frame);
    if (frame.type === Type.event) {
      judgeAsked(received, findings);
      judgeEvent(frame, findings.on('SETEVENTS', came));
      continue;
    }
    const sent = request === undefined ? NOTHING_MORE : describeFrame(request);
    const judge = findings.on(sent, came);
    judge('TC-2-03', sentByServers.has(frame.type), 'messages of types that a server sends');
    if (request === undefined) judge('TC-1-06', false, 'nothing');
    judgeReply(frame, request, judge);
  }
}

const NOTHING_MORE = 'nothing more than was answered already';

/** An EVENT must have been asked for. */
function judgeAsked({ frame, wanted }: Received, findings: Findings): void {
  const asked = wanted.map((each) => hex(each)).join(', ') || 'no code, or none';
  const judge = findings.on(`SETEVENTS with ${asked}`, describeFrame(frame));
  const expected = 'EVENTs of the kinds that were asked for, no others';
  judge('TC-3.7-01 TC-3.6-02', wanted.includes(codeOf(frame) ?? -1), expected);
  if (wanted.length === 0) judge('TC-1-06', false, expected);
}

const sentByServers: ReadonlySet<number> = new Set([
  Type.error,
  Type.done,
  Type.confValue,
  Type.event,
  Type.addressMapped,
]);

/** What a reply must be like, and in answer to what it may come. */
function judgeReply(frame: Frame, request: Frame | undefined, judge: Judge): void {
  const { type, body } = frame;
  if (type === Type.error) {
    const code = codeOf(frame);
    judge('TC-3.1-02', code !== undefined, 'an ERROR that begins with a code of two octets');
    if (code === undefined) return;
    judge('TC-3.1-14', code <= 0x0009, 'a code from 0x0000 to 0x0009');
    const text = 'readable text behind the code, without NUL';
    judge('TC-3.1-13', isReadable(body.subarray(2)), text);
  }
  if (type === Type.done) {
    judge('TC-3.2-02', body.length === 0, 'a DONE without a body: 00 00 00 01');
  }
  if (type === Type.confValue) {
    const lines = 'lines of keyword, space, value and NL, or no line';
    judge('TC-3.5-02', confLines(frame) !== undefined, lines);
    if (request === undefined) return;
    const isAsked = request.type === Type.getConf;
    judge('TC-3.5-01', isAsked, 'CONFVALUE in answer to GETCONF only');
  }
  if (type === Type.addressMapped) {
    const addresses = 'two addresses, each a type octet and what belongs to it';
    judge('TC-3.12-01', decodePair(body) !== undefined, addresses);
    if (request === undefined) return;
    const isAsked = request.type === Type.mapAddress || request.type === Type.getAllMappings;
    const only = 'ADDRESSMAPPED in answer to MAPADDRESS and GETALLMAPPINGS only';
    judge('TC-3.12-02', isAsked, only);
  }
}

function isReadable(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // Line breaks are fine: some texts say much.
    return text.length > 0 && !/[^\P{Cc}\r\n\t]/u.test(text);
  } catch {
    return false;
  }
}

function judgeEvent(frame: Frame, judge: Judge): void {
  const code = codeOf(frame);
  const { body } = frame;
  judge(
    'TC-3.7-02',
    code !== undefined && code >= 0x0001 && code <= 0x0005,
    'an EVENT that begins with a code from 0x0001 to 0x0005',
  );
  switch (code) {
    case Code.circuit:
    case Code.stream:
    case Code.orConnection: {
      const { form, statuses, most, layout } = changes[code];
      const change = decodeChange(frame);
      judge(form, change !== undefined, layout);
      if (change !== undefined) {
        judge(statuses, change.status <= most, `a status from 0 to ${most}`);
      }
      if (code !== Code.circuit && change !== undefined) {
        const isTarget =
          code !== Code.stream || /^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):\d+$/.test(change.text);
        judge(form, isTarget && change.text !== '', layout);
      }
      break;
    }
    case Code.bandwidth:
      judge('TC-3.7-12', body.length === 10, 'two counts of four octets, and no more');
      break;
    case Code.log: {
      const isText = body.length > 3 && body.indexOf(0, 2) === body.length - 1;
      judge('TC-3.7-13', isText, 'a message that ends with NUL, and nothing behind it');
      break;
    }
    default:
  }
}

const changes = {
  [Code.circuit]: {
    form: 'TC-3.7-03',
    statuses: 'TC-3.7-04',
    most: 4,
    layout: 'status, circuit ID of four octets, path that ends with NUL, and nothing behind it',
  },
  [Code.stream]: {
    form: 'TC-3.7-07',
    statuses: 'TC-3.7-08',
    most: 4,
    layout: 'status, stream ID of four octets, address:port that ends with NUL, nothing behind it',
  },
  [Code.orConnection]: {
    form: 'TC-3.7-10',
    statuses: 'TC-3.7-11',
    most: 3,
    layout: 'status, name that ends with NUL, and nothing behind it',
  },
} as const;
