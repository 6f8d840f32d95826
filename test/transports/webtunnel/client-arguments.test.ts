import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import type { Route } from '../../../src/transports/contract.ts';
import { parseClientArguments } from '../../../src/transports/webtunnel/client-arguments.ts';
import { webtunnel } from '../../../src/transports/webtunnel/index.ts';
import { systemClock } from '../../../src/time.ts';
import { seededRng } from '../../support/rng.ts';

const url = ['url', 'https://bridge.example/secret'] as const;
const target = { host: 'bridge.example', port: 443 };
const routesOf = (...args: KeyValues): readonly Route[] =>
  parseClientArguments(args, seededRng('routes')).routes();

test('without more than a URL, its host is dialled, named and checked', () => {
  assert.deepEqual(routesOf(url), [
    { target, tls: { serverName: 'bridge.example', checkedName: 'bridge.example' } },
  ]);
  assert.deepEqual(routesOf(['url', 'http://bridge.example:8080/']), [
    { target: { host: 'bridge.example', port: 8080 } },
  ]);
  // An address is no name: nothing is sent of it, and the certificate must have it.
  assert.deepEqual(routesOf(['url', 'https://[2001:db8::3]/']), [
    { target: { host: '2001:db8::3', port: 443 }, tls: { checkedName: '2001:db8::3' } },
  ]);
});

test('addr is dialled instead', () => {
  for (const [text, host, port] of [
    ['192.0.2.3:443', '192.0.2.3', 443],
    ['[2001:db8::3]:8443', '2001:db8::3', 8443],
    ['front.example:443', 'front.example', 443],
  ] as const) {
    assert.deepEqual(routesOf(url, ['addr', text])[0]!.target, { host, port });
  }
  for (const text of ['192.0.2.3', '192.0.2.3:0', '2001:db8::3:443', 'x y:1', 'a:70000', '']) {
    assert.throws(() => routesOf(url, ['addr', text]), { code: 'ERR_TRANSPORT_ARGUMENT' }, text);
  }
});

test('names are walked from one that is drawn, and the certificate is for each, or for what is said', () => {
  const names = (...args: KeyValues): unknown[] =>
    routesOf(url, ...args).map(({ tls }) => [tls?.serverName, tls?.checkedName]);
  const list = ['a.example', 'b.example', 'c.example'];
  const drawn = names(['servername', list.join()]);
  assert.deepEqual(
    drawn.toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    list.map((name) => [name, name]),
  );
  const rng = seededRng('starts');
  const { routes } = parseClientArguments([url, ['servername', list.join()]], rng);
  const starts = new Set(Array.from({ length: 50 }, () => routes()[0]!.tls!.serverName));
  assert.deepEqual([...starts].filter((name) => name !== undefined).toSorted(), list);
  assert.deepEqual(names(['sni-imitation', 'a.example']), [['a.example', 'bridge.example']]);
  for (const name of ['cert-domain', 'utls-authority']) {
    assert.deepEqual(names(['servername', 'a.example'], [name, 'b.example']), [
      ['a.example', 'b.example'],
    ]);
    assert.deepEqual(names([name, '*']), [['bridge.example', undefined]]);
  }
});

test('with cert nothing else counts', () => {
  const pin = Buffer.alloc(32, 7);
  assert.deepEqual(routesOf(url, ['cert', pin.toString('base64')], ['cert-domain', 'x.example']), [
    { target, tls: { serverName: 'bridge.example', pin } },
  ]);
  assert.throws(() => routesOf(url, ['cert', 'AAAA']), { code: 'ERR_TRANSPORT_ARGUMENT' });
});

test('utls is taken by every name that there is, and what it cannot have is said', () => {
  for (const [name, expected] of [
    ['none', []],
    ['hellochrome_auto', [/Node’s own/]],
    ['HelloFirefox_Auto', [/Node’s own/]],
    ['hellorandomizednoalpn', [/Node’s own/]],
  ] as const) {
    const notices: string[] = [];
    const context = { rng: seededRng('utls'), clock: systemClock };
    webtunnel.client([url, ['utls', name]], {
      ...context,
      notify: (notice) => void notices.push(notice),
    });
    assert.equal(notices.length, expected.length, name);
    for (const [index, pattern] of expected.entries()) assert.match(notices[index]!, pattern);
  }
  assert.throws(() => routesOf(url, ['utls', 'netscape']), { code: 'ERR_TRANSPORT_ARGUMENT' });
});
