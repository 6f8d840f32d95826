/** What must hold of every message that the server sends, whatever the check was for. */
import type { Findings } from '../findings.ts';
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
import type { Received, Session } from './session.ts';

/** The clauses that `judgeTranscript` may judge: everything that is sent is looked at for them. */
export const transcriptClauses: readonly string[] = [
  'TC-1-06',
  'TC-2-03',
  'TC-3.1-02',
  'TC-3.1-13',
  'TC-3.1-14',
  'TC-3.2-02',
  'TC-3.5-01',
  'TC-3.5-02',
  'TC-3.6-02',
  'TC-3.7-01',
  'TC-3.7-02',
  'TC-3.7-03',
  'TC-3.7-04',
  'TC-3.7-07',
  'TC-3.7-08',
  'TC-3.7-10',
  'TC-3.7-11',
  'TC-3.7-12',
  'TC-3.7-13',
  'TC-3.12-01',
  'TC-3.12-02',
];

/** Judges every message of every session. */
export function judgeTranscript(sessions: readonly Session[], findings: Findings): void {
  for (const received of sessions.flatMap(({ log }) => log)) {
    judgeKind(received, findings);
    const judge = judges.get(received.frame.type);
    if (judge !== undefined) judge(received, findings);
  }
}

/** What a server may send, and in answer to what. */
function judgeKind({ frame, request, wanted }: Received, findings: Findings): void {
  const came = describeFrame(frame);
  if (frame.type === Type.event) {
    const code = codeOf(frame) ?? -1;
    const sent = `SETEVENTS with ${wanted.map((each) => hex(each)).join(', ') || 'no code, or none'}`;
    const evidence = { sent, came, expected: 'EVENTs of the kinds that were asked for, no others' };
    findings.judge('TC-3.7-01 TC-3.6-02', wanted.includes(code), evidence);
    if (wanted.length === 0) findings.judge('TC-1-06', false, evidence);
    return;
  }
  findings.judge('TC-2-03', sentByServers.has(frame.type), {
    sent: request === undefined ? 'nothing' : describeFrame(request),
    came,
    expected: 'messages of types that a server sends',
  });
  if (request !== undefined) return;
  findings.judge('TC-1-06', false, {
    sent: 'nothing more than was answered already',
    came,
    expected: 'nothing',
  });
}

const sentByServers: ReadonlySet<number> = new Set([
  Type.error,
  Type.done,
  Type.confValue,
  Type.event,
  Type.addressMapped,
]);

type Judge = (received: Received, findings: Findings) => void;

const judges: ReadonlyMap<number, Judge> = new Map<number, Judge>([
  [Type.error, judgeError],
  [
    Type.done,
    ({ frame, request }, findings) =>
      findings.judge('TC-3.2-02', frame.body.length === 0, {
        sent: sentBefore(request),
        came: describeFrame(frame),
        expected: 'a DONE without a body: 00 00 00 01',
      }),
  ],
  [
    Type.confValue,
    ({ frame, request }, findings) => {
      const evidence = { sent: sentBefore(request), came: describeFrame(frame) };
      const expected = 'lines of keyword, space, value and NL, or no line';
      findings.judge('TC-3.5-02', confLines(frame) !== undefined, { ...evidence, expected });
      if (request === undefined) return;
      findings.judge('TC-3.5-01', request.type === Type.getConf, {
        ...evidence,
        expected: 'CONFVALUE in answer to GETCONF only',
      });
    },
  ],
  [
    Type.addressMapped,
    ({ frame, request }, findings) => {
      const evidence = { sent: sentBefore(request), came: describeFrame(frame) };
      const expected = 'two addresses, each a type octet and what belongs to it';
      findings.judge('TC-3.12-01', decodePair(frame.body) !== undefined, { ...evidence, expected });
      const isAsked = request?.type === Type.mapAddress || request?.type === Type.getAllMappings;
      if (request === undefined) return;
      findings.judge('TC-3.12-02', isAsked, {
        ...evidence,
        expected: 'ADDRESSMAPPED in answer to MAPADDRESS and GETALLMAPPINGS only',
      });
    },
  ],
  [Type.event, ({ frame }, findings) => judgeEvent(frame, findings)],
]);

function sentBefore(request: Frame | undefined): string {
  return request === undefined ? 'nothing more than was answered already' : describeFrame(request);
}

function judgeError({ frame, request }: Received, findings: Findings): void {
  const code = codeOf(frame);
  const evidence = { sent: sentBefore(request), came: describeFrame(frame) };
  findings.judge('TC-3.1-02', code !== undefined, {
    ...evidence,
    expected: 'an ERROR that begins with a code of two octets',
  });
  if (code === undefined) return;
  findings.judge('TC-3.1-14', code <= 0x0009, {
    ...evidence,
    expected: 'a code from 0x0000 to 0x0009',
  });
  findings.judge('TC-3.1-13', isReadable(frame.body.subarray(2)), {
    ...evidence,
    expected: 'readable text behind the code, without NUL',
  });
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

function judgeEvent(frame: Frame, findings: Findings): void {
  const code = codeOf(frame);
  const came = describeFrame(frame);
  const judge = (clause: string, holds: boolean, expected: string): void =>
    findings.judge(clause, holds, { sent: 'SETEVENTS', came, expected });
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
