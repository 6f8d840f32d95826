import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { decodeEvent, decodeFrame, decodeReply, decodeRequest } from '../../src/control/decode.ts';
import {
  encodeEvent,
  encodeFrame,
  encodeReply,
  encodeRequest,
  formatConfSettings,
} from '../../src/control/encode.ts';
import type { EngineEvent } from '../../src/control/engine.ts';
import {
  eventStatuses,
  type ControlReply,
  type ControlRequest,
  type Frame,
  type MappedAddress,
} from '../../src/control/messages.ts';
import { bytesToIp } from '../../src/pt/address.ts';
import { frame } from '../support/control.ts';
import { holds } from '../support/properties.ts';
import { fromHex, toHex } from '../support/vectors.ts';

const name = (host: string): MappedAddress => ({ kind: 'name', host });

/** Hexadecimal digits with the blanks that make them readable. */
function hex(text: string): Buffer {
  return fromHex(text.replaceAll(' ', ''));
}

function ascii(text: string): string {
  return toHex(Buffer.from(text));
}

function parse(bytes: Uint8Array): Frame {
  const decoded = decodeFrame(bytes);
  assert.ok(decoded !== NEED_MORE);
  assert.equal(decoded.length, bytes.length);
  return decoded.message;
}

describe('frames', () => {
  test('[TC-2-01] length, type, body, both numbers big-endian', () => {
    assert.equal(toHex(encodeFrame(0x0009, Buffer.of(1))), '0001000901');
    assert.deepEqual(parse(hex('0003 1234 616263')), { type: 0x1234, body: Buffer.from('abc') });
  });

  test('[TC-2-02] [TC-1-05] bodies of 0, 1 and 65535 octets, and never a wrapped length', () => {
    for (const length of [0, 1, 65_535]) {
      const body = Buffer.alloc(length, 7);
      assert.deepEqual(parse(encodeFrame(0x0002, body)).body, body);
    }
    assert.throws(() => encodeFrame(0x0002, Buffer.alloc(65_536)), {
      code: 'ERR_CONTROL_TOO_LONG',
    });
    assert.deepEqual(parse(hex('0000 0001')), { type: 1, body: Buffer.alloc(0) });
  });

  test('[TC-1-03] a good start is no frame, at whatever point it stops', () => {
    const bytes = frame(0x0002, 'ContactInfo x\n');
    for (let length = 0; length < bytes.length; length += 1) {
      assert.equal(decodeFrame(bytes.subarray(0, length)), NEED_MORE);
    }
  });

  test('too long a body is refused by two octets of header, before any of it is there', () => {
    assert.equal(decodeFrame(hex('04'), 1024), NEED_MORE);
    assert.equal(decodeFrame(hex('0400'), 1024), NEED_MORE);
    assert.throws(() => decodeFrame(hex('0401'), 1024), { code: 'ERR_BYTES_OVERFLOW' });
  });
});

describe('requests', () => {
  const known: readonly (readonly [string, ControlRequest, string])[] = [
    [
      '[TC-3.3-01] SETCONF',
      {
        type: 'setConf',
        lines: formatConfSettings([
          { key: 'Key1', value: 'Value1' },
          { key: 'Key2', value: 'Value2' },
          { key: 'Key3' },
        ]),
      },
      `001d 0002 ${ascii('Key1 Value1\nKey2 Value2\nKey3\n')}`,
    ],
    [
      '[TC-3.4-01] GETCONF',
      { type: 'getConf', keys: ['Key1', 'Key2'] },
      `000a 0003 ${ascii('Key1\nKey2\n')}`,
    ],
    [
      '[TC-3.6-01] SETEVENTS',
      { type: 'setEvents', kinds: ['circuit', 'bandwidth'] },
      '0004 0005 0001 0004',
    ],
    [
      '[TC-3.6-01] SETEVENTS of all',
      { type: 'setEvents', kinds: ['circuit', 'stream', 'orConnection', 'bandwidth', 'log'] },
      '000a 0005 0001 0002 0003 0004 0005',
    ],
    ['[TC-3.6-03] SETEVENTS of none', { type: 'setEvents', kinds: [] }, '0000 0005'],
    [
      '[TC-3.8-01] AUTHENTICATE with a cookie',
      { type: 'authenticate', secret: Buffer.alloc(32, 0xc0) },
      `0020 0007 ${'c0'.repeat(32)}`,
    ],
    [
      '[TC-3.8-01] AUTHENTICATE with a passphrase',
      { type: 'authenticate', secret: Buffer.from('open sesame') },
      `000b 0007 ${ascii('open sesame')}`,
    ],
    ['[TC-3.9-01] SAVECONF', { type: 'saveConf' }, '0000 0008'],
    ['[TC-3.10-01] SIGNAL reload', { type: 'signal', signal: 'reload' }, '0001 0009 01'],
    ['SIGNAL shutdown', { type: 'signal', signal: 'shutdown' }, '0001 0009 02'],
    ['SIGNAL dump', { type: 'signal', signal: 'dump' }, '0001 0009 10'],
    ['SIGNAL debug', { type: 'signal', signal: 'debug' }, '0001 0009 12'],
    ['SIGNAL halt', { type: 'signal', signal: 'halt' }, '0001 0009 15'],
    [
      '[TC-3.11-01] MAPADDRESS',
      {
        type: 'mapAddress',
        mapping: { original: { kind: 'ipv4', host: '10.0.0.1' }, replacement: name('a.onion') },
      },
      `000e 000a 01 0a000001 03 ${ascii('a.onion')} 00`,
    ],
    [
      '[TC-3.11-03] MAPADDRESS with IPv6',
      {
        type: 'mapAddress',
        mapping: { original: { kind: 'ipv6', host: 'fd00::1' }, replacement: name('b') },
      },
      `0014 000a 02 fd00 0000000000000000000000000001 03 62 00`,
    ],
    [
      '[TC-3.11-02] [TC-3.11-09] MAPADDRESS with a null address',
      {
        type: 'mapAddress',
        mapping: {
          original: { kind: 'ipv4', host: '0.0.0.0' },
          replacement: { kind: 'ipv4', host: '127.192.0.1' },
        },
      },
      '000a 000a 01 00000000 01 7fc00001',
    ],
    [
      '[TC-3.11-09] MAPADDRESS with a null IPv6 address',
      {
        type: 'mapAddress',
        mapping: { original: { kind: 'ipv6', host: '::' }, replacement: name('b') },
      },
      `0014 000a 02 ${'00'.repeat(16)} 03 62 00`,
    ],
    [
      '[TC-3.11-09] MAPADDRESS with a null name',
      { type: 'mapAddress', mapping: { original: name('.'), replacement: name('b') } },
      '0006 000a 03 2e 00 03 62 00',
    ],
    ['[TC-3.13-01] GETALLMAPPINGS', { type: 'getAllMappings' }, '0000 000c'],
  ];
  for (const [title, request, bytes] of known) {
    test(title, () => {
      assert.equal(toHex(encodeRequest(request)), toHex(hex(bytes)));
      const decoded = decodeRequest(parse(hex(bytes)));
      if (request.type === 'authenticate') {
        assert.deepEqual(decoded, {
          type: 'authenticate',
          secret: Uint8Array.from(request.secret),
        });
      } else {
        assert.deepEqual(decoded, request);
      }
    });
  }

  test('[TC-3.10-05] [TC-3.10-06] [TC-3.10-07] the decimal readings mean the same signals', () => {
    for (const [code, signal] of [
      [10, 'dump'],
      [12, 'debug'],
      [15, 'halt'],
    ] as const) {
      assert.deepEqual(decodeRequest(parse(frame(9, [code]))), { type: 'signal', signal });
      assert.deepEqual(
        encodeRequest({ type: 'signal', signal }, { oldTor: true }),
        frame(9, [code]),
      );
    }
    const reload = { type: 'signal', signal: 'reload' } as const;
    assert.deepEqual(encodeRequest(reload, { oldTor: true }), frame(9, [1]));
  });

  test('[TC-3.3-01] [TC-3.4-01] the encoder refuses what would not be the same at the other end', () => {
    const settings = [
      { key: 'A B', value: 'x' },
      { key: '', value: 'x' },
      { key: 'A\n', value: 'x' },
      { key: 'A', value: 'x\0' },
    ];
    for (const setting of settings) {
      assert.throws(() => formatConfSettings([setting]), { code: 'ERR_CONFIG_SYNTAX' });
    }
    const refused = { code: 'ERR_CONTROL_UNENCODABLE' };
    for (const keys of [[], [''], ['A B'], ['A\nB'], ['A\0']]) {
      assert.throws(() => encodeRequest({ type: 'getConf', keys }), refused);
    }
    for (const original of [
      name(''),
      name('a b'),
      name('a'.repeat(256)),
      { kind: 'ipv4', host: '::1' },
      { kind: 'ipv6', host: '10.0.0.1' },
    ] as const) {
      const mapping = { original, replacement: name('b') };
      assert.throws(() => encodeRequest({ type: 'mapAddress', mapping }), refused);
    }
    assert.throws(() => encodeRequest({ type: 'setConf', lines: 'A \0' }), refused);
    assert.throws(() => encodeRequest({ type: 'setConf', lines: 'A'.repeat(65_536) }), {
      code: 'ERR_CONTROL_TOO_LONG',
    });
  });

  test('a value that a configuration line would cut short is quoted', () => {
    assert.equal(formatConfSettings([{ key: 'A', value: 'x # y' }]), 'A "x # y"\n');
  });

  test('[TC-3.4-01] GETCONF: last newline optional, CR, blanks and blank lines dropped', () => {
    for (const body of ['A\nB\n', 'A\nB', 'A\r\nB\r\n', '  A \n\t B\n', '\n\nA\n\nB\n\n']) {
      assert.deepEqual(decodeRequest(parse(frame(3, body))), { type: 'getConf', keys: ['A', 'B'] });
    }
    for (const body of ['', '\n', ' \n']) {
      assert.deepEqual(decodeRequest(parse(frame(3, body))), { type: 'getConf', keys: [] });
    }
  });

  const malformed: readonly (readonly [string, number, string, number])[] = [
    ['[TC-3.1-06] [TC-3.6-01] SETEVENTS of odd length', 5, '000400', 3],
    ['[TC-3.1-06] SETEVENTS of one octet', 5, '00', 3],
    ['[TC-3.1-09] [TC-3.6-05] SETEVENTS 0x0000', 5, '0000', 6],
    ['[TC-3.6-05] SETEVENTS 0x0006', 5, '0006', 6],
    ['[TC-3.1-09] [TC-3.6-05] SETEVENTS 0x7777 behind a good one', 5, '00017777', 6],
    ['[TC-3.1-06] [TC-3.10-09] SIGNAL without body', 9, '', 3],
    ['[TC-3.1-06] [TC-3.10-09] SIGNAL of two octets', 9, '0100', 3],
    ['[TC-3.10-09] SIGNAL 0x00', 9, '00', 6],
    ['[TC-3.10-09] SIGNAL 0x03', 9, '03', 6],
    ['[TC-3.1-09] [TC-3.10-09] SIGNAL 0x7F', 9, '7f', 6],
    ['[TC-3.10-09] SIGNAL 0x77', 9, '77', 6],
    ['[TC-3.10-09] SIGNAL 0xFF', 9, 'ff', 6],
    ['[TC-3.1-06] [TC-3.11-07] MAPADDRESS without body', 10, '', 3],
    ['[TC-3.1-06] [TC-3.11-02] [TC-3.11-07] MAPADDRESS with 3 octets of IPv4', 10, '010a0000', 3],
    ['[TC-3.11-03] [TC-3.11-07] MAPADDRESS with 15 octets of IPv6', 10, `02${'fd'.repeat(15)}`, 3],
    ['[TC-3.11-07] MAPADDRESS without replacement', 10, '010a000001', 3],
    ['[TC-3.11-04] MAPADDRESS with a name without NUL', 10, '010a00000103612e62', 3],
    ['[TC-3.11-04] MAPADDRESS with an empty name', 10, '010a0000010300', 3],
    ['MAPADDRESS with a blank in a name', 10, '010a00000103612000', 3],
    ['MAPADDRESS with a name of 256 octets', 10, `010a00000103${'61'.repeat(256)}00`, 3],
    ['[TC-3.11-07] MAPADDRESS with octets behind it', 10, '010a000001036100ff', 3],
    ['[TC-3.11-07] MAPADDRESS with type 0x00', 10, '000a000001036100', 3],
    ['[TC-3.11-07] MAPADDRESS with type 0x04', 10, '010a000001046100', 3],
    ['[TC-3.3-01] SETCONF with a NUL', 2, `${ascii('ContactInfo j')}00${ascii('ack\n')}`, 3],
    ['GETCONF with a NUL', 3, `${ascii('SocksPort')}00`, 3],
    ['SETCONF that is not UTF-8', 2, `${ascii('ContactInfo ')}ff0a`, 3],
    ['[TC-2-04] [TC-3.1-05] type 0x000D', 0x0d, '', 2],
    ['[TC-2-04] type 0x1234', 0x1234, '616263', 2],
    ['[TC-2-04] type 0xFFFF', 0xffff, '', 2],
    ['[TC-3.1-05] type 0x00FF', 0xff, '', 2],
    ['[TC-2-03] ERROR from a client', 0, '0000', 2],
    ['[TC-2-03] DONE from a client', 1, '', 2],
    ['[TC-2-03] CONFVALUE from a client', 4, '', 2],
    ['[TC-2-03] EVENT from a client', 6, '', 2],
    ['[TC-2-03] [TC-3.12-02] ADDRESSMAPPED from a client', 0x0b, '010a000001036100', 2],
  ];
  for (const [title, type, body, code] of malformed) {
    test(`${title} is ERROR ${code} with a text`, () => {
      const reply = decodeRequest({ type, body: fromHex(body) });
      assert.ok(reply.type === 'error');
      assert.equal(reply.code, code);
      assert.match(reply.text, /^[A-Z].{20,}\.$/s);
    });
  }

  test('[TC-3.11-07] MAPADDRESS cut at any point is a syntax error', () => {
    const whole = encodeRequest({
      type: 'mapAddress',
      mapping: { original: { kind: 'ipv6', host: 'fd00::1' }, replacement: name('a.onion') },
    }).subarray(4);
    for (let length = 0; length < whole.length; length += 1) {
      const reply = decodeRequest({ type: 10, body: whole.subarray(0, length) });
      assert.ok(reply.type === 'error' && reply.code === 3, String(length));
    }
  });

  test('what is decoded does not lie in the frame any more', () => {
    const bytes = frame(7, 'secret');
    const request = decodeRequest(parse(bytes));
    bytes.fill(0);
    assert.deepEqual(request, {
      type: 'authenticate',
      secret: new Uint8Array(Buffer.from('secret')),
    });
  });
});

const addresses: fc.Arbitrary<MappedAddress> = fc.oneof(
  fc
    .uint8Array({ minLength: 4, maxLength: 4 })
    .map((bytes) => ({ kind: 'ipv4', host: bytesToIp(bytes) }) as const),
  fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((bytes) => ({ kind: 'ipv6', host: bytesToIp(bytes) }) as const),
  fc.stringMatching(/^[a-zA-Z0-9._-]{1,40}$/).map((host) => ({ kind: 'name', host }) as const),
);

describe('replies', () => {
  const known: readonly (readonly [string, ControlReply, string])[] = [
    ['[TC-3.2-01] [TC-3.2-02] DONE', { type: 'done' }, '0000 0001'],
    [
      '[TC-3.1-01] [TC-3.1-02] [TC-3.1-13] ERROR',
      { type: 'error', code: 4, text: 'No é.' },
      `0008 0000 0004 ${ascii('No é.')}`,
    ],
    [
      '[TC-3.5-01] [TC-3.5-02] CONFVALUE',
      {
        type: 'confValue',
        entries: [
          { key: 'A', value: '1' },
          { key: 'B', value: 'x y' },
        ],
      },
      `000a 0004 ${ascii('A 1\nB x y\n')}`,
    ],
    [
      '[TC-3.5-02] CONFVALUE with an empty value, and with blanks around one',
      {
        type: 'confValue',
        entries: [
          { key: 'A', value: '' },
          { key: 'B', value: '  x ' },
        ],
      },
      `000a 0004 ${ascii('A \nB   x \n')}`,
    ],
    ['[TC-3.4-05] CONFVALUE without values', { type: 'confValue', entries: [] }, '0000 0004'],
    [
      '[TC-3.12-01] ADDRESSMAPPED',
      {
        type: 'addressMapped',
        mapping: { original: { kind: 'ipv4', host: '10.0.0.1' }, replacement: name('a.onion') },
      },
      `000e 000b 01 0a000001 03 ${ascii('a.onion')} 00`,
    ],
  ];
  for (const [title, reply, bytes] of known) {
    test(title, () => {
      assert.equal(toHex(encodeReply(reply)), toHex(hex(bytes)));
      assert.deepEqual(decodeReply(parse(hex(bytes))), reply);
    });
  }

  test('[TC-3.2-02] the client takes a DONE with a body', () => {
    assert.deepEqual(decodeReply({ type: 1, body: Buffer.from('x') }), { type: 'done' });
  });

  test('[TC-3.1-02] [TC-3.1-13] an unknown code and an empty text pass; trailing NULs go', () => {
    const decode = (body: string) => decodeReply({ type: 0, body: fromHex(body) });
    assert.deepEqual(decode('0042'), { type: 'error', code: 0x42, text: '' });
    assert.deepEqual(decode('0001610000'), { type: 'error', code: 1, text: 'a' });
  });

  test('[TC-3.1-13] the text of an ERROR is cut between characters where it would not fit', () => {
    const bytes = encodeReply({ type: 'error', code: 1, text: 'é'.repeat(40_000) });
    assert.equal(bytes.length, 4 + 2 + 65_532);
    assert.deepEqual(decodeReply(parse(bytes)), {
      type: 'error',
      code: 1,
      text: 'é'.repeat(32_766),
    });
  });

  const malformed: readonly (readonly [string, number, string])[] = [
    ['[TC-3.1-02] ERROR without body', 0, ''],
    ['[TC-3.1-02] ERROR of one octet', 0, '00'],
    ['[TC-3.5-02] CONFVALUE without newline', 4, ascii('A 1')],
    ['[TC-3.5-02] CONFVALUE without space', 4, ascii('A\n')],
    ['CONFVALUE without key', 4, ascii(' 1\n')],
    ['CONFVALUE with a blank line', 4, ascii('A 1\n\n')],
    ['[TC-3.12-01] ADDRESSMAPPED cut short', 0x0b, '010a0000'],
  ];
  for (const [title, type, body] of malformed) {
    test(`${title} is the server’s fault`, () => {
      assert.throws(() => decodeReply({ type, body: fromHex(body) }), {
        code: /^ERR_(?:CONTROL_PROTOCOL|BYTES_TRUNCATED)$/,
      });
    });
  }

  test('[TC-3.12-01] octets behind the addresses of ADDRESSMAPPED are not judged', () => {
    assert.deepEqual(decodeReply({ type: 0x0b, body: fromHex('010a00000103610000') }), {
      type: 'addressMapped',
      mapping: { original: { kind: 'ipv4', host: '10.0.0.1' }, replacement: name('a') },
    });
  });

  test('[TC-2-05] a type that is no reply is none', () => {
    for (const type of [2, 3, 5, 7, 8, 9, 10, 12, 13, 0xffff]) {
      assert.equal(decodeReply({ type, body: Buffer.from('x') }), undefined);
    }
  });

  test('[TC-3.11-01] [TC-3.12-01] any mapping survives the way there and back', () => {
    holds(
      fc.property(addresses, addresses, (original, replacement) => {
        const mapping = { original, replacement };
        const request = { type: 'mapAddress', mapping } as const;
        assert.deepEqual(decodeRequest(parse(encodeRequest(request))), request);
        const reply = { type: 'addressMapped', mapping } as const;
        assert.deepEqual(decodeReply(parse(encodeReply(reply))), reply);
        assert.deepEqual(parse(encodeReply(reply)).body, parse(encodeRequest(request)).body);
      }),
    );
  });

  test('[TC-3.5-02] any values survive the way there and back', () => {
    const entry = fc.record(
      { key: fc.stringMatching(/^[A-Za-z0-9]{1,20}$/), value: fc.stringMatching(/^[^\n]{0,40}$/) },
      { noNullPrototype: true },
    );
    holds(
      fc.property(fc.array(entry), (entries) => {
        const reply = { type: 'confValue', entries } as const;
        assert.deepEqual(decodeReply(parse(encodeReply(reply))), reply);
      }),
    );
  });
});

describe('events', () => {
  const known: readonly (readonly [string, EngineEvent, string])[] = [
    [
      '[TC-3.7-03] circuit',
      { type: 'circuit', status: 'built', id: 0x01020304, path: ['a', 'b', 'c'] },
      `000d 0006 0001 01 01020304 ${ascii('a,b,c')} 00`,
    ],
    [
      '[TC-3.7-03] circuit without hops',
      { type: 'circuit', status: 'launched', id: 0xffffffff, path: [] },
      `0008 0006 0001 00 ffffffff 00`,
    ],
    [
      '[TC-3.7-07] stream',
      { type: 'stream', status: 'sentConnect', id: 7, target: 'example.com:80' },
      `0016 0006 0002 00 00000007 ${ascii('example.com:80')} 00`,
    ],
    [
      '[TC-3.7-10] OR connection',
      { type: 'orConnection', status: 'connected', name: 'moria1' },
      `000a 0006 0003 01 ${ascii('moria1')} 00`,
    ],
    [
      '[TC-3.7-12] bandwidth',
      { type: 'bandwidth', read: 1, written: 258 },
      `000a 0006 0004 00000001 00000102`,
    ],
    [
      '[TC-3.7-13] log',
      { type: 'log', level: 'notice', message: 'hello' },
      `0008 0006 0005 ${ascii('hello')} 00`,
    ],
  ];
  for (const [title, event, bytes] of known) {
    test(title, () => {
      assert.equal(toHex(encodeEvent(event)), toHex(hex(bytes)));
      const { type, body } = parse(hex(bytes));
      assert.equal(type, 6);
      // The level is not on the wire.
      const seen = event.type === 'log' ? { type: 'log', message: event.message } : event;
      assert.deepEqual(decodeEvent(body), seen);
    });
  }

  test('[TC-3.7-04] [TC-3.7-08] [TC-3.7-11] the numbers of the statuses', () => {
    assert.deepEqual(eventStatuses, {
      circuit: ['launched', 'built', 'extended', 'failed', 'closed'],
      stream: ['sentConnect', 'sentResolve', 'succeeded', 'failed', 'closed'],
      orConnection: ['launched', 'connected', 'failed', 'closed'],
    });
    for (const [number, status] of eventStatuses.circuit.entries()) {
      assert.equal(encodeEvent({ type: 'circuit', status, id: 1, path: [] })[6], number);
    }
    for (const [number, status] of eventStatuses.stream.entries()) {
      assert.equal(encodeEvent({ type: 'stream', status, id: 1, target: '' })[6], number);
    }
    for (const [number, status] of eventStatuses.orConnection.entries()) {
      assert.equal(encodeEvent({ type: 'orConnection', status, name: '' })[6], number);
    }
  });

  test('[TC-3.7-04] [TC-3.7-08] [TC-3.7-11] a status that the draft does not know is unknown', () => {
    const bodies = ['0001 05 00000001 00', '0002 05 00000001 00', '0003 04 61 00'];
    for (const body of bodies) {
      const event = decodeEvent(hex(body));
      assert.ok('status' in event && event.status === 'unknown', body);
    }
  });

  test('[TC-3.7-02] an event that the draft does not know is handed on as it is', () => {
    assert.deepEqual(decodeEvent(hex('0099 0102')), {
      type: 'unknown',
      code: 0x99,
      body: Uint8Array.of(1, 2),
    });
  });

  const malformed: readonly (readonly [string, string])[] = [
    ['[TC-3.7-02] an empty body', ''],
    ['half a code', '00'],
    ['[TC-3.7-02] a circuit cut short', '0001 01 0102'],
    ['[TC-3.7-03] a circuit without NUL', `0001 01 00000001 ${ascii('a,b')}`],
    ['[TC-3.7-03] a circuit with octets behind the NUL', '0001 01 00000001 61 00 62'],
    ['[TC-3.7-07] a stream without NUL', `0002 00 00000001 ${ascii('a:80')}`],
    ['[TC-3.7-02] an OR connection without name', '0003 00'],
    ['[TC-3.7-02] a bandwidth cut short', '0004 00000001 000001'],
    ['a log message without NUL', `0005 ${ascii('hello')}`],
  ];
  for (const [title, body] of malformed) {
    test(`${title} is reported as malformed`, () => {
      assert.equal(decodeEvent(hex(body)).type, 'malformed');
    });
  }

  const longer: readonly (readonly [string, string])[] = [
    ['[TC-3.7-07] a stream', `0002 00 00000001 ${ascii('a:80')} 00`],
    ['[TC-3.7-10] an OR connection', '0003 00 61 00'],
    ['[TC-3.7-12] a bandwidth', '0004 00000001 00000001'],
    ['[TC-3.7-13] a log message', `0005 ${ascii('hello')} 00`],
  ];
  for (const [title, body] of longer) {
    test(`${title}: octets behind what is used are not judged`, () => {
      assert.deepEqual(decodeEvent(hex(`${body} 62 00`)), decodeEvent(hex(body)));
      assert.notEqual(decodeEvent(hex(body)).type, 'malformed');
    });
  }

  test('a Tor of January 2005: no NUL behind an OR’s name, LF behind a log message', () => {
    assert.deepEqual(decodeEvent(hex(`0003 01 ${ascii('moria1')}`)), {
      type: 'orConnection',
      status: 'connected',
      name: 'moria1',
    });
    assert.deepEqual(decodeEvent(hex(`0005 ${ascii('hello\n')} 00`)), {
      type: 'log',
      message: 'hello',
    });
  });

  test('[TC-3.7-12] counts are capped at 2^32 - 1', () => {
    const event = encodeEvent({ type: 'bandwidth', read: 2 ** 32, written: 2 ** 40 });
    assert.equal(toHex(event.subarray(6)), 'ffffffffffffffff');
  });

  test('[TC-3.7-13] a long text is cut to fit, and no text ends early', () => {
    const bytes = encodeEvent({ type: 'log', level: 'warn', message: 'é'.repeat(40_000) });
    const event = decodeEvent(parse(bytes).body);
    assert.ok(event.type === 'log' && /^é+$/.test(event.message));
    assert.ok(event.message.length > 32_000);
    const nul = encodeEvent({ type: 'log', level: 'warn', message: 'a\0b\n\n' });
    assert.deepEqual(decodeEvent(parse(nul).body), { type: 'log', message: 'ab' });
  });

  test('a value with a line end in it stays one line, in quotes, in CONFVALUE as in SETCONF', () => {
    const entries = [{ key: 'A', value: 'x\nB y' }];
    const line = 'A "x\\nB y"\n';
    assert.ok(encodeReply({ type: 'confValue', entries }).includes(line));
    assert.equal(formatConfSettings(entries), line);
  });
});
