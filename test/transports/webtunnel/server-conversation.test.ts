import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeAction } from '../../../src/bytes/exchange.ts';
import { limits } from '../../../src/limits.ts';
import type { ClientAddress, Folder } from '../../../src/transports/contract.ts';
import { parseBridgeUrl } from '../../../src/transports/webtunnel/bridge-url.ts';
import {
  ServerConversation,
  type ServerSettings,
} from '../../../src/transports/webtunnel/server-conversation.ts';
import { Site } from '../../../src/transports/webtunnel/site.ts';
import { memoryFolder } from '../../support/memory-folder.ts';

/** What has come of a conversation. */
class Talk {
  sent = '';
  /** What it waited for, in milliseconds and in order. */
  readonly patience: number[] = [];
  end: Extract<ExchangeAction<ClientAddress>, { type: 'done' | 'failed' }> | undefined;
  readonly #conversation: ServerConversation;

  constructor(settings: Partial<ServerSettings> = {}, folder?: Folder) {
    this.#conversation = new ServerConversation({
      path: '/secret',
      site: new Site(folder, parseBridgeUrl('https://bridge.example/secret')),
      folder,
      clock: { epochMs: () => 0 },
      clientOf: () => undefined,
      ...settings,
    });
    void this.#perform(this.#conversation.start());
  }

  async say(bytes: string | Buffer): Promise<this> {
    await this.#perform(this.#conversation.receive(Buffer.from(bytes as string, 'latin1')));
    return this;
  }

  get statuses(): number[] {
    return [...this.sent.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
  }

  async #perform(actions: readonly ExchangeAction<ClientAddress>[]): Promise<void> {
    for (const action of actions) {
      if (action.type === 'send') this.sent += Buffer.from(action.bytes).toString('latin1');
      else if (action.type === 'patience') this.patience.push(action.ms);
      else if (action.type === 'wait') await this.#perform(await action.work());
      else this.end = action;
    }
  }
}

const head = (path: string, ...fields: readonly string[]): string =>
  [`GET ${path} HTTP/1.1`, 'Host: bridge.example', ...fields, '', ''].join('\r\n');
const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket'] as const;

test('an upgrade at the path is the client’s, and the key is answered when one came (RFC 6455, 1.3)', async () => {
  const talk = await new Talk().say(
    `${head('/secret', ...UPGRADE, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')}payload`,
  );
  assert.match(
    talk.sent,
    /^HTTP\/1\.1 101 Switching Protocols\r\n.*\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n\r\n$/s,
  );
  assert.ok(talk.end?.type === 'done');
  assert.equal(Buffer.from(talk.end.leftover).toString(), 'payload');
  assert.doesNotMatch((await new Talk().say(head('/secret', ...UPGRADE))).sent, /Accept/);
});

test('wherever a request is cut, it is the same', async () => {
  const bytes = head('/secret', ...UPGRADE);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const talk = await new Talk().say(bytes.slice(0, cut));
    assert.equal(talk.sent, '', `${cut}`);
    await talk.say(bytes.slice(cut));
    assert.equal(talk.end?.type, 'done', `${cut}`);
  }
});

test('the path counts, unless it is not to be checked', async () => {
  for (const path of ['/', '/Secret', '/secret/', '/secre', '/%73ecret']) {
    const talk = await new Talk().say(head(path, ...UPGRADE));
    assert.deepEqual([talk.statuses, talk.end], [[404], undefined], path);
  }
  // A query is no part of it.
  assert.equal((await new Talk().say(head('/secret?x', ...UPGRADE))).end?.type, 'done');
  assert.equal((await new Talk({ path: undefined }).say(head('/', ...UPGRADE))).end?.type, 'done');
});

test('an upgrade may come behind other requests on its connection, as fronts reuse them', async () => {
  const talk = await new Talk().say(head('/a') + head('/b') + head('/secret', ...UPGRADE));
  assert.deepEqual(talk.statuses, [404, 404, 101]);
  assert.equal(talk.end?.type, 'done');
});

test('bodies are passed over, and what is behind them is the next request', async () => {
  for (const post of [
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world',
    'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n',
  ]) {
    const bytes = post + head('/secret', ...UPGRADE);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const talk = await new Talk().say(bytes.slice(0, cut));
      if (talk.end === undefined) await talk.say(bytes.slice(cut));
      assert.deepEqual([talk.statuses, talk.end?.type], [[404, 101], 'done'], `${cut}`);
    }
  }
  const broken = await new Talk().say(
    'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n',
  );
  assert.equal(broken.end?.type, 'failed');
});

test('time runs from the first byte of a request, and not from each', async () => {
  const talk = new Talk();
  for (const byte of 'GET / HTTP/1.1\r\nHost: a\r\n') await talk.say(byte);
  assert.deepEqual(talk.patience, [limits.webHeadMs]);
  await talk.say('\r\n');
  assert.equal(talk.patience.at(-1), limits.webIdleMs);
  await talk.say('G');
  assert.equal(talk.patience.at(-1), limits.webHeadMs);
});

test('a connection is not served without end', async () => {
  const talk = new Talk();
  for (let count = 0; talk.end === undefined; count += 1) {
    assert.ok(count < limits.webRequests);
    await talk.say(head('/a'));
  }
  assert.equal(talk.statuses.length, limits.webRequests);
  assert.match(talk.sent.slice(talk.sent.lastIndexOf('HTTP/1.1')), /Connection: close/);
});

test('files are read piece by piece, ranges as they are asked for', async () => {
  const folder = memoryFolder({ 'index.html': 'x'.repeat(300_000), 'sub/a.txt': '0123456789' });
  const talk = await new Talk({}, folder).say(head('/'));
  assert.equal(talk.sent.slice(talk.sent.indexOf('\r\n\r\n') + 4), 'x'.repeat(300_000));
  assert.deepEqual(folder.reads, [
    'index.html 0 131072',
    'index.html 131072 131072',
    'index.html 262144 37856',
  ]);
  const part = await new Talk({}, folder).say(head('/sub/a.txt', 'Range: bytes=-3'));
  assert.match(part.sent, /206 .*Content-Range: bytes 7-9\/10\r\n\r\n789$/s);
});

test('a file that becomes shorter while it is sent breaks the connection, for its length was promised', async () => {
  const folder = memoryFolder({ 'index.html': 'x'.repeat(300_000) });
  const talk = await new Talk({}, { ...folder, read: async () => new Uint8Array(0) }).say(
    head('/'),
  );
  assert.ok(talk.end?.type === 'failed');
  assert.equal(talk.end.error.code, 'ERR_STREAM_TRUNCATED');
});

test('a file that cannot be read is a fault of the server', async () => {
  const folder = memoryFolder({ 'index.html': 'x' });
  const find = (): Promise<never> => Promise.reject(new Error('EIO'));
  assert.deepEqual((await new Talk({}, { ...folder, find }).say(head('/'))).statuses, [500]);
});

test('no path leads out of the folder', async () => {
  const asked: string[] = [];
  const folder: Folder = {
    find: async (path) => void asked.push(...path),
    read: async () => new Uint8Array(0),
  };
  for (const path of [
    '/../x',
    '/a/../../x',
    '/%2e%2e/x',
    '/..%2fx',
    '/a/%2e%2e/%2e./x',
    '/..\\x',
  ]) {
    await new Talk({}, folder).say(head(path));
  }
  for (const name of asked) assert.ok(!/^\.{0,2}$|\//.test(name), name);
});
