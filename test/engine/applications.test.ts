/** Applications that ask and do not go on: each costs its own socket, and that for a while. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { listenHttpTunnel } from '../../src/engine/embedded/http-tunnel-port.ts';
import type { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { encodeGreeting, encodeRequest5 } from '../../src/socks/encode.ts';
import { SocksMethod } from '../../src/socks/messages.ts';
import { startEngine, type TestEngine } from '../support/engine.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { dial, readAll, readBytes } from '../support/sockets.ts';

describe('HTTPTunnelPort', () => {
  const anyPort: Endpoint = { host: '127.0.0.1', port: 0 };

  test('ends what never asks for a tunnel, and keeps what has one', async (t) => {
    const failures: unknown[] = [];
    const listener = await listenHttpTunnel(anyPort, {
      serve: async () => {},
      onFailure: (error) => failures.push((error as PosternError).code),
      timeoutMs: 50,
    });
    t.after(() => listener.abort());
    const asked = await dial(listener.endpoint);
    asked.write('CONNECT 192.0.2.1:80 HTTP/1.1\r\n\r\n');
    for (const words of [
      '',
      '\r\n',
      'CONNECT 192.0.2.1:80 HTTP/1.1\r\nX: ',
      'GET / HTTP/1.1\r\n',
    ]) {
      const socket = await dial(listener.endpoint);
      socket.on('error', () => {});
      socket.write(words);
      await closed(socket);
    }
    assert.deepEqual(failures, Array(4).fill('ERR_SOCKS_TIMED_OUT'));
    assert.equal(asked.destroyed, false);
    asked.destroy();
  });

  test('takes heads as they come, and what comes behind them is payload', async (t) => {
    const asked = new EventEmitter();
    const listener = await listenHttpTunnel(anyPort, {
      serve: async ({ target, socket }) => void asked.emit('target', target, socket),
      onFailure: (error) => assert.fail(String(error)),
    });
    t.after(() => listener.abort());
    const name = { host: 'a.b', port: 1 };
    for (const [head, target] of [
      ['CONNECT [2001:db8::1]:80 HTTP/1.1\nHost: x\n\n', { host: '2001:db8::1', port: 80 }],
      ['CONNECT a.b:1 HTTP/1.0\r\n\r\n', name],
      ['CONNECT a.b:1 HTTP/1.0\n\n', name],
      ['\r\n\nCONNECT  a.b:1 HTTP/1.1 \r\nX: y\r\n\n', name],
    ] as const) {
      for (let split = 0; split < head.length; split += 1) {
        const socket = await dial(listener.endpoint);
        const next = once(asked, 'target');
        socket.write(head.slice(0, split));
        await new Promise(setImmediate);
        socket.write(`${head.slice(split)}payload`);
        const [found, stream] = (await next) as [Endpoint, Duplex];
        assert.deepEqual(found, target);
        assert.equal((await readBytes(stream, 7)).toString(), 'payload');
        stream.destroy();
        socket.on('error', () => {}).destroy();
      }
    }
  });

  test('says what is wrong with others', async (t) => {
    const listener = await listenHttpTunnel(anyPort, {
      serve: async () => assert.fail('nothing to serve'),
      onFailure: (error) => assert.fail(String(error)),
    });
    t.after(() => listener.abort());
    for (const [words, status] of [
      ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 405],
      ['CONNECT / HTTP/1.1\r\n\r\n', 400],
      ['CONNECT a.b:1\r\n\r\n', 400],
      ['\u0005\u0001\u0000', 400],
      [`CONNECT a.b:1 HTTP/1.1\r\nX: ${'x'.repeat(limits.httpConnectHeadBytes)}`, 431],
    ] as const) {
      const socket = await dial(listener.endpoint);
      socket.write(words);
      assert.match((await readAll(socket)).toString(), new RegExp(`^HTTP/1\\.1 ${status} `), words);
      socket.destroy();
    }
  });

  test('past a limit of those that have not asked the oldest makes room', async (t) => {
    const listener = await listenHttpTunnel(anyPort, {
      serve: async () => {},
      onFailure: (error) => assert.equal((error as PosternError).code, 'ERR_SOCKS_CLOSED'),
      maxPending: 2,
    });
    t.after(() => listener.abort());
    const waiting = [await dial(listener.endpoint), await dial(listener.endpoint)];
    const next = await dial(listener.endpoint);
    await closed(waiting[0]!);
    for (const socket of [waiting[1]!, next]) {
      socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      assert.match((await readAll(socket)).toString(), /^HTTP\/1\.1 405 /);
    }
  });
});

describe('an application that leaves while it waits', () => {
  const ask: Readonly<Record<'SocksPort' | 'HTTPTunnelPort', (socket: Duplex) => Promise<void>>> = {
    async SocksPort(socket) {
      socket.write(encodeGreeting([SocksMethod.none]));
      await readBytes(socket, 2);
      socket.write(encodeRequest5({ host: '192.0.2.1', port: 80 }));
    },
    async HTTPTunnelPort(socket) {
      socket.write('CONNECT 192.0.2.1:80 HTTP/1.1\r\n\r\n');
    },
  };
  const portOf = ({ engine }: TestEngine, option: keyof typeof ask): Endpoint =>
    option === 'SocksPort' ? engine.endpoints.socks[0]! : engine.endpoints.httpTunnel[0]!;
  for (const option of ['SocksPort', 'HTTPTunnelPort'] as const) {
    for (const how of ['end', 'destroy'] as const) {
      test(`is noticed: ${option}, ${how}`, async (t) => {
        // Nothing runs out by itself: only its leaving can end the stream.
        const client = await startEngine(
          t,
          `SocksPort auto\nHTTPTunnelPort auto\nUseBridges 1\nClientTransportPlugin obfs4 builtin\nBridge 192.0.2.9:1\nSocks5Proxy 127.0.0.1:${(await silent(t)).port}\n`,
          { timers: new HandTimers() },
        );
        const socket = await dial(portOf(client, option));
        socket.on('error', () => {});
        await ask[option](socket);
        const isWaiting = (): boolean =>
          client.events.some(
            (event) => event.type === 'log' && event.message.includes('waits for a circuit'),
          );
        while (!isWaiting()) {
          await new Promise(setImmediate);
          await client.engine.signal('dump');
        }
        if (how === 'end') socket.end();
        else socket.destroy();
        await client.until((event) => event.type === 'stream' && event.status === 'failed');
      });
    }
  }
});

/** A proxy that accepts and says nothing. */
async function silent(t: { after(callback: () => void): void }): Promise<Endpoint> {
  const { createServer } = await import('node:net');
  const server = createServer(() => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  return { host: '127.0.0.1', port };
}

/** Resolves when the far end has closed, politely or not. */
async function closed(socket: Duplex): Promise<void> {
  socket
    .on('error', () => {})
    .on('end', () => socket.destroy())
    .resume();
  // Not `once`: it would reject at a reset.
  await new Promise((resolve) => socket.once('close', resolve));
}
