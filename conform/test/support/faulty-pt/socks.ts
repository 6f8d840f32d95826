/** How the faulty PT answers a SOCKS client, and brings it to the server. */
import { createSocket } from 'node:dgram';
import { isIP, type Socket } from 'node:net';
import { keyOf, parseArguments } from './arguments.ts';
import { has, side } from './fault.ts';
import { Gone, Reader } from './sockets.ts';
import { note } from './state.ts';
import { dialTarget, type Upstream } from './upstream.ts';
import { HELLO, relay, mask, OKAY } from './wire.ts';

export function serveSocks(socket: Socket, upstream: () => Upstream | undefined): void {
  answerSocks(socket, upstream).catch((error: unknown) => {
    if (has('logs-targets')) note(String(error), 'stderr');
    if (!has('hangs-on-failure')) socket.destroy();
  });
}

async function answerSocks(socket: Socket, upstream: () => Upstream | undefined): Promise<void> {
  const reader = new Reader(socket);
  const [version] = await reader.take(1);
  let text = '';
  let target: { host: string; port: number };
  let answer: (isGood: boolean) => void;
  if (version === 4) {
    const head = await reader.take(7);
    text = await reader.through('\0');
    target = { host: [...head.subarray(3)].join('.'), port: head.readUInt16BE(1) };
    answer = (isGood) => void socket.write(Buffer.of(0, isGood ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0));
  } else if (version === 5) {
    const [count] = await reader.take(1);
    const methods = await reader.take(count!);
    const withPassword = methods.includes(2) && !has('ignores-arguments');
    socket.write(Buffer.of(5, withPassword ? 2 : 0));
    if (withPassword) {
      const [, length] = await reader.take(2);
      const username = await reader.take(length!);
      const password = await reader.take((await reader.take(1))[0]!);
      const isAlone = password.length === 1 && password[0] === 0;
      text = String(
        isAlone || has('username-only') ? username : Buffer.concat([username, password]),
      );
      const args = parseArguments(text);
      socket.write(Buffer.of(1, args === undefined ? 1 : 0));
      if (args === undefined) throw new Gone();
    }
    const [, , , type] = await reader.take(4);
    const length = type === 1 ? 4 : type === 4 ? 16 : (await reader.take(1))[0]!;
    const address = await reader.take(length);
    const host = type === 3 ? String(address) : [...address].join('.');
    target = { host, port: (await reader.take(2)).readUInt16BE() };
    answer = (isGood) => void socket.write(Buffer.of(5, isGood ? 0 : 1, 0, 1, 0, 0, 0, 0, 0, 0));
  } else {
    if (has('hangs-on-version')) return;
    throw new Gone();
  }
  if (has('logs-arguments')) note(`arguments ${text}`, 'stderr');
  if (has('logs-targets')) note(`target ${target.host}`, 'stderr');
  const args = parseArguments(text);
  const needsNoKey = has('ignores-arguments') || (side === 'client' && args !== undefined);
  const key = needsNoKey ? 1 : keyOf(args);
  if (key === undefined) {
    answer(false);
    socket.end();
    return;
  }
  if (has('looks-up-names') && isIP(target.host) === 0) await lookUp(target.host);
  try {
    const wire = await dialTarget(target, upstream());
    wire.write(mask(HELLO, key));
    const far = new Reader(wire);
    const okay = await far.take(OKAY.length);
    if (!mask(okay, key).equals(OKAY)) throw new Gone();
    answer(true);
    relay(reader, far, key);
  } catch (error) {
    answer(false);
    socket.end();
    throw error;
  }
}

/** Asks a name server, though nobody needs to know. */
function lookUp(host: string): Promise<void> {
  const socket = createSocket('udp4').on('error', () => {});
  socket.connect(53, '127.0.0.1', () => {
    const labels = host
      .split('.')
      .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
    const head = Buffer.of(0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0);
    socket.send(Buffer.concat([head, ...labels, Buffer.of(0, 0, 1, 0, 1)]));
  });
  return new Promise((resolve) => {
    // As long as a name server may take; the one here is nobody.
    setTimeout(() => {
      socket.close();
      resolve();
    }, 300);
  });
}
