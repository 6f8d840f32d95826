import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { controlSafeCookieHash } from '../../src/crypto/safe-cookie.ts';
import {
  answerAuthChallenge,
  chooseAuthentication,
  formatAuthChallenge,
  formatAuthenticate,
  parseProtocolInfo,
} from '../../src/tor-control/authentication.ts';
import type { TorReply } from '../../src/tor-control/messages.ts';

function reply(...texts: readonly string[]): TorReply {
  const lines = texts.map((text) => ({ status: 250, text }));
  return { ...lines.at(-1)!, lines };
}

describe('PROTOCOLINFO', () => {
  test('as Tor 0.4.9 answers, with a path that needs escapes', () => {
    const info = parseProtocolInfo(
      reply(
        'PROTOCOLINFO 1',
        'AUTH METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD COOKIEFILE="/tmp/a \\"b\\"\\303\\251/cookie"',
        'VERSION Tor="0.4.9.11"',
        'OK',
      ),
    );
    assert.deepEqual(info, {
      methods: ['COOKIE', 'SAFECOOKIE', 'HASHEDPASSWORD'],
      cookiePath: '/tmp/a "b"é/cookie',
      version: '0.4.9.11',
    });
  });

  test('with lines that do not exist yet, and without those that need not be', () => {
    const info = parseProtocolInfo(reply('NEWS "from', 'AUTH METHODS=NULL', 'OK'));
    assert.deepEqual(info, { methods: ['NULL'] });
  });

  test('without methods it is none', () => {
    for (const text of ['OK', 'AUTH', 'AUTH METHODS', 'AUTH METHODS=NULL COOKIEFILE="no end']) {
      assert.throws(
        () => parseProtocolInfo(reply(text)),
        { code: 'ERR_TOR_CONTROL_PROTOCOL' },
        text,
      );
    }
  });
});

describe('the way that is taken', () => {
  const named = { cookiePath: '/tor/names/it' };
  const cookiePath = '/caller/names/it';
  const password = 'secret';
  const all = ['COOKIE', 'SAFECOOKIE', 'HASHEDPASSWORD'];

  test('gives away as little as the offers and the caller allow', () => {
    const cases = [
      [['NULL'], {}, { method: 'NULL' }],
      [['NULL', ...all], { password, cookiePath }, { method: 'NULL' }],
      [all, {}, { method: 'SAFECOOKIE', ...named }],
      [all, { cookiePath }, { method: 'SAFECOOKIE', cookiePath }],
      [all, { password, cookiePath }, { method: 'HASHEDPASSWORD', password }],
      [['COOKIE', 'SAFECOOKIE'], { password }, { method: 'SAFECOOKIE', ...named }],
      [['COOKIE', 'SAFECOOKIE', 'FUTURE'], { cookiePath }, { method: 'SAFECOOKIE', cookiePath }],
      [['COOKIE'], { cookiePath }, { method: 'COOKIE', cookiePath }],
      [['HASHEDPASSWORD'], { password: '' }, { method: 'HASHEDPASSWORD', password: '' }],
    ] as const;
    for (const [methods, credentials, expected] of cases) {
      assert.deepEqual(chooseAuthentication({ methods, ...named }, credentials), expected);
    }
  });

  test('never sends the content of a file that only Tor named', () => {
    assert.throws(() => chooseAuthentication({ methods: ['COOKIE'], ...named }, { password }), {
      code: 'ERR_TOR_CONTROL_AUTHENTICATION',
      message: /path/,
    });
  });

  test('may be none, and then it is said what is missing', () => {
    const cases = [
      [['HASHEDPASSWORD'], {}, /asks for its password/],
      [['HASHEDPASSWORD'], { cookiePath }, /asks for its password/],
      [['SAFECOOKIE'], {}, /cookie/],
      [['FUTURE'], {}, /no way/],
      [['FUTURE'], { password }, /takes no password/],
      [[''], {}, /no way/],
    ] as const;
    for (const [methods, credentials, message] of cases) {
      const expected = { code: 'ERR_TOR_CONTROL_AUTHENTICATION', message };
      assert.throws(() => chooseAuthentication({ methods }, credentials), expected);
    }
  });
});

describe('SAFECOOKIE', () => {
  // Recorded from Tor 0.4.9.11, which accepted the answer.
  const cookie = Buffer.from(
    'e1ce9aad55730e14c51c8d7e2de78e7dd6dd6f42962bd0303d056414476af6c0',
    'hex',
  );
  const clientNonce = Buffer.alloc(32, 0xab);
  const hash = '04FC07F75F9293B92DC78FE5464402DDAF3E2DD58E88542B438367577A98DCC7';
  const nonce = '81ADB8E7005152DAB4F9AE40F733930D9E2A571B1227FCCC64BE743130130F1D';
  const answer = '5f0c806c489db95ac78a3e0d98795a3c66eb03050259b208dc8b6b7c451b26aa';

  test('with the cookie and nonces of a real exchange', () => {
    assert.equal(formatAuthChallenge(clientNonce), `AUTHCHALLENGE SAFECOOKIE ${'ab'.repeat(32)}`);
    const challenge = reply(`AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${nonce}`);
    assert.equal(answerAuthChallenge(challenge, cookie, clientNonce).toString('hex'), answer);
    const server = controlSafeCookieHash(
      'server-to-controller',
      cookie,
      clientNonce,
      Buffer.from(nonce, 'hex'),
    );
    assert.equal(server.toString('hex').toUpperCase(), hash);
  });

  test('answers nobody who does not know the cookie', () => {
    const last = hash.replace(/7$/, '8');
    const first = hash.replace(/^0/, '1');
    for (const wrong of [last, first, '0'.repeat(64), answer]) {
      const challenge = reply(`AUTHCHALLENGE SERVERHASH=${wrong} SERVERNONCE=${nonce}`);
      const expected = { code: 'ERR_TOR_CONTROL_FALSE_SERVER' };
      assert.throws(() => answerAuthChallenge(challenge, cookie, clientNonce), expected);
    }
  });

  test('takes no answer of another form', () => {
    const broken = [
      'OK',
      `AUTHCHALLENGE SERVERHASH=${hash}`,
      `AUTHCHALLENGE SERVERNONCE=${nonce}`,
      `AUTHCHALLENGE SERVERHASH=${hash.slice(2)} SERVERNONCE=${nonce}`,
      `AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${nonce}00`,
      `AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${nonce.replace('8', 'x')}`,
      `AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE="`,
      `CHALLENGE SERVERHASH=${hash} SERVERNONCE=${nonce}`,
    ];
    for (const text of broken) {
      const expected = { code: 'ERR_TOR_CONTROL_PROTOCOL' };
      assert.throws(() => answerAuthChallenge(reply(text), cookie, clientNonce), expected, text);
    }
  });
});

test('AUTHENTICATE carries a secret of any bytes', () => {
  assert.equal(formatAuthenticate(Buffer.from('a"\r\n\0é')), 'AUTHENTICATE 61220d0a00c3a9');
  assert.equal(formatAuthenticate(new Uint8Array(0)), 'AUTHENTICATE ""');
});
