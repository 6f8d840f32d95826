/** Keep-alive as Go has it, where Node can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { test } from 'node:test';
import { keepAlive } from '../../src/net/keep-alive.ts';
import { listenTcp } from '../../src/net/listener.ts';
import { firstProbeSeconds, keepAliveSeconds } from '../support/observer.ts';
import { dial } from '../support/sockets.ts';

test('all of Go’s figures for a Node that takes them; for another the same time to notice a lost peer', () => {
  const calls: unknown[][] = [];
  class New extends Socket {
    override setKeepAlive(on?: boolean, idleMs?: number, intervalMs?: number, probes?: number) {
      calls.push([on, idleMs, intervalMs, probes]);
      return this;
    }
  }
  class Old extends Socket {
    override setKeepAlive(on?: boolean, idleMs?: number) {
      calls.push([on, idleMs]);
      return this;
    }
  }
  keepAlive(new New());
  keepAlive(new Old());
  assert.deepEqual(calls, [
    [true, 15_000, 15_000, 9],
    [true, 140_000],
  ]);
});

test(
  'the kernel’s own word on the first probe, of a dialled and of an accepted connection',
  { skip: process.platform !== 'linux' && 'reads /proc/net/tcp' },
  async (t) => {
    const listener = await listenTcp({ host: '127.0.0.1', port: 0 }, () => {});
    t.after(() => listener.abort());
    const plain = connect(listener.endpoint.port, '127.0.0.1');
    await once(plain, 'connect');
    t.after(() => void plain.destroy());
    const accepted = new Promise<Socket>((resolve) => {
      void listenTcp({ host: '127.0.0.1', port: 0 }, resolve).then(async (own) => {
        t.after(() => own.abort());
        await dial(own.endpoint);
      });
    });
    for (const far of [plain, await accepted]) {
      const seconds = await keepAliveSeconds(far);
      assert.ok(seconds > firstProbeSeconds - 5 && seconds <= firstProbeSeconds, `${seconds}`);
    }
  },
);
