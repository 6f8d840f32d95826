/**
 * Reading into one buffer that all sockets share, where Node would make one of 64 KiB for every read.
 *
 * Node does so for sockets that are made with the option `onread`, which accepted ones cannot be. It keeps
 * what it was given under keys of its own, which are found here by what they hold, and not by name: where
 * a Node has no such keys, or a socket no handle that takes a buffer, sockets read as ever.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/**
 * Is called, with the socket as `this`, with how many bytes have come and the buffer that begins with them:
 * borrowed until it returns. Unless it returns false, the socket reads on.
 */
export type OnRead = (this: Socket, length: number, buffer: Uint8Array) => boolean;

/**
 * Has what a socket reads from now on lent to `onRead`, and not told by 'data'; what it has read already
 * comes by 'data' once it flows. Its end and its errors come as ever. Cannot be taken back.
 *
 * @returns false where that cannot be, and nothing has changed
 */
export function readIntoShared(socket: Socket, onRead: OnRead): boolean {
  const { _handle: handle } = socket as WithHandle;
  if (keys === undefined || !(keys.buffer in socket) || handle?.useUserBuffer === undefined) {
    return false;
  }
  Object.assign(socket, { [keys.buffer]: shared, [keys.onRead]: onRead });
  handle.useUserBuffer(shared);
  return true;
}

type WithHandle = Socket & {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null;
};

/** Four times what Node reads at once: half the time for each byte of who pours. */
const shared = Buffer.allocUnsafeSlow(262_144);

const keys: { readonly buffer: symbol; readonly onRead: symbol } | undefined = findKeys();

function findKeys(): typeof keys {
  const onRead = (): boolean => true;
  const options = { onread: { buffer: shared, callback: onRead } } as SocketConstructorOpts;
  const template = new Socket(options);
  const held = new Map(
    Object.getOwnPropertySymbols(template).map((key) => [
      (template as unknown as Record<symbol, unknown>)[key],
      key,
    ]),
  );
  const [buffer, callback] = [held.get(shared), held.get(onRead)];
  return buffer && callback && { buffer, onRead: callback };
}
