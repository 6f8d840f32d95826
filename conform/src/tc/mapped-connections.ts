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

/** Maps addresses, and looks where connections to them lead. */
class Mapper {
  readonly traffic: Traffic;
  readonly #lab: TcLab;
  readonly #session: Session;

  constructor(lab: TcLab, session: Session, traffic: Traffic) {
    this.traffic = traffic;
    this.#lab = lab;
    this.#session = session;
  }

  async map(from: string, to: string): Promise<void> {
    this.#lab.borrowAddress(from);
    await this.#session.ask(mapAddress(from, to));
  }

  async arrives(
    ids: string,
    what: string,
    host: string,
    version: 'socks4' | 'socks5' = 'socks5',
  ): Promise<void> {
    const connection = await this.traffic.connect(host, version);
    const came = typeof connection === 'string' ? connection : 'a connection';
    const judge = this.#lab.on(
      `${what}, then a ${version.toUpperCase()} request for ${host}`,
      came,
    );
    judge(ids, typeof connection !== 'string', 'a connection to where it is mapped to');
    if (typeof connection !== 'string') await this.traffic.end(connection);
  }
}

const mapped: TcCheck = {
  clauses: 'TC-3.11-05 TC-3.11-10 TC-3.11-12 TC-3.11-13 TC-3.11-14 TC-3.11-15',
  title: 'connections to mapped addresses',
  async run(lab) {
    using traffic = await Traffic.open(lab);
    const session = await lab.open();
    const mapper = new Mapper(lab, session, traffic);
    await judgeMapped(lab, mapper);

    const [original] = pairIn(await session.ask(mapAddress('0.0.0.0', LOOPBACK)));
    if (original !== undefined) {
      lab.borrowAddress(original);
      const what = `MAPADDRESS 0.0.0.0 → ${LOOPBACK}`;
      await mapper.arrives('TC-3.11-10 TC-3.11-12', what, original);
    }
    await judgeChanged(lab, mapper);

    const byName = await traffic.connect('localhost');
    if (typeof byName === 'string') {
      throw new Unjudged(`no connection comes to a listener on loopback by a host name: ${byName}`);
    }
    await traffic.end(byName);
    await mapper.map(V4, 'localhost');
    await mapper.arrives('TC-3.11-15', `MAPADDRESS ${V4} → localhost`, V4, 'socks4');
  },
};

/** What is mapped is used for new connections, and for no other. */
async function judgeMapped(lab: TcLab, mapper: Mapper): Promise<void> {
  const { traffic } = mapper;
  const plain = await traffic.connect(LOOPBACK);
  if (typeof plain === 'string') {
    throw new Unjudged(`no connection through SOCKS came to a listener on loopback: ${plain}`);
  }
  const what = `MAPADDRESS ${V4} → ${LOOPBACK}`;
  await mapper.map(V4, LOOPBACK);
  await mapper.arrives('TC-3.11-05', what, V4);
  await mapper.arrives('TC-3.11-05', what, V4, 'socks4');
  await mapper.map(NAME, LOOPBACK);
  await mapper.arrives('TC-3.11-05', `MAPADDRESS ${NAME} → ${LOOPBACK}`, NAME);
  await mapper.arrives('TC-3.11-05', what, LOOPBACK);
  plain.near.write('still there');
  const later = await plain.far.takeThrough('still there', lab.time);
  const came = typeof later === 'string' ? `the stream: ${later}` : 'what was sent on it';
  const judge = lab.on('MAPADDRESS, while a stream was open', came);
  judge('TC-3.11-05', typeof later !== 'string', 'a stream that goes on');
  await traffic.end(plain);
}

/** A mapping takes the place of the one before it; mapped to itself, an address is mapped no more. */
async function judgeChanged(lab: TcLab, mapper: Mapper): Promise<void> {
  // Nothing gets to the first destination, unless it is mapped itself.
  await mapper.map(V4, '192.0.2.80');
  await mapper.map(V4, LOOPBACK);
  const twice = `MAPADDRESS ${V4} → 192.0.2.80, then → ${LOOPBACK}`;
  await mapper.arrives('TC-3.11-13', twice, V4);
  await mapper.map(NAME, NAME);
  const gone = await mapper.traffic.connect(NAME);
  const judge = lab.on(
    `MAPADDRESS ${NAME} → ${LOOPBACK}, then → ${NAME}, then a SOCKS5 request for it`,
    typeof gone === 'string' ? gone : `a connection to ${LOOPBACK}`,
  );
  judge('TC-3.11-14', typeof gone === 'string', 'no connection: there is no such name');
  if (typeof gone !== 'string') await mapper.traffic.end(gone);
}

export const mappedConnectionChecks: readonly TcCheck[] = [mapped];
