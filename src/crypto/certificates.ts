/** Certificates: the hash by which a chain is known, and one that a server makes for itself. */
import { generateKeyPair, randomBytes, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { sha256 } from './hash.ts';

/**
 * The hash of a chain, as webtunnel has it: h = SHA-256(leaf), and for each further certificate
 * h = SHA-256(h ‖ SHA-256(certificate)); 32 bytes.
 *
 * @param chain in DER, the leaf first, in the order in which it was sent
 */
export function hashOfChain(chain: readonly [Uint8Array, ...Uint8Array[]]): Buffer {
  const [leaf, ...rest] = chain;
  return rest.reduce<Buffer>((hash, der) => sha256(hash, sha256(der)), sha256(leaf));
}

/** The certificate of PEM text, in DER. @throws Error where there is none */
export function derOfPem(pem: string): Buffer {
  return new X509Certificate(pem).raw;
}

/** A certificate and its key, as PEM. */
export interface OwnCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a key and a certificate for it that nobody else has signed. RSA with 2048 bits, which is what most
 * web servers have.
 *
 * @param host the name or the address that it is for
 * @param isAddress whether that is an IP address
 */
export async function createSelfSigned(
  host: string,
  isAddress: boolean,
  validity: { readonly notBefore: Date; readonly notAfter: Date },
): Promise<OwnCertificate> {
  // 50 ms and some megabytes, for those few that need it.
  const { default: forge } = await import('node-forge');
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  // Positive and of that length, whatever is drawn: DER has one way to write a number.
  certificate.serialNumber = `4${randomBytes(16).toString('hex').slice(1)}`;
  certificate.validity = validity;
  const name = [{ name: 'commonName', value: host }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  const altNames = [isAddress ? { type: 7, ip: host } : { type: 2, value: host }];
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames },
  ]);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: privateKey };
}
