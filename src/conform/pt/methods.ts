/** What a start reports about its transports, for both roles: which, where, in what words. */
import { existsSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import type { Findings } from '../findings.ts';
import { listeningAt, type Role } from '../lab.ts';
import { formatEndpoint, isLoopback, parseIpEndpoint } from '../../pt/address.ts';
import type { Run } from '../run.ts';
import { listeningAddresses } from '../sandbox.ts';
import { dialWire } from '../wire.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, isReady, mentions, messages } from './transcript.ts';

/** The clauses that say the same for both roles, and how they are numbered in each. */
const twins = {
  client: {
    variable: 'TOR_PT_CLIENT_TRANSPORTS',
    requested: 'PT-3.2.2-01 PT-3.3.2-07',
    unknown: 'PT-3.2.2-02 PT-3.3.2-15',
    listeners: 'PT-3.3.2-06',
    done: 'PT-3.3.2-13 PT-3.3.2-14',
    keyword: 'CMETHOD',
  },
  server: {
    variable: 'TOR_PT_SERVER_TRANSPORTS',
    requested: 'PT-3.2.3-01 PT-3.3.3-02',
    unknown: 'PT-3.2.3-02',
    listeners: 'PT-3.3.3-01',
    done: 'PT-3.3.3-12 PT-3.3.3-13',
    keyword: 'SMETHOD',
  },
} as const;

const roles: readonly Role[] = ['client', 'server'];

const UNKNOWN = 'unknown_one';

const words = (text: string): readonly string[] => text.split(' ');

const commonProbes: readonly Probe[] = roles.flatMap((role): readonly Probe[] => {
  const twin = twins[role];
  return [
    {
      clauses: words(
        `${twin.requested} ${twin.listeners} ${twin.done} PT-3.1-01 PT-2-05 PT-2-06 PT-3-06 PT-3-10`,
      ),
      title: `a ${role} with every transport`,
      needs: role,
      async run(lab, findings) {
        const names = lab.names(role);
        const run = await lab.settled(lab.variables(role, names));
        judgeMethods(findings, run, role, names);
        const listening = run.pid === undefined ? undefined : listeningAddresses(run.pid);
        if (listening === undefined) {
          findings.pass(twin.listeners, 'not observable', NO_PROC);
        } else {
          const reported = names
            .flatMap((name) => listeningAt(run, name) ?? [])
            .map(formatEndpoint);
          findings.judge(twin.listeners, sameSet(listening, reported), {
            sent: startedWith(role, {}),
            came: `it listens on ${listening.join(', ') || 'nothing'}`,
            expected: `listeners on exactly what it reports: ${reported.join(', ') || 'nothing'}`,
          });
        }
        await run.stop();
      },
    },
    {
      clauses: words(twin.requested),
      title: `a ${role} with one transport of several`,
      needs: role,
      async run(lab, findings) {
        const name = lab.names(role).at(-1)!;
        const run = await lab.settled(lab.variables(role, [name]));
        judgeMethods(findings, run, role, [name]);
        await run.stop();
        const twice = await lab.settled({
          ...lab.variables(role, [name]),
          [twin.variable]: `${name},${name}`,
        });
        findings.judge(words(twin.requested)[0]!, methodLines(twice, name) === 1, {
          sent: startedWith(role, { [twin.variable]: `${name},${name}` }),
          came: describeRun(twice),
          expected: `one ${twin.keyword} line for ${name}`,
        });
        await twice.stop();
      },
    },
    {
      clauses: words(
        `${twin.unknown} ${twin.done} PT-3.1-05 ${role === 'client' ? 'PT-3.3.2-16' : ''}`.trim(),
      ),
      title: `a ${role} with names that it does not know`,
      needs: role,
      async run(lab, findings) {
        const name = lab.mainName(role);
        const list = `${UNKNOWN},${name}`;
        const mixed = await lab.settled({ ...lab.variables(role), [twin.variable]: list });
        findings.judge(
          twin.unknown,
          isReady(mixed) && methodLines(mixed, name) === 1 && !mentions(mixed, UNKNOWN),
          {
            sent: startedWith(role, { [twin.variable]: list }),
            came: describeRun(mixed),
            expected: `a complete start with ${name} and no word about ${UNKNOWN}`,
          },
        );
        await mixed.stop();

        const alone = await lab.settled({
          ...lab.variables(role),
          [twin.variable]: UNKNOWN,
          ...(role === 'server' && { TOR_PT_SERVER_BINDADDR: `${UNKNOWN}-127.0.0.1:0` }),
        });
        const onlyDone = messages(alone).join('/') === `VERSION 1/${twin.keyword}S DONE`;
        const evidence = {
          sent: startedWith(role, { [twin.variable]: UNKNOWN }),
          came: describeRun(alone),
        };
        findings.judge(words(twin.done)[0]!, alone.isDone, {
          ...evidence,
          expected: `${twin.keyword}S DONE`,
        });
        if (role === 'client') {
          findings.judge('PT-3.3.2-16', onlyDone, {
            ...evidence,
            expected: `VERSION 1, then ${twin.keyword}S DONE`,
          });
        }
        await alone.stop();

        const long = `x${'y'.repeat(3000)}`;
        const both = await lab.settled({
          ...lab.variables(role),
          [twin.variable]: `${long},${name}`,
        });
        findings.judge('PT-3.1-05', isReady(both) && methodLines(both, name) === 1, {
          sent: startedWith(role, { [twin.variable]: `a name of 3001 characters, then ${name}` }),
          came: describeRun(both),
          expected: `a complete start with ${name}`,
        });
        await both.stop();
      },
    },
  ];
});

const clientProbe: Probe = {
  clauses: words('PT-2-02 PT-2-08 PT-3.3.2-08 PT-3.3.2-09 PT-A-01'),
  title: 'a client as in Appendix A',
  needs: 'client',
  async run(lab, findings) {
    const names = lab.facts.client.slice(0, 2);
    const upstreamRefusal = await lab.upstreamRefusal();
    const changes =
      upstreamRefusal === undefined ? { TOR_PT_PROXY: 'socks5://127.0.0.1:8001' } : {};
    const sent = startedWith('client', { TOR_PT_CLIENT_TRANSPORTS: names.join(','), ...changes });
    const session = await lab.settled({ ...lab.variables('client', names), ...changes });
    const [version, ...said] = messages(session);
    const rest = said.filter((line) => line !== 'PROXY DONE');
    const methods = rest.slice(0, -1);
    const isSession =
      version === 'VERSION 1' &&
      (said[0] === 'PROXY DONE' || upstreamRefusal !== undefined) &&
      rest.at(-1) === 'CMETHODS DONE' &&
      methods.length === names.length &&
      names.every((name) => methods.some((line) => line.startsWith(`CMETHOD ${name} socks`)));
    findings.judge('PT-A-01', isSession, {
      sent,
      came: describeRun(session),
      expected: 'VERSION 1, PROXY DONE, a CMETHOD for each transport, CMETHODS DONE',
    });
    await session.stop();

    const name = lab.mainName('client');
    const run = await lab.settled(lab.variables('client'));
    const line = run.lines.find((text) => text.startsWith(`CMETHOD ${name} `)) ?? '';
    const [, , protocol = '', address = '', ...more] = line.split(' ');
    const endpoint = parseIpEndpoint(address);
    const evidence = { sent: startedWith('client', {}), came: describeRun(run) };
    findings.judge(
      'PT-3.3.2-08',
      /^socks[45]$/.test(protocol) && endpoint !== undefined && more.length === 0,
      { ...evidence, expected: 'CMETHOD <transport> <socks4 or socks5> <ip:port>' },
    );
    findings.judge('PT-2-08', protocol === 'socks5', {
      ...evidence,
      expected: 'socks5 in the CMETHOD line',
    });
    const wire = endpoint === undefined ? 'closed' : await dialWire(endpoint, lab.patience);
    findings.judge('PT-3.3.2-09', typeof wire !== 'string' && endpoint?.port !== 0, {
      ...evidence,
      came: `${describeRun(run)}; a connection to ${address}: ${typeof wire === 'string' ? wire : 'accepted'}`,
      expected: 'a listener with a real port at the reported address',
    });
    if (typeof wire !== 'string') wire.close();

    const outside = externalAddress();
    const isOpen =
      outside !== undefined &&
      endpoint !== undefined &&
      typeof (await dialWire({ host: outside, port: endpoint.port }, lab.quiet)) !== 'string';
    const listening = run.pid === undefined ? undefined : listeningAddresses(run.pid);
    const exposed = (listening ?? []).filter(
      (text) => !isLoopback(parseIpEndpoint(text)?.host ?? ''),
    );
    findings.judge(
      'PT-2-02',
      endpoint !== undefined && isLoopback(endpoint.host) && !isOpen && exposed.length === 0,
      {
        ...evidence,
        came: `${describeRun(run)}; it listens on ${listening?.join(', ') ?? 'addresses unknown'}`,
        expected: 'a SOCKS listener on loopback alone',
      },
    );
    await run.stop();
  },
};

const serverProbe: Probe = {
  clauses: words(
    'PT-3.2.3-09 PT-3.3.3-03 PT-3.3.3-04 PT-3.3.3-05 PT-3.3.3-06 PT-3.3.3-07 PT-3.3.3-11 PT-3.3.3-12 PT-B-01',
  ),
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

const stateProbe: Probe = {
  clauses: words('PT-3.2.1-08 PT-3.2.1-09 PT-3.2.1-10'),
  title: 'the state directory, fresh, again and impossible',
  needs: 'any',
  async run(lab, findings) {
    const role: Role = lab.has('server') ? 'server' : 'client';
    const name = lab.mainName(role);
    const first = await lab.settled(lab.variables(role));
    const { state } = first.sandbox;
    const evidence = {
      sent: `${startedWith(role, {})}; neither the state directory nor the one above it exists`,
      came: describeRun(first),
    };
    findings.judge('PT-3.2.1-09', isReady(first) && methodLines(first, name) === 1, {
      ...evidence,
      expected: 'a complete start',
    });
    if (existsSync(state)) {
      const mode = statSync(state).mode & 0o777;
      findings.judge('PT-3.2.1-10', (mode & 0o077) === 0, {
        ...evidence,
        came: `it made the directory with mode ${mode.toString(8)}`,
        expected: 'a directory for its owner only (mode 700)',
      });
    } else {
      findings.pass('PT-3.2.1-10', 'not observable', 'it kept no state');
    }
    const published = lineOf(first, name);
    first.stdin?.end();
    await first.ends(lab.patience);
    await first.stop();

    if (
      role === 'client' ||
      !published.includes('ARGS:') ||
      lab.facts.server.get(name)!.length === 0
    ) {
      findings.pass(
        'PT-3.2.1-08',
        'not observable',
        'it publishes nothing that its state would keep',
      );
    } else {
      const again = await lab.settled(lab.variables(role), { state });
      const elsewhere = await lab.settled(lab.variables(role));
      const args = (line: string): string => line.slice(line.indexOf('ARGS:'));
      findings.judge(
        'PT-3.2.1-08',
        args(lineOf(again, name)) === args(published) &&
          args(lineOf(elsewhere, name)) !== args(published),
        {
          sent: `${name} started twice with one state directory, once with another`,
          came: [published, lineOf(again, name), lineOf(elsewhere, name)].map(args).join(' / '),
          expected: 'the same ARGS with the same state, and others without',
        },
      );
      await Promise.all([again.stop(), elsewhere.stop()]);
    }

    const impossible = { TOR_PT_STATE_LOCATION: '/dev/null/pt_state' };
    const failed = await lab.settled({ ...lab.variables(role), ...impossible });
    const says =
      failed.lines.some((line) => /^(?:ENV-ERROR|[CS]METHOD-ERROR \S+) ./.test(line)) ||
      methodLines(failed, name) === 1;
    const isOver = failed.isDone || failed.end !== undefined;
    findings.judge('PT-3.2.1-10', says && isOver, {
      sent: startedWith(role, impossible),
      came: describeRun(failed),
      expected: 'an error line for the transport or ENV-ERROR; or a start, if no state is needed',
    });
    await failed.stop();
  },
};

/** The shape of the answers and the transports themselves. */
export const methodProbes: readonly Probe[] = [
  ...commonProbes,
  clientProbe,
  serverProbe,
  stateProbe,
];

function judgeMethods(findings: Findings, run: Run, role: Role, names: readonly string[]): void {
  const twin = twins[role];
  const changes = { [twin.variable]: names.join(',') };
  const evidence = { sent: startedWith(role, changes), came: describeRun(run) };
  const reported = run.methods.map(({ transport }) => transport);
  findings.judge(`${twin.requested} PT-3.1-01`, sameSet(reported, names), {
    ...evidence,
    expected: `one method line for each of ${names.join(', ')}, and for nothing else`,
  });
  findings.judge(twin.done, messages(run).filter((line) => isDoneLine(line)).length === 1, {
    ...evidence,
    expected: `one line ${twin.keyword}S DONE`,
  });
  findings.judge(
    'PT-2-06 PT-3-06',
    run.isDone &&
      run.methods.every(({ keyword }) => keyword.startsWith(twin.keyword)) &&
      messages(run).at(-1) === `${twin.keyword}S DONE`,
    { ...evidence, expected: `a complete start as a ${role}, with ${twin.keyword} lines alone` },
  );
  findings.judge('PT-2-05', isReady(run), {
    ...evidence,
    expected: 'a complete start from environment variables alone',
  });
}

function isDoneLine(line: string): boolean {
  return line === 'CMETHODS DONE' || line === 'SMETHODS DONE';
}

function methodLines(run: Run, name: string): number {
  return run.methods.filter(({ transport }) => transport === name).length;
}

function lineOf(run: Run, name: string): string {
  return run.lines.find((line) => line.startsWith(`SMETHOD ${name} `)) ?? '';
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && [...a].sort().join() === [...b].sort().join();
}

function isAny(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** An address of this machine that is not loopback; undefined without one. */
function externalAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ internal, address }) => !internal && isIP(address) === 4)?.address;
}

const NO_PROC = 'this system does not say on which addresses a process listens';
