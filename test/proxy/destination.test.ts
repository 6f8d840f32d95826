/** Where a server's connections go, and what is said about them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import { listenExtOr } from '../../src/parent/extor-server.ts';
import { openDestination } from '../../src/proxy/destination.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import type { ServerConfiguration } from '../../src/pt/proxy-environment.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { listen } from '../support/sockets.ts';

/** What the parent hears of a client that connects from there. */
async function userAddrOf(
  t: TestContext,
  remoteAddress: string | undefined,
): Promise<Endpoint | undefined> {
  let hear!: (address: Endpoint | undefined) => void;
  const heard = new Promise<Endpoint | undefined>((resolve) => (hear = resolve));
  const listener = await listenExtOr({
    cookieFile: join(temporaryDirectory(t), 'cookie'),
    onConnection: (stream, { userAddr, transport }) => {
      assert.equal(transport, 'obfs4');
      hear(userAddr);
      stream.destroy();
    },
  });
  const { endpoint, cookieFile } = listener;
  const destination = await openDestination(
    { extendedOrPort: { endpoint, cookieFile } } as ServerConfiguration,
    systemRng,
  );
  const wire = { remoteAddress, remotePort: remoteAddress && 4321 } as Socket;
  (await destination!('obfs4', wire, undefined, {})).destroy();
  listener.abort();
  return heard;
}

test('[PT-3.2.3-19] USERADDR is the client’s address in the form that a parent knows', async (t) => {
  for (const [from, host] of [
    ['198.51.100.7', '198.51.100.7'],
    // An IPv4 client of a listener for both families.
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['2001:db8::7', '2001:db8::7'],
    // A link-local address comes with its zone.
    ['fe80::7%eth0', 'fe80::7'],
  ] as const) {
    assert.deepEqual(await userAddrOf(t, from), { host, port: 4321 }, from);
  }
  assert.equal(await userAddrOf(t, undefined), undefined, 'a client that has gone already');
});

test('the signal ends what is on its way: the cookie’s file, and a parent that says no more', async (t) => {
  let hear!: () => void;
  const heard = new Promise<void>((resolve) => (hear = resolve));
  const silent = await listen(t, (socket) => {
    // The list of authentication types, which is answered.
    socket.once('data', () => hear()).write(Buffer.of(1, 0));
  });
  const cookie = await listenExtOr({
    cookieFile: join(temporaryDirectory(t), 'cookie'),
    onConnection: () => {},
  });
  t.after(() => cookie.abort());
  const { cookieFile } = cookie;
  const destination = await openDestination(
    { extendedOrPort: { endpoint: silent.endpoint, cookieFile } } as ServerConfiguration,
    systemRng,
  );
  const abort = async (onTheWay: () => unknown): Promise<void> => {
    const controller = new AbortController();
    const reason = new Error('the proxy ends');
    const { signal } = controller;
    const connecting = destination!('obfs4', {} as Socket, undefined, { signal });
    await onTheWay();
    controller.abort(reason);
    await assert.rejects(connecting, reason);
  };
  await abort(() => heard);
  // Whoever opens a FIFO that nobody writes to hangs in the system call, as on a dead disk.
  rmSync(cookieFile);
  execFileSync('mkfifo', [cookieFile]);
  await abort(() => {});
  writeFileSync(cookieFile, '');
  rmSync(cookieFile);
});
