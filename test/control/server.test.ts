import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { ControlSecrets } from '../../src/control/authentication.ts';
import { encodeRequest } from '../../src/control/encode.ts';
import type { EngineEvent } from '../../src/control/engine.ts';
import { ControlRefusal, type MappedAddress } from '../../src/control/messages.ts';
import { hashPassphrase } from '../../src/crypto/passphrase.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { PosternError } from '../../src/errors.ts';
import { limits } from '../../src/limits.ts';
import { DirectController, FakeEngine, frame } from '../support/control.ts';
import { holds } from '../support/properties.ts';

const AUTHENTICATE = frame(7);
const name = (host: string): MappedAddress => ({ kind: 'name', host });
const mapAddress = (original: MappedAddress, replacement: MappedAddress): Buffer =>
  encodeRequest({ type: 'mapAddress', mapping: { original, replacement } });

/** A controller that has authenticated. */
async function opened(engine?: FakeEngine): Promise<DirectController> {
  const controller = new DirectController(engine);
  assert.deepEqual(await controller.send(AUTHENTICATE), ['DONE']);
  return controller;
}

describe('authentication', () => {
  const cookie = Buffer.from('c00c1e'.padEnd(64, '5a'), 'hex');
  const passphrases = [hashPassphrase(Buffer.from('open sesame'), systemRng)];

  test('[TC-4.1-01] [TC-4.1-06] by default a local user needs an empty AUTHENTICATE and no more', async () => {
    const controller = new DirectController();
    assert.deepEqual(await controller.send(frame(3, 'SocksPort\n')), ['ERROR 7']);
    assert.deepEqual(await controller.send(frame(7, 'x')), ['ERROR 8']);
    assert.deepEqual(await controller.send(frame(3, 'SocksPort\n')), ['ERROR 7']);
    assert.ok(!controller.opened);
    assert.deepEqual(await controller.send(AUTHENTICATE), ['DONE']);
    assert.ok(controller.opened);
    assert.deepEqual(await controller.send(frame(3, 'SocksPort\n')), [
      'CONFVALUE "SocksPort 19150\\n"',
    ]);
  });

  test('[TC-3.1-10] before it every type is refused, unknown ones too, and nothing happens', async () => {
    const engine = new FakeEngine();
    for (const type of [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 0xffff]) {
      const controller = new DirectController(engine);
      assert.deepEqual(await controller.send(frame(type, [1])), ['ERROR 7']);
      assert.ok(!controller.closed);
    }
    assert.equal(engine.saves + engine.signals.length + engine.addressMap.mappings().length, 0);
  });

  test('[TC-3.1-10] it opens one connection and no other', async () => {
    const engine = new FakeEngine();
    await opened(engine);
    const other = new DirectController(engine);
    assert.deepEqual(await other.send(frame(8)), ['ERROR 7']);
  });

  const secretCases: readonly (readonly [string, ControlSecrets, Buffer])[] = [
    ['[TC-4.1-03] cookie', { cookie }, cookie],
    ['[TC-4.1-04] passphrase', { passphrases }, Buffer.from('open sesame')],
    ['cookie beside a passphrase', { cookie, passphrases }, cookie],
    ['passphrase beside a cookie', { cookie, passphrases }, Buffer.from('open sesame')],
  ];
  for (const [title, secrets, right] of secretCases) {
    test(`[TC-3.8-02] [TC-3.1-11] ${title}: the right octets open, and no others`, async () => {
      const wrongs: Buffer[] = [
        Buffer.alloc(0),
        Buffer.concat([right, Buffer.of(0)]),
        Buffer.alloc(32),
        Buffer.alloc(500, 1),
      ];
      for (let length = 1; length < right.length; length += 1)
        wrongs.push(right.subarray(0, length));
      for (let bit = 0; bit < 8 * right.length; bit += 1) {
        const flipped = Buffer.from(right);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        wrongs.push(flipped);
      }
      for (const wrong of wrongs) {
        const controller = new DirectController(undefined, { secrets });
        const refusals = await controller.send(frame(7, wrong), frame(3, 'SocksPort\n'));
        assert.deepEqual(refusals, ['ERROR 8', 'ERROR 7']);
      }
      const controller = new DirectController(undefined, { secrets });
      assert.deepEqual(await controller.send(frame(7, right), frame(3)), ['DONE', 'CONFVALUE ""']);
    });
  }

  test('[TC-3.8-02] the third wrong secret closes; a failure on an open connection does not', async () => {
    const options = { secrets: { cookie } };
    const stranger = new DirectController(undefined, options);
    const wrong = frame(7, Buffer.alloc(32));
    assert.deepEqual(await stranger.send(wrong, wrong), ['ERROR 8', 'ERROR 8']);
    assert.ok(!stranger.closed);
    assert.deepEqual(await stranger.send(wrong, frame(7, cookie)), ['ERROR 8']);
    assert.ok(stranger.closed);
    assert.match(stranger.reasons[0]!, /wrong secrets/);

    const owner = new DirectController(undefined, options);
    const replies = await owner.send(frame(7, cookie), wrong, wrong, wrong, wrong, frame(3));
    assert.deepEqual(replies, ['DONE', 'ERROR 8', 'ERROR 8', 'ERROR 8', 'ERROR 8', 'CONFVALUE ""']);
    assert.ok(!owner.closed);
  });

  test('without a secret nobody gets in from another machine', async () => {
    const controller = new DirectController(undefined, { trusted: false });
    assert.deepEqual(await controller.send(AUTHENTICATE), ['ERROR 8']);
  });

  test('[TC-4.1-02] where the system decided already, no AUTHENTICATE is needed', async () => {
    const controller = new DirectController(undefined, { open: true, secrets: { cookie } });
    assert.deepEqual(await controller.send(frame(3), frame(7, cookie)), ['CONFVALUE ""', 'DONE']);
  });

  test('[TC-4.1-07] a secret that is set later locks new connections, not those that stand', async () => {
    const secrets: { cookie?: Buffer } = {};
    const first = new DirectController(undefined, { secrets });
    await first.send(AUTHENTICATE);
    secrets.cookie = cookie;
    const second = new DirectController(undefined, { secrets });
    assert.deepEqual(await second.send(AUTHENTICATE), ['ERROR 8']);
    assert.deepEqual(await first.send(frame(3)), ['CONFVALUE ""']);
  });

  test('the sixteenth refused message is the last', async () => {
    const controller = new DirectController();
    const many = Array.from({ length: 20 }, () => frame(3));
    const replies = await controller.send(...many, AUTHENTICATE);
    assert.deepEqual(replies, Array<string>(limits.controlRefusedMessages).fill('ERROR 7'));
    assert.ok(controller.closed);
  });

  test('a long frame closes before its body is there; an open connection takes it', async () => {
    const controller = new DirectController();
    assert.deepEqual(await controller.send(frame(7, Buffer.alloc(1024, 1))), ['ERROR 8']);
    assert.deepEqual(await controller.send(Buffer.from('040100', 'hex')), ['ERROR 9']);
    assert.ok(controller.closed);
    const open = await opened();
    const lines = `${'# comment\n'.repeat(6000)}ContactInfo x\n`; // 60 KB
    assert.deepEqual(await open.send(frame(2, lines), frame(3, 'ContactInfo')), [
      'DONE',
      'CONFVALUE "ContactInfo x\\n"',
    ]);
  });

  test('a browser is recognised by two letters and gets no answer', async () => {
    const requests = [
      'GET / HTTP/1.1\r\n',
      'POST /',
      'PUT /',
      'OPTIONS *',
      'CONNECT a:1',
      'PRI * HTTP/2.0',
      'AUTHENTICATE\r\n',
      'PROTOCOLINFO 1\r\n',
    ];
    for (const request of requests) {
      for (const split of [1, 2, 3, request.length]) {
        const controller = new DirectController();
        const replies = await controller.send(Buffer.from(request.slice(0, split)));
        if (split === 1) assert.ok(!controller.closed);
        replies.push(...(await controller.send(Buffer.from(request.slice(split)))));
        assert.deepEqual(replies, []);
        assert.ok(controller.closed);
        assert.match(controller.reasons[0]!, /browser/);
      }
    }
  });

  test('on a socket the textual protocol gets a line that it can read, and the end', async () => {
    for (const request of ['PROTOCOLINFO 1\r\n', 'authenticate\r\n', 'GET / HTTP/1.1\r\n']) {
      for (const split of [1, 2, 3, 4, request.length]) {
        const controller = new DirectController(undefined, { open: true });
        const sent = [
          ...(await controller.sendRaw(Buffer.from(request.slice(0, split)))),
          ...(await controller.sendRaw(Buffer.from(request.slice(split)))),
        ];
        assert.match(Buffer.concat(sent).toString(), /^510 This is TC, .*\r\n$/);
        assert.ok(controller.closed);
      }
    }
    // Behind a first message it is one like any other.
    const controller = new DirectController(undefined, { open: true });
    await controller.send(frame(3), Buffer.from('GETINFO'));
    assert.ok(!controller.closed);
  });

  test('a message that is not ended in time is the last, and a pause between messages is none', async () => {
    for (const open of [true, false]) {
      const controller = new DirectController(undefined, { open });
      if (!open) await controller.send(AUTHENTICATE);
      await controller.expireMessage();
      assert.ok(!controller.closed);
      await controller.send(frame(3).subarray(0, 3));
      await controller.expireMessage();
      assert.ok(controller.closed);
      assert.match(controller.reasons[0]!, /did not end a message/);
    }
  });

  test('whoever does not authenticate in time is cut off, and only he', async () => {
    const stranger = new DirectController();
    assert.deepEqual(await stranger.expire(), []);
    assert.ok(stranger.closed);
    const controller = await opened();
    await controller.expire();
    assert.ok(!controller.closed);
  });
});

describe('requests', () => {
  let engine: FakeEngine;
  let controller: DirectController;
  beforeEach(async () => {
    engine = new FakeEngine();
    controller = await opened(engine);
  });

  test('[TC-3.2-01] what has nothing to return is answered by one DONE', async () => {
    for (const request of [
      frame(2, 'ContactInfo x\n'),
      frame(5, [0, 4]),
      frame(8),
      AUTHENTICATE,
      frame(9, [0x10]),
    ]) {
      assert.deepEqual(await controller.send(request), ['DONE']);
    }
  });

  test('[TC-3.4-02] [TC-3.5-01] GETCONF gets one CONFVALUE and no DONE', async () => {
    assert.deepEqual(await controller.send(frame(3, 'SocksPort\n')), [
      'CONFVALUE "SocksPort 19150\\n"',
    ]);
    assert.deepEqual(
      await controller.send(frame(3, 'SocksPort\nMaxConn\nContactInfo\nsocksport\nClientOnly\n')),
      ['CONFVALUE "SocksPort 19150\\nMaxConn 1024\\nSocksPort 19150\\nClientOnly 0\\n"'],
    );
  });

  test('[TC-3.3-03] SETCONF is answered with DONE, and GETCONF shows it', async () => {
    const replies = await controller.send(
      frame(2, 'ContactInfo alice\nMaxConn 7\n'),
      frame(3, 'ContactInfo\nMaxConn\n'),
    );
    assert.deepEqual(replies, ['DONE', 'CONFVALUE "ContactInfo alice\\nMaxConn 7\\n"']);
  });

  test('[TC-3.3-04] [TC-3.1-07] [TC-3.1-08] a failed SETCONF is one ERROR with the code of its cause', async () => {
    const cases = [
      ['ContactInfo x\nNoSuchOption 1\n', 'ERROR 4'],
      ['ContactInfo x\nSocksPort banana\n', 'ERROR 5'],
      ['ContactInfo x\nSocksPort 99999\n', 'ERROR 5'],
      ['ContactInfo x\nMyFamily "half\n', 'ERROR 3'],
      ['ContactInfo x\0\n', 'ERROR 3'],
    ] as const;
    for (const [lines, reply] of cases) {
      assert.deepEqual(await controller.send(frame(2, lines)), [reply]);
    }
    assert.deepEqual(await controller.send(frame(3, 'ContactInfo\nSocksPort\n')), [
      'CONFVALUE "SocksPort 19150\\n"',
    ]);
  });

  test('[TC-3.4-04] [TC-3.1-07] GETCONF with one unknown key is an ERROR and no values', async () => {
    assert.deepEqual(await controller.send(frame(3, 'SocksPort\nNoSuchOption\n')), ['ERROR 4']);
  });

  test('an empty SETCONF changes nothing, an empty GETCONF gets an empty CONFVALUE', async () => {
    assert.deepEqual(await controller.send(frame(2), frame(3)), ['DONE', 'CONFVALUE ""']);
  });

  test('[TC-3.9-01] [TC-3.9-02] SAVECONF saves, whatever its body', async () => {
    assert.deepEqual(await controller.send(frame(8), frame(8, 'junk')), ['DONE', 'DONE']);
    assert.equal(engine.saves, 2);
  });

  test('[TC-3.9-03] [TC-3.1-04] a SAVECONF or reload that fails is an internal error', async () => {
    for (const code of ['ERR_CONFIG_VALUE', 'ERR_CONFIG_KEY', 'ERR_CONFIG_SYNTAX'] as const) {
      engine.failure = new PosternError(code, 'the torrc is wrong');
      assert.deepEqual(await controller.send(frame(9, [1])), ['ERROR 1']);
    }
    engine.failure = new Error('EROFS: secret path');
    const replies = await controller.send(frame(8), frame(3));
    assert.deepEqual(replies, ['ERROR 1', 'CONFVALUE ""']);
  });

  test('[TC-3.1-04] a text of an unexpected failure stays in the log', async () => {
    engine.failure = new Error('hunter2');
    controller.feed(frame(8));
    assert.doesNotMatch((await controller.bytes()).toString('latin1'), /hunter2/);
  });

  test('[TC-3.1-03] [TC-3.1-14] an engine may choose the code, within the draft', async () => {
    engine.failure = new ControlRefusal(0, 'The other Tor gave no reason.');
    assert.deepEqual(await controller.send(frame(8)), ['ERROR 0']);
    engine.failure = new ControlRefusal(9, 'No file descriptors.');
    assert.deepEqual(await controller.send(frame(8)), ['ERROR 9']);
    engine.failure = new ControlRefusal(0x1234, 'From the future.');
    assert.deepEqual(await controller.send(frame(8)), ['ERROR 0']);
  });

  test('[TC-3.1-12] [TC-2-02] values that do not fit into one message: ERROR 9, and it goes on', async () => {
    engine.entries = [{ key: 'A', value: 'x'.repeat(65_532) }];
    assert.deepEqual(await controller.send(frame(3, 'A')), [
      `CONFVALUE ${JSON.stringify(`A ${'x'.repeat(65_532)}\n`)}`,
    ]);
    engine.entries = [{ key: 'A', value: 'x'.repeat(65_533) }];
    assert.deepEqual(await controller.send(frame(3, 'A')), ['ERROR 9']);
    engine.entries = undefined;
    assert.deepEqual(await controller.send(frame(3)), ['CONFVALUE ""']);
  });

  test('[TC-3.10-08] recognised signals reach the engine, and are answered with DONE', async () => {
    engine.endsOnShutdown = false;
    for (const code of [0x01, 0x02, 0x10, 0x12, 10, 12]) {
      assert.deepEqual(await controller.send(frame(9, [code])), ['DONE']);
    }
    assert.deepEqual(engine.signals, ['reload', 'shutdown', 'dump', 'debug', 'dump', 'debug']);
  });

  test('[TC-3.10-01] [TC-3.10-09] a malformed or unknown signal has no effect', async () => {
    const replies = await controller.send(frame(9), frame(9, [1, 0]), frame(9, [0x77]));
    assert.deepEqual(replies, ['ERROR 3', 'ERROR 3', 'ERROR 6']);
    assert.deepEqual(engine.signals, []);
  });

  for (const [title, code] of [
    ['[TC-3.10-03] shutdown of a client', 0x02],
    ['[TC-3.10-07] halt', 0x15],
    ['halt in decimal', 15],
  ] as const) {
    test(`${title}: what was asked before is answered, then the end without a reply`, async () => {
      const replies = await controller.send(frame(3), frame(8), frame(9, [code]), frame(8));
      assert.deepEqual(replies, ['CONFVALUE ""', 'DONE']);
      assert.ok(controller.closed);
      assert.deepEqual(controller.reasons, []);
      assert.equal(engine.saves, 1);
    });
  }

  test('[TC-3.11-06] [TC-3.11-05] MAPADDRESS gets one ADDRESSMAPPED and no DONE', async () => {
    const request = mapAddress({ kind: 'ipv4', host: '10.9.8.7' }, name('example.com'));
    assert.deepEqual(await controller.send(request), [
      `ADDRESSMAPPED ${request.subarray(4).toString('hex')}`,
    ]);
    assert.equal(engine.addressMap.lookUp('10.9.8.7'), 'example.com');
  });

  test('[TC-3.11-07] [TC-3.11-08] what cannot be read is ERROR 3, what cannot be done ERROR 1', async () => {
    await controller.send(mapAddress(name('a'), name('b')));
    const replies = await controller.send(
      frame(10),
      frame(10, [4]),
      mapAddress(name('a'), name('.')),
      mapAddress(name('.'), name('.')),
    );
    assert.deepEqual(replies, ['ERROR 3', 'ERROR 3', 'ERROR 1', 'ERROR 1']);
    assert.equal(engine.addressMap.lookUp('a'), 'b');
  });

  test('[TC-3.13-02] GETALLMAPPINGS gets each mapping and a DONE; without mappings DONE alone', async () => {
    assert.deepEqual(await controller.send(frame(12)), ['DONE']);
    const requests = [
      mapAddress(name('a'), name('b')),
      mapAddress({ kind: 'ipv4', host: '10.0.0.1' }, name('c')),
      mapAddress({ kind: 'ipv6', host: '::' }, name('d')),
    ];
    const mapped = await controller.send(...requests);
    assert.equal(mapped.length, 3);
    assert.deepEqual(await controller.send(frame(12, 'ignored')), [...mapped, 'DONE']);
  });

  test('[TC-3.13-03] mappings of other connections and of the configuration are listed', async () => {
    engine.addressMap.configure([{ original: name('x'), replacement: name('y') }]);
    const other = await opened(engine);
    await other.send(mapAddress(name('a'), name('b')));
    assert.deepEqual(await controller.send(frame(12)), [
      'ADDRESSMAPPED 037800037900',
      'ADDRESSMAPPED 036100036200',
      'DONE',
    ]);
  });

  test('[TC-2-04] [TC-2-03] unknown types and a server’s own are refused one by one', async () => {
    const replies = await controller.send(
      ...[0x0d, 0x1234, 0xffff, 0, 1, 4, 6, 0x0b].flatMap((type) => [
        frame(type),
        frame(type, 'x'),
      ]),
      frame(3),
    );
    assert.deepEqual(replies, [...Array<string>(16).fill('ERROR 2'), 'CONFVALUE ""']);
  });
});

describe('order', () => {
  const burst = [
    frame(7),
    frame(3, 'SocksPort'),
    frame(2, 'MaxConn 7'),
    frame(3, 'MaxConn'),
    frame(0x77),
    frame(9),
    frame(8),
    frame(5, [0, 4]),
    frame(12),
    frame(3, 'Nope'),
  ];
  const answers = [
    'DONE',
    'CONFVALUE "SocksPort 19150\\n"',
    'DONE',
    'CONFVALUE "MaxConn 7\\n"',
    'ERROR 2',
    'ERROR 3',
    'DONE',
    'DONE',
    'DONE',
    'ERROR 4',
  ];

  test('[TC-1-08] [TC-1-03] [TC-3.1-01] replies come in the order of the requests, in one burst or byte by byte', async () => {
    assert.deepEqual(await new DirectController().send(...burst), answers);
    const controller = new DirectController();
    const replies: string[] = [];
    for (const byte of Buffer.concat(burst))
      replies.push(...(await controller.send(Buffer.of(byte))));
    assert.deepEqual(replies, answers);
  });

  test('[TC-2-01] split at any point', async () => {
    const bytes = Buffer.concat(burst);
    for (let split = 1; split < bytes.length; split += 1) {
      const controller = new DirectController();
      const replies = await controller.send(bytes.subarray(0, split));
      assert.deepEqual([...replies, ...(await controller.send(bytes.subarray(split)))], answers);
    }
  });

  test('[TC-1-08] a slow request holds those behind it back; events come before its reply', async () => {
    const engine = new FakeEngine();
    const controller = await opened(engine);
    await controller.send(frame(5, [0, 4]));
    let release!: () => void;
    engine.gate = new Promise((resolve) => (release = resolve));
    controller.feed(Buffer.concat([frame(12), frame(0x77)]));
    engine.emit({ type: 'bandwidth', read: 1, written: 2 });
    assert.deepEqual(controller.sentNow(), ['EVENT 00040000000100000002']);
    release();
    assert.deepEqual(await controller.replies(), ['DONE', 'ERROR 2']);
  });

  test('[TC-1-08] no event gets into the list of mappings', async () => {
    const engine = new FakeEngine();
    const controller = await opened(engine);
    await controller.send(
      frame(5, [0, 5]),
      mapAddress(name('a'), name('b')),
      mapAddress(name('c'), name('d')),
    );
    engine.logLines.push('listing');
    assert.deepEqual(await controller.send(frame(12)), [
      `EVENT 0005${Buffer.from('listing').toString('hex')}00`,
      'ADDRESSMAPPED 036100036200',
      'ADDRESSMAPPED 036300036400',
      'DONE',
    ]);
  });

  test('after a half-close what was asked is answered, then it ends', async () => {
    const engine = new FakeEngine();
    const controller = await opened(engine);
    let release!: () => void;
    engine.gate = new Promise((resolve) => (release = resolve));
    controller.feed(Buffer.concat([frame(8), frame(3)]));
    const ended = controller.end();
    assert.ok(!controller.closed);
    release();
    assert.deepEqual(await ended, ['DONE', 'CONFVALUE ""']);
    assert.ok(controller.closed);
  });

  test('[TC-1-03] half a message is never acted on', async () => {
    const engine = new FakeEngine();
    const controller = await opened(engine);
    const bytes = mapAddress(name('a'), name('b'));
    await controller.send(bytes.subarray(0, -1));
    assert.deepEqual(await controller.end(), []);
    assert.ok(controller.closed);
    assert.deepEqual(engine.addressMap.mappings(), []);
  });

  test('any split of any burst gets the same replies', async () => {
    const frames = fc.array(fc.constantFrom(...burst), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        frames,
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        async (list, sizes) => {
          const whole = await opened();
          const expected = await whole.send(...list);
          const pieces = await opened();
          const replies: string[] = [];
          for (let rest = Buffer.concat(list); rest.length > 0;) {
            const size = sizes.next().value;
            replies.push(...(await pieces.send(rest.subarray(0, size))));
            rest = rest.subarray(size);
          }
          assert.deepEqual(replies, expected);
        },
      ),
      { numRuns: 100, seed: 20_261_121 },
    );
  });
});

describe('events', () => {
  let engine: FakeEngine;
  let controller: DirectController;
  beforeEach(async () => {
    engine = new FakeEngine();
    controller = await opened(engine);
  });

  const one: Readonly<Record<string, EngineEvent>> = {
    '0001': { type: 'circuit', status: 'launched', id: 1, path: [] },
    '0002': { type: 'stream', status: 'sentConnect', id: 1, target: 'a:80' },
    '0003': { type: 'orConnection', status: 'launched', name: 'moria1' },
    '0004': { type: 'bandwidth', read: 0, written: 0 },
    '0005': { type: 'log', level: 'notice', message: 'hello' },
  };
  const emitAll = (): void => Object.values(one).forEach((event) => engine.emit(event));
  const kinds = (replies: readonly string[]): string[] =>
    replies.map((reply) => reply.slice(6, 10));

  test('[TC-1-06] nothing comes unasked', async () => {
    emitAll();
    assert.deepEqual(await controller.replies(), []);
    assert.deepEqual(await controller.send(frame(3)), ['CONFVALUE ""']);
  });

  test('[TC-3.7-01] [TC-3.6-02] only what was asked for comes, and only to who asked', async () => {
    const other = await opened(engine);
    for (const code of Object.keys(one)) {
      assert.deepEqual(await controller.send(frame(5, Buffer.from(code, 'hex'))), ['DONE']);
      emitAll();
      assert.deepEqual(kinds(await controller.replies()), [code]);
    }
    assert.deepEqual(await other.replies(), []);
  });

  test('[TC-1-07] [TC-3.6-03] they come until an empty SETEVENTS', async () => {
    await controller.send(frame(5, Buffer.from(Object.keys(one).join(''), 'hex')));
    for (let time = 0; time < 3; time += 1) {
      emitAll();
      assert.deepEqual(kinds(await controller.replies()), Object.keys(one));
    }
    assert.deepEqual(await controller.send(frame(5)), ['DONE']);
    emitAll();
    assert.deepEqual(await controller.replies(), []);
  });

  test('[TC-3.6-04] a list replaces the one before; naming a kind twice is harmless', async () => {
    await controller.send(frame(5, [0, 1]), frame(5, [0, 4, 0, 4]));
    emitAll();
    assert.deepEqual(kinds(await controller.replies()), ['0004']);
  });

  test('[TC-3.6-06] [TC-3.6-05] [TC-3.6-01] a failed SETEVENTS leaves the list as it was', async () => {
    await controller.send(frame(5, [0, 4]));
    const replies = await controller.send(
      frame(5, [0, 1, 0x77, 0x77]),
      frame(5, [0, 0]),
      frame(5, [0, 6]),
      frame(5, [0, 1, 0]),
    );
    assert.deepEqual(replies, ['ERROR 6', 'ERROR 6', 'ERROR 6', 'ERROR 3']);
    emitAll();
    assert.deepEqual(kinds(await controller.replies()), ['0004']);
  });
});

describe('any bytes', () => {
  test('any bytes are answered with frames or the end, and never stop the server', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, open) => {
        const controller = new DirectController(undefined, { open });
        controller.feed(bytes);
        controller.sentNow();
      }),
      500,
    );
  });
});
