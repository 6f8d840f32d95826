/** The one entrance for applications: from a SOCKS request to the end of the connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test, type TestContext } from 'node:test';
import { PosternError } from '../../src/errors.ts';
import {
  type Application,
  createApplication,
  listenSocks,
  serveApplication,
  type SocksPortOptions,
} from '../../src/net/applications.ts';
import type { Listener } from '../../src/net/listener.ts';
import { dial, listen, readAll, readBytes, socksConnect } from '../support/sockets.ts';

const target = { host: '192.0.2.1', port: 443 };
/** SOCKS4: the whole request in one write. */
const request = Buffer.from('040101bbc000020100', 'hex');

/** A SOCKS port whose applications `serve` serves; failures are recorded. */
async function openPort(
  t: TestContext,
  serve: SocksPortOptions<void>['serve'],
): Promise<{ readonly listener: Listener; readonly failures: unknown[] }> {
  const failures: unknown[] = [];
  const listener = await listenSocks(
    { host: '127.0.0.1', port: 0 },
    { accept: () => {}, serve, onFailure: (error) => failures.push(error) },
  );
  t.after(() => listener.abort());
  return { listener, failures };
}

/** A dial that hangs until it is given up. */
function hang(): {
  readonly dial: (options: { signal: AbortSignal }) => Promise<Duplex>;
  readonly begun: Promise<void>;
  readonly gaveUp: Promise<unknown>;
} {
  let begin!: () => void;
  let giveUp!: (reason: unknown) => void;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const gaveUp = new Promise((resolve) => (giveUp = resolve));
  return {
    begun,
    gaveUp,
    dial: ({ signal }) =>
      new Promise((_, reject) => {
        begin();
        signal.addEventListener('abort', () => {
          giveUp(signal.reason);
          reject(signal.reason as Error);
        });
      }),
  };
}

test('an application is connected, told so, and carried to its end', async (t) => {
  const service = await listen(t, (socket) => socket.pipe(socket));
  const ends: unknown[] = [];
  const { listener, failures } = await openPort(t, async (application) => {
    assert.deepEqual(application.target, target);
    ends.push(await serveApplication(application, (options) => dial(service.endpoint, options)));
  });
  const stream = await socksConnect(listener.endpoint, target);
  stream.end('hello');
  assert.equal((await readAll(stream)).toString(), 'hello');
  while (ends.length === 0) await new Promise(setImmediate);
  assert.deepEqual([ends, failures], [[undefined], []]);
});

for (const [what, leave] of [
  ['ends its side', (stream: Socket) => stream.end()],
  ['resets its connection', (stream: Socket) => stream.resetAndDestroy()],
] as const) {
  test(`an application that ${what} while it waits has left: its dial is given up`, async (t) => {
    const hanging = hang();
    const { listener, failures } = await openPort(t, (application) =>
      serveApplication(application, hanging.dial),
    );
    const stream = (await dial(listener.endpoint)) as Socket;
    stream.write(request);
    await hanging.begun;
    leave(stream);
    const reason = await hanging.gaveUp;
    assert.ok(reason instanceof PosternError && reason.code === 'ERR_SOCKS_CLOSED');
    while (failures.length === 0) await new Promise(setImmediate);
    assert.deepEqual(failures, [reason]);
    stream.destroy();
  });
}

test('an application that has left before it is served', async (t) => {
  const { listener, failures } = await openPort(t, async (application) => {
    await once(application.socket.destroy(), 'close');
    return serveApplication(application, () => assert.fail('dialled for nobody'));
  });
  const stream = await dial(listener.endpoint);
  stream.write(request);
  await finished(stream.resume(), { writable: false });
  while (failures.length === 0) await new Promise(setImmediate);
  assert.equal((failures[0] as PosternError).code, 'ERR_SOCKS_CLOSED');
  stream.destroy();
});

test('an application that closes the port’s socket ends with the port', async (t) => {
  const hanging = hang();
  const { listener } = await openPort(t, (application) =>
    serveApplication(application, hanging.dial),
  );
  const stream = await dial(listener.endpoint);
  stream.write(request);
  await hanging.begun;
  listener.abort();
  await hanging.gaveUp;
  stream.destroy();
});

test('bytes sent without waiting are kept, also when the application then ended', async (t) => {
  const service = await listen(t, (socket) => socket.pipe(socket));
  let accept!: (application: Application) => void;
  const accepted = new Promise<Application>((resolve) => (accept = resolve));
  const { listener } = await openPort(t, (application) => accept(application));
  const stream = await dial(listener.endpoint);
  stream.end(Buffer.concat([request, Buffer.from('all that I have to say')]));
  const application = await accepted;
  // Its end is there by the time that the bytes before it are.
  while (application.socket.readableLength === 0) await new Promise(setImmediate);
  void serveApplication(application, (options) => dial(service.endpoint, options));
  assert.equal((await readBytes(stream, 8))[1], 0x5a);
  assert.equal((await readAll(stream)).toString(), 'all that I have to say');
});

test('a dial that fails is told in the reply, without a reset, and to whoever listens', async (t) => {
  const error = new PosternError('ERR_DIAL_NOT_ALLOWED', 'no');
  const { listener, failures } = await openPort(t, (application) =>
    serveApplication(application, () => Promise.reject(error)),
  );
  const stream = await dial(listener.endpoint);
  stream.write(Buffer.from('05010005010001c000020101bb', 'hex'));
  // More than anyone reads: closing without reading on would be a reset that overtakes the reply.
  stream.write(Buffer.alloc(1 << 20));
  assert.equal((await readAll(stream)).toString('hex'), '050005020001000000000000');
  stream.destroy();
  assert.deepEqual(failures, [error]);
});

test('whoever serves applications and throws costs one of them', async (t) => {
  for (const serve of [
    () => {
      throw new Error('a defect');
    },
    () => Promise.reject(new Error('a defect')),
  ]) {
    const { listener, failures } = await openPort(t, serve);
    const stream = await dial(listener.endpoint);
    stream.write(request);
    await finished(stream.resume(), { writable: false });
    while (failures.length === 0) await new Promise(setImmediate);
    assert.match(String(failures[0]), /a defect/);
    stream.destroy();
  }
});

test('one that is forwarded unasked may end first, and hears of a failure by a reset', async (t) => {
  const service = await listen(t, (socket) => socket.pipe(socket));
  let isUp = true;
  const connect = async (options: { signal: AbortSignal }): Promise<Duplex> => {
    await new Promise(setImmediate);
    if (isUp) return dial(service.endpoint, options);
    throw new Error('down');
  };
  const { endpoint } = await listen(t, (socket) => {
    serveApplication(createApplication(socket, target), connect).catch(() => {});
  });
  const stream = await dial(endpoint);
  stream.end();
  assert.equal((await readAll(stream)).length, 0);
  isUp = false;
  const other = await dial(endpoint);
  const [error] = (await once(other.resume(), 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});
