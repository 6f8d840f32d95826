/** TLS under sessions, over real sockets: what a client makes of certificates, and a server of its files. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { after, before, describe, test, type TestContext } from 'node:test';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { derOfPem, hashOfChain } from '../../src/crypto/certificates.ts';
import { type LimitName, limits } from '../../src/limits.ts';
import { askForReset, breakOff, streamOver } from '../../src/net/break-off.ts';
import { confirmEnd } from '../../src/net/clean-end.ts';
import type { Dialer } from '../../src/net/dialer.ts';
import { throughTransport } from '../../src/net/through-transport.ts';
import { createTlsAcceptor } from '../../src/net/tls-server.ts';
import { secureClient } from '../../src/net/tls-client.ts';
import { formatEndpoint, type Endpoint } from '../../src/pt/address.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { systemClock } from '../../src/time.ts';
import { webtunnel } from '../../src/transports/webtunnel/index.ts';
import { makeTestCertificate, type TestCertificate } from '../support/certificates.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { dial, listen, readBytes, socketPair } from '../support/sockets.ts';

const ANSWER =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';

/** A web server with TLS that answers every request alike, and echoes. */
async function webServer(
  t: TestContext,
  certificate: TestCertificate,
  answer: (socket: TLSSocket) => string = () => ANSWER,
): Promise<Endpoint & { readonly names: string[] }> {
  const names: string[] = [];
  const server = createServer({ ...certificate, ALPNProtocols: ['h2', 'http/1.1'] }, (socket) => {
    names.push(`${String(socket.servername)} ${String(socket.alpnProtocol)}`);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(answer(socket));
      socket.pipe(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const { port } = server.address() as { port: number };
  return { host: '127.0.0.1', port, names };
}

/** Our client, with these arguments. */
function client(args: KeyValues, through: Dialer = dial): Promise<Duplex> {
  const createSession = webtunnel.client(args, { rng: systemRng, clock: systemClock });
  return throughTransport(through, createSession)({ host: '192.0.2.1', port: 1 });
}

async function checkEcho(stream: Duplex): Promise<void> {
  stream.write('through');
  assert.equal((await readBytes(stream, 7)).toString(), 'through');
  stream.destroy();
}

describe('a client', () => {
  const authority = makeTestCertificate();
  const good = makeTestCertificate({ names: ['bridge.example', '127.0.0.1'], issuer: authority });
  const previous = process.env['SSL_CERT_FILE'];
  const cleanups: (() => void | Promise<void>)[] = [];
  before(() => {
    const folder = temporaryDirectory({ after: (callback) => void cleanups.push(callback) });
    const file = join(folder, 'root.pem');
    writeFileSync(file, authority.cert);
    process.env['SSL_CERT_FILE'] = file;
  });
  after(async () => {
    if (previous === undefined) delete process.env['SSL_CERT_FILE'];
    else process.env['SSL_CERT_FILE'] = previous;
    for (const cleanup of cleanups) await cleanup();
  });
  const at = ({ port }: Endpoint, ...more: KeyValues): KeyValues => [
    ['url', `https://bridge.example:${port}/secret`],
    ['addr', `127.0.0.1:${port}`],
    ...more,
  ];

  test('names the host, offers http/1.1 alone, and goes where addr says', async (t) => {
    const server = await webServer(t, good);
    await checkEcho(await client(at(server)));
    // Nothing of an address is named.
    await checkEcho(await client([['url', `https://127.0.0.1:${server.port}/`]]));
    assert.deepEqual(server.names, ['bridge.example http/1.1', 'false http/1.1']);
  });

  test('tells apart what is wrong with a certificate', async (t) => {
    const serve = (certificate: TestCertificate) => webServer(t, certificate);
    const names = ['bridge.example'];
    for (const [server, code] of [
      [
        await serve(makeTestCertificate({ names, issuer: authority, validTo: -0.5 })),
        'ERR_TLS_EXPIRED',
      ],
      [
        await serve(makeTestCertificate({ names, issuer: authority, validFrom: 2 })),
        'ERR_TLS_EXPIRED',
      ],
      [
        await serve(makeTestCertificate({ names: ['x.example'], issuer: authority })),
        'ERR_TLS_NAME',
      ],
      [await serve(makeTestCertificate({ names })), 'ERR_TLS_UNTRUSTED'],
      [
        await serve(makeTestCertificate({ names, issuer: makeTestCertificate() })),
        'ERR_TLS_UNTRUSTED',
      ],
    ] as const) {
      await assert.rejects(client(at(server)), { code, socksReply: 0x02 });
    }
  });

  test('tells apart what is no bridge', async (t) => {
    const says = (text: string) => webServer(t, good, () => text);
    const notFound = await says('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    await assert.rejects(client(at(notFound)), { code: 'ERR_UPGRADE_REFUSED', socksReply: 0x05 });
    const plain = await listen(t, (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    await assert.rejects(client(at(plain.endpoint)), { code: 'ERR_TLS_FAILED' });
    const closing = await listen(t, (socket) => void socket.destroy());
    await assert.rejects(client(at(closing.endpoint)), { code: 'ERR_HANDSHAKE_CLOSED' });
    const unnamed: Dialer = () => dial({ host: 'nobody.invalid', port: 1 });
    await assert.rejects(client(at(plain.endpoint), unnamed), { code: 'ERR_DIAL_NAME_NOT_FOUND' });
  });

  test('gives up who begins TLS, or HTTP, and says no more', async (t) => {
    const given = Object.entries({ tlsHandshakeMs: 200, upgradeMs: 200 }) as [LimitName, number][];
    const table = limits as Record<LimitName, number>;
    const before = given.map(([name]) => [name, table[name]] as const);
    for (const [name, value] of given) table[name] = value;
    t.after(() => {
      for (const [name, value] of before) table[name] = value;
    });
    const silent = await listen(t, () => {});
    await assert.rejects(client(at(silent.endpoint)), { code: 'ERR_HANDSHAKE_TIMED_OUT' });
    const mute = await webServer(t, good, () => '');
    await assert.rejects(client(at(mute)), { code: 'ERR_HANDSHAKE_TIMED_OUT', socksReply: 0x06 });
  });

  test('is called off, in TLS and behind it', async (t) => {
    const silent = await listen(t, () => {});
    const controller = new AbortController();
    const reason = new Error('no more');
    const securing = secureClient(await dial(silent.endpoint), {}, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(securing, reason);
    await assert.rejects(
      secureClient(await dial(silent.endpoint), {}, { signal: controller.signal }),
      reason,
    );
  });

  test('walks a list of names, the next one only behind a failure of TLS or of the upgrade', async (t) => {
    const server = await webServer(t, good, ({ servername }) =>
      servername === 'bridge.example' ? ANSWER : 'HTTP/1.1 404 Not Found\r\n\r\n',
    );
    const servername = ['servername', 'a.example,bridge.example,b.example'] as const;
    for (let tries = 0; tries < 6; tries += 1) {
      await checkEcho(await client(at(server, servername, ['cert-domain', '*'])));
    }
    assert.equal(server.names.filter((name) => name.startsWith('bridge.example')).length, 6);
    let dials = 0;
    const refused: Dialer = () => {
      dials += 1;
      return Promise.reject(new Error('refused'));
    };
    await assert.rejects(client(at(server, servername), refused), { message: 'refused' });
    assert.equal(dials, 1);
  });

  test('with a pin nothing else counts, and a wrong one is told', async (t) => {
    const old = makeTestCertificate({ names: ['x.example'], issuer: authority, validTo: -0.5 });
    const server = await webServer(t, { ...old, cert: old.cert + authority.cert });
    const pin = hashOfChain([derOfPem(old.cert), derOfPem(authority.cert)]).toString('base64');
    await checkEcho(await client(at(server, ['cert', pin])));
    const leafAlone = hashOfChain([derOfPem(old.cert)]).toString('base64');
    await assert.rejects(client(at(server, ['cert', leafAlone])), {
      code: 'ERR_TLS_PIN',
      socksReply: 0x02,
    });
  });

  test('has no way out but the one it is given', async (t) => {
    const server = await webServer(t, good);
    const dialled: string[] = [];
    const only: Dialer = (target) => {
      dialled.push(formatEndpoint(target));
      return dial({ host: '127.0.0.1', port: server.port });
    };
    // A name that nobody here could resolve: whoever dials does.
    const url = ['url', 'https://bridge.example/secret'] as const;
    await checkEcho(await client([url], only));
    await checkEcho(await client([url, ['addr', 'front.invalid:444']], only));
    assert.deepEqual(dialled, ['bridge.example:443', 'front.invalid:444']);
  });
});

test('a stream under TLS that is broken off is no end of the data at the other end', async (t) => {
  const [near, far] = await socketPair(t);
  const acceptor = await createTlsAcceptor(makeTestCertificate({ names: ['a.example'] }), () => {});
  const socket = connectTls({ socket: near, rejectUnauthorized: false });
  const [server] = await Promise.all([acceptor.secure(far), once(socket, 'secureConnect')]);
  let hasEnded = false;
  socket.on('end', () => (hasEnded = true));
  // Behind all that TLS itself has to say: a reset that comes together with bytes is told later.
  server.write('all of it');
  await readBytes(socket, 9);
  const broken = once(socket, 'error');
  breakOff(server, new Error('cut'));
  const [error] = (await broken) as [NodeJS.ErrnoException];
  assert.deepEqual([error.code, hasEnded], ['ECONNRESET', false]);
});

test('what lies below TLS and is ending when it is broken off is closed all the same', async (t) => {
  const [near, far] = await socketPair(t);
  const acceptor = await createTlsAcceptor(makeTestCertificate({ names: ['a.example'] }), () => {});
  const socket = connectTls({ socket: near, rejectUnauthorized: false });
  socket.on('error', () => {});
  const [server] = await Promise.all([acceptor.secure(far), once(socket, 'secureConnect')]);
  far.on('error', () => {});
  const closed = once(far, 'close');
  // In one turn: libuv refuses a reset while the end is on its way, and Node would drop the handle.
  setImmediate(() => far.end());
  breakOff(server, new Error('cut'));
  setImmediate(() => far.destroy());
  await closed;
  socket.destroy();
});

test('a client that leaves before TLS is there is let go of at once', async (t) => {
  const acceptor = await createTlsAcceptor(makeTestCertificate({ names: ['a.example'] }), () => {});
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const [near, far] = await socketPair(t);
    const securing = acceptor.secure(far);
    near.write(Buffer.from('1603010100010000', 'hex'));
    near[leave]();
    await assert.rejects(securing, { code: 'ERR_HANDSHAKE_CLOSED' });
    assert.ok(far.destroyed);
  }
});

test('a reset that comes together with the last bytes is told from an end', async (t) => {
  const certificate = makeTestCertificate({ names: ['a.example'] });
  const acceptor = await createTlsAcceptor(certificate, () => {});
  const pin = hashOfChain([derOfPem(certificate.cert)]);
  for (const isBroken of [false, true]) {
    const [near, far] = await socketPair(t);
    const [server, socket] = await Promise.all([acceptor.secure(far), secureClient(near, { pin })]);
    server.write('all of it');
    if (isBroken) breakOff(server, new Error('cut'));
    else server.end();
    const outcome = new Promise<string>((resolve) => {
      socket.on('end', () => confirmEnd(socket, () => resolve('end')));
      socket.once('close', () => resolve('broken'));
    });
    socket.resume();
    assert.equal(await outcome, isBroken ? 'broken' : 'end');
    socket.destroy();
  }
});

test('an end under TLS that comes behind our own is an end', async (t) => {
  const certificate = makeTestCertificate({ names: ['a.example'] });
  const acceptor = await createTlsAcceptor(certificate, () => {});
  const pin = hashOfChain([derOfPem(certificate.cert)]);
  for (const isServerFirst of [false, true]) {
    const [near, far] = await socketPair(t);
    const [server, socket] = await Promise.all([acceptor.secure(far), secureClient(near, { pin })]);
    const [first, second] = isServerFirst ? [server, socket] : [socket, server];
    const ended = new Promise<void>((resolve) => first.on('end', () => confirmEnd(first, resolve)));
    const closed = [once(first, 'close'), once(second, 'close')];
    first.resume().end();
    await once(first, 'finish');
    // Whoever watches the wire asks what is over it, and does not break it.
    assert.equal(askForReset(streamOver(isServerFirst ? far : near)), false);
    second.on('end', () => confirmEnd(second, () => second.end()));
    second.resume();
    await Promise.all([ended, ...closed]);
  }
});

test('a certificate is read again when its files change, and the old one stays where the new is none', async (t) => {
  const table = limits as Record<LimitName, number>;
  const before = limits.certificateCheckMs;
  table.certificateCheckMs = 10;
  t.after(() => void (table.certificateCheckMs = before));
  const folder = temporaryDirectory(t);
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  const write = ({ cert, key }: TestCertificate): void => {
    writeFileSync(files.certFile, cert);
    writeFileSync(files.keyFile, key);
  };
  const first = makeTestCertificate({ names: ['first.example'] });
  const second = makeTestCertificate({ names: ['second.example'] });
  write(first);
  const notices: string[] = [];
  let onNotice = (): void => {};
  const acceptor = await createTlsAcceptor(files, (notice) => {
    notices.push(notice);
    onNotice();
  });
  t.after(() => acceptor.close());
  const until = async (pattern: RegExp): Promise<void> => {
    while (!notices.some((notice) => pattern.test(notice))) {
      await new Promise<void>((resolve) => (onNotice = resolve));
    }
  };
  const shown = async (): Promise<string> => {
    const [near, far] = await socketPair(t);
    const socket = connectTls({ socket: near, rejectUnauthorized: false });
    await Promise.all([acceptor.secure(far), once(socket, 'secureConnect')]);
    return String(socket.getPeerCertificate().subject.CN);
  };
  assert.equal(await shown(), 'first.example');
  write({ cert: 'no certificate', key: first.key });
  await until(/stays: .*tls-cert/);
  assert.equal(await shown(), 'first.example');
  write(second);
  await until(/read again/);
  assert.equal(await shown(), 'second.example');
});

test('certificates that cannot be used are told by name', async (t) => {
  const folder = temporaryDirectory(t);
  const path = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const one = makeTestCertificate({ names: ['a.example'] });
  const other = makeTestCertificate({ names: ['b.example'] });
  const [cert, key] = [path('cert', one.cert), path('key', one.key)];
  for (const [certFile, keyFile, message] of [
    [join(folder, 'none'), key, /`tls-cert` cannot be read \(ENOENT\)/],
    [cert, join(folder, 'none'), /`tls-key` cannot be read \(ENOENT\)/],
    [path('empty', ''), key, /no certificate and its key/],
    [cert, path('other', other.key), /no certificate and its key/],
  ] as const) {
    await assert.rejects(
      createTlsAcceptor({ certFile, keyFile }, () => {}),
      { code: 'ERR_TLS_CERTIFICATE', message },
    );
  }
});
