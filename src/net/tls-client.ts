import { addAbortListener } from 'node:events';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { hashOfChain } from '../crypto/certificates.ts';
import { equalInConstantTime } from '../crypto/hash.ts';
import { PosternError, type ErrorCode } from '../errors.ts';
import { limits } from '../limits.ts';
import type { ClientTls } from '../transports/contract.ts';
import { rememberWire } from './break-off.ts';
import type { DialOptions } from './dialer.ts';
import { pinningContext, trustingContext } from './tls-roots.ts';

/**
 * Speaks TLS over a connection, which it then owns, and makes sure of the other end. ALPN is `http/1.1` alone, as
 * browsers have it for WebSockets.
 *
 * @returns a socket that comes with an error listener; both directions end separately
 * @throws PosternError `ERR_TLS_*`; `ERR_HANDSHAKE_CLOSED`, `ERR_HANDSHAKE_TIMED_OUT`; `signal.reason`
 */
export function secureClient(
  wire: Duplex,
  tls: ClientTls,
  { signal }: DialOptions = {},
): Promise<TLSSocket> {
  const { serverName, checkedName, pin } = tls;
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: wire,
      ...(serverName !== undefined && { servername: serverName }),
      ALPNProtocols: ['http/1.1'],
      secureContext: pin === undefined ? trustingContext() : pinningContext(),
      rejectUnauthorized: pin === undefined,
      checkServerIdentity: (_, certificate) =>
        checkedName === undefined ? undefined : checkServerIdentity(checkedName, certificate),
    });
    rememberWire(socket, wire);
    const settle = (settlement: () => void): void => {
      clearTimeout(deadline);
      abortion?.[Symbol.dispose]();
      settlement();
    };
    const fail = (error: unknown): void => {
      settle(() => reject(error));
      socket.destroy();
      wire.destroy();
    };
    const deadline = setTimeout(
      () => fail(new PosternError('ERR_HANDSHAKE_TIMED_OUT', 'the TLS handshake took too long')),
      limits.tlsHandshakeMs,
    );
    const abortion = signal && addAbortListener(signal, () => fail(signal.reason));
    // After the first settlement an error is its owner's to hear, or nobody's; 'close' follows.
    socket.on('error', (error: NodeJS.ErrnoException) => fail(tlsError(error)));
    socket.once('close', () => fail(closedEarly()));
    socket.once('secureConnect', () => {
      if (pin !== undefined && !equalInConstantTime(hashOfPeer(socket), pin)) {
        fail(new PosternError('ERR_TLS_PIN', 'the certificates are not those of `cert`'));
        return;
      }
      socket.removeAllListeners('error').removeAllListeners('close').on('error', ignore);
      settle(() => resolve(socket));
    });
  });
}

/** The hash of the chain that came; in practice it is in order, each certificate signed by the next. */
function hashOfPeer(socket: TLSSocket): Uint8Array {
  const leaf = socket.getPeerCertificate(true);
  const chain: [Uint8Array, ...Uint8Array[]] = [leaf.raw];
  let last: PeerCertificate = leaf;
  for (;;) {
    const issuer: PeerCertificate | undefined = (last as { issuerCertificate?: PeerCertificate })
      .issuerCertificate;
    if (issuer === undefined || issuer.raw.equals(last.raw)) return hashOfChain(chain);
    chain.push(issuer.raw);
    last = issuer;
  }
}

const UNTRUSTED = 'the certificate is not signed by anyone whom we trust';

/** OpenSSL's names of what is wrong with a certificate. */
const CERTIFICATE_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  CERT_HAS_EXPIRED: ['ERR_TLS_EXPIRED', 'the certificate has expired'],
  CERT_NOT_YET_VALID: ['ERR_TLS_EXPIRED', 'the certificate is not valid yet'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['ERR_TLS_NAME', 'the certificate is for another name'],
  ERR_TLS_CERT_ALTNAME_FORMAT: ['ERR_TLS_NAME', 'the certificate’s names are malformed'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['ERR_TLS_UNTRUSTED', 'the certificate is self-signed'],
  SELF_SIGNED_CERT_IN_CHAIN: ['ERR_TLS_UNTRUSTED', UNTRUSTED],
  UNABLE_TO_GET_ISSUER_CERT: ['ERR_TLS_UNTRUSTED', UNTRUSTED],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['ERR_TLS_UNTRUSTED', UNTRUSTED],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ['ERR_TLS_UNTRUSTED', UNTRUSTED],
};

function tlsError(error: NodeJS.ErrnoException): PosternError {
  const { code = 'unknown error' } = error;
  const known = CERTIFICATE_ERRORS[code];
  if (known !== undefined) return new PosternError(known[0], known[1], { cause: error });
  // Of the wire, and not of what came on it.
  if (/^E(?!RR_)/.test(code)) return closedEarly(error);
  return new PosternError('ERR_TLS_FAILED', `TLS failed (${code})`, { cause: error });
}

function closedEarly(cause?: Error): PosternError {
  return new PosternError('ERR_HANDSHAKE_CLOSED', 'the connection ended during the TLS handshake', {
    cause,
  });
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
