/**
 * The exchanges recorded from a Tor of January 2005 (test/vectors/tc-r3351.json), replayed against
 * our server with an engine in memory that has that Tor's options.
 *
 * Every reply must be of the same type, in the same place, with the same body. The texts of ERRORs are
 * for people and differ throughout: theirs say what failed, ours also what to do. Every other
 * difference stands in `differences`, with its reason.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EngineEvent } from '../../src/control/engine.ts';
import { describeFrame, DirectController, FakeEngine, splitFrames } from '../support/control.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

interface Exchange {
  readonly name: string;
  readonly sent: string;
  readonly received: string;
  readonly closed: boolean;
}

interface Difference {
  readonly replies: readonly string[];
  /** Whether our side closes. */
  readonly closes?: boolean;
  readonly why: string;
}

const { exchanges } = readVectors<{ readonly exchanges: readonly Exchange[] }>('tc-r3351.json');

const noAbbreviations = 'abbreviated keys are refused: an abbreviation can change its meaning';
const noNul = 'a NUL is refused: what stood behind it was silently dropped';
const newSignals =
  '0x10, 0x12 and 0x15 as the draft prints them are taken as well as 10, 12 and 15';
const byteCode = 'an unknown signal is an unrecognized byte code, 0x0006, and not a syntax error';
const noLogLine = 'a bad request is answered, and not logged as well';

const log = (text: string): string => `EVENT 0005${Buffer.from(text).toString('hex')}00`;

const differences: Readonly<Record<string, Difference>> = {
  'pipelined/auth_getconf_getconf_unknown': {
    replies: [
      'DONE',
      'CONFVALUE "ControlPort 19151\\n"',
      'CONFVALUE "SocksPort 19150\\n"',
      'ERROR 2',
      'ERROR 6',
    ],
    why: byteCode,
  },
  'getconf/abbrev_prefix': { replies: ['ERROR 4'], why: noAbbreviations },
  'getconf/nul_terminated': { replies: ['ERROR 3'], why: noNul },
  'setconf/abbrev_key': { replies: ['ERROR 4'], why: noAbbreviations },
  'setconf/get16': { replies: ['CONFVALUE "ContactInfo dave\\n"'], why: noAbbreviations },
  'setconf/embedded_nul': { replies: ['ERROR 3'], why: noNul },
  'setconf/get21': {
    replies: ['CONFVALUE "ContactInfo ivy\\nMaxOnionsPending 100\\n"'],
    why: noNul,
  },
  'setconf/high_bytes': {
    replies: ['ERROR 3'],
    why: 'text is UTF-8; other bytes would not survive a torrc or a terminal',
  },
  'setconf/get22': {
    replies: ['CONFVALUE "ContactInfo ivy\\n"'],
    why: 'text is UTF-8; other bytes would not survive a torrc or a terminal',
  },
  'setconf/get23': {
    replies: ['CONFVALUE "ContactInfo kim\\n"'],
    why: 'a quoted value loses its quotes, as in the torrc of every later Tor',
  },
  'setevents/provoke_warn': {
    replies: [log('a line of the log'), 'ERROR 4'],
    why: 'the lines are this engine’s, and end without LF',
  },
  'setevents/provoke_warn2': { replies: ['ERROR 2'], why: noLogLine },
  'setevents/provoke_clientonly': { replies: ['ERROR 2'], why: noLogLine },
  'signal/unknown_0x77': { replies: ['ERROR 6'], why: byteCode },
  'signal/zero': { replies: ['ERROR 6'], why: byteCode },
  'signal/0x10_draft_dumpstats': { replies: ['DONE'], why: newSignals },
  'signal/0x12_draft_debug': { replies: ['DONE'], why: newSignals },
  'signal/0x15_draft_shutdown': { replies: [], closes: true, why: newSignals },
  'signal/0x01_reload3_with_events': {
    replies: [log('a line of the log'), 'DONE'],
    why: 'the lines are this engine’s, and end without LF',
  },
  'signal/0x0a_dumpstats_with_events': {
    replies: [log('a line of the log'), 'DONE'],
    why: 'the lines are this engine’s, and end without LF',
  },
};

/** Where something happened by itself: events before the request, and lines while it is carried out. */
const zero: EngineEvent = { type: 'bandwidth', read: 0, written: 0 };
const happenings: Readonly<Record<string, { events?: readonly EngineEvent[]; line?: true }>> = {
  'setevents/bw_events': { events: [zero, zero, zero, zero] },
  'setevents/bw_still_on': { events: [zero, zero] },
  'setevents/bw_still_on2': { events: [zero] },
  'setevents/off': { events: [zero] },
  'setevents/silence': { events: [zero, zero] },
  'setevents/idle': { events: [zero] },
  'setevents/provoke_warn': { line: true },
  'signal/0x01_reload3_with_events': { line: true },
  'signal/0x0a_dumpstats_with_events': { line: true },
};

const groupOf = ({ name }: Exchange): string => name.split('/')[0]!;
const groups = new Set(exchanges.map(groupOf));

describe('recorded from a Tor of January 2005', () => {
  const engine = new FakeEngine();

  for (const group of groups) {
    const members = exchanges.filter((exchange) => groupOf(exchange) === group);
    test(`[TC-2-03] [TC-2-04] ${group}: ${members.length} exchanges`, async () => {
      let controller = new DirectController(engine);
      for (const { name, sent, received, closed } of members) {
        const difference = differences[name];
        const { events = [], line } = happenings[name] ?? {};
        for (const event of events) engine.emit(event);
        if (line === true) engine.logLines.push('a line of the log');
        const replies = await controller.send(fromHex(sent));
        const theirs = splitFrames(fromHex(received)).map(describeFrame);
        assert.deepEqual(replies, difference?.replies ?? theirs, name);
        if (difference !== undefined) {
          const same = JSON.stringify(difference.replies) === JSON.stringify(theirs);
          assert.ok(!same || difference.closes === true, `${name} does not differ`);
        }
        // Theirs answered strangers without end; ours closes at the sixteenth refusal.
        const refusals = group === 'preauth' && members.findIndex((one) => one.name === name) % 16;
        const closes = difference?.closes ?? (closed || refusals === 15);
        assert.equal(controller.closed, closes, name);
        if (closes && !closed) {
          controller = new DirectController(engine);
          if (group !== 'preauth') await controller.send(fromHex('00000007'));
        }
      }
    });
  }

  test('every difference belongs to an exchange, and has its reason', () => {
    const names = new Set(exchanges.map(({ name }) => name));
    for (const [name, { why }] of Object.entries(differences)) {
      assert.ok(names.has(name), name);
      assert.ok(why.length > 10, name);
    }
    for (const name of Object.keys(happenings)) assert.ok(names.has(name), name);
  });
});
