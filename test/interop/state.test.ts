/** An operator swaps the program under a bridge, in either direction: its users notice nothing. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { exchange, serveExchange } from '../support/exchange.ts';
import { temporaryDirectory } from '../support/managed.ts';
import {
  obfs4proxy,
  obfs4proxyMissing,
  postern,
  startPtClient,
  startPtServer,
} from '../support/pt-programs.ts';
import { listen } from '../support/sockets.ts';

describe(
  'a state directory that changes hands',
  { skip: obfs4proxyMissing, concurrency: true },
  () => {
    for (const [maker, heir] of [
      [obfs4proxy, postern],
      [postern, obfs4proxy],
    ] as const) {
      test(`from ${maker.name} to ${heir.name}, and back`, async (t) => {
        const target = await listen(t, (socket) => void serveExchange(socket));
        const options = {
          transport: 'obfs4',
          orPort: target.endpoint,
          stateLocation: temporaryDirectory(t),
        };
        const made = await startPtServer(t, maker, options);
        await made.stop();

        // Each server is used by the other program's client, with what the first one published.
        for (const [server, client] of [
          [heir, maker],
          [maker, heir],
        ] as const) {
          const { endpoint, args, stop } = await startPtServer(t, server, options);
          assert.deepEqual(args, made.args);
          const { dialer } = await startPtClient(t, client, 'obfs4');
          await exchange(await dialer(made.args)(endpoint), 10_000);
          await stop();
        }
      });

      test(`${heir.name} keeps the iat-mode that ${maker.name} was given`, async (t) => {
        const options = {
          transport: 'obfs4',
          orPort: { host: '127.0.0.1', port: 9 },
          stateLocation: temporaryDirectory(t),
        };
        const made = await startPtServer(t, maker, { ...options, options: [['iat-mode', '1']] });
        await made.stop();
        assert.equal(new Map(made.args).get('iat-mode'), '1');
        const { args } = await startPtServer(t, heir, options);
        assert.deepEqual(args, made.args);
      });
    }
  },
);
