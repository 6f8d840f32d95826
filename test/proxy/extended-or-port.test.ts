/** A server proxy in front of an Extended ORPort. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { mock, test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { encodeCookieFile } from '../../src/extor/cookie-file.ts';
import { createExtOrServer, type ExtOrMetadata } from '../../src/extor/server.ts';
import { limits } from '../../src/limits.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
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

const cookieA = Buffer.alloc(32, 0xa1);
const cookieB = Buffer.alloc(32, 0xb2);

/** A parent's end: runs the server machine, then `onDone` decides. */
function extOrPort(
  cookie: () => Uint8Array,
  onDone: (
    socket: Socket,
    metadata: ExtOrMetadata,
    verdict: { okay(): void; deny(): void },
    leftover: Uint8Array,
  ) => void,
): (socket: Socket) => void {
  return (socket) => {
    const machine = createExtOrServer({ cookie: cookie(), rng: systemRng });
    const act = (actions: ReturnType<typeof machine.receive>): void => {
      for (const action of actions) {
        if (action.type === 'send') socket.write(action.bytes);
        else if (action.type === 'failed') socket.end();
        else if (action.type === 'done') {
          socket.off('data', onData).pause();
          const verdict = {
            okay: () => void socket.write(machine.okay()),
            deny: () => void socket.end(machine.deny()),
          };
          onDone(socket, action.result, verdict, action.leftover);
        }
      }
    };
    const onData = (chunk: Buffer): void => act(machine.receive(chunk));
    socket.on('data', onData);
    act(machine.start());
  };
}

/** A server with key 5 in front of an Extended ORPort at `address`. */
function startServer(
  t: TestContext,
  address: string,
  extra: Record<string, string> = {},
): { readonly server: Managed; readonly cookieFile: string } {
  const state = temporaryDirectory(t);
  const cookieFile = join(state, 'cookie');
  writeFileSync(cookieFile, encodeCookieFile(cookieA));
  const server = startManaged(
    t,
    serverEnv(state, {
      TOR_PT_EXTENDED_SERVER_PORT: address,
      TOR_PT_AUTH_COOKIE_FILE: cookieFile,
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key=5',
      ...extra,
    }),
  );
  return { server, cookieFile };
}

async function connect(t: TestContext, server: Managed): Promise<Duplex> {
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  return socksConnect(await client.endpoint(), await server.endpoint(), 'key=5');
}

test('[PT-2-04] [PT-3.2.3-18] [PT-3.2.3-19] [PT-3.2.3-20] the extended port wins, and hears the transport and the client’s address before any payload', async (t) => {
  let plain = 0;
  const orPort = await listen(t, () => void (plain += 1));
  const heard: ExtOrMetadata[] = [];
  const onDone = extOrPort(
    () => cookieA,
    (socket, metadata, verdict, leftover) => {
      heard.push(metadata);
      assert.equal(leftover.length, 0);
      verdict.okay();
      echo(socket);
    },
  );
  const extended = await listen(t, onDone);
  const { server } = startServer(t, extended.text, { TOR_PT_ORPORT: orPort.text });
  // Straight to the server, so that the client's address is known here.
  const wire = await dial(await server.endpoint());
  const encode = (text: string): Buffer => Buffer.from(Buffer.from(text).map((byte) => byte + 5));
  wire.write(encode('ROT1hello'));
  assert.deepEqual(await readBytes(wire, 7), encode('OKhello'));
  const { localAddress: host, localPort: port } = wire as Socket;
  assert.deepEqual(heard, [{ userAddr: { host, port }, transport: 'rot' }]);
  assert.equal(plain, 0);
  wire.destroy();
});

test('nothing is sent behind DONE before OKAY', async (t) => {
  let whenDone: ((resume: () => void) => void) | undefined;
  const done = new Promise<() => void>((resolve) => (whenDone = resolve));
  const onDone = extOrPort(
    () => cookieA,
    (socket, _metadata, verdict, leftover) => {
      assert.equal(leftover.length, 0);
      whenDone!(() => {
        // All that came by now, while the client has long sent its payload.
        assert.equal(socket.read(), null);
        verdict.okay();
        echo(socket);
      });
    },
  );
  const { server } = startServer(t, (await listen(t, onDone)).text);
  const stream = await connect(t, server);
  await new Promise<void>((resolve) => void stream.write('eager', () => resolve()));
  (await done)();
  assert.equal((await readBytes(stream, 5)).toString(), 'eager');
  stream.destroy();
});

test('DENY closes the client’s connection', async (t) => {
  const onDone = extOrPort(
    () => cookieA,
    (_socket, _metadata, verdict) => verdict.deny(),
  );
  const { server } = startServer(t, (await listen(t, onDone)).text);
  const stream = await connect(t, server);
  stream.write('payload');
  assert.equal((await readAll(stream)).length, 0);
  stream.destroy();
  await server.line(/^LOG SEVERITY=warning .*ERR_EXTOR_DENIED/);
});

test('the cookie is read again for each connection, so that a restarted parent is understood', async (t) => {
  let cookie = cookieA;
  const onDone = extOrPort(
    () => cookie,
    (socket, _metadata, verdict) => {
      verdict.okay();
      echo(socket);
    },
  );
  const { server, cookieFile } = startServer(t, (await listen(t, onDone)).text);
  const works = async (): Promise<string> => {
    const stream = await connect(t, server);
    stream.end('x');
    return (await readAll(stream)).toString();
  };
  // Says nothing: a byte that nobody reads would make the close a reset.
  const isRefused = async (): Promise<boolean> => {
    const stream = await connect(t, server);
    const answer = await readAll(stream);
    stream.destroy();
    return answer.length === 0;
  };
  assert.equal(await works(), 'x');
  cookie = cookieB;
  assert.ok(await isRefused());
  await server.line(/^LOG SEVERITY=warning .*ERR_EXTOR_AUTH/);
  writeFileSync(cookieFile, encodeCookieFile(cookieB));
  assert.equal(await works(), 'x');
  rmSync(cookieFile);
  assert.ok(await isRefused());
  await server.line(/^LOG SEVERITY=warning .*cannot be read \(ENOENT\).*ERR_EXTOR_COOKIE/);
  assert.ok(!server.output.includes(cookieFile));
});

test('an extended port that refuses, closes early or talks nonsense costs its own connections only', async (t) => {
  const garbage = [Buffer.alloc(300, 1), Buffer.from('HTTP/1.0 400 Bad\r\n'), Buffer.alloc(0)];
  const addresses = [formatEndpoint(await closedPort())];
  for (const bytes of garbage) {
    addresses.push((await listen(t, (socket) => void socket.end(bytes).resume())).text);
  }
  for (const address of addresses) {
    const { server } = startServer(t, address);
    const stream = await connect(t, server);
    assert.equal((await readAll(stream)).length, 0);
    stream.destroy();
    await server.line(/^LOG SEVERITY=warning MESSAGE="rot: cannot forward to the parent/);
  }
});

test('an extended port that never answers: the connection ends when its time is up', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let accepted: (() => void) | undefined;
  const isAccepted = new Promise<void>((resolve) => (accepted = resolve));
  const hanging = await listen(t, (socket) => {
    // The list of authentication types, and never its end.
    socket.write(Buffer.of(1));
    accepted!();
  });
  const { server } = startServer(t, hanging.text);
  const stream = await connect(t, server);
  await isAccepted;
  // The proxy's end of that connection may lag behind ours by a turn or two.
  const closed = readAll(stream);
  const clock = setInterval(() => mock.timers.tick(limits.tunnelTimeoutMs), 5);
  assert.equal((await closed).length, 0);
  clearInterval(clock);
  stream.destroy();
  await server.line(/^LOG SEVERITY=warning MESSAGE="rot: cannot forward .*ERR_EXTOR_TIMED_OUT/);
});

test('an extended port that never answers: the client may leave, and the proxy ends', async (t) => {
  const hanging = await listen(t, () => {});
  const { server } = startServer(t, hanging.text);
  const stream = await connect(t, server);
  stream.destroy();
  const other = await connect(t, server);
  const closed = once(other.resume(), 'end');
  assert.equal(await server.stop(), 0);
  await closed;
  other.destroy();
});
