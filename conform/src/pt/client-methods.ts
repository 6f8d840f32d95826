/** What a client reports of its listener: the session of Appendix A, the protocol, the address. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, parseIpEndpoint } from 'postern/pt';
import { listeningAddresses } from '../sandbox.ts';
import { dialWire } from '../wire.ts';
import { type Probe, startedWith } from './probe.ts';
import { describeRun, messages } from './transcript.ts';

/** A start as a client, and a look at its SOCKS listener from outside. */
export const clientMethodProbe: Probe = {
  clauses: ['PT-2-02', 'PT-2-08', 'PT-3.3.2-08', 'PT-3.3.2-09', 'PT-A-01'],
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

/** An address of this machine that is not loopback; undefined without one. */
function externalAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ internal, address }) => !internal && isIP(address) === 4)?.address;
}
