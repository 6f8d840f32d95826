/** A controller that does not read what it asked for (TC 4.2). */
import { dialWire, ownLoopbackAddress, Trap } from '../wire.ts';
import { Unjudged } from '../findings.ts';
import { inParallel } from '../parallel.ts';
import { socksConnect } from '../socks.ts';
import { getConf, setEvents, Type } from './frames.ts';
import type { TcCheck } from './check.ts';

/** The limit, and what two ends of a connection may hold in their sockets. */
const FLOOD_OCTETS = 32 * 1024 * 1024;

/** Connections at a time. */
const JOBS = 32;

/** More connections than this are not made; after the first ones it can be said whether they will do. */
const MOST_CONNECTIONS = 200_000;
const FIRST_CONNECTIONS = 200;

/** As long as a host name can be: it stands in the events of every connection. */
const LONG_NAME = `${'conform.'.repeat(30)}invalid`;

const flood: TcCheck = {
  clauses: 'TC-4.2-01',
  title: 'sixteen megabytes of events that are not read',
  async run(lab) {
    const { socks, permissions } = lab.options;
    if (permissions.flood !== true) return;
    if (socks === undefined) {
      throw new Unjudged('events are caused by connections; --socks says where to');
    }
    const [idle, reader] = [await lab.open(), await lab.open()];
    // The name leads to a closed port that nobody else gets meanwhile, and nobody is asked for it.
    const trap = await Trap.open(ownLoopbackAddress());
    trap.close();
    const { host, port } = trap.endpoint;
    await lab.map(reader, LONG_NAME, host);
    const target = { host: LONG_NAME, port };
    for (const session of [idle, reader]) await session.ask(setEvents(1, 2, 3, 4, 5));
    idle.pause();
    let connections = 0;
    await inParallel([...Array(JOBS).keys()], JOBS, async () => {
      const willDo = (): boolean =>
        connections < FIRST_CONNECTIONS ||
        (reader.octets / connections) * MOST_CONNECTIONS >= FLOOD_OCTETS;
      while (reader.octets < FLOOD_OCTETS && willDo()) {
        lab.options.signal.throwIfAborted();
        connections += 1;
        const wire = await dialWire(socks, lab.time);
        if (typeof wire === 'string') continue;
        const request = { version: 'socks5', target, args: Buffer.alloc(0) } as const;
        await socksConnect(wire, request, lab.time);
        wire.reset();
      }
    });
    if (reader.octets < FLOOD_OCTETS) {
      throw new Unjudged(
        `${connections} connections caused only ${reader.octets} octets of events`,
      );
    }
    const evidence = { sent: `SETEVENTS, and nothing read of ${reader.octets} octets of events` };
    idle.resume();
    const end = await idle.ending();
    lab.judge('TC-4.2-01', end !== 'silent', {
      ...evidence,
      came: end === 'silent' ? 'all of it, once it was read' : `the connection: ${end}`,
      expected: 'a closed connection',
    });
    const { frames } = await reader.ask(getConf(lab.facts.known[0]));
    lab.judge('TC-4.2-01', frames[0]?.type === Type.confValue, {
      ...evidence,
      came:
        frames.length === 0 ? 'no answer on another connection' : 'an answer on another connection',
      expected: 'a server that goes on for others',
    });
  },
};

export const floodChecks: readonly TcCheck[] = [flood];
