import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { safeCookieHash } from '../../src/crypto/safe-cookie.ts';
import { NEED_MORE } from '../../src/bytes/decoded.ts';
import { createExtOrClient, type ExtOrClientOptions } from '../../src/extor/client.ts';
import { decodeCookieFile, encodeCookieFile } from '../../src/extor/cookie-file.ts';
import { decodeAuthTypes, decodeMessage } from '../../src/extor/decode.ts';
import { encodeMessage, type SentMessage } from '../../src/extor/encode.ts';
import { createExtOrServer } from '../../src/extor/server.ts';
import { limits } from '../../src/limits.ts';
import { feed, feedings, sentBytes } from '../support/feed.ts';
import { scriptedRng, seededRng } from '../support/rng.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

// tor, src/test/test_extorport.c, test_ext_or_cookie_auth_testvec.
const cookie = Buffer.from('Gliding wrapt in a brown mantle,');
const clientNonce = Buffer.from('But when I look ahead up the whi');
const serverNonce = Buffer.from('te road There is always another ');
const serverHash = hex('ec80ed6e546d3b36fdfc22fe1315416b029f1ade7610d910878b62eeb7403821');
const clientHash = hex('ab391732dd2ed968cd40c087d1b1f25b33b3cd77ff79bd80c2074bbf438119a2');

test('the hashes of tor’s own test vector', () => {
  const hash = (direction: 'server-to-client' | 'client-to-server'): Buffer =>
    safeCookieHash(direction, cookie, clientNonce, serverNonce);
  assert.deepEqual(hash('server-to-client'), serverHash);
  assert.deepEqual(hash('client-to-server'), clientHash);
});

test('a cookie file is the header line and 32 bytes, neither more nor less', () => {
  const file = Buffer.concat([Buffer.from('! Extended ORPort Auth Cookie !\n'), cookie]);
  assert.equal(file.length, 64);
  assert.deepEqual(encodeCookieFile(cookie), file);
  assert.deepEqual(decodeCookieFile(file), cookie);
  for (let length = 0; length < 64; length += 1) {
    assert.throws(() => decodeCookieFile(file.subarray(0, length)), { code: 'ERR_EXTOR_COOKIE' });
  }
  for (const bad of [Buffer.concat([file, Buffer.of(0)]), Buffer.from(file).fill('?', 0, 1)]) {
    assert.throws(() => decodeCookieFile(bad), { code: 'ERR_EXTOR_COOKIE' });
  }
});

const userAddr = { host: '2001:db8::7', port: 40_000 };
const USERADDR = `0001 0013 ${Buffer.from('[2001:db8::7]:40000').toString('hex')}`;
const TRANSPORT = `0002 0005 ${Buffer.from('obfs4').toString('hex')}`;
const DONE = '0000 0000';
const OKAY = '1000 0000';
const DENY = '1001 0000';

function clientOutcome(
  chunks: Uint8Array[],
  options: Partial<ExtOrClientOptions> = {},
): { sent: string; leftover?: string; error?: string } {
  const rng = scriptedRng(clientNonce);
  const client = createExtOrClient({ cookie, rng, userAddr, transport: 'obfs4', ...options });
  assert.deepEqual(client.start(), []);
  const last = ['done', 'failed'] as const;
  const { actions, rest } = feed((chunk) => client.receive(chunk), chunks, last);
  const end = actions.at(-1);
  const sent = sentBytes(actions).toString('hex');
  if (end?.type === 'done') {
    return { sent, leftover: Buffer.concat([end.leftover, rest]).toString('latin1') };
  }
  return end?.type === 'failed' ? { sent, error: end.error.code } : { sent };
}

const GREETING = `01${clientNonce.toString('hex')}`;
const UP_TO_STATUS = Buffer.concat([hex('01 00'), serverHash, serverNonce, hex('01')]);
const METADATA = hex(USERADDR + TRANSPORT + DONE).toString('hex');
const ALL_SENT = GREETING + clientHash.toString('hex') + METADATA;

test('[PT-3.2.3-19] [PT-3.2.3-20] the client authenticates, sends metadata, waits for OKAY', () => {
  const answer = Buffer.concat([UP_TO_STATUS, hex(OKAY), Buffer.from('payload')]);
  for (const chunks of feedings(answer)) {
    assert.deepEqual(clientOutcome(chunks), { sent: ALL_SENT, leftover: 'payload' });
  }
  // Without OKAY nothing is established, and nothing is sent behind DONE.
  assert.deepEqual(clientOutcome([UP_TO_STATUS]), { sent: ALL_SENT });
});

test('the client leaves USERADDR out when the address is not known', () => {
  const client = createExtOrClient({ cookie, rng: scriptedRng(clientNonce), transport: 'obfs3' });
  const sent = sentBytes(client.receive(UP_TO_STATUS));
  assert.ok(sent.toString('latin1').endsWith('\x00\x02\x00\x05obfs3\x00\x00\x00\x00'));
  assert.equal(sent.length, 33 + 32 + 9 + 4);
});

test('the client ignores every command but OKAY and DENY, and judges no body', () => {
  // Among them a USERADDR and a TRANSPORT, which are a client's, with bodies that a server refuses.
  const noise = hex(`1002 0003 616263  7777 0002 0000  00ff 0000  0001 0001 78  0002 0002 612d`);
  const answer = Buffer.concat([UP_TO_STATUS, noise, hex(OKAY)]);
  for (const chunks of feedings(answer)) {
    assert.deepEqual(clientOutcome(chunks), { sent: ALL_SENT, leftover: '' });
  }
});

test('the client fails on DENY, a foreign cookie, a refusal, and nonsense', () => {
  const greeted = { sent: GREETING };
  const hashed = { sent: GREETING + clientHash.toString('hex') };
  const wrongHash = Buffer.from(serverHash).fill(serverHash[31]! ^ 1, 31);
  const cases: [Buffer, { sent: string }, string][] = [
    [Buffer.concat([UP_TO_STATUS, hex(DENY)]), { sent: ALL_SENT }, 'ERR_EXTOR_DENIED'],
    [Buffer.concat([hex('01 00'), wrongHash, serverNonce]), greeted, 'ERR_EXTOR_AUTH'],
    [Buffer.concat([hex('01 00'), serverHash, serverNonce, hex('00')]), hashed, 'ERR_EXTOR_AUTH'],
    [hex('02 03 00'), { sent: '' }, 'ERR_EXTOR_AUTH'],
    [hex('00'), { sent: '' }, 'ERR_EXTOR_AUTH'],
    [Buffer.alloc(256, 1), { sent: '' }, 'ERR_EXTOR_MALFORMED'],
    [Buffer.concat([UP_TO_STATUS, hex('7777 ffff')]), { sent: ALL_SENT }, 'ERR_BYTES_OVERFLOW'],
  ];
  for (const [answer, { sent }, error] of cases) {
    for (const chunks of feedings(answer)) assert.deepEqual(clientOutcome(chunks), { sent, error });
  }
  const client = createExtOrClient({ cookie, rng: seededRng(1), transport: 'obfs4' });
  assert.deepEqual(client.codes, { closed: 'ERR_EXTOR_CLOSED', timedOut: 'ERR_EXTOR_TIMED_OUT' });
});

function serverOutcome(chunks: Uint8Array[]): unknown {
  const server = createExtOrServer({ cookie, rng: scriptedRng(serverNonce) });
  assert.equal(sentBytes(server.start()).toString('hex'), '0100');
  const { actions, rest } = feed((chunk) => server.receive(chunk), chunks, ['done', 'failed']);
  const end = actions.at(-1);
  const sent = sentBytes(actions).toString('hex');
  if (end?.type === 'done') {
    const leftover = Buffer.concat([end.leftover, rest]).toString('latin1');
    return { sent, metadata: end.result, leftover };
  }
  return end?.type === 'failed' ? { sent, error: end.error.code } : { sent };
}

const AUTHENTICATION = Buffer.concat([hex('01'), clientNonce, clientHash]);
const SERVER_SENT = `${Buffer.concat([serverHash, serverNonce]).toString('hex')}01`;

test('the server authenticates a PT and hands its metadata up', () => {
  const messages = hex(`7777 0001 00 ${USERADDR} 1000 0000 ${TRANSPORT} ${DONE}`);
  const bytes = Buffer.concat([AUTHENTICATION, messages, Buffer.from('early')]);
  for (const chunks of feedings(bytes)) {
    assert.deepEqual(serverOutcome(chunks), {
      sent: SERVER_SENT,
      metadata: { userAddr, transport: 'obfs4' },
      leftover: 'early',
    });
  }
  const server = createExtOrServer({ cookie, rng: seededRng(1) });
  assert.deepEqual(Buffer.from(server.okay()), hex(OKAY));
  assert.deepEqual(Buffer.from(server.deny()), hex(DENY));
});

test('the server refuses a wrong type, a wrong hash, malformed known commands and long bodies', () => {
  const hashes = SERVER_SENT.slice(0, -2);
  const wrongHash = Buffer.concat([hex('01'), clientNonce, Buffer.alloc(32)]);
  const after = (text: string): Buffer => Buffer.concat([AUTHENTICATION, hex(text)]);
  const cases: [Buffer, string, string][] = [
    [hex('02'), '', 'ERR_EXTOR_MALFORMED'],
    [wrongHash, `${hashes}00`, 'ERR_EXTOR_AUTH'],
    [after('0001 0000'), SERVER_SENT, 'ERR_EXTOR_MALFORMED'],
    [after('0001 0004 31323700'), SERVER_SENT, 'ERR_EXTOR_MALFORMED'],
    [after('0002 0000'), SERVER_SENT, 'ERR_EXTOR_MALFORMED'],
    [after('0002 0003 612d62'), SERVER_SENT, 'ERR_EXTOR_MALFORMED'],
    [after('0002 0002 6100'), SERVER_SENT, 'ERR_EXTOR_MALFORMED'],
    [after('7777 1001'), SERVER_SENT, 'ERR_BYTES_OVERFLOW'],
  ];
  for (const [bytes, sent, error] of cases) {
    for (const chunks of feedings(bytes)) assert.deepEqual(serverOutcome(chunks), { sent, error });
  }
});

test('both machines together, with nonces of their own', () => {
  const server = createExtOrServer({ cookie, rng: seededRng('server') });
  const client = createExtOrClient({ cookie, rng: seededRng('client'), userAddr, transport: 'a' });
  let toServer = sentBytes(client.receive(sentBytes(server.start())));
  for (;;) {
    const actions = server.receive(toServer);
    const last = actions.at(-1);
    if (last?.type === 'done') {
      assert.deepEqual(last.result, { userAddr, transport: 'a' });
      break;
    }
    toServer = sentBytes(client.receive(sentBytes(actions)));
    assert.ok(toServer.length > 0);
  }
  assert.equal(client.receive(server.okay())[0]?.type, 'done');
});

test('messages: decode inverts encode', () => {
  const message: fc.Arbitrary<SentMessage> = fc.oneof(
    fc.constantFrom<SentMessage>({ type: 'done' }, { type: 'okay' }, { type: 'deny' }),
    fc
      .tuple(fc.ipV4(), fc.integer({ min: 0, max: 65_535 }))
      .map(([host, port]) => ({ type: 'userAddr', address: { host, port } }) as const),
    fc
      .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,60}$/)
      .map((name) => ({ type: 'transport', name }) as const),
  );
  fc.assert(
    fc.property(message, (sent) => {
      const bytes = encodeMessage(sent);
      assert.deepEqual(decodeMessage(bytes), { message: sent, length: bytes.length });
      for (let end = 0; end < bytes.length; end += 1) {
        assert.equal(decodeMessage(bytes.subarray(0, end)), NEED_MORE);
      }
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('the list of authentication types and the body have exact limits', () => {
  const types = Buffer.alloc(256, 7);
  assert.equal(decodeAuthTypes(types.subarray(0, 255)), NEED_MORE);
  assert.throws(() => decodeAuthTypes(types), { code: 'ERR_EXTOR_MALFORMED' });
  types[255] = 0;
  assert.deepEqual(decodeAuthTypes(types), { message: new Array(255).fill(7), length: 256 });
  const header = Buffer.of(0x77, 0x77, limits.extorBodyBytes >> 8, limits.extorBodyBytes & 0xff);
  const longest = Buffer.concat([header, Buffer.alloc(limits.extorBodyBytes)]);
  assert.notEqual(decodeMessage(longest), NEED_MORE);
});

test('no bytes whatever make either machine throw', () => {
  const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 70 }), { maxLength: 6 });
  fc.assert(
    fc.property(chunks, fc.integer({ min: 0, max: 67 }), (tail, kept) => {
      clientOutcome([UP_TO_STATUS.subarray(0, kept), ...tail]);
      serverOutcome([AUTHENTICATION.subarray(0, kept), ...tail]);
    }),
    { seed: 6, numRuns: 1000 },
  );
});
