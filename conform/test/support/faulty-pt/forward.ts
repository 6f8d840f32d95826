/** How the faulty PT greets a client of its transport, and brings it to the parent. */
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { has } from './fault.ts';
import type { Forward } from './server-settings.ts';
import { dial, Gone, Reader } from './sockets.ts';
import { note } from './state.ts';
import { HELLO, relay, mask, OKAY } from './wire.ts';

export function serveClient(
  socket: Socket,
  name: string,
  key: number,
  forward: Forward | undefined,
): void {
  if (has('logs-clients')) note(`client ${socket.remoteAddress}`, 'file');
  if (has('prints-clients')) note(`client ${socket.remoteAddress}`, 'stderr');
  greetClient(socket, name, key, forward).catch(() => socket.destroy());
}

async function greetClient(
  socket: Socket,
  name: string,
  key: number,
  forward: Forward | undefined,
): Promise<void> {
  const reader = new Reader(socket);
  const hello = await reader.take(HELLO.length);
  const isClient = mask(hello, key).equals(HELLO);
  if (!isClient && !has('forwards-strangers')) throw new Gone();
  socket.write(mask(OKAY, key));
  if (forward === undefined) throw new Gone();
  const inner = await dial(forward.address);
  const far = new Reader(inner);
  if (forward.cookieFile !== undefined) {
    await greetParent(far, forward.cookieFile, name, socket);
  } else if (has('orport-banner')) inner.write('HELLO ');
  if (!isClient) inner.write(hello);
  relay(far, reader, key);
}

/** The Extended ORPort, the client's side. */
async function greetParent(
  reader: Reader,
  file: string,
  name: string,
  from: Socket,
): Promise<void> {
  const { socket } = reader;
  if (has('skips-authentication')) return;
  const cookie = readFileSync(file).subarray(-32);
  const types: number[] = [];
  for (;;) {
    const [type] = await reader.take(1);
    if (type === 0) break;
    types.push(type!);
  }
  if (!types.includes(1) && has('any-auth-type')) return;
  if (!types.includes(1)) throw new Gone();
  const nonce = randomBytes(32);
  socket.write(Buffer.concat([Buffer.of(1), nonce]));
  const hash = await reader.take(32);
  const serverNonce = await reader.take(32);
  const hashOf = (label: string): Buffer =>
    createHmac('sha256', cookie)
      .update(`ExtORPort authentication ${label} hash`)
      .update(nonce)
      .update(serverNonce)
      .digest();
  if (!hash.equals(hashOf('server-to-client')) && !has('trusts-anyone')) throw new Gone();
  socket.write(hashOf('client-to-server'));
  const [status] = await reader.take(1);
  if (status !== 1) throw new Gone();
  const message = (command: number, body: string): Buffer =>
    Buffer.concat([Buffer.of(0, command, 0, body.length), Buffer.from(body)]);
  const address = `${from.remoteAddress}:${from.remotePort}`;
  if (!has('no-metadata')) socket.write(Buffer.concat([message(1, address), message(2, name)]));
  socket.write(message(0, ''));
  if (has('hasty')) socket.write('hasty');
  const answer = await reader.take(4);
  if (answer.readUInt16BE() !== 0x1000 && !has('ignores-deny')) throw new Gone();
  if (answer.readUInt16BE() !== 0x1000) socket.write('denied');
}
