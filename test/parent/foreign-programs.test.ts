/** Our parent's side against PT programs of other people. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createPtDialer } from '../../src/parent/dial.ts';
import { listenExtOr } from '../../src/parent/extor-server.ts';
import { launch } from '../../src/parent/launch.ts';
import type { ClientLaunch } from '../../src/pt/launch-environment.ts';
import { peerProgram } from '../support/peers.ts';

const obfs4proxy = peerProgram('obfs4proxy');
const snowflakeClient = peerProgram('snowflake-client');

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-foreign-'));
});
after(() => rm(folder, { recursive: true, force: true }));

function client(transports: readonly string[]): ClientLaunch {
  return { role: 'client', stateLocation: join(folder, 'client'), transports };
}

describe(
  'obfs4proxy as a child',
  { skip: obfs4proxy === undefined && 'obfs4proxy is not installed' },
  () => {
    const command = [obfs4proxy ?? ''] as const;

    test('[PT-1-01] [PT-3.3.3-09] [PT-3.2.3-18] [PT-3.5-02] a pair of it carries payload, and says who connects, over our Extended ORPort', async () => {
      const seen: unknown[] = [];
      const orPort = await listenExtOr({
        cookieFile: join(folder, 'cookie'),
        admit: (metadata) => seen.push(metadata) > 0,
        onConnection: (stream) => stream.pipe(stream),
      });
      await using server = await launch({
        command,
        configuration: {
          role: 'server',
          stateLocation: join(folder, 'server'),
          transports: [
            {
              name: 'obfs4',
              bindAddress: { host: '127.0.0.1', port: 0 },
              options: [['iat-mode', '1']],
            },
          ],
          extendedOrPort: orPort,
          orPort: { host: '127.0.0.1', port: 1 },
        },
      });
      await using proxy = await launch({ command, configuration: client(['obfs4', 'obfs3']) });
      assert.deepEqual([...proxy.methods.keys()].sort(), ['obfs3', 'obfs4']);
      assert.deepEqual([proxy.missing, proxy.failures.size], [[], 0]);

      const bridge = server.methods.get('obfs4')!;
      assert.deepEqual(
        bridge.args.map(([key]) => key),
        ['cert', 'iat-mode'],
      );
      assert.equal(bridge.args[1]?.[1], '1');
      const stream = await createPtDialer(
        proxy.methods.get('obfs4')!,
        bridge.args,
      )(bridge.endpoint);
      stream.write('through two processes');
      assert.equal(String((await once(stream, 'data'))[0]), 'through two processes');
      const [metadata] = seen as [{ transport?: string; userAddr?: { host: string } }];
      assert.deepEqual(
        [seen.length, metadata.transport, metadata.userAddr?.host],
        [1, 'obfs4', '127.0.0.1'],
      );
      stream.destroy();

      const ends = await Promise.all([proxy.close(), server.close()]);
      assert.deepEqual(
        ends.map(({ exitCode, signal }) => [exitCode, signal]),
        [
          [0, null],
          [0, null],
        ],
      );
      orPort.abort();
      await orPort.close();
    });

    test('wrong arguments fail the connection, not the program', async () => {
      await using proxy = await launch({ command, configuration: client(['obfs4']) });
      const dial = createPtDialer(proxy.methods.get('obfs4')!, [
        ['cert', 'nonsense'],
        ['iat-mode', '0'],
      ]);
      await assert.rejects(dial({ host: '127.0.0.1', port: 1 }), {
        code: 'ERR_TUNNEL_FAILED',
      });
    });

    test('an upstream proxy is confirmed', async () => {
      const upstreamProxy = {
        type: 'socks5',
        endpoint: { host: '127.0.0.1', port: 9 },
        username: 'a@b',
        password: 'p:%',
      } as const;
      await using proxy = await launch({
        command,
        configuration: { ...client(['obfs4']), upstreamProxy },
      });
      assert.deepEqual([...proxy.methods.keys()], ['obfs4']);
    });

    test('a transport that it does not know', async () => {
      await using proxy = await launch({
        command,
        configuration: client(['obfs4', 'unknown_one']),
      });
      // The specification has it say nothing; this program says CMETHOD-ERROR.
      assert.ok(proxy.failures.has('unknown_one') || proxy.missing.includes('unknown_one'));
    });
  },
);

test(
  'snowflake-client starts and reports',
  { skip: snowflakeClient === undefined && 'snowflake-client is not installed' },
  async () => {
    await using proxy = await launch({
      command: [snowflakeClient ?? ''],
      configuration: client(['snowflake']),
    });
    assert.deepEqual([...proxy.methods.keys()], ['snowflake']);
  },
);
