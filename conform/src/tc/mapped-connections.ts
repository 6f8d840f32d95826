/** Connections to mapped addresses (TC 3.11). */
import { Unjudged } from '../findings.ts';
import type { TcCheck } from './check.ts';
import { mapAddress } from './frames.ts';
import type { TcLab } from './lab.ts';
import { pairIn } from './mappings.ts';
import type { Session } from './session.ts';
import { Traffic } from './traffic.ts';

/** Addresses that lead nowhere, and so are met on no way but by a mapping. */
const V4 = '192.0.2.79';
const NAME = 'mapped.conform.invalid';
const LOOPBACK = '127.0.0.1';

const mapped: TcCheck = {
  clauses: 'TC-3.11-05 TC-3.11-10 TC-3.11-12 TC-3.11-13 TC-3.11-14 TC-3.11-15',
  title: 'connections to mapped addresses',
  async run(lab) {
    using traffic = await Traffic.open(lab);
    const session = await lab.open();
    await judgeMapped(lab, session, traffic);

    const [original] = pairIn(await session.ask(mapAddress('0.0.0.0', LOOPBACK)));
    if (original !== undefined) {
      lab.borrowAddress(original);
      const what = `MAPADDRESS 0.0.0.0 → ${LOOPBACK}`;
      await traffic.arrives('TC-3.11-10 TC-3.11-12', what, original);
    }
    await judgeChanged(lab, session, traffic);

    const byName = await traffic.connect('localhost');
    if (typeof byName === 'string') {
      throw new Unjudged(`no connection comes to a listener on loopback by a host name: ${byName}`);
    }
    await traffic.end(byName);
    await lab.map(session, V4, 'localhost');
    await traffic.arrives('TC-3.11-15', `MAPADDRESS ${V4} → localhost`, V4, 'socks4');
  },
};

/** What is mapped is used for new connections, and for no other. */
async function judgeMapped(lab: TcLab, session: Session, traffic: Traffic): Promise<void> {
  const plain = await traffic.connect(LOOPBACK);
  if (typeof plain === 'string') {
    throw new Unjudged(`no connection through SOCKS came to a listener on loopback: ${plain}`);
  }
  const what = `MAPADDRESS ${V4} → ${LOOPBACK}`;
  await lab.map(session, V4, LOOPBACK);
  await traffic.arrives('TC-3.11-05', what, V4);
  await traffic.arrives('TC-3.11-05', what, V4, 'socks4');
  await lab.map(session, NAME, LOOPBACK);
  await traffic.arrives('TC-3.11-05', `MAPADDRESS ${NAME} → ${LOOPBACK}`, NAME);
  await traffic.arrives('TC-3.11-05', what, LOOPBACK);
  plain.near.write('still there');
  const later = await plain.far.takeThrough('still there', lab.time);
  const came = typeof later === 'string' ? `the stream: ${later}` : 'what was sent on it';
  const judge = lab.on('MAPADDRESS, while a stream was open', came);
  judge('TC-3.11-05', typeof later !== 'string', 'a stream that goes on');
  await traffic.end(plain);
}

/** A mapping takes the place of the one before it; mapped to itself, an address is mapped no more. */
async function judgeChanged(lab: TcLab, session: Session, traffic: Traffic): Promise<void> {
  // Nothing gets to the first destination, unless it is mapped itself.
  await lab.map(session, V4, '192.0.2.80');
  await lab.map(session, V4, LOOPBACK);
  const twice = `MAPADDRESS ${V4} → 192.0.2.80, then → ${LOOPBACK}`;
  await traffic.arrives('TC-3.11-13', twice, V4);
  await lab.map(session, NAME, NAME);
  const gone = await traffic.connect(NAME);
  const judge = lab.on(
    `MAPADDRESS ${NAME} → ${LOOPBACK}, then → ${NAME}, then a SOCKS5 request for it`,
    typeof gone === 'string' ? gone : `a connection to ${LOOPBACK}`,
  );
  judge('TC-3.11-14', typeof gone === 'string', 'no connection: there is no such name');
  if (typeof gone !== 'string') await traffic.end(gone);
}

export const mappedConnectionChecks: readonly TcCheck[] = [mapped];
