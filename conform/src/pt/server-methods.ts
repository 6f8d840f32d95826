/** What a server reports of its listeners: the session of Appendix B, given, taken and chosen addresses. */
import { parseIpEndpoint } from 'postern/pt';
import { listeningAt } from '../lab.ts';
import { dialWire } from '../wire.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, messages } from './transcript.ts';

/** Starts as a server with each kind of TOR_PT_SERVER_BINDADDR. */
export const serverMethodProbe: Probe = {
  clauses: [
    'PT-3.2.3-09',
    'PT-3.3.3-03',
    'PT-3.3.3-04',
    'PT-3.3.3-05',
    'PT-3.3.3-06',
    'PT-3.3.3-07',
    'PT-3.3.3-11',
    'PT-3.3.3-12',
    'PT-B-01',
  ],
  title: 'a server as in Appendix B, and its addresses',
  needs: 'server',
  async run(lab, findings) {
    const name = lab.mainName('server');
    const taken = await lab.openTrap();
    const free = await lab.openTrap();
    free.close();
    const bind = { TOR_PT_SERVER_BINDADDR: `${name}-${free.address}` };
    const bound = await lab.settled({ ...lab.variables('server'), ...bind });
    const evidence = { sent: startedWith('server', bind), came: describeRun(bound) };
    const line = bound.lines.find((text) => text.startsWith(`SMETHOD ${name} `)) ?? '';
    const [, , address = '', ...options] = line.split(' ');
    const isThere = typeof (await dialWire(free.endpoint, lab.patience)) !== 'string';
    findings.judge('PT-3.2.3-09 PT-3.3.3-05', address === free.address && isThere, {
      ...evidence,
      expected: `a listener on ${free.address}, reported as such`,
    });
    findings.judge('PT-3.3.3-04', isThere && (parseIpEndpoint(address)?.port ?? 0) !== 0, {
      ...evidence,
      expected: 'a listener at the reported address, whose port is the real one',
    });
    findings.judge('PT-3.3.3-03', parseIpEndpoint(address) !== undefined, {
      ...evidence,
      expected: 'SMETHOD <transport> <ip:port> [options]',
    });
    findings.judge(
      'PT-3.3.3-07',
      options.every((option) => option !== ''),
      {
        ...evidence,
        expected: 'options behind single spaces, or none',
      },
    );
    await bound.stop();

    const clash = { TOR_PT_SERVER_BINDADDR: `${name}-${taken.address}` };
    const refused = await lab.settled({ ...lab.variables('server'), ...clash });
    const failure = refused.lines.find((text) => text.startsWith(`SMETHOD-ERROR ${name} `));
    const hasMoved = refused.methods.some(({ keyword }) => keyword === 'SMETHOD');
    const clashEvidence = {
      sent: `${startedWith('server', clash)}, a port in use`,
      came: describeRun(refused),
    };
    findings.judge('PT-3.3.3-05 PT-3.3.3-11', failure !== undefined && !hasMoved, {
      ...clashEvidence,
      expected: `SMETHOD-ERROR ${name} with a reason, and no listener elsewhere`,
    });
    findings.judge('PT-3.3.3-12', refused.isDone, {
      ...clashEvidence,
      expected: 'SMETHODS DONE, though the only transport has failed',
    });
    await refused.stop();
    taken.close();

    const own = { TOR_PT_SERVER_BINDADDR: undefined };
    const chosen = await lab.settled({ ...lab.variables('server'), ...own });
    const endpoint = listeningAt(chosen, name);
    const host = endpoint !== undefined && isAny(endpoint.host) ? '127.0.0.1' : endpoint?.host;
    const isReached =
      endpoint !== undefined &&
      endpoint.port !== 0 &&
      typeof (await dialWire({ host: host!, port: endpoint.port }, lab.patience)) !== 'string';
    findings.judge('PT-3.3.3-06', isReached, {
      sent: startedWith('server', own),
      came: describeRun(chosen),
      expected: 'a listener with a real port on an address of its own choice, reported as such',
    });
    await chosen.stop();

    const names = lab.names('server').slice(0, 2);
    const partial = {
      TOR_PT_SERVER_TRANSPORTS: names.join(','),
      TOR_PT_SERVER_BINDADDR: `${names[0]}-127.0.0.1:0`,
      TOR_PT_ORPORT: undefined,
      TOR_PT_EXTENDED_SERVER_PORT: undefined,
    };
    const session = await lab.settled({ ...lab.variables('server'), ...partial });
    const [version, ...rest] = messages(session);
    findings.judge(
      'PT-B-01',
      version === 'VERSION 1' &&
        rest.at(-1) === 'SMETHODS DONE' &&
        rest.length === names.length + 1 &&
        names.every((each) => rest.some((text) => text.startsWith(`SMETHOD ${each} `))),
      {
        sent: startedWith('server', partial),
        came: describeRun(session),
        expected: 'VERSION 1, an SMETHOD for each transport, SMETHODS DONE',
      },
    );
    await session.stop();
  },
};

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
