/** A server's TLS: the certificates, read again when their files change, and the handshake on one connection. */
import { readFile, stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { derOfPem } from '../crypto/certificates.ts';
import { describeError, PosternError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { ServerTls } from '../transports/contract.ts';
import { unawaited } from '../unawaited.ts';
import { rememberWire } from './break-off.ts';

/** TLS that a listener speaks. */
export interface TlsAcceptor {
  /**
   * Speaks TLS over a connection, of which nothing has been taken.
   *
   * @returns a socket that comes with an error listener
   * @throws PosternError `ERR_TLS_FAILED`, `ERR_HANDSHAKE_CLOSED`, `ERR_HANDSHAKE_TIMED_OUT`
   */
  secure(wire: Socket): Promise<TLSSocket>;
  /** Looks after the files no more. */
  close(): void;
}

/**
 * Reads the certificates.
 *
 * @param notify hears of new ones that cannot be used; those that were there stay
 * @throws PosternError `ERR_TLS_CERTIFICATE`
 */
export async function createTlsAcceptor(
  tls: ServerTls,
  notify: (notice: string) => void,
): Promise<TlsAcceptor> {
  let known = await versionOf(tls);
  let context = contextOf(await load(tls));
  const check = async (): Promise<void> => {
    const version = await versionOf(tls);
    if (version === known) return;
    known = version;
    try {
      context = contextOf(await load(tls));
      notify('the certificate was read again');
    } catch (error) {
      notify(
        `the new certificate is not used, and the one before it stays: ${describeError(error)}`,
      );
    }
  };
  const timer =
    'certFile' in tls
      ? setInterval(() => unawaited(check), limits.certificateCheckMs).unref()
      : undefined;
  return {
    secure: (wire) => secure(wire, context),
    close: () => clearInterval(timer),
  };
}

function secure(wire: Socket, secureContext: SecureContext): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = new TLSSocket(wire, {
      isServer: true,
      secureContext,
      ALPNProtocols: ['http/1.1'],
    });
    rememberWire(socket, wire);
    const settle = (settlement: () => void): void => {
      clearTimeout(deadline);
      socket.off('close', onClose).off('readable', onReadable);
      settlement();
    };
    const fail = (error: PosternError): void => {
      settle(() => reject(error));
      socket.destroy();
    };
    const deadline = setTimeout(
      () => fail(new PosternError('ERR_HANDSHAKE_TIMED_OUT', 'the TLS handshake took too long')),
      limits.tlsHandshakeMs,
    );
    const onClose = (): void => {
      const cause = socket.errored ?? undefined;
      const { code = '' } = (cause ?? {}) as NodeJS.ErrnoException;
      fail(
        code.startsWith('ERR_SSL')
          ? new PosternError('ERR_TLS_FAILED', `TLS failed (${code})`, { cause })
          : new PosternError('ERR_HANDSHAKE_CLOSED', 'the client left during the TLS handshake', {
              cause,
            }),
      );
    };
    const onReadable = (): void => {
      // Readable without a byte: the client has ended, and a socket that allows half-close would wait for ever.
      if (socket.readableLength === 0) socket.destroy();
    };
    socket.on('error', ignore);
    socket.once('close', onClose).on('readable', onReadable);
    socket.once('secure', () => settle(() => resolve(socket)));
  });
}

interface Pem {
  readonly cert: string;
  readonly key: string;
}

async function load(tls: ServerTls): Promise<Pem> {
  if ('cert' in tls) return tls;
  const read = async (name: string, path: string): Promise<string> => {
    try {
      return await readFile(path, 'utf8');
    } catch (error) {
      const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw new PosternError(
        'ERR_TLS_CERTIFICATE',
        `the file of \`${name}\` cannot be read (${errno})`,
        {
          cause: error,
        },
      );
    }
  };
  return { cert: await read('tls-cert', tls.certFile), key: await read('tls-key', tls.keyFile) };
}

/** The ciphers are nginx's, in its order: a list of our own would be a mark. */
function contextOf({ cert, key }: Pem): SecureContext {
  try {
    // Of an empty text OpenSSL makes a context without a certificate.
    derOfPem(cert);
    if (key.trim() === '') throw new Error('there is no key');
    return createSecureContext({
      cert,
      key,
      minVersion: 'TLSv1.2',
      ciphers: 'HIGH:!aNULL:!MD5',
      honorCipherOrder: false,
      ecdhCurve: 'auto',
    });
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new PosternError(
      'ERR_TLS_CERTIFICATE',
      `\`tls-cert\` and \`tls-key\` are no certificate and its key (${code})`,
      { cause: error },
    );
  }
}

/** Changes when one of the files does. */
async function versionOf(tls: ServerTls): Promise<string> {
  if ('cert' in tls) return '';
  const times = [tls.certFile, tls.keyFile].map(async (path) => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch {
      return 'none';
    }
  });
  return (await Promise.all(times)).join(' ');
}

/** 'close' follows, and `errored` says why. */
function ignore(): void {}
