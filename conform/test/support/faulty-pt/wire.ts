/** The transport of the faulty PT: the hello, the mask, and payload both ways. */
import type { Socket } from 'node:net';
import { env } from 'node:process';
import { has } from './fault.ts';
import type { Reader } from './sockets.ts';

export const HELLO: Buffer = Buffer.from('XOR1');
export const OKAY: Buffer = Buffer.from('OK');

export function mask(bytes: Buffer, key: number): Buffer {
  return has('plain-wire') ? bytes : Buffer.from(bytes.map((byte) => byte ^ key));
}

/** `plain` in clear, `masked` on the wire. */
export function relay(plain: Reader, masked: Reader, key: number): void {
  pipe(plain.release(), plain.socket, masked.socket, key);
  pipe(masked.release(), masked.socket, plain.socket, key);
}

function pipe(first: Buffer, from: Socket, to: Socket, key: number): void {
  // At one of the two ends: twice would be none.
  let isCorrupted = !has('corrupts') || env['TOR_PT_CLIENT_TRANSPORTS'] === undefined;
  const send = (bytes: Buffer): void => {
    const out = Buffer.from(mask(bytes, key));
    if (!isCorrupted && out.length > 100) {
      out[50] = out[50]! ^ 1;
      isCorrupted = true;
    }
    to.write(out);
  };
  if (first.length > 0) send(first);
  from.on('data', send);
  from.on('end', () => {
    if (has('keeps-ends')) return;
    if (has('closes-both-ends')) {
      to.destroy();
      from.destroy();
    } else to.end();
  });
  from.on('close', () => {
    if (!has('keeps-ends') && !to.writableEnded) to.destroy();
  });
  to.on('close', () => from.destroy());
}
