/** The application's end of a client proxy: SOCKS, arguments, replies. */
import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { limits } from '../../src/limits.ts';
import { runExchange } from '../../src/net/exchange.ts';
import { createSocksClient, type SocksClientOptions } from '../../src/socks/client.ts';
import { TransportRegistry } from '../../src/transports/registry.ts';
import {
  clientEnv,
  serverEnv,
  startManaged,
  temporaryDirectory,
  type Managed,
} from '../support/managed.ts';
import {
  closedPort,
  dial,
  echo,
  listen,
  readAll,
  readBytes,
  socksConnect,
} from '../support/sockets.ts';
import { createRot } from '../support/test-transport.ts';

function startClient(t: TestContext): Managed {
  return startManaged(t, clientEnv(temporaryDirectory(t)));
}

/** A server of the test transport with key 5, in front of an echo. */
async function startServer(t: TestContext, bindAddress = '127.0.0.1:0'): Promise<Managed> {
  const app = await listen(t, echo);
  return startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_ORPORT: app.text,
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key=5',
      TOR_PT_SERVER_BINDADDR: `rot-${bindAddress}`,
    }),
  );
}

test('[PT-2-07] [PT-3.5-05] SOCKS5, SOCKS4 and SOCKS4a, with IPv4, IPv6 and host-name targets', async (t) => {
  const client = startClient(t);
  const v4 = await (await startServer(t)).endpoint();
  const v6 = await (await startServer(t, '[::1]:0')).endpoint();
  const name = { host: 'localhost', port: v4.port };
  const args = Buffer.from('key=5');
  const credentials = { username: args, password: Buffer.of(0) };
  const cases: SocksClientOptions[] = [
    { version: 'socks5', target: v4, credentials },
    { version: 'socks5', target: v6, credentials },
    { version: 'socks5', target: name, credentials },
    { version: 'socks4', target: v4, userId: args },
    { version: 'socks4a', target: name, userId: args },
  ];
  for (const options of cases) {
    const stream = await dial(await client.endpoint());
    await runExchange(stream, createSocksClient(options));
    stream.end('hello');
    assert.equal((await readAll(stream)).toString(), 'hello');
  }
});

test('[PT-3.5-05] each connection has its own arguments, up to 510 bytes over both fields', async (t) => {
  const seen: unknown[] = [];
  const client = startManaged(t, clientEnv(temporaryDirectory(t)), {
    registry: new TransportRegistry([createRot({ onArguments: (args) => void seen.push(args) })]),
  });
  const target = await (await startServer(t)).endpoint();
  const texts = [
    'key=5',
    `pad=${'x'.repeat(251 - 6)};key=5`,
    // The two fields meet in the middle of an escape.
    `pad=${'x'.repeat(250)}\\;${'y'.repeat(248)};key=5`,
  ];
  assert.deepEqual(
    texts.map(({ length }) => length),
    [5, 255, 510],
  );
  for (const text of texts) {
    const stream = await socksConnect(await client.endpoint(), target, text);
    stream.destroy();
  }
  assert.deepEqual(seen, [
    [['key', '5']],
    [
      ['pad', 'x'.repeat(245)],
      ['key', '5'],
    ],
    [
      ['pad', `${'x'.repeat(250)};${'y'.repeat(248)}`],
      ['key', '5'],
    ],
  ]);
});

test('[PT-3.5-05] [PT-3.5-01] arguments that do not parse or do not fit are refused before anything is dialled', async (t) => {
  const client = startClient(t);
  let dialled = 0;
  const target = await listen(t, (socket) => {
    dialled += 1;
    socket.destroy();
  });
  for (const args of ['nonsense', '=x', 'key=5\\', 'key=0', 'key=256', 'other=1']) {
    await assert.rejects(socksConnect(await client.endpoint(), target.endpoint, args), {
      code: 'ERR_TUNNEL_AUTH_REJECTED',
    });
    const stream = await dial(await client.endpoint());
    const options = { version: 'socks4', userId: Buffer.from(args) } as const;
    await assert.rejects(
      runExchange(stream, createSocksClient({ ...options, target: target.endpoint })),
      { code: 'ERR_TUNNEL_FAILED' },
    );
  }
  // Without any arguments there is no authentication to fail: the request does.
  await assert.rejects(socksConnect(await client.endpoint(), target.endpoint), {
    code: 'ERR_TUNNEL_FAILED',
  });
  assert.equal(dialled, 0);
  await client.line(/^LOG SEVERITY=warning MESSAGE="rot: argument key is missing.*"$/);
});

test('[PT-3.5-01] a wrong argument fails with an error reply; nothing hangs', async (t) => {
  const client = startClient(t);
  const server = await startServer(t);
  await assert.rejects(socksConnect(await client.endpoint(), await server.endpoint(), 'key=6'), {
    code: /^ERR_(TUNNEL|DIAL)_/,
  });
});

test('the reply says what went wrong, and a log line says it in words, without the address', async (t) => {
  const client = startClient(t);
  const refused = await closedPort();
  await assert.rejects(socksConnect(await client.endpoint(), refused, 'key=5'), {
    code: 'ERR_DIAL_REFUSED',
  });
  const closing = await listen(t, (socket) => socket.destroy());
  await assert.rejects(socksConnect(await client.endpoint(), closing.endpoint, 'key=5'), {
    code: 'ERR_DIAL_REFUSED',
  });
  const nowhere = { host: 'does-not-exist.invalid', port: 1 };
  await assert.rejects(socksConnect(await client.endpoint(), nowhere, 'key=5'), {
    code: 'ERR_DIAL_HOST_UNREACHABLE',
  });
  await client.line(/^LOG SEVERITY=warning MESSAGE="rot: .*ECONNREFUSED.*ERR_DIAL_REFUSED/);
  await client.line(/^LOG SEVERITY=warning MESSAGE="rot: .*ERR_HANDSHAKE_CLOSED/);
  await client.line(/^LOG SEVERITY=warning MESSAGE="rot: .*ERR_DIAL_NAME_NOT_FOUND/);
  assert.ok(!client.output.includes(`:${refused.port}`));
  assert.ok(!client.output.includes('does-not-exist'));
});

test('an outbound address that is not ours fails as not allowed', async (t) => {
  const env = clientEnv(temporaryDirectory(t), { TOR_PT_OUTBOUND_BIND_ADDRESS_V4: '192.0.2.77' });
  const client = startManaged(t, env);
  const target = await listen(t, echo);
  await assert.rejects(socksConnect(await client.endpoint(), target.endpoint, 'key=5'), {
    code: 'ERR_DIAL_NOT_ALLOWED',
  });
});

test('connections leave from the outbound addresses', async (t) => {
  const env = clientEnv(temporaryDirectory(t), { TOR_PT_OUTBOUND_BIND_ADDRESS_V4: '127.0.0.9' });
  const client = startManaged(t, env);
  let from: string | undefined;
  const target = await listen(t, (socket) => {
    from = socket.remoteAddress;
    socket.destroy();
  });
  await assert.rejects(socksConnect(await client.endpoint(), target.endpoint, 'key=5'));
  assert.equal(from, '127.0.0.9');
});

test('[PT-2-07] clients of other protocols, and broken ones, are refused without hanging', async (t) => {
  const client = startClient(t);
  const http = Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex');
  for (const [bytes, answer] of [
    [http, /^485454502f312e3020353031/], // HTTP/1.0 501
    ['1603010200', /^$/],
    ['050180', /^05ff$/],
    ['05010005020001', /^0500050700010{12}$/],
    ['040200507f00000100', /^005b(00){6}$/],
  ] as const) {
    const stream = await dial(await client.endpoint());
    stream.write(Buffer.from(bytes, 'hex'));
    assert.match((await readAll(stream)).toString('hex'), answer);
    stream.destroy();
  }
});

test('SOCKS requests in two parts, split at every point, are understood', async (t) => {
  const client = startClient(t);
  const { host, port } = await (await startServer(t)).endpoint();
  const handshake = createSocksClient({
    version: 'socks4',
    target: { host, port },
    userId: Buffer.from('key=5'),
  });
  const [action] = handshake.start();
  assert.ok(action?.type === 'send');
  const endpoint = await client.endpoint();
  await Promise.all(
    Array.from({ length: action.bytes.length - 1 }, async (_, index) => {
      const stream = await dial(endpoint);
      const part = action.bytes.subarray(0, index + 1);
      await new Promise<void>((resolve) => void stream.write(part, () => resolve()));
      stream.write(action.bytes.subarray(index + 1));
      assert.equal((await readBytes(stream, 8))[1], 0x5a);
      stream.destroy();
    }),
  );
});

test('a silent client disturbs nobody, and is closed when its time is up', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const client = startClient(t);
  const endpoint = await client.endpoint();
  const silent = await dial(endpoint);
  const slow = await dial(endpoint);
  slow.write(Buffer.of(5));
  // Another one is refused in the meantime, which shows that the first two were accepted.
  const other = await dial(endpoint);
  other.write(Buffer.of(5, 0));
  assert.deepEqual([...(await readBytes(other, 2))], [5, 0xff]);
  mock.timers.tick(limits.socksRequestTimeoutMs - 1);
  assert.ok(!silent.readableEnded && !slow.readableEnded);
  mock.timers.tick(1);
  assert.equal((await readAll(silent)).length, 0);
  assert.equal((await readAll(slow)).length, 0);
});

test('a client that leaves before its request is whole is an everyday event', async (t) => {
  const client = startManaged(t, clientEnv(temporaryDirectory(t)), { logLevel: 'info' });
  const stream = await dial(await client.endpoint());
  stream.write(Buffer.from('\x04\x01', 'latin1'));
  stream.destroy();
  await client.line(/^LOG SEVERITY=info MESSAGE="rot: .*ERR_SOCKS_CLOSED/);
});

test('silent clients are counted: past the limit the oldest makes room', async (t) => {
  const table = limits as { -readonly [K in keyof typeof limits]: number };
  const { pendingSocksRequests } = limits;
  t.after(() => void (table.pendingSocksRequests = pendingSocksRequests));
  table.pendingSocksRequests = 2;
  const client = startManaged(t, clientEnv(temporaryDirectory(t)), { logLevel: 'info' });
  const endpoint = await client.endpoint();
  const silent = [await dial(endpoint), await dial(endpoint)];
  const next = await dial(endpoint);
  assert.equal((await readAll(silent[0]!)).length, 0);
  await client.line(/ERR_SOCKS_CLOSED/);
  assert.ok(!silent[1]!.readableEnded);
  next.write(Buffer.of(5, 1, 0));
  assert.deepEqual([...(await readBytes(next, 2))], [5, 0]);
});
