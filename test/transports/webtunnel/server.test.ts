import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyValues } from '../../../src/pt/key-value.ts';
import { systemClock } from '../../../src/time.ts';
import type { TransportServer } from '../../../src/transports/contract.ts';
import { MemoryState } from '../../../src/transports/memory-state.ts';
import { clientBehind } from '../../../src/transports/webtunnel/forwarded-for.ts';
import { parseHeaderFields } from '../../../src/transports/webtunnel/header-fields.ts';
import { webtunnel } from '../../../src/transports/webtunnel/index.ts';
import { memoryFolder } from '../../support/memory-folder.ts';
import { seededRng } from '../../support/rng.ts';

const url = ['url', 'https://bridge.example/secretpath'] as const;
const synthetic = { host: '2001:db8:78fb:69d7:41b7:eaeb:746e:ff78', port: 443 };

function start(options: KeyValues, state = new MemoryState()): Promise<TransportServer> {
  return webtunnel.server(options, {
    rng: seededRng('server'),
    clock: systemClock,
    state,
    notify: () => {},
    openFolder: async () => memoryFolder({}),
  });
}

test('behind a web server it has no TLS, and tells clients the URL and what stands for it', async () => {
  const server = await start([url]);
  assert.equal(server.tls, undefined);
  assert.deepEqual(server.clientArguments, [url, ['ver', '0.0.3']]);
  assert.deepEqual(await server.publish!({ host: '127.0.0.1', port: 15_000 }), synthetic);
});

test('alone it has the certificate that is given, or one of its own, which it keeps and clients pin', async () => {
  const files = await start([url, ['tls-cert', 'a.pem'], ['tls-key', 'b.pem']]);
  assert.deepEqual(files.tls, { certFile: 'a.pem', keyFile: 'b.pem' });
  assert.equal(files.clientArguments.length, 2);
  const state = new MemoryState();
  const first = await start([url, ['site', '/srv']], state);
  const second = await start([url, ['tls-cert', 'self-signed']], state);
  const other = await start([url, ['site', '/srv']]);
  const pin = ({ clientArguments }: TransportServer): string =>
    new Map(clientArguments).get('cert')!;
  assert.match(pin(first), /^[A-Za-z0-9+/]{43}=$/);
  assert.equal(pin(second), pin(first));
  assert.notEqual(pin(other), pin(first));
});

test('an address that stands for a URL cannot be bound, and the own port is kept', async () => {
  const state = new MemoryState();
  const asked = { host: '127.0.0.1', port: 15_000 };
  assert.deepEqual(await (await start([url])).listenAt!(asked), asked);
  // tor's first start, and its second with an older server's state.
  const anyPort = { host: '0.0.0.0', port: 0 };
  const first = await start([url], state);
  assert.deepEqual(await first.listenAt!(anyPort), anyPort);
  await first.publish!({ host: '0.0.0.0', port: 15_001 });
  for (let restarts = 0; restarts < 2; restarts += 1) {
    const next = await start([url], state);
    const kept = { host: '0.0.0.0', port: 15_001 };
    assert.deepEqual(await next.listenAt!(synthetic), kept);
    assert.deepEqual(await next.publish!(kept), synthetic);
  }
  assert.deepEqual(await (await start([url])).listenAt!(synthetic), { host: '127.0.0.1', port: 0 });
});

test('the last element of X-Forwarded-For is the client, from fronts that are trusted', () => {
  const behind = (
    text: string | undefined,
    peer = '127.0.0.1',
    trusted: string[] = [],
  ): unknown => {
    const lines = text === undefined ? [] : [`X-Forwarded-For: ${text}`];
    return clientBehind({ host: peer, port: 1 }, parseHeaderFields(lines), new Set(trusted));
  };
  const client = (host: string, port = 1): unknown => ({ host, port });
  assert.deepEqual(behind('198.51.100.7'), client('198.51.100.7'));
  assert.deepEqual(behind('10.0.0.1, 203.0.113.9,  198.51.100.7 '), client('198.51.100.7'));
  assert.deepEqual(behind('198.51.100.7:4321'), client('198.51.100.7', 4321));
  assert.deepEqual(behind('2001:db8::7'), client('2001:db8::7'));
  assert.deepEqual(behind('[2001:db8::7]'), client('2001:db8::7'));
  assert.deepEqual(behind('[2001:db8::7]:99'), client('2001:db8::7', 99));
  assert.deepEqual(behind('::ffff:198.51.100.7'), client('198.51.100.7'));
  for (const text of [undefined, '', 'unknown', '198.51.100.7, x', '1.2.3']) {
    assert.equal(behind(text), 'unknown', text);
  }
  assert.equal(behind('198.51.100.7', '203.0.113.1'), undefined, 'a client that says so of itself');
  assert.deepEqual(behind('198.51.100.7', '203.0.113.1', ['203.0.113.1']), client('198.51.100.7'));
  assert.deepEqual(behind('198.51.100.7', '::ffff:127.0.0.1'), client('198.51.100.7'));
  const twice = parseHeaderFields(['X-Forwarded-For: 1.1.1.1', 'x-forwarded-for: 198.51.100.7']);
  assert.deepEqual(clientBehind(undefined, twice, new Set()), client('198.51.100.7'));
});
