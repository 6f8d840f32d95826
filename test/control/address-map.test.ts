import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { isInNetwork } from '../../src/config/address-values.ts';
import { AddressMap, mappedAddress } from '../../src/control/address-map.ts';
import { nullHosts, type MappedAddress } from '../../src/control/messages.ts';
import { limits } from '../../src/limits.ts';
import { ipToBytes } from '../../src/pt/address.ts';
import { measureSettledMemory } from '../support/memory.ts';
import { holds } from '../support/properties.ts';
import { seededRng } from '../support/rng.ts';

const at = mappedAddress;
const nullOf = (kind: MappedAddress['kind']): MappedAddress => ({ kind, host: nullHosts[kind] });
const refused = { code: 'ERR_ADDRESS_MAP' };

describe('address map', () => {
  let map: AddressMap;
  beforeEach(() => {
    map = new AddressMap({ rng: seededRng('map') });
  });

  test('[TC-3.11-05] a mapped address leads to its replacement, any other to itself', () => {
    assert.deepEqual(map.map(at('10.9.8.7'), at('example.com')), {
      original: { kind: 'ipv4', host: '10.9.8.7' },
      replacement: { kind: 'name', host: 'example.com' },
    });
    assert.equal(map.lookUp('10.9.8.7'), 'example.com');
    assert.equal(map.lookUp('10.9.8.8'), '10.9.8.8');
    assert.equal(map.lookUp('example.com'), 'example.com');
  });

  test('a name that is a null address in disguise is that address', () => {
    for (const host of ['0.0.0.0', '::', '0:0::0', '[::]']) {
      assert.throws(() => map.map(at('a.example'), { kind: 'name', host }), refused, host);
    }
    const picked = map.map({ kind: 'name', host: '0.0.0.0' }, at('a.example'));
    assert.equal(picked.original.kind, 'name');
    assert.match(picked.original.host, /^127\./);
    assert.equal(map.lookUp(picked.original.host), 'a.example');
  });

  test('addresses that were picked and removed leave nothing behind', async () => {
    const before = await measureSettledMemory();
    for (let index = 0; index < 100_000; index += 1) {
      const replacement = at(`${index}.${'x'.repeat(100)}.example`);
      const { original } = map.map(nullOf('name'), replacement);
      map.map(original, original);
    }
    assert.equal(map.mappings().length, 0);
    const grown = (await measureSettledMemory()) - before;
    assert.ok(grown < 8_000_000, `${grown} bytes`);
    // And what was picked is picked again while it is mapped, also after another one was not.
    const { original } = map.map(nullOf('name'), at('b.example'));
    map.map(original, at('c.example'));
    assert.notDeepEqual(map.map(nullOf('name'), at('b.example')).original, original);
  });

  test('those of the configuration are Tor’s; a controller’s go before them, and lead no further', () => {
    map.configure([
      { original: at('*.example.com'), replacement: at('*.example.org') },
      { original: at('*.example.org'), replacement: at('192.0.2.7') },
      { original: at('*.b.com'), replacement: at('b.com') },
    ]);
    assert.equal(map.lookUp('A.b.example.com'), '192.0.2.7');
    assert.equal(map.lookUp('example.com'), '192.0.2.7');
    assert.equal(map.lookUp('notexample.com'), 'notexample.com');
    assert.equal(map.lookUp('b.com'), 'b.com');
    map.map(at('a.example.com'), at('x.example.org'));
    assert.equal(map.lookUp('a.example.com'), 'x.example.org');
    assert.equal(map.lookUp('b.example.com'), '192.0.2.7');
    assert.equal(map.mappings().length, 4);
    // Whoever takes the name away takes away what it stands for, as with Tor.
    map.map(at('*.example.com'), at('*.example.com'));
    assert.equal(map.lookUp('b.example.com'), 'b.example.com');
    assert.equal(map.mappings().length, 3);
    // The name alone as well, for which it stands too: TC-3.11-14.
    map.map(at('example.org'), at('example.org'));
    assert.equal(map.lookUp('a.example.org'), 'a.example.org');
    assert.equal(map.mappings().length, 2);
  });

  test('those of controllers are not followed twice', () => {
    map.map(at('a.example'), at('b.example'));
    map.map(at('b.example'), at('c.example'));
    assert.equal(map.lookUp('a.example'), 'b.example');
  });

  test('[TC-3.11-04] names compare without regard to case, addresses by value', () => {
    map.map(at('WWW.Example.COM'), at('a.onion'));
    map.map({ kind: 'ipv6', host: 'FD00:0::1' }, at('b.onion'));
    assert.equal(map.lookUp('www.example.com'), 'a.onion');
    assert.equal(map.lookUp('fd00::1'), 'b.onion');
    map.map({ kind: 'name', host: '10.0.0.1' }, at('c.onion'));
    assert.equal(map.lookUp('10.0.0.1'), 'c.onion');
  });

  test('[TC-3.11-13] a new mapping replaces the one before; a failed one leaves it', () => {
    map.map(at('a.example'), at('b.example'));
    map.map(at('A.example'), at('c.example'));
    assert.equal(map.lookUp('a.example'), 'c.example');
    assert.equal(map.mappings().length, 1);
    assert.throws(() => map.map(at('a.example'), nullOf('name')), refused);
    assert.equal(map.lookUp('a.example'), 'c.example');
  });

  test('[TC-3.11-14] equal addresses remove a mapping, also one that is not there', () => {
    map.map(at('a.example'), at('b.example'));
    for (let time = 0; time < 2; time += 1) {
      const answer = map.map(at('a.example'), at('A.EXAMPLE'));
      assert.deepEqual(answer.original, at('a.example'));
      assert.equal(map.lookUp('a.example'), 'a.example');
      assert.deepEqual(map.mappings(), []);
    }
  });

  test('[TC-3.11-08] nothing maps to a null address, not even a null address', () => {
    for (const kind of ['ipv4', 'ipv6', 'name'] as const) {
      assert.throws(() => map.map(at('a.example'), nullOf(kind)), refused);
      assert.throws(() => map.map(nullOf(kind), nullOf(kind)), refused);
    }
    assert.deepEqual(map.mappings(), []);
  });

  test('[TC-3.11-10] [TC-3.11-11] a picked address is of the same kind, reserved and works', () => {
    const inRange = {
      ipv4: (host: string) =>
        isInNetwork(ipToBytes(host)!, { base: ipToBytes('127.192.0.0')!, prefixBits: 10 }),
      ipv6: (host: string) => (ipToBytes(host)![0]! & 0xfe) === 0xfc,
      name: (host: string) => host.endsWith('.invalid'),
    };
    const seen = new Set<string>();
    for (const kind of ['ipv4', 'ipv6', 'name'] as const) {
      for (let index = 0; index < 200; index += 1) {
        const target = `${kind}-${index}.example`;
        const { original, replacement } = map.map(nullOf(kind), at(target));
        assert.equal(original.kind, kind);
        assert.equal(replacement.host, target);
        assert.notEqual(original.host, nullHosts[kind]);
        assert.ok(inRange[kind](original.host), original.host);
        assert.ok(!seen.has(original.host), 'two destinations, two addresses');
        seen.add(original.host);
        assert.equal(map.lookUp(original.host), target);
      }
    }
  });

  test('[TC-3.11-12] the same request gets the same address while that leads there', () => {
    const first = map.map(nullOf('ipv4'), at('a.example'));
    assert.deepEqual(map.map(nullOf('ipv4'), at('A.example')), first);
    assert.equal(map.mappings().length, 1);
    map.map(first.original, at('b.example'));
    const second = map.map(nullOf('ipv4'), at('a.example'));
    assert.notDeepEqual(second.original, first.original);
    assert.equal(map.lookUp(second.original.host), 'a.example');
    assert.equal(map.lookUp(first.original.host), 'b.example');
  });

  test('[TC-3.11-08] every address of a small range is found, and then it is used up', () => {
    for (const kind of ['ipv4', 'ipv6'] as const) {
      const base = ipToBytes(kind === 'ipv4' ? '127.192.0.8' : 'fc00::8')!;
      map.configure([], { [kind]: { base, prefixBits: 8 * base.length - 3 } });
      map.map(at(kind === 'ipv4' ? '127.192.0.10' : 'fc00::a'), at('taken.example'));
      const picked = Array.from(
        { length: 7 },
        (_, index) => map.map(nullOf(kind), at(`${kind}${index}.example`)).original.host,
      );
      assert.equal(new Set(picked).size, 7);
      assert.ok(
        picked.every((host) =>
          isInNetwork(ipToBytes(host)!, { base, prefixBits: 8 * base.length - 3 }),
        ),
      );
      const before = map.mappings().length;
      assert.throws(() => map.map(nullOf(kind), at('more.example')), refused);
      assert.equal(map.mappings().length, before);
    }
  });

  test('[TC-3.13-03] what the configuration maps counts too, below what controllers map', () => {
    map.map(at('both.example'), at('requested.example'));
    map.configure([
      { original: at('both.example'), replacement: at('configured.example') },
      { original: at('old.example'), replacement: at('new.example') },
    ]);
    assert.equal(map.lookUp('both.example'), 'requested.example');
    assert.equal(map.lookUp('old.example'), 'new.example');
    assert.equal(map.mappings().length, 2);
    map.map(at('old.example'), at('old.example'));
    assert.equal(map.lookUp('old.example'), 'old.example');
    map.configure([]);
    assert.deepEqual(map.mappings(), [
      { original: at('both.example'), replacement: at('requested.example') },
    ]);
    assert.throws(
      () => map.configure([{ original: nullOf('ipv4'), replacement: at('a.example') }]),
      refused,
    );
  });

  test('the table has an end', () => {
    for (let index = 0; index < limits.controlMappings; index += 1) {
      map.map({ kind: 'name', host: `${index}.example` }, at('a.example'));
    }
    assert.throws(() => map.map(at('more.example'), at('a.example')), refused);
    map.map(at('7.example'), at('b.example')); // replacing takes no place
    map.map(at('8.example'), at('8.example'));
    map.map(at('more.example'), at('a.example'));
  });

  test('any sequence of requests leaves the table that a plain object would have', () => {
    const hosts = fc.constantFrom('a.example', 'B.example', '10.0.0.1', 'fd00::1', 'c.example');
    holds(
      fc.property(fc.array(fc.tuple(hosts, hosts), { maxLength: 30 }), (requests) => {
        const subject = new AddressMap({ rng: seededRng(1) });
        const expected = new Map<string, string>();
        for (const [from, to] of requests) {
          subject.map(at(from), at(to));
          if (from === to) expected.delete(from);
          else expected.set(from, to);
        }
        const listed = subject
          .mappings()
          .map(({ original, replacement }) => [original.host, replacement.host] as const);
        assert.deepEqual(new Map(listed), expected);
        for (const [from] of requests) {
          assert.equal(subject.lookUp(from), expected.get(from) ?? from);
        }
      }),
    );
  });
});
