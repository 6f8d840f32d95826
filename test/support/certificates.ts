/** Certificates of every kind, good and bad. */
import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** A certificate and its key. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is to be. */
export interface TestCertificateOptions {
  /** Names, or addresses. */
  readonly names?: readonly string[];
  /** In days from now. */
  readonly validFrom?: number;
  readonly validTo?: number;
  /** Who signs it; itself when absent. */
  readonly issuer?: TestCertificate;
}

const DAY_MS = 86_400_000;
let serial = 0;

/** Makes one. */
export function makeTestCertificate({
  names = [],
  validFrom = -1,
  validTo = 30,
  issuer,
}: TestCertificateOptions = {}): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const certificate = forge.pki.createCertificate();
  serial += 1;
  certificate.serialNumber = `40${String(serial).padStart(6, '0')}`;
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.validity.notBefore = new Date(Date.now() + validFrom * DAY_MS);
  certificate.validity.notAfter = new Date(Date.now() + validTo * DAY_MS);
  const subject = [{ name: 'commonName', value: names[0] ?? `Test authority ${serial}` }];
  certificate.setSubject(subject);
  certificate.setIssuer(
    issuer === undefined ? subject : forge.pki.certificateFromPem(issuer.cert).subject.attributes,
  );
  certificate.setExtensions([
    { name: 'basicConstraints', cA: names.length === 0 },
    ...(names.length === 0
      ? []
      : [
          {
            name: 'subjectAltName',
            altNames: names.map((name) =>
              /^[0-9.]+$|:/.test(name) ? { type: 7, ip: name } : { type: 2, value: name },
            ),
          },
        ]),
  ]);
  certificate.sign(
    forge.pki.privateKeyFromPem(issuer?.key ?? privateKey),
    forge.md.sha256.create(),
  );
  return { cert: forge.pki.certificateToPem(certificate), key: privateKey };
}
