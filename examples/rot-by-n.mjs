// rot-by-n.mjs: the transport of the specification's own examples: adds N to every byte. It hides nothing.
import { PosternError } from 'postern';

/** @type {import('postern/transports').Transport} */
export const rotByN = {
  name: 'rot_by_N',
  summary: 'adds N to every byte; hides nothing from anyone',
  client(args) {
    const n = readN(args);
    return () => createSession(n);
  },
  async server(options) {
    const n = readN(options);
    return {
      clientArguments: [['N', String(n)]],
      rejectAfterMs: 30_000,
      createSession: () => createSession(n),
      async close() {},
    };
  },
};

/** @param {import('postern/transports').KeyValues} args */
function readN(args) {
  const n = Number(args.find(([key]) => key === 'N')?.[1] ?? 13);
  if (Number.isInteger(n) && n >= 1 && n <= 255) return n;
  throw new PosternError('ERR_TRANSPORT_ARGUMENT', 'rot_by_N: N must be a number of 1..255');
}

/**
 * @param {number} n
 * @returns {import('postern/transports').Session}
 */
function createSession(n) {
  return {
    start: () => [{ type: 'established' }],
    receive: (chunk) => [{ type: 'deliver', bytes: chunk.map((byte) => byte - n) }],
    write: (chunk) => [{ type: 'send', bytes: chunk.map((byte) => byte + n) }],
    receiveEnd: () => [{ type: 'deliverEnd' }],
    writeEnd: () => [{ type: 'sendEnd' }],
    timerFired: () => [],
    queuedBytes: 0,
  };
}
