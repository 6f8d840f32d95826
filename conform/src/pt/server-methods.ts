/** What a server reports of its listeners: the session of Appendix B, given, taken and chosen addresses. */
import { parseIpEndpoint } from 'postern/pt';
import { dialWire } from '../wire.ts';
import type { PtCheck } from './check.ts';
import { listeningAt } from './lab.ts';
import { byRun, messages } from './transcript.ts';

const given: PtCheck = {
  clauses: 'PT-3.2.3-09 PT-3.3.3-03 PT-3.3.3-04 PT-3.3.3-05 PT-3.3.3-07',
  title: 'a server on an address that it was given',
  needs: 'server',
  async run(lab) {
    const name = lab.mainName('server');
    const { address, endpoint } = await lab.freeAddress();
    const bind = { TOR_PT_SERVER_BINDADDR: `${name}-${address}` };
    await using run = await lab.settled('server', bind);
    const judge = byRun(lab, run);
    const line = run.lines.find((text) => text.startsWith(`SMETHOD ${name} `)) ?? '';
    const [, , said = '', ...options] = line.split(' ');
    const isThere = typeof (await dialWire(endpoint, lab.patience)) !== 'string';
    const port = parseIpEndpoint(said)?.port;
    judge(
      'PT-3.2.3-09 PT-3.3.3-05',
      said === address && isThere,
      `a listener on ${address}, reported as such`,
    );
    judge(
      'PT-3.3.3-04',
      isThere && (port ?? 0) !== 0,
      'a listener at the reported address, whose port is the real one',
    );
    judge('PT-3.3.3-03', port !== undefined, 'SMETHOD <transport> <ip:port> [options]');
    judge('PT-3.3.3-07', !options.includes(''), 'options behind single spaces, or none');
  },
};

const taken: PtCheck = {
  clauses: 'PT-3.3.3-05 PT-3.3.3-11 PT-3.3.3-12',
  title: 'a server on an address that is taken',
  needs: 'server',
  async run(lab) {
    const name = lab.mainName('server');
    using trap = await lab.openTrap();
    const bind = { TOR_PT_SERVER_BINDADDR: `${name}-${trap.address}` };
    await using run = await lab.settled('server', bind);
    const judge = byRun(lab, run, `${run.what}, a port in use`);
    const isSaid = run.lines.some((text) => text.startsWith(`SMETHOD-ERROR ${name} `));
    const hasMoved = run.methods.some(({ keyword }) => keyword === 'SMETHOD');
    judge(
      'PT-3.3.3-05 PT-3.3.3-11',
      isSaid && !hasMoved,
      `SMETHOD-ERROR ${name} with a reason, and no listener elsewhere`,
    );
    const expected = 'SMETHODS DONE, though the only transport has failed';
    judge('PT-3.3.3-12', run.isDone, expected);
  },
};

const chosen: PtCheck = {
  clauses: 'PT-3.3.3-06',
  title: 'a server on an address of its own choice',
  needs: 'server',
  async run(lab) {
    await using run = await lab.settled('server', { TOR_PT_SERVER_BINDADDR: undefined });
    const { host, port = 0 } = listeningAt(run, lab.mainName('server')) ?? {};
    const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const wire =
      reached === undefined || port === 0
        ? 'closed'
        : await dialWire({ host: reached, port }, lab.patience);
    byRun(lab, run)(
      'PT-3.3.3-06',
      typeof wire !== 'string',
      'a listener with a real port on an address of its own choice, reported as such',
    );
  },
};

const session: PtCheck = {
  clauses: 'PT-B-01',
  title: 'a server as in Appendix B',
  needs: 'server',
  async run(lab) {
    const names = lab.names('server').slice(0, 2);
    await using run = await lab.settled('server', {
      TOR_PT_SERVER_TRANSPORTS: names.join(','),
      TOR_PT_SERVER_BINDADDR: `${names[0]}-127.0.0.1:0`,
      TOR_PT_ORPORT: undefined,
      TOR_PT_EXTENDED_SERVER_PORT: undefined,
    });
    const [version, ...rest] = messages(run);
    byRun(lab, run)(
      'PT-B-01',
      version === 'VERSION 1' &&
        rest.at(-1) === 'SMETHODS DONE' &&
        rest.length === names.length + 1 &&
        names.every((each) => rest.some((text) => text.startsWith(`SMETHOD ${each} `))),
      'VERSION 1, an SMETHOD for each transport, SMETHODS DONE',
    );
  },
};

/** Starts as a server with each kind of TOR_PT_SERVER_BINDADDR. */
export const serverMethodChecks: readonly PtCheck[] = [given, taken, chosen, session];
