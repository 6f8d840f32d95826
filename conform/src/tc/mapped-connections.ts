/** Connections to mapped addresses (TC 3.11). */
import { decodePair, type Frame, mapAddress } from './frames.ts';
import type { TcCheck } from './check.ts';
import { withTraffic } from './traffic.ts';

/** Addresses that lead nowhere, and so are met on no way but by a mapping. */
const V4 = '192.0.2.79';
const NAME = 'mapped.conform.invalid';

const mappedClauses = 'TC-3.11-05 TC-3.11-10 TC-3.11-12 TC-3.11-13 TC-3.11-14 TC-3.11-15';

const mapped: TcCheck = {
  clauses: mappedClauses,
  title: 'connections to mapped addresses',
  run: (lab, findings) =>
    withTraffic(lab, findings, 'TC-3.11-05 TC-3.11-15', async (traffic) => {
      const session = await lab.open();
      const plain = await traffic.connect('127.0.0.1');
      if (typeof plain === 'string') {
        const reason = `no connection through SOCKS came to a listener on loopback: ${plain}`;
        findings.pass('TC-3.11-05 TC-3.11-15', 'not observable', reason);
        return;
      }
      const map = async (from: string, to: string): Promise<Frame | undefined> => {
        lab.borrowAddress(from);
        return (await session.ask(mapAddress(from, to))).frames[0];
      };
      const arrives = async (
        ids: string,
        what: string,
        host: string,
        version: 'socks4' | 'socks5' = 'socks5',
      ): Promise<void> => {
        const connection = await traffic.connect(host, version);
        findings.judge(ids, typeof connection !== 'string', {
          sent: `${what}, then a ${version.toUpperCase()} request for ${host}`,
          came: typeof connection === 'string' ? connection : 'a connection',
          expected: 'a connection to where it is mapped to',
        });
        if (typeof connection !== 'string') await traffic.end(connection);
      };
      const what = `MAPADDRESS ${V4} → 127.0.0.1`;
      await map(V4, '127.0.0.1');
      await arrives('TC-3.11-05', what, V4);
      await arrives('TC-3.11-05', what, V4, 'socks4');
      await map(NAME, '127.0.0.1');
      await arrives('TC-3.11-05', `MAPADDRESS ${NAME} → 127.0.0.1`, NAME);
      await arrives('TC-3.11-05', what, '127.0.0.1');
      plain.near.write('still there');
      const later = await plain.far.takeThrough('still there', lab.time);
      findings.judge('TC-3.11-05', typeof later !== 'string', {
        sent: 'MAPADDRESS, while a stream was open',
        came: typeof later === 'string' ? `the stream: ${later}` : 'what was sent on it',
        expected: 'a stream that goes on',
      });
      await traffic.end(plain);

      const picked = await session.ask(mapAddress('0.0.0.0', '127.0.0.1'));
      const [original] = picked.frames[0] ? (decodePair(picked.frames[0].body) ?? []) : [];
      if (original !== undefined) {
        lab.borrowAddress(original);
        await arrives('TC-3.11-10 TC-3.11-12', `MAPADDRESS 0.0.0.0 → 127.0.0.1`, original);
      }

      // The first destination is an address to which nothing gets, unless it is mapped itself.
      await map(V4, '192.0.2.80');
      await map(V4, '127.0.0.1');
      await arrives('TC-3.11-13', `MAPADDRESS ${V4} → 192.0.2.80, then → 127.0.0.1`, V4);
      await map(NAME, NAME);
      const gone = await traffic.connect(NAME);
      findings.judge('TC-3.11-14', typeof gone === 'string', {
        sent: `MAPADDRESS ${NAME} → 127.0.0.1, then → ${NAME}, then a SOCKS5 request for it`,
        came: typeof gone === 'string' ? gone : 'a connection to 127.0.0.1',
        expected: 'no connection: there is no such name',
      });
      if (typeof gone !== 'string') await traffic.end(gone);

      const byName = await traffic.connect('localhost');
      if (typeof byName === 'string') {
        const reason = `no connection comes to a listener on loopback by a host name: ${byName}`;
        findings.pass('TC-3.11-15', 'not observable', reason);
        return;
      }
      await traffic.end(byName);
      await map(V4, 'localhost');
      await arrives('TC-3.11-15', `MAPADDRESS ${V4} → localhost`, V4, 'socks4');
    }),
};

export const mappedConnectionChecks: readonly TcCheck[] = [mapped];
