/** What a prober sees of an obfs4 bridge of ours is what it sees of obfs4proxy's. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import {
  obfs4proxy,
  obfs4proxyMissing,
  postern,
  type PtServer,
  startPtServer,
} from '../support/pt-programs.ts';
import { echo, listen } from '../support/sockets.ts';

/** What a prober says before its FIN, given a message that opens the bridge. */
const probes: Readonly<Record<string, (valid: Buffer) => readonly Buffer[]>> = {
  nothing: () => [],
  'one byte': () => [Buffer.of(0)],
  'an HTTP request': () => [Buffer.from('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')],
  'a TLS record': () => [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
  'as much noise as is read': () => [Buffer.alloc(8192, 'x')],
  'more noise than is read': () => [Buffer.alloc(9000, 'x')],
  'much more noise': () => [Buffer.alloc(9000, 'x'), Buffer.alloc(1_000_000, 'x')],
  'half a handshake': (valid) => [valid.subarray(0, valid.length >> 1)],
  'all of a handshake but a byte': (valid) => [valid.subarray(0, -1)],
  'a handshake with a wrong MAC': (valid) => [changed(valid, valid.length - 1)],
  'a handshake with a wrong mark': (valid) => [changed(valid, valid.length - 20)],
  'a handshake with another key': (valid) => [changed(valid, 0)],
};

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

/** What a client says first. */
function validMessage({ endpoint, args }: PtServer): Buffer {
  const environment = { rng: systemRng, clock: systemClock };
  const session = builtinTransports.get('obfs4').client(args, environment)(endpoint);
  const sent = session.start().flatMap((action) => (action.type === 'send' ? [action.bytes] : []));
  return Buffer.concat(sent);
}

/** Says it, then ends. @returns what comes back, and how it ended */
function probe({ endpoint }: PtServer, says: readonly Buffer[]): Promise<string> {
  return new Promise((resolve) => {
    let bytes = 0;
    const socket = connect({ ...endpoint, allowHalfOpen: true });
    socket.on('data', (chunk: Buffer) => void (bytes += chunk.length));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(`${bytes} bytes, ${code}`));
    socket.once('end', () => {
      socket.destroy();
      resolve(`${bytes} bytes, FIN`);
    });
    for (const piece of says) socket.write(piece);
    socket.end();
  });
}

test(
  'a prober that ends sees the same of both programs, whatever it said',
  { skip: obfs4proxyMissing },
  async (t) => {
    const { endpoint: orPort } = await listen(t, echo);
    const options = { transport: 'obfs4', orPort };
    const ours = await startPtServer(t, postern, options);
    const theirs = await startPtServer(t, obfs4proxy, options);
    for (const [name, says] of Object.entries(probes)) {
      const [mine, other] = await Promise.all(
        [ours, theirs].map((server) => probe(server, says(validMessage(server)))),
      );
      assert.equal(mine, other, name);
      assert.match(mine!, /^0 bytes/, name);
    }
  },
);
