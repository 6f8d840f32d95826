/** Whom tor takes the clients of its bridge for, which the Extended ORPort has told it. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TorProcess } from './tor-process.ts';

/** Lines of a torrc. */
export const tellingClients: readonly string[] = ['SafeLogging 0', 'Log [net]debug stdout'];

/** The addresses that came by USERADDR, in their order. */
export function clientsIn({ log }: TorProcess): readonly string[] {
  return log.flatMap((line) => /We rewrite our address from '.*' to '(.*)'/.exec(line)?.[1] ?? []);
}

/**
 * Asks a webtunnel bridge for the upgrade as a front would, and tor behind it for TLS: when that is there, tor knows
 * all that it is told of the connection.
 */
export async function askForTor(
  wire: Duplex,
  path: string,
  forwardedFor: string | undefined,
): Promise<void> {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: bridge.example',
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(forwardedFor === undefined ? [] : [`X-Forwarded-For: ${forwardedFor}`]),
  ];
  wire.write(`${lines.join('\r\n')}\r\n\r\n`);
  let answer = '';
  while (!answer.endsWith('\r\n\r\n')) {
    const [chunk] = (await once(wire, 'data')) as [Buffer];
    answer += chunk.toString('latin1');
  }
  if (!answer.startsWith('HTTP/1.1 101 ')) throw new Error(`no upgrade: ${answer}`);
  wire.pause();
  const tls = connect({ socket: wire, rejectUnauthorized: false });
  await once(tls, 'secureConnect');
  tls.destroy();
  wire.destroy();
}
