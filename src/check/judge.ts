/** What kind of failure it was, from the step, the error and what was seen on the wire. */
import { type ErrorCode, PosternError } from '../errors.ts';
import type { Course } from './course.ts';
import { explain, type FailureKind, nameOfProtocol } from './explain.ts';
import type { WireRecord } from './observed-transport.ts';
import type { Failure, StepName } from './report.ts';
import type { TorBehind } from './tor-bridge.ts';

/** What is known of a check that failed. */
export interface Evidence {
  readonly course: Course;
  readonly wire: WireRecord;
  readonly transport: string | undefined;
  readonly clockAheadMs: number | undefined;
}

/** For a line that cannot be read, or whose transport is not known. */
export function unreadable({ code, message, remedy }: PosternError): Failure {
  return code === 'ERR_TRANSPORT_UNKNOWN'
    ? { kind: 'foreign', code, message, ...explain('foreign') }
    : { kind: 'unreadable', code, message, ...explain('unreadable'), advice: remedy };
}

/** For a check that failed. */
export function judge(error: unknown, evidence: Evidence): Failure {
  const { course } = evidence;
  const step = course.current ?? 'handshake';
  const code = error instanceof PosternError ? error.code : undefined;
  const kind = withClock(kindOf(step, code, evidence), evidence);
  return {
    step,
    kind,
    ...(code !== undefined && { code }),
    message: messageOf(kind, error, evidence),
    ...explain(kind),
  };
}

/** First certificates that have expired or are not valid yet; then the identity. */
export function judgeTor(
  { identity, clockMs }: TorBehind,
  isNamed: boolean | null,
): Failure | undefined {
  const now = Date.now();
  if (now < identity.notBeforeMs || now > identity.notAfterMs) {
    // Where the two clocks differ, the relay's own tells which one is wrong.
    const hours = Math.round(Math.abs(now - clockMs) / 3_600_000);
    const differ = hours === 0 ? '' : `; the clocks differ by ${hours} hours`;
    const message = `the certificates of the Tor behind the bridge are not valid now${differ}`;
    return { step: 'link', kind: 'expired', message, ...explain('expired') };
  }
  if (isNamed === false) {
    const message = 'the Tor behind the bridge is another one than the line’s fingerprint says';
    return {
      step: 'link',
      kind: 'identity',
      code: 'ERR_TOR_IDENTITY',
      message,
      ...explain('identity'),
    };
  }
  return undefined;
}

const kindsOfCodes: Partial<Readonly<Record<ErrorCode, FailureKind>>> = {
  ERR_DIAL_REFUSED: 'refused',
  ERR_DIAL_TIMED_OUT: 'filtered',
  ERR_DIAL_HOST_UNREACHABLE: 'unreachable',
  ERR_DIAL_NETWORK_UNREACHABLE: 'unreachable',
  ERR_DIAL_NO_LOCAL_PORT: 'unreachable',
  ERR_DIAL_NAME_NOT_FOUND: 'lookup',
  ERR_DIAL_NOT_ALLOWED: 'forbidden',
  ERR_TOR_IDENTITY: 'identity',
  ERR_TLS_EXPIRED: 'expired',
  ERR_TLS_NAME: 'certificate',
  ERR_TLS_UNTRUSTED: 'certificate',
  ERR_TLS_PIN: 'identity',
};

function kindOf(step: StepName, code: ErrorCode | undefined, evidence: Evidence): FailureKind {
  const { course } = evidence;
  switch (step) {
    case 'program':
      return 'program';
    case 'proxy':
      return 'proxy';
    case 'lookup':
      return 'lookup';
    case 'tcp':
      if (code?.startsWith('ERR_TUNNEL_') === true || code === 'ERR_HTTP_PROXY_REFUSED') {
        return 'proxy';
      }
      return course.isOverdue ? 'filtered' : (kindsOfCodes[code!] ?? 'failed');
    case 'connect':
      return course.isOverdue ? 'silent' : (kindsOfCodes[code!] ?? 'failed');
    case 'https':
      return kindsOfCodes[code!] ?? 'web';
    case 'handshake':
      return kindOfHandshake(evidence);
    case 'tls':
    case 'link':
      return code === 'ERR_TOR_IDENTITY' ? 'identity' : 'behind';
    case 'traffic':
      return 'cut';
  }
}

function kindOfHandshake({ course, wire, transport }: Evidence): FailureKind {
  const name = nameOfProtocol(wire.first);
  if (transport === 'webtunnel') {
    // webtunnel speaks to a web server.
    if (name === 'HTTP') return 'path';
    if (wire.receivedBytes === 0) return 'web';
  }
  if (name !== undefined) return 'stranger';
  if (wire.receivedBytes > 0) return 'mismatch';
  return course.isOverdue ? 'silent' : 'closes';
}

/** Transports with the hour in their handshake do not answer a client whose clock shows another hour. */
function withClock(kind: FailureKind, { transport, clockAheadMs }: Evidence): FailureKind {
  const isTimed = transport === 'obfs4' || transport === 'scramblesuit';
  const isOff = Math.abs(clockAheadMs ?? 0) >= HOUR_MS;
  return kind === 'silent' && isTimed && isOff ? 'clock' : kind;
}

const HOUR_MS = 3_600_000;

function messageOf(kind: FailureKind, error: unknown, evidence: Evidence): string {
  const { wire, course } = evidence;
  switch (kind) {
    case 'stranger':
      return `${nameOfProtocol(wire.first)} answers there, and not the transport`;
    case 'mismatch':
      return `what came back (${wire.receivedBytes} bytes) is not the transport’s answer`;
    case 'silent':
      return 'the connection is open, but no answer came';
    case 'closes':
      return 'the connection was closed before a byte came back';
    case 'filtered':
      return 'no TCP connection: there is no answer at all';
    case 'clock':
      return `this machine’s clock is ${describeClock(evidence.clockAheadMs!)}, and no answer came`;
    default:
      return describe(error, course);
  }
}

/** `2 h 3 min ahead`. */
export function describeClock(aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  const text = hours === 0 ? `${rest} min` : `${hours} h ${rest} min`;
  return `${text} ${aheadMs < 0 ? 'behind' : 'ahead'}`;
}

function describe(error: unknown, { isOverdue }: Course): string {
  if (!(error instanceof PosternError)) return isOverdue ? 'no answer came in time' : String(error);
  const { cause } = error;
  return cause instanceof PosternError ? `${error.message}: ${cause.message}` : error.message;
}
