import { addAbortListener } from 'node:events';
import { dialControl } from '../../control/node/dial.ts';
import { readControlCookie } from '../../control/node/cookie-file.ts';
import { randomBytes, systemRng } from '../../crypto/rng.ts';
import { PosternError } from '../../errors.ts';
import { limits } from '../../limits.ts';
import { systemTimers } from '../../time.ts';
import type { Endpoint } from '../../pt/address.ts';
import {
  answerAuthChallenge,
  chooseAuthentication,
  formatAuthChallenge,
  formatAuthenticate,
  parseProtocolInfo,
  type TorAuthentication,
  type TorCredentials,
} from '../authentication.ts';
import { TorRefusal } from '../messages.ts';
import { TorControl, type TorControlTimes } from './control.ts';

/** Where a Tor's control port is: `ControlPort`, or the path of `ControlSocket`. */
export type TorControlAddress = { readonly endpoint: Endpoint } | { readonly path: string };

/** Where to connect, with what credentials, and how long to wait. */
export type TorControlTarget = TorControlAddress &
  TorCredentials &
  TorControlTimes & {
    /** How long it may take to connect and to authenticate. */
    readonly timeoutMs?: number;
  };

/** What `connectTorControl` is told. */
export type TorControlOptions = TorControlTarget & {
  /** Gives the attempt up; rejects with its reason. Without effect once connected. */
  readonly signal?: AbortSignal;
};

/**
 * Connects to Tor's control port and authenticates, in the way that gives away least: see
 * `chooseAuthentication`.
 *
 * @example
 * const tor = await connectTorControl({ endpoint: { host: '127.0.0.1', port: 9051 } });
 * const version = (await tor.getInfo('version')).get('version');
 * @throws PosternError `ERR_DIAL_*`, `ERR_CONTROL_COOKIE`, `ERR_TOR_CONTROL_AUTHENTICATION`,
 *   `ERR_TOR_CONTROL_FALSE_SERVER`, `ERR_TOR_CONTROL_TIMED_OUT`, `ERR_TOR_CONTROL_CLOSED`,
 *   `ERR_TOR_CONTROL_PROTOCOL`, or the signal's reason
 */
export async function connectTorControl(options: TorControlOptions): Promise<TorControl> {
  const { signal, timeoutMs = limits.torControlConnectMs, timers = systemTimers } = options;
  signal?.throwIfAborted();
  const attempt = new AbortController();
  const giveUp = signal && addAbortListener(signal, () => attempt.abort(signal.reason));
  const cancelDeadline = timers.after(timeoutMs, () => {
    const message = `Tor did not let us in within ${timeoutMs} ms`;
    attempt.abort(new PosternError('ERR_TOR_CONTROL_TIMED_OUT', message));
  });
  try {
    return await open(options, attempt.signal);
  } finally {
    cancelDeadline();
    giveUp?.[Symbol.dispose]();
  }
}

async function open(options: TorControlOptions, signal: AbortSignal): Promise<TorControl> {
  const address = 'path' in options ? { socketPath: options.path } : options.endpoint;
  const control = new TorControl(await dialControl(address, signal), options);
  const abortion = addAbortListener(signal, () => control.abort());
  try {
    await authenticate(control, options);
    signal.throwIfAborted();
    return control;
  } catch (error) {
    control.abort();
    signal.throwIfAborted();
    throw error;
  } finally {
    abortion[Symbol.dispose]();
  }
}

async function authenticate(control: TorControl, credentials: TorCredentials): Promise<void> {
  const info = parseProtocolInfo(await control.command('PROTOCOLINFO 1'));
  const authentication = chooseAuthentication(info, credentials);
  try {
    const secret = await secretFor(authentication, control);
    await control.command(formatAuthenticate(secret));
  } catch (error) {
    if (!(error instanceof TorRefusal)) throw error;
    // Without Tor's own words: one that is false could send the secret back in them, into a log.
    const message = `Tor refused ${authentication.method} (${error.status})`;
    throw new PosternError('ERR_TOR_CONTROL_AUTHENTICATION', message);
  }
}

/** What AUTHENTICATE takes. */
async function secretFor(
  authentication: TorAuthentication,
  control: TorControl,
): Promise<Uint8Array> {
  switch (authentication.method) {
    case 'NULL':
      return new Uint8Array(0);
    case 'HASHEDPASSWORD':
      return Buffer.from(authentication.password, 'utf8');
    case 'COOKIE':
      return readControlCookie(authentication.cookiePath, 'anyone');
    case 'SAFECOOKIE': {
      const cookie = await readControlCookie(authentication.cookiePath, 'anyone');
      const nonce = randomBytes(systemRng, NONCE_BYTES);
      return answerAuthChallenge(await control.command(formatAuthChallenge(nonce)), cookie, nonce);
    }
  }
}

const NONCE_BYTES = 32;
