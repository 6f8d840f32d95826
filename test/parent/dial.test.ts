import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import type { Socket } from 'node:net';
import { listenTcp, type Listener } from '../../src/net/listener.ts';
import { createPtDialer } from '../../src/parent/dial.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import type { CmethodMessage } from '../../src/pt/messages.ts';

const target = { host: '192.0.2.3', port: 443 };
const targetBytes = [192, 0, 2, 3, 0x01, 0xbb];

/** A stand-in for the SOCKS port of a PT program: records the bytes and answers from a script. */
async function standIn(
  answers: readonly { readonly after: number; readonly send: readonly number[] }[],
): Promise<{
  readonly listener: Listener;
  readonly received: Buffer[];
  readonly connections: Socket[];
}> {
  const received: Buffer[] = [];
  const connections: Socket[] = [];
  const listener = await listenTcp({ host: '127.0.0.1', port: 0 }, (socket) => {
    connections.push(socket);
    const left = [...answers];
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk);
      while (left[0] !== undefined && Buffer.concat(received).length >= left[0].after) {
        socket.write(Buffer.from(left.shift()!.send));
      }
    });
  });
  return { listener, received, connections };
}

function method(listener: Listener, protocol: CmethodMessage['protocol']): CmethodMessage {
  return { kind: 'CMETHOD', transport: 'obfs4', protocol, endpoint: listener.endpoint };
}

const granted4 = [0x00, 0x5a, 0, 0, 0, 0, 0, 0];
const granted5 = [0x05, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0];

/** Dials with arguments over SOCKS5 and returns everything that the program received. */
async function sent5(args: KeyValues, encodedLength: number): Promise<Buffer> {
  const credentials = encodedLength === 0 ? 0 : 3 + encodedLength + (encodedLength <= 255 ? 1 : 0);
  const { listener, received } = await standIn(
    encodedLength === 0
      ? [
          { after: 3, send: [5, 0] },
          { after: 13, send: granted5 },
        ]
      : [
          { after: 3, send: [5, 2] },
          { after: 3 + credentials, send: [1, 0] },
          { after: 13 + credentials, send: granted5 },
        ],
  );
  const stream = await createPtDialer(method(listener, 'socks5'), args)(target);
  stream.destroy();
  listener.abort();
  return Buffer.concat(received);
}

describe('dialling through a client PT program', () => {
  test('[PT-3.5-07] [PT-3.5-08] [PT-3.5-09] [PT-3.3.2-10] SOCKS5: arguments in UNAME, and PASSWD is one NUL', async () => {
    const list = 'shared-secret=rahasia;secrets-file=/tmp/blob';
    const bytes = await sent5(
      [
        ['shared-secret', 'rahasia'],
        ['secrets-file', '/tmp/blob'],
      ],
      list.length,
    );
    assert.deepEqual(
      bytes,
      Buffer.from([
        5,
        1,
        2,
        1,
        list.length,
        ...Buffer.from(list),
        1,
        0,
        5,
        1,
        0,
        1,
        ...targetBytes,
      ]),
    );
  });

  for (const length of [2, 100, 254, 255, 256, 510]) {
    const ids = length < 255 ? '[PT-3.5-09]' : length === 255 ? '[PT-3.5-10]' : '[PT-3.5-11]';
    test(`${ids} a list of ${length} bytes on the wire`, async () => {
      const list = `a=${'x'.repeat(length - 2)}`;
      const bytes = await sent5([['a', list.slice(2)]], list.length);
      const password = list.length > 255 ? Buffer.from(list.slice(255)) : Buffer.of(0);
      const uname = Buffer.from(list.slice(0, 255));
      assert.deepEqual(
        bytes.subarray(3, -10),
        Buffer.concat([Buffer.of(1, uname.length), uname, Buffer.of(password.length), password]),
      );
    });
  }

  test('without arguments only "no authentication" is offered', async () => {
    assert.deepEqual(await sent5([], 0), Buffer.from([5, 1, 0, 5, 1, 0, 1, ...targetBytes]));
  });

  test('[PT-3.5-12] 511 bytes are refused before anything is sent', async () => {
    const { listener, connections } = await standIn([]);
    assert.throws(() => createPtDialer(method(listener, 'socks5'), [['a', 'x'.repeat(509)]]), {
      code: 'ERR_PT_SOCKS_ARGUMENTS',
    });
    assert.equal(connections.length, 0);
    listener.abort();
  });

  for (const answer of [0x00, 0xff]) {
    test(`[PT-3.5-07] a program that answers 0x${answer.toString(16)} although arguments are needed fails the connection`, async () => {
      const { listener, received } = await standIn([{ after: 3, send: [5, answer] }]);
      await assert.rejects(createPtDialer(method(listener, 'socks5'), [['a', 'secret']])(target), {
        code: 'ERR_TUNNEL_AUTH_REJECTED',
      });
      assert.deepEqual(Buffer.concat(received), Buffer.from([5, 1, 2]));
      listener.abort();
    });
  }

  test('[PT-3.5-02] [PT-3.5-06] [PT-3.3.2-10] SOCKS4: arguments in USERID, also long ones', async () => {
    for (const args of [[], [['a', 'b;c']], [['k', 'x'.repeat(600)]]] as const) {
      const list = args.map(([key, value]) => `${key}=${value.replace(';', '\\;')}`).join(';');
      const { listener, received } = await standIn([{ after: 9 + list.length, send: granted4 }]);
      const stream = await createPtDialer(method(listener, 'socks4'), args)(target);
      assert.deepEqual(
        Buffer.concat(received),
        Buffer.from([4, 1, 0x01, 0xbb, 192, 0, 2, 3, ...Buffer.from(list), 0]),
      );
      stream.destroy();
      listener.abort();
    }
  });

  test('[PT-3.5-06] a NUL in an argument is refused; IPv6 cannot go through SOCKS4', async () => {
    const { listener, connections } = await standIn([]);
    assert.throws(() => createPtDialer(method(listener, 'socks4'), [['a', '\0']]), {
      code: 'ERR_PT_SOCKS_ARGUMENTS',
    });
    await assert.rejects(createPtDialer(method(listener, 'socks4'), [])({ host: '::1', port: 1 }), {
      code: 'ERR_TUNNEL_UNENCODABLE',
    });
    assert.equal(connections.length, 0);
    listener.abort();
  });

  test('payload that comes with the reply is not lost, and the program’s refusal comes out', async () => {
    const { listener } = await standIn([
      { after: 3, send: [5, 0] },
      { after: 13, send: [...granted5, 0x68, 0x69] },
    ]);
    const stream = await createPtDialer(method(listener, 'socks5'), [])(target);
    const [chunk] = (await once(stream, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'hi');
    stream.destroy();
    listener.abort();

    const refusing = await standIn([
      { after: 3, send: [5, 0] },
      { after: 13, send: [5, 5, 0, 1, 0, 0, 0, 0, 0, 0] },
    ]);
    await assert.rejects(createPtDialer(method(refusing.listener, 'socks5'), [])(target), {
      code: 'ERR_DIAL_REFUSED',
    });
    refusing.listener.abort();
    const vague = await standIn([
      { after: 3, send: [5, 0] },
      { after: 13, send: [5, 1, 0, 1, 0, 0, 0, 0, 0, 0] },
    ]);
    // Who dials has no proxy: it is the program that did not get there.
    await assert.rejects(createPtDialer(method(vague.listener, 'socks5'), [])(target), {
      code: 'ERR_TUNNEL_FAILED',
      message: /^the transport’s program did not get through to the bridge$/,
    });
    vague.listener.abort();
  });

  test('a program that no longer listens, and a call that is given up', async () => {
    const { listener } = await standIn([]);
    const silent = createPtDialer(method(listener, 'socks5'), []);
    const abort = new AbortController();
    const dialled = silent(target, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(dialled, /enough/);
    listener.abort();
    await assert.rejects(silent(target), { code: 'ERR_TUNNEL_UNREACHABLE' });
  });
});
