/** What a censor sees of us, on the wire and by probing, is what it sees of obfs4proxy. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import {
  areAlike,
  burstSizes,
  firstProbeSeconds,
  keepAliveSeconds,
  probe,
  writeSizes,
  type ProbeAnswer,
} from '../support/observer.ts';
import { bridgeIdentity } from '../support/pairings.ts';
import {
  obfs4proxy,
  obfs4proxyMissing,
  postern,
  startPtClient,
  startPtServer,
  type PtProgram,
} from '../support/pt-programs.ts';
import {
  startRecordingRelay,
  type Alteration,
  type RecordingRelay,
} from '../support/recording-relay.ts';
import { echo, listen } from '../support/sockets.ts';
import type { Dialer } from '../../src/net/dialer.ts';
import type { Endpoint } from '../../src/pt/address.ts';

type Transport = 'obfs3' | 'obfs4';
const programs = [postern, obfs4proxy] as const;

interface Observed {
  readonly server: Endpoint;
  readonly relay: RecordingRelay;
  readonly dial: Dialer;
}

/** A client and a server with a recording relay between them, before an echo. */
async function observe(
  t: TestContext,
  transport: Transport,
  client: PtProgram,
  server: PtProgram,
  alter?: Alteration,
): Promise<Observed> {
  const target = await listen(t, echo);
  const options = transport === 'obfs4' ? bridgeIdentity : [];
  const [{ endpoint, args }, { dialer }] = await Promise.all([
    startPtServer(t, server, { transport, orPort: target.endpoint, options }),
    startPtClient(t, client, transport),
  ]);
  const relay = await startRecordingRelay(t, endpoint, alter);
  return { server: endpoint, relay, dial: dialer(args) };
}

const HANDSHAKES = 100;
const BURSTS = 300;

/** Everything from its first byte to the last byte of its first write. */
const flightBytes: Readonly<Record<Transport, Record<'client' | 'server', [number, number]>>> = {
  // Keys, marks and MACs with the paddings that obfs4proxy draws; the server's seed frame.
  obfs4: { client: [64 + 77, 8192], server: [96 + 45, 8192] },
  obfs3: { client: [192, 192 + 4097], server: [192, 192 + 4097] },
};

describe('what an observer sees', { skip: obfs4proxyMissing, concurrency: true }, () => {
  for (const transport of ['obfs4', 'obfs3'] as const) {
    test(`${transport}: first writes of the same sizes`, async (t) => {
      const sizes = new Map<PtProgram, Record<'client' | 'server', number[]>>(
        programs.map((program) => [program, { client: [], server: [] }]),
      );
      await Promise.all(
        [[postern, obfs4proxy] as const, [obfs4proxy, postern] as const].map(
          async ([client, server]) => {
            const { relay, dial } = await observe(t, transport, client, server);
            for (let count = 0; count < HANDSHAKES; count += 1) {
              (await dial(relay.endpoint)).destroy();
            }
            for (const record of relay.records) {
              for (const [side, program] of [
                ['client', client],
                ['server', server],
              ] as const) {
                // One burst: what follows an answer must not be needed for it.
                const writes = writeSizes(record, side);
                assert.equal(writes.length, 1, `${program.name} as ${side}`);
                sizes.get(program)![side].push(writes[0]!);
              }
            }
          },
        ),
      );
      for (const side of ['client', 'server'] as const) {
        const [least, most] = flightBytes[transport][side];
        const [ours, theirs] = programs.map((program) => sizes.get(program)![side]);
        for (const size of ours!) assert.ok(size >= least && size <= most, `${side}: ${size}`);
        assert.ok(areAlike(ours!, theirs!), `${side}: ${String(ours)} and ${String(theirs)}`);
      }
    });
  }

  test('obfs4: bursts of the lengths that the bridge’s seed gives', async (t) => {
    const samples = await Promise.all(
      programs.map(async (program) => {
        const { relay, dial } = await observe(t, 'obfs4', program, program);
        const stream = await dial(relay.endpoint);
        return burstSizes(relay, stream, BURSTS);
      }),
    );
    for (const side of ['client', 'server'] as const) {
      const [ours, theirs] = samples.map((sample) => sample[side]);
      assert.equal(ours!.length, BURSTS, 'one write for each burst');
      assert.ok(areAlike(ours!, theirs!), `${side}: ${String(ours)} and ${String(theirs)}`);
      // The seed gives 100 lengths. Whoever drew from others would add many.
      assert.ok(new Set([...ours!, ...theirs!]).size <= 100);
    }
  });

  test(
    'the first keep-alive probe: with obfs4proxy’s where Node can send the others like it, else late',
    { skip: process.platform !== 'linux' && 'reads /proc/net/tcp' },
    async (t) => {
      for (const program of programs) {
        const { relay, dial } = await observe(t, 'obfs4', program, program);
        await dial(relay.endpoint);
        const due = program === obfs4proxy ? 15 : firstProbeSeconds;
        const { sides } = relay.records[0]!;
        for (const side of [sides.client, sides.server]) {
          const seconds = await keepAliveSeconds(side);
          assert.ok(seconds > due - 5 && seconds <= due, `${program.name}: ${seconds}`);
        }
      }
    },
  );
});

describe('what a prober gets', { skip: obfs4proxyMissing, concurrency: true }, () => {
  /** Sends each probe to a server of each program. */
  async function compare(
    t: TestContext,
    transport: Transport,
    probes: (observed: Observed) => Promise<readonly Uint8Array[]>,
    expected: ProbeAnswer,
  ): Promise<void> {
    for (const server of programs) {
      const observed = await observe(t, transport, obfs4proxy, server);
      const handled = async (): Promise<void> => {
        // A handshake behind the probe: the server has had its turn, and still serves.
        const stream = await observed.dial(observed.relay.endpoint);
        stream.write('x');
        await once(stream, 'data');
        stream.destroy();
      };
      for (const bytes of await probes(observed)) {
        const answer = await probe(observed.server, bytes, handled);
        assert.deepEqual(answer, expected, `${server.name}: ${bytes.length} bytes`);
      }
    }
  }

  const silence: ProbeAnswer = { spoke: false, endedFirst: false, atEnd: 'FIN' };

  test('obfs4: silence for garbage of any length', async (t) => {
    const lengths = [0, 1, 141, 8192, 8193, 50_000];
    await compare(t, 'obfs4', async () => lengths.map((length) => randomBytes(length)), silence);
  });

  test('obfs4: silence for a replayed handshake and for that of another bridge', async (t) => {
    await compare(
      t,
      'obfs4',
      async ({ relay, dial }) => {
        (await dial(relay.endpoint)).destroy();
        const [first] = relay.records[0]!.events;
        assert.ok(first?.type === 'data' && first.from === 'client');
        return [first.bytes, await otherBridgesHandshake(t)];
      },
      silence,
    );
  });

  /** A client's whole handshake with a bridge of another identity. */
  async function otherBridgesHandshake(t: TestContext): Promise<Uint8Array> {
    let onHandshake!: (bytes: Buffer) => void;
    const handshake = new Promise<Buffer>((resolve) => (onHandshake = resolve));
    const silent = await listen(t, (socket: Socket) => {
      socket.once('data', (bytes: Buffer) => {
        onHandshake(bytes);
        socket.destroy();
      });
    });
    const { dialer } = await startPtClient(t, postern, 'obfs4');
    const cert = Buffer.alloc(52, 9).toString('base64').replace(/=+$/, '');
    const dialing = dialer([
      ['cert', cert],
      ['iat-mode', '0'],
    ])(silent.endpoint);
    const bytes = await handshake;
    await assert.rejects(dialing);
    return bytes;
  }

  test('obfs3: its key for anything, which tells it apart', async (t) => {
    await compare(t, 'obfs3', async () => [0, 1, 192, 8192].map((length) => randomBytes(length)), {
      ...silence,
      spoke: true,
    });
  });

  test('obfs3: garbage without end does not end the server', async (t) => {
    const { server, relay, dial } = await observe(t, 'obfs3', postern, postern);
    for (const length of [8418, 8419, 100_000]) {
      await probe(server, randomBytes(length), async () => {
        (await dial(relay.endpoint)).destroy();
      });
    }
  });
});

describe('what an altered byte does', { skip: obfs4proxyMissing, concurrency: true }, () => {
  for (const victim of ['client', 'server'] as const) {
    test(`obfs4: the ${victim} ends that connection, and no other`, async (t) => {
      for (const program of programs) {
        let altering = false;
        const [client, server] =
          victim === 'client' ? [program, obfs4proxy] : [obfs4proxy, program];
        const { relay, dial } = await observe(t, 'obfs4', client, server, (from, chunk) => {
          if (altering && from !== victim) chunk[5]! ^= 1;
        });
        const stream = await dial(relay.endpoint);
        stream.on('error', () => {}).resume();
        altering = true;
        stream.write('x');
        await once(stream, 'end').catch(() => {});
        altering = false;
        const ends = relay.records[0]!.events.filter(({ type }) => type !== 'data');
        assert.deepEqual(ends[0], { from: victim, type: 'end' }, program.name);
        stream.destroy();
        const next = await dial(relay.endpoint);
        next.write('x');
        assert.equal(String((await once(next, 'data'))[0]), 'x');
        next.destroy();
      }
    });
  }
});
