/** MAPADDRESS and GETALLMAPPINGS: in front of a Tor that only takes notes, and of the real one. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MappedAddress } from '../../../src/control/messages.ts';
import type { ControlClient } from '../../../src/control/node/client.ts';
import type { TorCommands } from '../../../src/tor-control/commands.ts';
import { encodeCommand } from '../../../src/tor-control/format.ts';
import { TorMappings } from '../../../src/engine/tor/mappings.ts';
import { limits } from '../../../src/limits.ts';
import { torMissing } from '../../support/tor.ts';
import {
  offline,
  refusal,
  shared,
  startTorDaemon,
  torBehind,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const name = (host: string): MappedAddress => ({ kind: 'name', host });
const ipv4 = (host: string): MappedAddress => ({ kind: 'ipv4', host });
const ipv6 = (host: string): MappedAddress => ({ kind: 'ipv6', host });

/** A Tor that does as it is told, and keeps the pairs of each command. */
function notingTor(): { readonly control: TorCommands; readonly commands: string[][] } {
  const commands: string[][] = [];
  const control = {
    async mapAddress(pairs: readonly { original: string; replacement: string }[]) {
      const words = pairs.map(({ original, replacement }) => `${original}=${replacement}`);
      if (words.length > 1) encodeCommand(`MAPADDRESS ${words.join(' ')}`);
      commands.push(words);
      const picks: Readonly<Record<string, string>> = {
        '::': '[fd00::7]',
        '.': 'picked.virtual',
        '0.0.0.0': '127.192.0.7',
      };
      return pairs.map(({ original, replacement }) => ({
        original: picks[original] ?? original,
        replacement,
      }));
    },
  } as Partial<TorCommands> as TorCommands;
  return { control, commands };
}

describe('the mappings of controllers', () => {
  test('are told to a Tor that has forgotten them: the last of each, and what Tor picked', async () => {
    const mappings = new TorMappings();
    const first = notingTor();
    const map = (from: MappedAddress, to: MappedAddress): Promise<unknown> =>
      mappings.map(first.control, from, to);
    await map(name('A.Example'), name('b.example'));
    await map(name('a.example'), ipv6('2001:db8::1'));
    await map(ipv6('::'), name('c.example'));
    await map(ipv4('0.0.0.0'), name('d.example'));
    await map(name('.'), name('e.example'));
    await map(name('gone.example'), name('f.example'));
    await map(name('GONE.example'), name('gone.EXAMPLE'));
    const second = notingTor();
    await mappings.restore(second.control);
    assert.deepEqual(second.commands, [
      [
        'a.example=[2001:db8::1]',
        '[fd00::7]=c.example',
        '127.192.0.7=d.example',
        'picked.virtual=e.example',
      ],
    ]);
    await new TorMappings().restore(second.control);
    assert.equal(second.commands.length, 1);
  });

  test('have a cap, under which replacing and removing still work, and all of them come back', async () => {
    const mappings = new TorMappings();
    const { control, commands } = notingTor();
    const long = 'x'.repeat(230);
    for (let index = 0; index < limits.controlMappings; index += 1) {
      await mappings.map(control, name(`${long}${index}`), name(`${long}.to`));
    }
    const full = { code: 'ERR_ADDRESS_MAP', message: /mappings already/ };
    await assert.rejects(mappings.map(control, name('one.more'), name('b')), full);
    await assert.rejects(mappings.map(control, ipv4('0.0.0.0'), name('b')), full);
    await mappings.map(control, name(`${long}7`), name('replaced'));
    // Also of what only the torrc has mapped.
    await mappings.map(control, name('of.torrc'), name('of.torrc'));
    commands.splice(0);
    // Tor closes the connection at too long a command: `encodeCommand` above refuses one.
    await mappings.restore(control);
    assert.equal(commands.flat().length, limits.controlMappings);
    assert.ok(commands.flat().includes(`${long}7=replaced`));
    await mappings.map(control, name(`${long}8`), name(`${long}8`));
    await mappings.map(control, name('one.more'), name('b'));
  });

  test('that Tor refuses are not kept', async () => {
    const mappings = new TorMappings();
    const { control, commands } = notingTor();
    const refusing = {
      mapAddress: () => Promise.reject(new Error('refused')),
    } as Partial<TorCommands> as TorCommands;
    await assert.rejects(mappings.map(refusing, name('a'), name('b')), /refused/);
    await mappings.restore(control);
    assert.deepEqual(commands, []);
  });

  test('cannot smuggle a second argument or command to Tor', async () => {
    const mappings = new TorMappings();
    const { control, commands } = notingTor();
    for (const host of [
      'a b',
      'a=b',
      'a"b',
      'a\\b',
      'a\r\nQUIT',
      'a\n',
      'é',
      'a\0b',
      '',
      '[x]',
      '*',
    ]) {
      for (const [from, to] of [
        [name(host), name('b.example')],
        [name('b.example'), name(host)],
      ] as const) {
        await assert.rejects(mappings.map(control, from, to), {
          code: 'ERR_ADDRESS_MAP',
          message: /a character that Tor does not take/,
        });
      }
    }
    assert.deepEqual(commands, []);
  });
});

const all = shared();
let daemon: TestDaemon;
let control: ControlClient;

describe('MAPADDRESS with a real Tor', { skip: torMissing }, () => {
  before(async () => {
    daemon = await startTorDaemon(all, `${offline}MapAddress of.torrc.example to.example\n`);
    ({ control } = daemon);
  });
  after(() => all.close());

  /** GETALLMAPPINGS as `original replacement`, sorted. */
  async function mappings(): Promise<string[]> {
    const list = await control.mappings();
    return list
      .map(({ original, replacement }) => `${original.kind} ${original.host} ${replacement.host}`)
      .toSorted();
  }
  const ofTorrc = 'name of.torrc.example to.example';

  test('[TC-3.11-09] [TC-3.11-10] [TC-3.11-11] for a null address Tor picks one of its kind that nobody uses', async () => {
    const inFour = await control.mapAddress(ipv4('0.0.0.0'), name('four.example'));
    const inSix = await control.mapAddress(ipv6('::'), name('six.example'));
    const inName = await control.mapAddress(name('.'), name('name.example'));
    assert.equal(inFour.original.kind, 'ipv4');
    assert.match(inFour.original.host, /^127\.(?:19[2-9]|2\d\d)\./);
    assert.equal(inSix.original.kind, 'ipv6');
    assert.match(inSix.original.host, /^f[ce][0-9a-f]{2}:/);
    assert.equal(inName.original.kind, 'name');
    assert.match(inName.original.host, /^[a-z2-7]{16}\.virtual$/);
    const other = await control.mapAddress(ipv4('0.0.0.0'), name('other.example'));
    assert.notEqual(other.original.host, inFour.original.host);
    assert.deepEqual(
      await mappings(),
      [
        ofTorrc,
        `ipv4 ${inFour.original.host} four.example`,
        `ipv4 ${other.original.host} other.example`,
        `ipv6 ${inSix.original.host} six.example`,
        `name ${inName.original.host} name.example`,
      ].toSorted(),
    );
    for (const { original } of [inFour, inSix, inName, other]) {
      await control.mapAddress(original, original);
    }
    assert.deepEqual(await mappings(), [ofTorrc]);
  });

  test('[TC-3.11-13] [TC-3.11-14] a mapping replaces the one before it, and an equal address removes it', async () => {
    for (const [from, others] of [
      [name('MiXed.Example'), [name('b.example'), ipv4('192.0.2.1'), ipv6('2001:db8::1')]],
      [ipv4('10.9.8.7'), [name('c.example'), ipv4('192.0.2.2')]],
      [ipv6('2001:db8::9'), [name('d.example'), ipv6('2001:db8::a')]],
    ] as const) {
      const host = from.host.toLowerCase();
      for (const to of others) {
        assert.deepEqual(await control.mapAddress(from, to), { original: from, replacement: to });
        assert.deepEqual(await mappings(), [ofTorrc, `${from.kind} ${host} ${to.host}`].toSorted());
      }
      const same = { kind: from.kind, host } as const;
      assert.deepEqual(await control.mapAddress(same, from), { original: same, replacement: from });
      await control.mapAddress(from, from);
      assert.deepEqual(await mappings(), [ofTorrc]);
    }
  });

  test('[TC-3.13-02] [TC-3.13-03] lists what anybody has mapped, once each', async (t) => {
    const tor = await torBehind(t, daemon);
    await tor.mapAddress([{ original: 'behind.our.back', replacement: '[2001:db8::5]' }]);
    assert.deepEqual(await mappings(), ['name behind.our.back 2001:db8::5', ofTorrc].toSorted());
    await control.mapAddress(name('behind.our.back'), name('behind.our.back'));
    await control.mapAddress(name('of.torrc.example'), name('elsewhere.example'));
    assert.deepEqual(await mappings(), ['name of.torrc.example elsewhere.example']);
    await control.mapAddress(name('of.torrc.example'), name('of.torrc.example'));
    assert.deepEqual(await mappings(), []);
  });

  test('[TC-3.11-08] [TC-3.11-14] what cannot be done is an internal error, and nothing changes', async () => {
    await control.mapAddress(name('stays.example'), name('here.example'));
    const nulls = [ipv4('0.0.0.0'), ipv6('::'), name('.'), name('0.0.0.0'), name('::')];
    for (const to of nulls) {
      for (const from of [name('stays.example'), ...nulls]) {
        await assert.rejects(control.mapAddress(from, to), refusal(1, /null address/));
      }
    }
    for (const host of ['a=b.example', 'a"b', "a'b", '*.example', 'a,b', 'a/b', 'a%b', '[::1']) {
      await assert.rejects(
        control.mapAddress(name('stays.example'), name(host)),
        refusal(1, /a character that Tor does not take/),
      );
      await assert.rejects(control.mapAddress(name(host), name('x')), refusal(1));
    }
    assert.deepEqual(await mappings(), ['name stays.example here.example']);
    await control.mapAddress(name('stays.example'), name('stays.example'));
  });

  test('a name that is an address in disguise is that address, null or not', async () => {
    const picked = await control.mapAddress(name('0.0.0.0'), name('a.example'));
    assert.match(picked.original.host, /^127\.(?:19[2-9]|2\d\d)\./);
    assert.equal(picked.original.kind, 'name');
    await control.mapAddress(name('10.1.2.3'), ipv4('192.0.2.4'));
    await control.mapAddress(name('2001:DB8:0::7'), ipv4('192.0.2.5'));
    assert.deepEqual(
      await mappings(),
      [
        `ipv4 ${picked.original.host} a.example`,
        'ipv4 10.1.2.3 192.0.2.4',
        'ipv6 2001:db8::7 192.0.2.5',
      ].toSorted(),
    );
  });
});
