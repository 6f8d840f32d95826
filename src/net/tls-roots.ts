/** The roots that we trust to sign certificates. */
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/** Where systems keep the roots that they trust. */
const SYSTEM_BUNDLES: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

let trusting: SecureContext | undefined;
let trustingNobody: SecureContext | undefined;

/**
 * For connections whose other end is to prove itself by a certificate: Node's own roots, and those of the file
 * that SSL_CERT_FILE names or else of the system's bundle, where it can be read. Made once: it takes 50 ms.
 */
export function trustingContext(): SecureContext {
  trusting ??= createSecureContext({
    minVersion: 'TLSv1.2',
    ca: [...rootCertificates, ...readBundle()],
  });
  return trusting;
}

/** For connections whose certificates are known by their hash: no root is added to what the other end sends. */
export function pinningContext(): SecureContext {
  trustingNobody ??= createSecureContext({ minVersion: 'TLSv1.2', ca: [] });
  return trustingNobody;
}

function readBundle(): readonly string[] {
  const given = process.env['SSL_CERT_FILE'];
  for (const path of given === undefined || given === '' ? SYSTEM_BUNDLES : [given]) {
    try {
      const text = readFileSync(path, 'latin1');
      if (text.includes('-----BEGIN CERTIFICATE-----')) return [text];
    } catch {
      // The next one, or none.
    }
  }
  return [];
}
