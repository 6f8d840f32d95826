/** TOR_PT_PROXY: everything through the upstream proxy, or not at all. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, mock, test, type TestContext } from 'node:test';
import { formatEndpoint, parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { limits } from '../../src/limits.ts';
import { listenSocks } from '../../src/net/applications.ts';
import { createUpstreamDialer } from '../../src/net/upstream-dialer.ts';
import { parseUpstreamProxy } from '../../src/pt/upstream-proxy.ts';
import { encodeRequest4 } from '../../src/socks/encode.ts';
import { createSocksServer } from '../../src/socks/server.ts';
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

/** What an upstream proxy saw. */
interface Seen {
  readonly target: Endpoint;
  readonly credentials: string;
}

/** A SOCKS proxy that records what it is asked for; names lead to loopback. */
async function startSocksUpstream(t: TestContext, seen: Seen[]): Promise<string> {
  const listener = await listen(t, (socket: Socket) => {
    const server = createSocksServer({ accept: () => {} });
    socket.on('data', function onData(chunk: Buffer) {
      for (const action of server.receive(chunk)) {
        if (action.type === 'send') socket.write(action.bytes);
        if (action.type !== 'done') continue;
        socket.off('data', onData).pause();
        const { target, credentials } = action.result;
        const fields = Object.values(credentials).slice(1) as Uint8Array[];
        const text = fields.map((field) => Buffer.from(field).toString()).join(':');
        seen.push({ target, credentials: text });
        void join(socket, target, () => socket.write(server.reply(0)));
      }
    });
  });
  return listener.text;
}

/** An HTTP proxy that records what it is asked for; names lead to loopback. */
async function startHttpUpstream(t: TestContext, seen: Seen[]): Promise<string> {
  const server = createServer().on('connect', ({ url = '', headers }, socket: Duplex) => {
    const port = Number(url.slice(url.lastIndexOf(':') + 1));
    const target = parseIpEndpoint(url) ?? { host: url.slice(0, url.lastIndexOf(':')), port };
    const basic = headers['proxy-authorization']?.replace(/^Basic /, '') ?? '';
    seen.push({ target, credentials: Buffer.from(basic, 'base64').toString() });
    void join(socket, target, () => socket.write('HTTP/1.1 200 Fine\r\n\r\n'));
  });
  t.after(() => server.close().closeAllConnections());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function join(near: Duplex, target: Endpoint, answer: () => void): Promise<void> {
  const host = parseIpEndpoint(formatEndpoint(target)) === undefined ? '127.0.0.1' : target.host;
  const far = await dial({ host, port: target.port });
  answer();
  near.on('error', () => {}).pipe(far);
  far.on('error', () => {}).pipe(near);
}

/** A server of the test transport with key 5, in front of an echo. */
async function startServer(t: TestContext): Promise<Managed> {
  const app = await listen(t, echo);
  const extra = {
    TOR_PT_ORPORT: app.text,
    TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key=5',
  };
  return startManaged(t, serverEnv(temporaryDirectory(t), extra));
}

// First of all: a timer of an earlier test that is cleared under the mock would stay.
test('[PT-4-04] an upstream proxy that hangs: an error reply when its time is up, and nobody else waits', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  let asked: (() => void) | undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const hanging = await listen(t, (socket) => void socket.once('data', () => asked!()));
  const uri = `socks5://${hanging.text}`;
  const client = startManaged(t, clientEnv(temporaryDirectory(t), { TOR_PT_PROXY: uri }));
  const endpoint = await client.endpoint();
  const target = { host: '192.0.2.1', port: 443 };
  // By hand, for the driver's own deadline would be over at the same time.
  const waiting = await dial(endpoint);
  const request = encodeRequest4('socks4', target, Buffer.from('key=5'));
  waiting.write(request);
  await isAsked;
  await assert.rejects(socksConnect(endpoint, target, 'nonsense'), {
    code: 'ERR_TUNNEL_AUTH_REJECTED',
  });
  mock.timers.tick(limits.tunnelTimeoutMs);
  assert.deepEqual([...(await readBytes(waiting, 2))], [0, 0x5b]);
  waiting.destroy();
  await client.line(/^LOG SEVERITY=warning MESSAGE="rot: .*ERR_TUNNEL_TIMED_OUT/);
});

test('[PT-3.2.2-04] [PT-3.2.2-06] [PT-3.2.2-07] each type of upstream proxy, with and without credentials', async (t) => {
  const target = await (await startServer(t)).endpoint();
  const seen: Seen[] = [];
  const socks = await startSocksUpstream(t, seen);
  const http = await startHttpUpstream(t, seen);
  for (const [uri, credentials] of [
    [`socks5://${socks}`, ''],
    [`socks5://tor:test1234@${socks}`, 'tor:test1234'],
    [`socks5://us%40er:p%3Aw@${socks}`, 'us@er:p:w'],
    [`socks4a://${socks}`, ''],
    [`http://${http}`, ''],
    [`http://tor:p%40ss@${http}`, 'tor:p@ss'],
  ] as const) {
    const client = startManaged(t, clientEnv(temporaryDirectory(t), { TOR_PT_PROXY: uri }));
    const stream = await socksConnect(await client.endpoint(), target, 'key=5');
    stream.end('through');
    assert.equal((await readAll(stream)).toString(), 'through');
    assert.deepEqual(seen.pop(), { target, credentials });
    assert.equal(seen.length, 0);
  }
});

test('[PT-4-03] a host name goes to the upstream proxy as it is', async (t) => {
  const { port } = await (await startServer(t)).endpoint();
  const seen: Seen[] = [];
  const socks = await startSocksUpstream(t, seen);
  const http = await startHttpUpstream(t, seen);
  for (const uri of [`socks5://${socks}`, `socks4a://${socks}`, `http://${http}`]) {
    const client = startManaged(t, clientEnv(temporaryDirectory(t), { TOR_PT_PROXY: uri }));
    // No resolver knows this name: had the client asked one, the connection would have failed.
    const target = { host: 'bridge.invalid', port };
    const stream = await socksConnect(await client.endpoint(), target, 'key=5');
    stream.destroy();
    assert.deepEqual(seen.pop()?.target, target);
  }
});

test('[PT-4-04] [PT-3.2.2-04] an upstream proxy that is down, refuses or breaks off: an error reply, and nothing goes around it', async (t) => {
  let direct = 0;
  const target = await listen(t, (socket) => {
    direct += 1;
    socket.destroy();
  });
  const answering = async (answer: string | undefined): Promise<string> => {
    const listener = await listen(t, (socket) => {
      socket.once('data', () => (answer === undefined ? socket.destroy() : socket.end(answer)));
    });
    return listener.text;
  };
  const down = formatEndpoint(await closedPort());
  const breaking = await answering(undefined);
  const garbage = await answering('what?\r\n\r\n');
  const refusingHttp = await answering('HTTP/1.1 407 No\r\n\r\n');
  const refusingSocks = await answering('\x05\xff');
  for (const uri of [
    ...['socks5', 'socks4a', 'http'].flatMap((type) =>
      [down, breaking, garbage].map((address) => `${type}://${address}`),
    ),
    `http://${refusingHttp}`,
    `socks5://${refusingSocks}`,
  ]) {
    const client = startManaged(t, clientEnv(temporaryDirectory(t), { TOR_PT_PROXY: uri }));
    await assert.rejects(socksConnect(await client.endpoint(), target.endpoint, 'key=5'), {
      code: /^ERR_(TUNNEL|DIAL)_/,
    });
    await client.line(/^LOG SEVERITY=warning MESSAGE="rot: .*proxy.*ERR_TUNNEL_/);
  }
  assert.equal(direct, 0);
});

test('SOCKS5 proxies as they are found: one that wants no password, odd verdicts and addresses, reasons', async (t) => {
  const greeting = '05020002';
  const userPass = '0101750170';
  // What it answers to the greeting, to user and password, and to the request.
  for (const [answers, outcome] of [
    [['0500', '05000001000000000000'], 'x'],
    [['0502', '0500', '05000001000000000000'], 'x'],
    [['0502', '0000', '0500000300' + '0000'], 'x'],
    [['0502', '0100', '0504'], 'ERR_DIAL_HOST_UNREACHABLE'],
    [['0500', '05050000000000000000'], 'ERR_DIAL_REFUSED'],
    [['0502', '0501'], 'ERR_TUNNEL_AUTH_REJECTED'],
    [[Buffer.from('HTTP/1.1 400 Bad Request').toString('hex')], 'ERR_TUNNEL_MALFORMED'],
  ] as const) {
    const heard: string[] = [];
    const proxy = await listen(t, (socket) => {
      socket
        .on('error', () => {})
        .on('data', (chunk: Buffer) => {
          heard.push(chunk.toString('hex'));
          const answer = answers[heard.length - 1];
          if (answer !== undefined) socket.write(Buffer.from(answer, 'hex'));
          if (heard.length === answers.length && outcome === 'x') socket.write('x');
        });
    });
    const uri = `socks5://u:p@${proxy.text}`;
    const reach = createUpstreamDialer(parseUpstreamProxy(uri), dial);
    const target = { host: '192.0.2.1', port: 443 };
    if (outcome === 'x') {
      const stream = await reach(target);
      assert.equal((await readBytes(stream, 1)).toString(), 'x');
      stream.destroy();
    } else {
      await assert.rejects(reach(target), { code: outcome });
    }
    assert.equal(heard[0], greeting);
    if (answers[0] === '0502') assert.equal(heard[1], userPass);
  }
});

describe('[PT-3.2.2-04] a proxy of another kind than was said', { concurrency: 4 }, () => {
  const target = { host: '192.0.2.1', port: 443 };
  const reach = (type: string, { text }: { readonly text: string }): Promise<Duplex> =>
    createUpstreamDialer(parseUpstreamProxy(`${type}://${text}`), dial)(target);

  for (const type of ['socks5', 'socks4a']) {
    test(`${type}, and it waits for the end of an HTTP request`, async (t) => {
      const proxy = await listen(t, (socket) => {
        let heard = '';
        socket
          .on('error', () => {})
          .on('data', (chunk: Buffer) => {
            heard += chunk.toString('latin1');
            if (heard.includes('\r\n\r\n')) socket.write('HTTP/1.0 400 Bad Request\r\n\r\n');
          });
      });
      await assert.rejects(reach(type, proxy), {
        code: 'ERR_TUNNEL_MALFORMED',
        message: /^this is an HTTP proxy: use http:/,
      });
    });
  }

  test('http, and it hangs up on what is no SOCKS', async (t) => {
    const proxy = await listen(t, (socket) => {
      socket
        .on('error', () => {})
        .once('data', (chunk: Buffer) => {
          if (chunk[0] === 5) socket.write(Buffer.of(5, 0xff));
          else socket.destroy();
        });
    });
    await assert.rejects(reach('http', proxy), {
      code: 'ERR_TUNNEL_MALFORMED',
      message: /^this is a SOCKS proxy: use socks5:/,
    });
  });

  test('http, and it is a SocksPort of ours', async (t) => {
    const port = await listenSocks(
      { host: '127.0.0.1', port: 0 },
      { accept: () => {}, serve: () => {}, onFailure: () => {} },
    );
    t.after(() => port.abort());
    await assert.rejects(reach('http', { text: formatEndpoint(port.endpoint) }), {
      code: 'ERR_TUNNEL_MALFORMED',
      message: /^this is a SOCKS proxy: use socks5:/,
    });
  });

  test('is one of that kind, when it is slow or says nothing in any language', async (t) => {
    const sockets: Socket[] = [];
    const slow = await listen(t, (socket) => {
      sockets.push(socket.on('error', () => {}));
      socket.once('data', () => {
        // The second one asks which kind it is.
        if (sockets.length === 2) sockets[0]!.write(Buffer.from('050005000001000000000000', 'hex'));
      });
    });
    (await reach('socks5', slow)).destroy();
    assert.equal(sockets.length, 2);
    const dead = await listen(t, (socket) => void socket.destroy());
    for (const type of ['socks5', 'socks4a', 'http']) {
      await assert.rejects(reach(type, dead), { code: 'ERR_TUNNEL_CLOSED' }, type);
    }
  });
});
