/** What a webtunnel server keeps: its port, and a certificate of its own. */
import { createSelfSigned, derOfPem, type OwnCertificate } from '../../crypto/certificates.ts';
import type { Endpoint } from '../../pt/address.ts';
import { dateOf } from '../../time.ts';
import type { ServerContext } from '../contract.ts';
import { KeptState } from '../kept-state.ts';
import { type BridgeUrl, isName } from './bridge-url.ts';

/** Where the server listened that was told no port. */
export function keptEndpoint(context: ServerContext): KeptState<Endpoint | undefined> {
  return new KeptState<Endpoint | undefined>(
    {
      transport: 'webtunnel',
      file: 'webtunnel_port.json',
      format: (endpoint) => ({ ...endpoint }),
      parse({ host, port }) {
        if (typeof host !== 'string' || !Number.isInteger(port)) return undefined;
        return { host, port: port as number };
      },
    },
    context,
  );
}

/** The certificate that it made for itself, or makes now. */
export async function ownCertificate(
  url: BridgeUrl,
  context: ServerContext,
): Promise<OwnCertificate> {
  const state = new KeptState<OwnCertificate>(
    {
      transport: 'webtunnel',
      file: 'webtunnel_certificate.json',
      format: (certificate) => ({ ...certificate }),
      parse({ cert, key }) {
        if (typeof cert !== 'string' || typeof key !== 'string')
          throw new Error('a part is missing');
        derOfPem(cert);
        return { cert, key };
      },
    },
    context,
  );
  const nowMs = context.clock.epochMs();
  return state.load(() =>
    createSelfSigned(url.host, !isName(url.host), {
      notBefore: dateOf(nowMs - DAY_MS),
      notAfter: dateOf(nowMs + 3650 * DAY_MS),
    }),
  );
}

const DAY_MS = 86_400_000;
