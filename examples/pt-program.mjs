// pt-program.mjs: a whole pluggable transport program, both sides, for tor or any other parent to launch.
import { runManagedProxy } from 'postern/proxy';
import { TransportRegistry } from 'postern/transports';

/**
 * One connection, as a machine: events in, actions out. This one flips the bits of every byte and hides
 * nothing; a real one shakes hands before it says `established`.
 *
 * @returns {import('postern/transports').Session}
 */
const createSession = () => ({
  start: () => [{ type: 'established' }],
  receive: (chunk) => [{ type: 'deliver', bytes: chunk.map((byte) => byte ^ 0xff) }],
  write: (chunk) => [{ type: 'send', bytes: chunk.map((byte) => byte ^ 0xff) }],
  receiveEnd: () => [{ type: 'deliverEnd' }],
  writeEnd: () => [{ type: 'sendEnd' }],
  timerFired: () => [],
  queuedBytes: 0,
});

/** @type {import('postern/transports').Transport} */
const flip = {
  name: 'flip',
  summary: 'flips every bit',
  client: () => createSession,
  server: async () => ({
    clientArguments: [],
    rejectAfterMs: 30_000,
    createSession,
    close: async () => {},
  }),
};

process.exitCode = await runManagedProxy({ registry: new TransportRegistry([flip]) });
