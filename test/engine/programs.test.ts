/** Transports as programs of their own (`exec`), ours and obfs4proxy, on either side of a link. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  bridgeLinesOf,
  connectThrough,
  startBridge,
  startClient,
  startEngine,
  type TestEngine,
} from '../support/engine.ts';
import { obfs4proxy, obfs4proxyMissing, postern, type PtProgram } from '../support/pt-programs.ts';
import { echo, listen, readAll } from '../support/sockets.ts';

interface Cleanup {
  after(callback: () => void | Promise<void>): void;
}

function plugin(program: PtProgram | undefined): string {
  return program === undefined ? 'obfs4 builtin' : `obfs4 exec ${program.command.join(' ')}`;
}

function bridgeWith(t: Cleanup, program: PtProgram | undefined): Promise<TestEngine> {
  return startEngine(
    t,
    `ServerTransportPlugin ${plugin(program)}
ServerTransportListenAddr obfs4 127.0.0.1:0
ExitPolicyRejectPrivate 0
`,
  );
}

function clientWith(
  t: Cleanup,
  program: PtProgram | undefined,
  bridges: readonly TestEngine[],
  lines = '',
): Promise<TestEngine> {
  return startEngine(
    t,
    `SocksPort auto
UseBridges 1
ClientTransportPlugin ${plugin(program)}
${bridgeLinesOf(...bridges)}${lines}`,
  );
}

async function echoes(
  client: TestEngine,
  target: Parameters<typeof connectThrough>[1],
): Promise<void> {
  const stream = await connectThrough(client, target);
  const payload = Buffer.alloc(1_000_000, 'through a program');
  stream.end(payload);
  assert.ok((await readAll(stream)).equals(payload));
}

describe('a stream through programs', () => {
  const pairs: readonly (readonly [PtProgram | undefined, PtProgram | undefined])[] = [
    [postern, undefined],
    [undefined, postern],
    [obfs4proxy, undefined],
    [undefined, obfs4proxy],
    [obfs4proxy, obfs4proxy],
  ];
  for (const [client, bridge] of pairs) {
    const isForeign = client === obfs4proxy || bridge === obfs4proxy;
    const name = `client ${client?.name ?? 'builtin'}, bridge ${bridge?.name ?? 'builtin'}`;
    test(name, { skip: isForeign && obfs4proxyMissing }, async (t) => {
      const target = await listen(t, echo);
      const bridgeEngine = await bridgeWith(t, bridge);
      await echoes(await clientWith(t, client, [bridgeEngine]), target.endpoint);
    });
  }

  test('a program at the first hop, this process at the second', async (t) => {
    const target = await listen(t, echo);
    const bridges = [await startBridge(t), await startBridge(t)];
    const lines = bridgeLinesOf(...bridges).split('\n');
    // Only the first transport is the program's.
    const client = await startClient(t, [], 'UseBridges 0\n');
    await client.engine.setConf(
      `UseBridges 1
CircuitHops 2
ClientTransportPlugin obfs4 exec ${postern.command.join(' ')}
${lines[0]}
Bridge ${(await plainBridge(t)).text}
`,
    );
    await echoes(client, target.endpoint);
  });
});

async function plainBridge(t: Cleanup): Promise<{ readonly text: string }> {
  const bridge = await startEngine(t, 'ORPort auto\nExitPolicyRejectPrivate 0\n');
  const { host, port } = bridge.engine.endpoints.orPort!;
  return { text: `${host}:${port}` };
}

test('a program that dies is started again, and streams go through it again', async (t) => {
  const target = await listen(t, echo);
  const bridge = await startBridge(t);
  const client = await startEngine(t, 'SocksPort auto\n');
  await client.engine.setConf(
    `ClientTransportPlugin ${plugin(postern)}\nUseBridges 1\n${bridgeLinesOf(bridge)}`,
  );
  await echoes(client, target.endpoint);
  const pids = (): number[] =>
    client.events.flatMap((event) =>
      event.type === 'log'
        ? (/runs as process ([0-9]+)/.exec(event.message)?.slice(1).map(Number) ?? [])
        : [],
    );
  process.kill(pids()[0]!, 'SIGKILL');
  await client.until(() => pids().length === 2);
  await echoes(client, target.endpoint);
});
