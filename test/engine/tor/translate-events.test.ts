/** Tor's events in, TC's events out; no Tor. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encodeEvent } from '../../../src/control/encode.ts';
import type { EngineEvent } from '../../../src/control/engine.ts';
import { parseTorEvent } from '../../../src/tor-control/event-parser.ts';
import { EventTranslator } from '../../../src/engine/tor/translate-events.ts';
import { limits } from '../../../src/limits.ts';
import { holds } from '../../support/properties.ts';

/** Tells a translator what a Tor says, and lists what it makes of it. */
function listenTo(translator: EventTranslator, ...lines: readonly string[]): EngineEvent[] {
  return lines.flatMap((text) => {
    const event = translator.translate(parseTorEvent([{ status: 650, text }]));
    return event ?? [];
  });
}

/** Events in short: `circuit 1 built a,b`. */
function brief(events: readonly EngineEvent[]): string[] {
  return events.map((event) => {
    switch (event.type) {
      case 'circuit':
        return `circuit ${event.id} ${event.status} ${event.path.join(',')}`.trimEnd();
      case 'stream':
        return `stream ${event.id} ${event.status} ${event.target}`;
      case 'orConnection':
        return `link ${event.status} ${event.name}`;
      case 'bandwidth':
        return `bandwidth ${event.read} ${event.written}`;
      case 'log':
        return `log ${event.level}`;
    }
  });
}

const A = 'A'.repeat(40);
const B = 'B'.repeat(40);

describe('circuits', () => {
  test('[TC-3.7-04] [TC-3.7-06] go through the states of the draft, with the path that is built', () => {
    assert.deepEqual(
      brief(
        listenTo(
          new EventTranslator(),
          'CIRC 7 LAUNCHED BUILD_FLAGS=NEED_CAPACITY PURPOSE=GENERAL',
          `CIRC 7 EXTENDED $${A}~alice PURPOSE=GENERAL`,
          `CIRC 7 EXTENDED $${A}~alice,$${B}~Unnamed PURPOSE=GENERAL`,
          `CIRC 7 GUARD_WAIT $${A}~alice,$${B} PURPOSE=GENERAL`,
          `CIRC 7 BUILT $${A}~alice,$${B} PURPOSE=GENERAL`,
          `CIRC 7 CLOSED $${A}~alice,$${B} PURPOSE=GENERAL REASON=FINISHED`,
        ),
      ),
      [
        'circuit 1 launched',
        'circuit 1 extended alice',
        `circuit 1 extended alice,$${B}`,
        `circuit 1 built alice,$${B}`,
        `circuit 1 closed alice,$${B}`,
      ],
    );
  });

  test('end once, and not at all when nothing was told of them', () => {
    assert.deepEqual(
      brief(
        listenTo(
          new EventTranslator(),
          `CIRC 3 CLOSED $${A}~old`,
          `CIRC 4 FAILED $${A}~old`,
          'CIRC 7 LAUNCHED',
          `CIRC 7 FAILED $${A}~alice REASON=TIMEOUT`,
          `CIRC 7 CLOSED $${A}~alice`,
          `CIRC 7 FAILED $${A}~alice`,
        ),
      ),
      ['circuit 1 launched', 'circuit 1 failed alice'],
    );
  });

  test('[TC-3.7-05] never share a number, though Tor counts anew whenever it starts', () => {
    const translator = new EventTranslator();
    const ids = new Set<number>();
    for (let life = 0; life < 5; life += 1) {
      const torIds = ['1', '2', '3'];
      const launched = listenTo(translator, ...torIds.map((id) => `CIRC ${id} LAUNCHED`));
      for (const event of launched) {
        assert.ok(event.type === 'circuit' && !ids.has(event.id));
        ids.add(event.id);
      }
      listenTo(translator, `CIRC 2 BUILT $${A}~alice`);
      // Number 3 has come to its end, and its like in Tor's next life is another one.
      listenTo(translator, 'CIRC 3 CLOSED');
      assert.deepEqual(brief(translator.loseAll()), [
        `circuit ${3 * life + 1} failed`,
        `circuit ${3 * life + 2} failed alice`,
      ]);
      assert.deepEqual(translator.loseAll(), []);
    }
    assert.deepEqual(
      [...ids],
      Array.from({ length: 15 }, (_, index) => index + 1),
    );
  });
});

describe('streams', () => {
  test('[TC-3.7-07] [TC-3.7-08] go through the states of the draft, under the target that was asked for', () => {
    assert.deepEqual(
      brief(
        listenTo(
          new EventTranslator(),
          'STREAM 11 NEW 0 mapped.example:443 SOURCE_ADDR=127.0.0.1:4 PURPOSE=USER',
          'STREAM 11 REMAP 0 other.example:443 SOURCE=CACHE',
          'STREAM 11 SENTCONNECT 5 other.example:443',
          'STREAM 11 REMAP 5 192.0.2.7:443 SOURCE=EXIT',
          'STREAM 11 SUCCEEDED 5 192.0.2.7:443',
          'STREAM 11 XOFF_SENT 5 192.0.2.7:443',
          'STREAM 11 CLOSED 5 192.0.2.7:443 REASON=DONE',
          'STREAM 12 NEWRESOLVE 0 name.example:0 PURPOSE=DNS_REQUEST',
          'STREAM 12 SENTRESOLVE 5 name.example:0',
          'STREAM 12 CLOSED 5 name.example:0',
          'STREAM 13 NEW 0 [2001:db8::1]:80',
          'STREAM 13 SENTCONNECT 5 [2001:db8::1]:80',
        ),
      ),
      [
        'stream 1 sentConnect mapped.example:443',
        'stream 1 succeeded mapped.example:443',
        'stream 1 closed mapped.example:443',
        'stream 2 sentResolve name.example:0',
        'stream 2 closed name.example:0',
        'stream 3 sentConnect [2001:db8::1]:80',
      ],
    );
  });

  test('[TC-3.7-09] end once: what Tor calls failed it closes as well', () => {
    const translator = new EventTranslator();
    assert.deepEqual(
      brief(
        listenTo(
          translator,
          'STREAM 1 CLOSED 0 unknown.example:80',
          'STREAM 2 FAILED 0 unknown.example:80 REASON=TIMEOUT',
          'STREAM 3 NEW 0 a.example:80',
          'STREAM 3 DETACHED 5 a.example:80 REASON=TIMEOUT',
          'STREAM 3 SENTCONNECT 6 a.example:80',
          'STREAM 3 FAILED 6 a.example:80 REASON=RESOLVEFAILED',
          'STREAM 3 CLOSED 6 a.example:80 REASON=RESOLVEFAILED',
          // Tor may use its number again.
          'STREAM 3 NEW 0 b.example:80',
          'STREAM 3 SENTCONNECT 6 b.example:80',
        ),
      ),
      [
        'stream 1 sentConnect a.example:80',
        'stream 1 failed a.example:80',
        'stream 2 sentConnect b.example:80',
      ],
    );
    assert.deepEqual(brief(translator.loseAll()), ['stream 2 failed b.example:80']);
    assert.deepEqual(brief(listenTo(translator, 'STREAM 3 CLOSED 6 b.example:80')), []);
  });
});

describe('connections to relays', () => {
  test('[TC-3.7-10] [TC-3.7-11] go by nickname, else by fingerprint, else by address', () => {
    const translator = new EventTranslator();
    assert.deepEqual(
      brief(
        listenTo(
          translator,
          'ORCONN 192.0.2.1:443 LAUNCHED ID=1',
          `ORCONN $${A}~alice CONNECTED ID=1`,
          `ORCONN $${B} LAUNCHED ID=2`,
          'ORCONN [2001:db8::2]:443 FAILED REASON=TIMEOUT NCIRCS=1 ID=3',
          'ORCONN 192.0.2.9:5000 NEW ID=4',
          `ORCONN $${B}~Unnamed CLOSED REASON=DONE ID=2`,
        ),
      ),
      [
        'link launched 192.0.2.1:443',
        'link connected alice',
        `link launched $${B}`,
        'link failed [2001:db8::2]:443',
        `link closed $${B}`,
      ],
    );
    assert.deepEqual(brief(translator.loseAll()), ['link closed alice']);
  });
});

describe('everything at once', () => {
  test('[TC-3.7-12] bytes come as they are; what TC has no words for does not come', () => {
    assert.deepEqual(
      brief(
        listenTo(
          new EventTranslator(),
          'BW 5000000000 0',
          'ADDRMAP a.example 192.0.2.1 NEVER',
          'STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY="x"',
          'CIRC',
          'CIRC 1',
          'CIRC 1 LAUNCHING',
          'CIRC 1 constructor',
          'STREAM 1 __proto__ 0 a.example:80',
          'ORCONN 192.0.2.1:1 toString ID=1',
          'NOSUCH 1 2 3',
        ),
      ),
      ['bandwidth 5000000000 0'],
    );
  });

  test('all that is known fails when Tor is gone: streams first, then circuits, then connections', () => {
    const translator = new EventTranslator();
    listenTo(
      translator,
      'ORCONN 192.0.2.1:443 LAUNCHED ID=1',
      'CIRC 1 LAUNCHED',
      'STREAM 1 NEW 0 a.example:80',
      'STREAM 2 NEW 0 b.example:80',
      'STREAM 1 CLOSED 0 a.example:80',
    );
    assert.deepEqual(brief(translator.loseAll()), [
      'stream 2 failed b.example:80',
      'circuit 1 failed',
      'link closed 192.0.2.1:443',
    ]);
  });

  test('are followed up to a limit: a Tor that ends nothing does not fill the memory', () => {
    const translator = new EventTranslator();
    const launches = Array.from(
      { length: limits.torFollowed + 10 },
      (_, index) => `CIRC ${index} LAUNCHED`,
    );
    assert.equal(listenTo(translator, ...launches).length, limits.torFollowed);
    assert.deepEqual(listenTo(translator, `CIRC ${limits.torFollowed + 1} CLOSED`), []);
    assert.deepEqual(brief(listenTo(translator, 'CIRC 5 CLOSED')), ['circuit 6 closed']);
    assert.equal(listenTo(translator, 'CIRC 999999 LAUNCHED').length, 1);
  });

  test('[TC-3.7-05] [TC-3.7-09] whatever Tor says, no end comes twice and no number after its end', () => {
    const id = fc.integer({ min: 1, max: 3 });
    const circuit = fc.constantFrom(
      'LAUNCHED',
      'EXTENDED',
      'BUILT',
      'GUARD_WAIT',
      'FAILED',
      'CLOSED',
    );
    const stream = fc.constantFrom(
      ...['NEW', 'NEWRESOLVE', 'REMAP', 'SENTCONNECT', 'SENTRESOLVE'],
      ...['SUCCEEDED', 'DETACHED', 'FAILED', 'CLOSED', 'XON_RECV'],
    );
    const saying = fc.oneof(
      fc.tuple(id, circuit).map(([number, status]) => `CIRC ${number} ${status} $${A}~alice`),
      fc.tuple(id, stream).map(([number, status]) => `STREAM ${number} ${status} 1 a.example:80`),
      fc.constant('gone'),
    );
    holds(
      fc.property(fc.array(saying, { maxLength: 60 }), (lines) => {
        const translator = new EventTranslator();
        const ended = new Set<string>();
        for (const line of lines) {
          const told = line === 'gone' ? translator.loseAll() : listenTo(translator, line);
          for (const event of told) {
            encodeEvent(event);
            assert.ok(event.type === 'circuit' || event.type === 'stream');
            const name = `${event.type} ${event.id}`;
            assert.ok(!ended.has(name), `${name} after its end`);
            if (event.status === 'failed' || event.status === 'closed') ended.add(name);
          }
        }
      }),
    );
  });
});
