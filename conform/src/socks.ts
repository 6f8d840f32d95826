/**
 * A SOCKS client for looking at a SOCKS server from outside. Not the one of src/socks: that one is polite
 * and strict, while this one sends what it is told to and reports each answer.
 */
import { type Endpoint, ipToBytes } from 'postern/pt';
import type { Time } from './patience.ts';
import type { Silence, Wire } from './wire.ts';

/** What to ask for. */
export interface SocksRequest {
  readonly version: 'socks4' | 'socks5';
  readonly target: Endpoint;
  /** The encoded PT arguments; none, and no authentication, when empty. */
  readonly args: Uint8Array;
}

/** How far the conversation came, and the answer at that point. */
export interface SocksOutcome {
  /** Which answer is meant: of the method choice, the authentication, or the request. */
  readonly stage: 'method' | 'authentication' | 'reply';
  /** The answer's code, or why there was none. */
  readonly answer: number | Silence;
  /** The connection is open: what follows is payload. */
  readonly isOpen: boolean;
}

/** Asks for a connection with CONNECT. */
export async function socksConnect(
  wire: Wire,
  { version, target, args }: SocksRequest,
  time: Time,
): Promise<SocksOutcome> {
  if (version === 'socks4') {
    const name = ipToBytes(target.host) === undefined ? Buffer.from(`${target.host}\0`) : '';
    const request = [Buffer.of(4, 1), ...addressAndPort(target, 4), args, Buffer.of(0)];
    wire.write(Buffer.concat([...request, Buffer.from(name)]));
    const reply = await wire.take(8, time);
    return outcome('reply', reply, 1, 0x5a);
  }
  const hasArguments = args.length > 0;
  wire.write(hasArguments ? Buffer.of(5, 2, 0, 2) : Buffer.of(5, 1, 0));
  const choice = await wire.take(2, time);
  const wanted = hasArguments ? 2 : 0;
  if (typeof choice === 'string' || choice[0] !== 5 || choice[1] !== wanted) {
    return outcome('method', choice, 1, -1);
  }
  if (hasArguments) {
    const username = args.subarray(0, 255);
    const password = args.length > 255 ? args.subarray(255) : Buffer.of(0);
    wire.write(
      Buffer.concat([
        Buffer.of(1, username.length),
        username,
        Buffer.of(password.length),
        password,
      ]),
    );
    const status = await wire.take(2, time);
    if (typeof status === 'string' || status[1] !== 0)
      return outcome('authentication', status, 1, -1);
  }
  wire.write(Buffer.concat([Buffer.of(5, 1, 0), ...addressAndPort(target, 5)]));
  const head = await wire.take(4, time);
  if (typeof head === 'string' || head[1] !== 0) return outcome('reply', head, 1, 0);
  const rest = { 1: 6, 4: 18 }[head[3]!];
  const bound = rest === undefined ? head : await wire.take(rest, time);
  return outcome('reply', typeof bound === 'string' ? bound : head, 1, 0);
}

/** `the request was answered with 0x05`, `the authentication was answered by closing` */
export function describeOutcome({ stage, answer, isOpen }: SocksOutcome): string {
  if (isOpen) return 'the connection was opened';
  const what = { method: 'greeting', authentication: 'authentication', reply: 'request' }[stage];
  if (answer === 'silent') return `the ${what} was not answered`;
  if (answer === 'closed' || answer === 'reset') return `the ${what} was answered by closing`;
  return `the ${what} was answered with 0x${answer.toString(16).padStart(2, '0')}`;
}

function outcome(
  stage: SocksOutcome['stage'],
  bytes: Buffer | Silence,
  at: number,
  open: number,
): SocksOutcome {
  const answer = typeof bytes === 'string' ? bytes : bytes[at]!;
  return { stage, answer, isOpen: answer === open };
}

function addressAndPort({ host, port }: Endpoint, version: 4 | 5): readonly Buffer[] {
  const portBytes = Buffer.of(port >> 8, port & 0xff);
  const address = ipToBytes(host);
  // SOCKS4a: an address that says that a name follows.
  if (version === 4) return [portBytes, Buffer.from(address ?? [0, 0, 0, 1])];
  if (address === undefined) {
    return [Buffer.of(3, host.length), Buffer.from(host, 'latin1'), portBytes];
  }
  return [Buffer.of(address.length === 4 ? 1 : 4), Buffer.from(address), portBytes];
}
