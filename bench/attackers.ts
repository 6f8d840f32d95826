/**
 * `node attackers.js PORT COUNT ARGS`: clients of an obfs4 bridge, in a process of their own, that send a byte in
 * each frame, the rest padding, as fast as they can, until they are killed. Says `all came` when each is at it.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { systemRng } from '../src/crypto/rng.ts';
import { createDirectDialer } from '../src/net/direct-dialer.ts';
import { throughTransport } from '../src/net/through-transport.ts';
import { parseSmethodArgs } from '../src/pt/smethod-args.ts';
import { systemClock } from '../src/time.ts';
import { builtinTransports } from '../src/transports/registry.ts';
import { askForEcho } from './load.ts';

const [port, count, args] = process.argv.slice(2) as [string, string, string];
const sources = { rng: systemRng, clock: systemClock };
const createSession = builtinTransports.get('obfs4').client(parseSmethodArgs(args), sources);
const dial = throughTransport(createDirectDialer(), createSession);

async function flood(stream: Duplex): Promise<void> {
  stream.resume();
  while (!stream.destroyed) {
    for (let frame = 0; frame < 50; frame += 1) {
      if (!stream.write('x')) await once(stream, 'drain');
    }
    await setImmediate();
  }
}

const streams: Duplex[] = [];
for (let client = 0; client < Number(count); client += 1) {
  const stream = await dial({ host: '127.0.0.1', port: Number(port) });
  await askForEcho(stream);
  streams.push(stream);
}
process.stdout.write('all came\n');
await Promise.all(streams.map(flood));
