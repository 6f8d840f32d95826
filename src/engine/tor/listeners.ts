import { type Endpoint, formatEndpoint, parseIpEndpoint } from '../../pt/address.ts';
import type { EngineEndpoints } from '../engine.ts';
import type { Log } from '../log.ts';
import type { TorCommands } from '../../tor-control/commands.ts';

/** The options that make Tor listen. */
export const listenerOptions: readonly string[] = ['SocksPort', 'HTTPTunnelPort'];

/** Asks Tor where it listens, `auto` having become a number, and has the log announce it. */
export async function readListeners(control: TorCommands, log: Log): Promise<EngineEndpoints> {
  const info = await control.getInfo('net/listeners/socks', 'net/listeners/httptunnel');
  const socks = endpointsIn(info.get('net/listeners/socks'));
  const httpTunnel = endpointsIn(info.get('net/listeners/httptunnel'));
  for (const endpoint of socks) {
    log.announce(`Applications connect to ${formatEndpoint(endpoint)} (SOCKS)`);
  }
  for (const endpoint of httpTunnel) {
    log.announce(`Applications connect to ${formatEndpoint(endpoint)} (HTTP CONNECT)`);
  }
  return { socks, httpTunnel };
}

/** Quoted addresses; Unix-domain sockets are left out. */
function endpointsIn(text = ''): readonly Endpoint[] {
  return [...text.matchAll(/"([^"]*)"/g)].flatMap((match) => parseIpEndpoint(match[1]!) ?? []);
}
