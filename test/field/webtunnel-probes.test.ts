/** Who probes a bridge that stands alone finds what nginx is that serves the same folder. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listen as listenBridge } from '../../src/index.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { closedPort } from '../support/sockets.ts';
import { offerTls, sendProbe, tlsOffers, webProbes } from '../support/web-probes.ts';
import { makeCertificate, makeSite, nginxMissing, startNginx } from '../support/web-server.ts';

const SECRET = '/tea-and-biscuits';

describe('a bridge that stands alone, and nginx', { skip: nginxMissing }, () => {
  test('every probe is answered alike', async (t) => {
    const folder = temporaryDirectory(t);
    const site = makeSite(folder);
    const { cert, key } = makeCertificate(folder, 'DNS:bridge.example');
    const nginx: Endpoint = await closedPort();
    await startNginx(
      t,
      folder,
      `server {
         listen ${nginx.host}:${nginx.port} ssl;
         ssl_certificate ${cert};
         ssl_certificate_key ${key};
         root ${site};
         port_in_redirect off;
         ssl_protocols TLSv1.2 TLSv1.3;
       }`,
      nginx,
    );
    const bridge = await listenBridge(
      {
        transport: 'webtunnel',
        ...(await closedPort()),
        stateDir: folder,
        options: [
          ['url', `https://bridge.example${SECRET}`],
          ['tls-cert', cert],
          ['tls-key', key],
          ['site', site],
        ],
      },
      (stream) => stream.destroy(),
    );
    t.after(() => bridge.abort());
    for (const probe of webProbes(SECRET)) {
      const theirs = await sendProbe(nginx, probe);
      const ours = await sendProbe(bridge.address, probe);
      assert.deepEqual(ours, theirs, probe.name);
      // The first one would also be the same if nobody answered.
      assert.ok(theirs.text !== '' || theirs.end === 'end', probe.name);
    }
    for (const [name, offer] of Object.entries(tlsOffers)) {
      assert.equal(await offerTls(bridge.address, offer), await offerTls(nginx, offer), name);
    }
  });
});
