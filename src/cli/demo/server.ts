/** How the demo's bridges are told to run a transport. */
import { listenTcp } from '../../net/listener.ts';
import { type Endpoint, formatEndpoint } from '../../pt/address.ts';
import type { RequestedServer } from '../../pt/proxy-environment.ts';

/** On a free port of loopback. A bridge that is a web site must know its own URL beforehand. */
export async function demoServer(
  transport: string,
): Promise<{ readonly bindAddress: Endpoint } & Pick<RequestedServer, 'options'>> {
  const anywhere = { host: '127.0.0.1', port: 0 };
  if (transport !== 'webtunnel') return { bindAddress: anywhere, options: [] };
  const free = await listenTcp(anywhere, (socket) => {
    socket.destroy();
  });
  await free.close();
  const url = `https://${formatEndpoint(free.endpoint)}/postern-demo`;
  return {
    bindAddress: free.endpoint,
    options: [
      ['url', url],
      ['tls-cert', 'self-signed'],
    ],
  };
}
