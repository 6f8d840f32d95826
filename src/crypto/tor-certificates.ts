/**
 * The certificates with which a relay of Tor proves who it is on a link (tor-spec, "CERTS cells";
 * cert-spec). The chain is that of today: the RSA key that the fingerprint names vouches for an Ed25519
 * key, that for a signing key, and that for the TLS certificate of this very connection.
 */
import {
  createPublicKey,
  hash,
  type KeyObject,
  publicDecrypt,
  verify,
  X509Certificate,
  constants,
} from 'node:crypto';
import { Reader } from '../bytes/reader.ts';
import { PosternError } from '../errors.ts';

/** Which relay it has proven to be. */
export interface TorIdentity {
  /** 40 hexadecimal digits, upper case: SHA-1 of its RSA identity key, as bridge lines have it. */
  readonly fingerprint: string;
  /** Between these two all of its certificates are valid, in milliseconds since the epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The certificate types of a CERTS cell that are read here. */
const CertType = { rsaIdentity: 2, signingKey: 4, tlsLink: 5, crossCertificate: 7 } as const;

/**
 * Follows the chain from the RSA identity to the TLS certificate.
 *
 * @param certificates by their type, as the CERTS cell has them
 * @param tlsCertificate the certificate of the TLS connection, in DER
 * @throws PosternError `ERR_TOR_IDENTITY` when one is missing or does not vouch for the next one
 */
export function verifyTorIdentity(
  certificates: ReadonlyMap<number, Uint8Array>,
  tlsCertificate: Uint8Array,
): TorIdentity {
  const get = (type: keyof typeof CertType): Uint8Array => {
    const certificate = certificates.get(CertType[type]);
    if (certificate !== undefined) return certificate;
    throw new PosternError('ERR_TOR_IDENTITY', `the ${type} certificate is missing`);
  };
  const [x509, cross] = [get('rsaIdentity'), get('crossCertificate')];
  const [signing, link] = [get('signingKey'), get('tlsLink')];
  try {
    const rsa = new X509Certificate(x509);
    demand(rsa.publicKey.asymmetricKeyType === 'rsa' && rsa.verify(rsa.publicKey), 'rsaIdentity');
    const identity = openCrossCertificate(cross, rsa.publicKey);
    const signed = openEd25519Certificate(signing, identity.key);
    const tls = openEd25519Certificate(link, signed.key);
    demand(tls.key.equals(digest('sha256', tlsCertificate)), 'tlsLink');
    return {
      fingerprint: digest('sha1', rsa.publicKey.export({ type: 'pkcs1', format: 'der' }))
        .toString('hex')
        .toUpperCase(),
      notBeforeMs: Date.parse(rsa.validFrom),
      notAfterMs: Math.min(
        Date.parse(rsa.validTo),
        ...[identity, signed, tls].map(({ expiresHour }) => expiresHour * 3_600_000),
      ),
    };
  } catch (error) {
    if (error instanceof PosternError && error.code === 'ERR_TOR_IDENTITY') throw error;
    // OpenSSL's own words, or those of the reader.
    throw new PosternError('ERR_TOR_IDENTITY', 'a certificate cannot be read', { cause: error });
  }
}

interface Vouched {
  readonly key: Buffer;
  readonly expiresHour: number;
}

/** `ED25519_KEY [32] EXPIRATION_DATE [4] SIGLEN [1] SIGNATURE`, by the RSA identity. */
function openCrossCertificate(certificate: Uint8Array, rsa: KeyObject): Vouched {
  const reader = new Reader(certificate);
  const key = Buffer.from(reader.bytes(32));
  const expiresHour = reader.uint32();
  const signature = reader.bytes(reader.uint8());
  const signed = digest(
    'sha256',
    Buffer.concat([Buffer.from(CROSS_PREFIX), certificate.subarray(0, 36)]),
  );
  // The digest alone, without the name of its algorithm around it.
  const opened = publicDecrypt({ key: rsa, padding: constants.RSA_PKCS1_PADDING }, signature);
  demand(opened.equals(signed), 'crossCertificate');
  return { key, expiresHour };
}

const CROSS_PREFIX = 'Tor TLS RSA/Ed25519 cross-certificate';

/**
 * `VERSION [1] TYPE [1] EXPIRATION_DATE [4] KEY_TYPE [1] KEY [32] N_EXTENSIONS [1] … SIGNATURE [64]`, by
 * an Ed25519 key.
 */
function openEd25519Certificate(certificate: Uint8Array, signer: Buffer): Vouched {
  const reader = new Reader(certificate);
  demand(reader.uint8() === 1, 'version of a');
  reader.uint8();
  const expiresHour = reader.uint32();
  reader.uint8();
  const key = Buffer.from(reader.bytes(32));
  const end = certificate.length - 64;
  const x = signer.toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  demand(
    verify(null, certificate.subarray(0, end), publicKey, certificate.subarray(end)),
    'Ed25519',
  );
  return { key, expiresHour };
}

function demand(holds: boolean, which: string): void {
  if (holds) return;
  throw new PosternError('ERR_TOR_IDENTITY', `the ${which} certificate does not hold`);
}

function digest(algorithm: 'sha1' | 'sha256', bytes: Uint8Array): Buffer {
  return Buffer.from(hash(algorithm, bytes, 'hex'), 'hex');
}
