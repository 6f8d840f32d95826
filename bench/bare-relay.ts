/**
 * The floor: a managed PT proxy that disguises nothing and checks nothing.
 *
 * Each socket reads into one buffer, and reads on when that has been written: the cheapest way that Node
 * has to join two sockets. What a transport costs is what it adds to this.
 */
import { connect, createServer, Socket } from 'node:net';

const READ_BYTES = 65_536;
const { env } = process;
const clientTransport = env['TOR_PT_CLIENT_TRANSPORTS'];

/** A socket, and what is done with what it reads: false stops it until it is resumed. */
interface End {
  readonly socket: Socket;
  take: (bytes: Buffer) => boolean;
}

const server = createServer({ pauseOnConnect: true }, (accepted) => {
  const end = adopt(accepted);
  if (clientTransport === undefined) forward(end);
  else answerSocks(end);
}).listen(0, '127.0.0.1', 4096, () => {
  const { port } = server.address() as { port: number };
  process.stdout.write(
    clientTransport === undefined
      ? `VERSION 1\nSMETHOD ${env['TOR_PT_SERVER_TRANSPORTS']} 127.0.0.1:${port}\nSMETHODS DONE\n`
      : `VERSION 1\nCMETHOD ${clientTransport} socks5 127.0.0.1:${port}\nCMETHODS DONE\n`,
  );
});

function forward(end: End): void {
  const [host, port] = env['TOR_PT_ORPORT']!.split(':');
  relay(end, dial(Number(port), host!));
}

/** SOCKS5 with the benchmark's own client, which says each thing in one piece. */
function answerSocks(end: End): void {
  const { socket } = end;
  end.take = () => {
    end.take = (request) => {
      const target = dial(request.readUInt16BE(8), request.subarray(4, 8).join('.'));
      relay(end, target);
      target.socket.once('connect', () => socket.write(Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)));
      return true;
    };
    return socket.write(Buffer.of(5, 0));
  };
}

function relay(a: End, b: End): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.take = (bytes) => {
      to.socket.write(bytes);
      if (to.socket.writableLength === 0) return true;
      to.socket.once('drain', () => from.socket.resume());
      return false;
    };
    from.socket
      .on('end', () => to.socket.end())
      .on('error', () => from.socket.destroy())
      .on('close', () => to.socket.destroy());
  }
}

function dial(port: number, host: string): End {
  const end = { take: (): boolean => true };
  const socket = connect({ port, host, ...reading(end) });
  return Object.assign(end, { socket });
}

/** Node reads into a buffer of ours only where it is told when the socket is made, so it is made again. */
function adopt(accepted: Socket): End {
  const { _handle: handle } = accepted as unknown as { _handle: object };
  const end = { take: (): boolean => true };
  const socket = new Socket({ handle, ...reading(end) } as object);
  return Object.assign(end, { socket });
}

function reading(end: Pick<End, 'take'>) {
  return {
    allowHalfOpen: true,
    noDelay: true,
    writableHighWaterMark: 1, // `drain` tells of every write that took its time
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (byteCount: number, buffer: Uint8Array) =>
        end.take((buffer as Buffer).subarray(0, byteCount)),
    },
  };
}
