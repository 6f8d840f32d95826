/** What a client reports of its listener: the session of Appendix A, the protocol, the address. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, parseIpEndpoint } from 'postern/pt';
import { listeningAddresses } from '../sandbox.ts';
import { dialWire } from '../wire.ts';
import type { PtCheck } from './check.ts';
import { byRun, describeRun, messages } from './transcript.ts';

const session: PtCheck = {
  clauses: 'PT-A-01',
  title: 'a client as in Appendix A',
  needs: 'client',
  async run(lab) {
    const names = lab.facts.client.slice(0, 2);
    const isRefused = (await lab.upstreamRefusal()) !== undefined;
    const changes = isRefused ? {} : { TOR_PT_PROXY: 'socks5://127.0.0.1:8001' };
    await using run = await lab.settled('client', changes, { names });
    const [version, ...said] = messages(run);
    const rest = said.filter((line) => line !== 'PROXY DONE');
    const methods = rest.slice(0, -1);
    byRun(lab, run)(
      'PT-A-01',
      version === 'VERSION 1' &&
        (said[0] === 'PROXY DONE' || isRefused) &&
        rest.at(-1) === 'CMETHODS DONE' &&
        methods.length === names.length &&
        names.every((name) => methods.some((line) => line.startsWith(`CMETHOD ${name} socks`))),
      'VERSION 1, PROXY DONE, a CMETHOD for each transport, CMETHODS DONE',
    );
  },
};

const listener: PtCheck = {
  clauses: 'PT-2-02 PT-2-08 PT-3.3.2-08 PT-3.3.2-09',
  title: 'a client’s SOCKS listener, from outside',
  needs: 'client',
  async run(lab) {
    const name = lab.mainName('client');
    await using run = await lab.settled('client');
    const judge = byRun(lab, run);
    const line = run.lines.find((text) => text.startsWith(`CMETHOD ${name} `)) ?? '';
    const [, , protocol = '', address = '', ...more] = line.split(' ');
    const endpoint = parseIpEndpoint(address);
    const isWhole = /^socks[45]$/.test(protocol) && endpoint !== undefined && more.length === 0;
    judge('PT-3.3.2-08', isWhole, 'CMETHOD <transport> <socks4 or socks5> <ip:port>');
    judge('PT-2-08', protocol === 'socks5', 'socks5 in the CMETHOD line');

    const wire = endpoint === undefined ? 'closed' : await dialWire(endpoint, lab.patience);
    const dialled = `a connection to ${address}: ${typeof wire === 'string' ? wire : 'accepted'}`;
    lab.on(run.what, `${describeRun(run)}; ${dialled}`)(
      'PT-3.3.2-09',
      typeof wire !== 'string' && endpoint?.port !== 0,
      'a listener with a real port at the reported address',
    );
    if (typeof wire !== 'string') wire.close();

    const outside = externalAddress();
    const isOpen =
      outside !== undefined &&
      endpoint !== undefined &&
      typeof (await dialWire({ host: outside, port: endpoint.port }, lab.quiet)) !== 'string';
    const listening = run.pid === undefined ? undefined : listeningAddresses(run.pid);
    const isInside = (text: string): boolean => isLoopback(parseIpEndpoint(text)?.host ?? '');
    const listens = `it listens on ${listening?.join(', ') ?? 'addresses unknown'}`;
    lab.on(run.what, `${describeRun(run)}; ${listens}`)(
      'PT-2-02',
      isInside(address) && !isOpen && (listening ?? []).every(isInside),
      'a SOCKS listener on loopback alone',
    );
  },
};

/** Starts as a client, and looks at its SOCKS listener. */
export const clientMethodChecks: readonly PtCheck[] = [session, listener];

/** An address of this machine that is not loopback; undefined without one. */
function externalAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find(({ internal, address }) => !internal && isIP(address) === 4)?.address;
}
