/** The start of the faulty PT as a client: the upstream proxy, then a SOCKS listener for each transport. */
import { env } from 'node:process';
import { faultyPtTransports, has } from './fault.ts';
import { finish, refuse, say, Stay } from './lines.ts';
import { listen } from './sockets.ts';
import { serveSocks } from './socks.ts';
import { parseUpstream, type Upstream } from './upstream.ts';

export async function runClient(names: readonly string[]): Promise<void> {
  const uri = env['TOR_PT_PROXY'];
  let upstream: Upstream | undefined;
  const settle = (): void => {
    if (uri === undefined) {
      if (has('unasked-proxy-done')) say('PROXY DONE');
      return;
    }
    upstream = parseUpstream(uri);
    if (upstream === undefined) {
      refuse('PROXY-ERROR', has('leaks-password') ? `cannot use ${uri}` : 'cannot be used');
    }
    if (has('no-proxy-done')) return;
    say(has('proxy-word') ? 'PROXY OKAY' : 'PROXY DONE');
    if (has('proxy-done-twice')) say('PROXY DONE');
  };
  try {
    if (!has('proxy-last')) settle();
    await announceClients(names, () => upstream);
    if (has('proxy-last')) settle();
    finish('CMETHOD');
  } catch (error) {
    if (!(error instanceof Stay)) throw error;
  }
}

async function announceClients(
  names: readonly string[],
  upstream: () => Upstream | undefined,
): Promise<void> {
  const known = faultyPtTransports.filter(
    (name) => names.includes(name) || has('unasked-transports'),
  );
  for (const name of names) {
    const isKnown = (known as readonly string[]).includes(name);
    if (!isKnown && has('names-unknown')) say(`CMETHOD-ERROR ${name} unknown`);
    if (!isKnown && has('bare-method-error')) say(`CMETHOD-ERROR ${name}`);
    if (!isKnown && has('gives-up-at-unknown')) process.exit(1);
  }
  for (const name of known) {
    if (has('forgets-a-method') && name === 'xorb' && names.length === 1) continue;
    const host = has('everywhere') ? '0.0.0.0' : '127.0.0.1';
    const port = await listen(host, 0, (socket) => serveSocks(socket, upstream));
    if (has('extra-listener')) await listen('127.0.0.1', 0, () => {});
    const protocol = has('socks4') ? 'socks4' : has('socks6') ? 'socks6' : 'socks5';
    const address = has('names-host')
      ? `localhost:${port}`
      : has('port-zero')
        ? '127.0.0.1:0'
        : `127.0.0.1:${port}`;
    if (has('ill-named')) say(`CMETHOD 9-${name} ${protocol} ${address}`);
    say(`CMETHOD ${name} ${protocol} ${address}${has('extra-argument') ? ' more' : ''}`);
    if (has('method-twice')) say(`CMETHOD ${name} ${protocol} ${address}`);
  }
  if (known.length === 0 && has('no-done-without-methods')) throw new Stay();
}
