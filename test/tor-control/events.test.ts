import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  parseBootstrapPhase,
  parseTorEvent,
  parseTorRelay,
} from '../../src/tor-control/event-parser.ts';
import type { TorEvent } from '../../src/tor-control/events.ts';
import type { TorReplyLine } from '../../src/tor-control/messages.ts';
import { holds, textOf } from '../support/properties.ts';

const A = 'A'.repeat(40);
const B = '0123456789ABCDEF'.repeat(3).slice(0, 40);

function linesOf(...texts: readonly string[]): TorReplyLine[] {
  return texts.map((text) => ({ status: 650, text }));
}

/** The event without its map of keywords, and the map as an object. */
function parse(text: string): { event: object; keywords: Record<string, string> } {
  const { keywords, ...event } = parseTorEvent(linesOf(text)) as TorEvent & {
    keywords?: ReadonlyMap<string, string>;
  };
  return { event, keywords: Object.fromEntries(keywords ?? []) };
}

describe('CIRC', () => {
  test('with a path, with none, with reasons', () => {
    const built = parse(
      `CIRC 7 BUILT $${A}~moria1,$${B}=tor26,$${A} BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY PURPOSE=GENERAL TIME_CREATED=2026-11-21T12:00:00.123456`,
    );
    assert.deepEqual(built.event, {
      type: 'circuit',
      id: '7',
      status: 'BUILT',
      path: [
        { fingerprint: A, nickname: 'moria1' },
        { fingerprint: B, nickname: 'tor26' },
        { fingerprint: A },
      ],
      purpose: 'GENERAL',
    });
    assert.equal(built.keywords['TIME_CREATED'], '2026-11-21T12:00:00.123456');
    assert.equal(built.keywords['BUILD_FLAGS'], 'IS_INTERNAL,NEED_CAPACITY');
    assert.deepEqual(parse('CIRC 7 LAUNCHED PURPOSE=HS_CLIENT_INTRO HS_STATE=HSCI_CONNECTING'), {
      event: { type: 'circuit', id: '7', status: 'LAUNCHED', path: [], purpose: 'HS_CLIENT_INTRO' },
      keywords: { PURPOSE: 'HS_CLIENT_INTRO', HS_STATE: 'HSCI_CONNECTING' },
    });
    const failed =
      'CIRC a1 FAILED REASON=DESTROYED REMOTE_REASON=OR_CONN_CLOSED SOCKS_USERNAME="a \\"b\\""';
    assert.deepEqual(parse(failed), {
      event: {
        type: 'circuit',
        id: 'a1',
        status: 'FAILED',
        path: [],
        reason: 'DESTROYED',
        remoteReason: 'OR_CONN_CLOSED',
      },
      keywords: { REASON: 'DESTROYED', REMOTE_REASON: 'OR_CONN_CLOSED', SOCKS_USERNAME: 'a "b"' },
    });
    // As Tor wrote it before 0.2.2: nicknames only, no keywords.
    assert.deepEqual(parse('CIRC 1 EXTENDED moria1,tor26').event, {
      type: 'circuit',
      id: '1',
      status: 'EXTENDED',
      path: [{ nickname: 'moria1' }, { nickname: 'tor26' }],
    });
  });
});

describe('STREAM', () => {
  test('on a circuit and on none; names, addresses, internal ones', () => {
    assert.deepEqual(
      parse('STREAM 42 NEW 0 www.example.com:443 SOURCE_ADDR=127.0.0.1:4567 PURPOSE=USER'),
      {
        event: {
          type: 'stream',
          id: '42',
          status: 'NEW',
          host: 'www.example.com',
          port: 443,
          purpose: 'USER',
        },
        keywords: { SOURCE_ADDR: '127.0.0.1:4567', PURPOSE: 'USER' },
      },
    );
    assert.deepEqual(
      parse('STREAM 42 CLOSED 7 [2001:db8::1]:80 REASON=END REMOTE_REASON=DONE').event,
      {
        type: 'stream',
        id: '42',
        status: 'CLOSED',
        circuitId: '7',
        host: '2001:db8::1',
        port: 80,
        reason: 'END',
        remoteReason: 'DONE',
      },
    );
    const targets = {
      '2001:db8::1:80': ['2001:db8::1', 80],
      [`www.example.com.$${A}.exit:0`]: [`www.example.com.$${A}.exit`, 0],
      // A name that an application chose: it is not taken for a keyword.
      'REASON=x:1': ['REASON=x', 1],
      '(Tor_internal):65535': ['(Tor_internal)', 65_535],
      ':0': ['', 0],
    };
    for (const [target, [host, port]] of Object.entries(targets)) {
      const event = parseTorEvent(linesOf(`STREAM 1 SENTCONNECT 2 ${target}`));
      assert.deepEqual(event.type === 'stream' && [event.host, event.port], [host, port]);
    }
  });
});

describe('ORCONN', () => {
  test('to a relay, and from an address', () => {
    assert.deepEqual(parse(`ORCONN $${A}~moria1 CLOSED REASON=DONE NCIRCS=2 ID=9`), {
      event: {
        type: 'orConnection',
        id: '9',
        status: 'CLOSED',
        target: { fingerprint: A, nickname: 'moria1' },
        reason: 'DONE',
      },
      keywords: { REASON: 'DONE', NCIRCS: '2', ID: '9' },
    });
    for (const [text, host] of [
      ['192.0.2.3:9001', '192.0.2.3'],
      ['[2001:db8::1]:9001', '2001:db8::1'],
    ] as const) {
      assert.deepEqual(parse(`ORCONN ${text} NEW ID=10`).event, {
        type: 'orConnection',
        id: '10',
        status: 'NEW',
        target: { host, port: 9001 },
      });
    }
  });
});

describe('the rest of what is typed', () => {
  test('BW', () => {
    const expected = { type: 'bandwidth', readBytes: 1_234_567_890_123, writtenBytes: 0 };
    assert.deepEqual(parse('BW 1234567890123 0').event, expected);
    assert.deepEqual(parse('BW 1234567890123 0 MORE=1').event, expected);
  });

  test('STATUS_CLIENT BOOTSTRAP, and what GETINFO status/bootstrap-phase says', () => {
    const done = 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"';
    const { event } = parse(`STATUS_CLIENT ${done}`);
    assert.deepEqual(event, {
      type: 'bootstrap',
      severity: 'NOTICE',
      progress: 100,
      tag: 'done',
      summary: 'Done',
    });
    const { keywords: _, ...phase } = parseBootstrapPhase(done)!;
    assert.deepEqual(phase, event);
    assert.equal(parseBootstrapPhase('NOTICE CIRCUIT_ESTABLISHED'), undefined);
    assert.equal(parseBootstrapPhase(''), undefined);
    const stuck =
      'STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="Connecting to a relay" WARNING="Connection refused" REASON=CONNECTREFUSED COUNT=5 RECOMMENDATION=warn HOSTID="…" HOSTADDR="192.0.2.3:443"';
    assert.deepEqual(parse(stuck).event, {
      type: 'bootstrap',
      severity: 'WARN',
      progress: 5,
      tag: 'conn',
      summary: 'Connecting to a relay',
      warning: 'Connection refused',
      reason: 'CONNECTREFUSED',
    });
  });

  test('STATUS_*', () => {
    assert.deepEqual(
      parse('STATUS_GENERAL WARN CLOCK_SKEW SKEW=-3600 SOURCE="OR:192.0.2.3:9001"'),
      {
        event: { type: 'status', source: 'general', severity: 'WARN', action: 'CLOCK_SKEW' },
        keywords: { SKEW: '-3600', SOURCE: 'OR:192.0.2.3:9001' },
      },
    );
    assert.deepEqual(parse('STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED').event, {
      type: 'status',
      source: 'client',
      severity: 'NOTICE',
      action: 'CIRCUIT_ESTABLISHED',
    });
    assert.deepEqual(parse('STATUS_SERVER ERR X').event, {
      type: 'status',
      source: 'server',
      severity: 'ERR',
      action: 'X',
    });
  });

  test('log messages, on one line or as data', () => {
    for (const severity of ['debug', 'info', 'notice', 'warn', 'err']) {
      const message = 'Unknown option \'Nope\'.  "Failing" K=';
      const name = severity.toUpperCase();
      assert.deepEqual(parse(`${name} ${message}`).event, { type: 'log', severity, message });
      const lines = [{ status: 650, text: name, data: 'two\nlines' }, ...linesOf('OK')];
      assert.deepEqual(parseTorEvent(lines), { type: 'log', severity, message: 'two\nlines' });
    }
  });

  test('ADDRMAP', () => {
    assert.deepEqual(parse('ADDRMAP 127.192.0.1 www.example.com NEVER CACHED="YES"'), {
      event: { type: 'addressMap', original: '127.192.0.1', replacement: 'www.example.com' },
      keywords: { CACHED: 'YES' },
    });
    assert.deepEqual(
      parse(
        'ADDRMAP www.example.com <error> "2026-11-22 01:16:02" error=yes EXPIRES="2026-11-22 00:16:02" CACHED="NO" STREAMID=3',
      ),
      {
        event: {
          type: 'addressMap',
          original: 'www.example.com',
          expiresEpochMs: Date.UTC(2026, 10, 22, 0, 16, 2),
        },
        keywords: { error: 'yes', EXPIRES: '2026-11-22 00:16:02', CACHED: 'NO', STREAMID: '3' },
      },
    );
  });

  test('CONF_CHANGED', () => {
    const lines = linesOf('CONF_CHANGED', 'ContactInfo="\\"a\\" # b"', 'ExitPolicy', 'OK');
    assert.deepEqual(parseTorEvent(lines), {
      type: 'configurationChanged',
      entries: [
        { key: 'ContactInfo', value: '"a" # b' },
        { key: 'ExitPolicy', value: undefined },
      ],
    });
    const none = parseTorEvent(linesOf('CONF_CHANGED', 'OK'));
    assert.deepEqual(none, { type: 'configurationChanged', entries: [] });
  });

  test('SIGNAL', () => {
    assert.deepEqual(parse('SIGNAL RELOAD').event, { type: 'signal', name: 'RELOAD' });
  });
});

describe('what is not typed', () => {
  test('comes through whole', () => {
    const lines = [
      { status: 650, text: 'HS_DESC_CONTENT a b', data: 'hs-descriptor 3' },
      ...linesOf('OK'),
    ];
    assert.deepEqual(parseTorEvent(lines), {
      type: 'other',
      name: 'HS_DESC_CONTENT',
      text: 'a b',
      lines,
    });
    for (const name of ['constructor', '__proto__', 'toString', 'circ', '']) {
      const only = linesOf(name);
      assert.deepEqual(parseTorEvent(only), { type: 'other', name, text: '', lines: only });
    }
    assert.deepEqual(parseTorEvent([]), { type: 'other', name: '', text: '', lines: [] });
  });

  test('what lacks what its name promises is malformed, and no more than that', () => {
    const broken = [
      'CIRC',
      'CIRC 1',
      'CIRC 1 built',
      'CIRC 12345678901234567 BUILT',
      'CIRC 1-2 BUILT',
      `CIRC 1 BUILT $${A}~moria1,?`,
      'CIRC 1 BUILT K="no end',
      'STREAM 1 NEW 0',
      'STREAM 1 NEW 0 nowhere',
      'STREAM 1 NEW 0 a:65536',
      'STREAM 1 NEW ? a:80',
      'STREAM 1 NEW 0 a:80 K="no end',
      'ORCONN',
      'ORCONN ? NEW',
      'ORCONN 192.0.2.3:9001',
      'ORCONN 192.0.2.3:9001 NEW K="',
      'BW',
      'BW 1',
      'BW -1 2',
      'BW 1 x',
      'BW 9999999999999999 1',
      'STATUS_CLIENT LOUD BOOTSTRAP PROGRESS=1',
      'STATUS_CLIENT NOTICE',
      'STATUS_CLIENT NOTICE BOOTSTRAP',
      'STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=101',
      'STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=ten',
      'ADDRMAP a',
      'ADDRMAP a b K="no end',
      'ADDRMAP a b EXPIRES="tomorrow"',
      'SIGNAL',
      'SIGNAL two words',
    ];
    for (const text of broken) {
      const lines = linesOf(text);
      const name = text.split(' ')[0];
      assert.deepEqual(parseTorEvent(lines), { type: 'malformed', name, lines }, text);
    }
  });

  test('no line makes the parser throw', () => {
    const names = fc.constantFrom(
      'CIRC',
      'STREAM',
      'ORCONN',
      'BW',
      'STATUS_CLIENT',
      'ADDRMAP',
      'SIGNAL',
      'CONF_CHANGED',
      'ERR',
      'X',
    );
    const words = fc.constantFrom(
      '1',
      '0',
      'NEW',
      'BUILT',
      `$${A}~a`,
      'a:80',
      'K=',
      '="',
      'NOTICE',
      'BOOTSTRAP',
      'PROGRESS=1',
      '\\',
      '"',
      '<error>',
    );
    const rest = fc.oneof(
      fc.array(words, { maxLength: 7 }).map((list) => list.join(' ')),
      textOf('A1 =",$~:\\\n', { maxLength: 20 }),
    );
    holds(
      fc.property(names, fc.array(rest, { maxLength: 3 }), (name, [first = '', ...more]) => {
        const { type } = parseTorEvent(linesOf(`${name} ${first}`, ...more));
        assert.equal(typeof type, 'string');
      }),
      1000,
    );
  });
});

test('relays', () => {
  assert.deepEqual(parseTorRelay(`$${A.toLowerCase()}~moria1`), {
    fingerprint: A,
    nickname: 'moria1',
  });
  assert.deepEqual(parseTorRelay(`$${A}`), { fingerprint: A });
  assert.deepEqual(parseTorRelay('moria1'), { nickname: 'moria1' });
  for (const text of [
    '',
    '$',
    `$${A}A`,
    `$${A}~`,
    `$${A}!x`,
    'a-b',
    'a'.repeat(20),
    '192.0.2.3:1',
  ]) {
    assert.equal(parseTorRelay(text), undefined, text);
  }
});
