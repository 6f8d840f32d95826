/** Where streams leave a bridge: not into its own network, however that is spelt. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createExit } from '../../src/engine/embedded/exit.ts';
import { Share } from '../../src/engine/embedded/share.ts';
import { limits } from '../../src/limits.ts';
import { createNameResolver } from '../../src/net/name-resolver.ts';
import { startNameServer } from '../support/name-server.ts';
import { listen } from '../support/sockets.ts';

/** This machine and its networks, as applications, C libraries and browsers know to write them. */
const SPELLINGS = [
  ...['127.0.0.1', '127.0.0.2', '127.255.255.254', '127.1', '127.0.1', '0', '0.0.0.0', '0.0.0.1'],
  ...['2130706433', '0x7f000001', '0x7f.1', '0x7f.0x0.0x0.0x1', '017700000001', '0177.0.0.1'],
  ...['127.0.0.1.', '127.000.000.001', '127.0.0.01', 'localhost', 'LOCALHOST', 'localhost.'],
  ...['a.localhost', '::1', '0:0:0:0:0:0:0:1', '::', '::127.0.0.1', '::ffff:127.0.0.1'],
  ...['::ffff:7f00:1', '0:0:0:0:0:ffff:7f00:1', '::FFFF:127.0.0.1', '::ffff:0:127.0.0.1'],
  ...['64:ff9b::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1', '2002:7f00:1::'],
  ...['fe80::1', 'fe80::1%lo', 'fd00::1', '169.254.169.254', '10.0.0.1', '::ffff:10.0.0.1'],
  'loop.example',
];

describe('the way out of a bridge', () => {
  test('does not lead to itself, in 41 spellings', async (t) => {
    assert.equal(new Set(SPELLINGS).size, 41);
    const target = await listen(t, () => assert.fail('reached'));
    const server = await startNameServer(t, { 'loop.example': '127.0.0.1' });
    const resolve = createNameResolver({ servers: [server.address] });
    const exit = createExit({ ExitPolicy: [], ExitPolicyRejectPrivate: true }, resolve);
    const dial = exit(new Share(1));
    for (const host of SPELLINGS) {
      const refused = dial({ host, port: target.endpoint.port }).then(
        () => 'reached',
        ({ code }: { code: string }) => code,
      );
      assert.match(await refused, /^ERR_(?:EXIT_POLICY|DIAL_NAME_NOT_FOUND)$/, host);
    }
  });

  test('has a share of lookups for each link', async (t) => {
    const server = await startNameServer(t, { 'www.example': '127.0.0.1' });
    const resolve = createNameResolver({ servers: [server.address] });
    const exit = createExit({ ExitPolicy: [], ExitPolicyRejectPrivate: false }, resolve);
    const target = await listen(t, (socket) => void socket.end());
    const one = exit(new Share(limits.linkLookups));
    const other = exit(new Share(limits.linkLookups));
    const streams = new AbortController();
    const { signal } = streams;
    const slow = Array.from({ length: 2 * limits.linkLookups }, (_, index) =>
      assert.rejects(one({ host: `${index}x.silent`, port: 1 }, { signal }), { message: 'over' }),
    );
    await server.untilAsked(limits.linkLookups);
    const here = { host: 'www.example', port: target.endpoint.port };
    (await other(here)).destroy();
    assert.equal(server.asked.size, limits.linkLookups + 1);
    const waiting = one(here);
    streams.abort(new Error('over'));
    await Promise.all(slow);
    (await waiting).destroy();
    assert.equal(server.asked.size, limits.linkLookups + 1);
  });
});
