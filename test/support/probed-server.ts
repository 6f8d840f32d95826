/** Our managed proxy as a server in a process of its own, and clients that have the bridge line. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemRng } from '../../src/crypto/rng.ts';
import type { LimitName } from '../../src/limits.ts';
import { openTransportStream } from '../../src/net/transport-stream.ts';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { buildEnvironment } from '../../src/pt/launch-environment.ts';
import { parseSmethodArgs } from '../../src/pt/smethod-args.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { temporaryDirectory } from './managed.ts';
import { ProbedProcess } from './probed-process.ts';
import type { Cleanup } from './pt-programs.ts';
import { dial, listen, readBytes } from './sockets.ts';

/** One connection, with the socket at the bottom of it. */
interface Client {
  readonly stream: Duplex;
  readonly wire: Socket;
}

/** A server that runs. */
interface ProbedServer {
  readonly process: ProbedProcess;
  /** Connects, and resolves when the first byte has come back. */
  readonly connect: (firstByte?: string) => Promise<Client>;
}

/**
 * Starts one, until the test has ended.
 *
 * @param serve is the application behind it, or where that listens; it must echo the first byte
 */
export async function startProbedServer(
  t: Cleanup,
  serve: ((socket: Socket) => void) | Endpoint,
  limits: Partial<Record<LimitName, number>> = {},
  transport = 'obfs4',
): Promise<ProbedServer> {
  const orPort = typeof serve === 'function' ? (await listen(t, serve)).endpoint : serve;
  const env = buildEnvironment({
    role: 'server',
    stateLocation: temporaryDirectory(t),
    orPort,
    transports: [{ name: transport, bindAddress: { host: '127.0.0.1', port: 0 }, options: [] }],
  });
  // Its parent holds nothing that could end.
  delete env['TOR_PT_EXIT_ON_STDIN_CLOSE'];
  const process = new ProbedProcess(t, [], { env, limits });
  const [, address, args] = await process.line(/^SMETHOD \S+ (\S+) ARGS:(\S+)$/);
  const sources = { rng: systemRng, clock: systemClock };
  const endpoint = parseIpEndpoint(address!)!;
  const connect = async (firstByte = 'x'): Promise<Client> => {
    const createSession = builtinTransports.get(transport).client(parseSmethodArgs(args!), sources);
    const wire = (await dial(endpoint)) as Socket;
    t.after(() => void wire.destroy());
    const stream = await openTransportStream(wire, createSession(endpoint));
    stream.write(firstByte);
    await readBytes(stream, 1);
    return { stream, wire };
  };
  return { process, connect };
}
