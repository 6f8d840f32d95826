/** The link protocol of Tor, from what a real bridge said. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTorLinkHello, createTorTraffic } from '../../src/check/tor-link.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { verifyTorIdentity } from '../../src/crypto/tor-certificates.ts';
import { PosternError } from '../../src/errors.ts';
import { feed, feedings, sentBytes } from '../support/feed.ts';
import { fromHex, readVectors } from '../support/vectors.ts';

const { recordedMs, fingerprint, ...recorded } = readVectors<{
  recordedMs: number;
  fingerprint: string;
  tlsCertificate: string;
  hello: string;
}>('tor-link.json');
const bytes = fromHex(recorded.hello);
const tlsCertificate = fromHex(recorded.tlsCertificate);

/** What a hello comes to. */
function run(chunks: readonly Uint8Array[]) {
  const hello = createTorLinkHello('192.0.2.3');
  const { actions } = feed((chunk) => hello.receive(chunk), chunks, ['done', 'failed']);
  return actions;
}

describe('the link of a Tor', () => {
  test('a recorded hello is read, however it arrives; what comes behind it is left over', () => {
    for (const chunks of feedings(Buffer.concat([bytes, Buffer.from('more')])).slice(0, 600)) {
      const done = run(chunks).find(({ type }) => type === 'done');
      assert.ok(done?.type === 'done');
      assert.equal(done.result.version, 5);
      assert.ok(Math.abs(done.result.clockMs - recordedMs) < 10_000);
      assert.deepEqual(
        [...done.result.certificates.keys()].toSorted((a, b) => a - b),
        [1, 2, 4, 5, 7],
      );
      assert.ok(Buffer.from('more').indexOf(done.leftover) === 0);
    }
  });

  test('we say VERSIONS and NETINFO, as clients do', () => {
    const hello = createTorLinkHello('192.0.2.3');
    assert.equal(sentBytes(hello.start()).toString('hex'), '000007000400040005');
    const netinfo = sentBytes(hello.receive(bytes));
    assert.equal(netinfo.length, 514);
    assert.equal(
      netinfo.subarray(0, 16).toString('hex'),
      '0000000008' + '00000000' + '0404c0000203' + '00',
    );
  });

  test('the certificates prove the fingerprint', () => {
    const done = run([bytes]).find(({ type }) => type === 'done');
    assert.ok(done?.type === 'done');
    const identity = verifyTorIdentity(done.result.certificates, tlsCertificate);
    assert.equal(identity.fingerprint, fingerprint);
    assert.ok(identity.notBeforeMs < recordedMs && recordedMs < identity.notAfterMs);
  });

  test('no byte of a certificate can be changed, and none be left out', () => {
    const done = run([bytes]).find(({ type }) => type === 'done');
    assert.ok(done?.type === 'done');
    // The oldest kind, which today's chain goes without.
    const certificates = new Map([...done.result.certificates].filter(([type]) => type !== 1));
    const refused = (changed: ReadonlyMap<number, Uint8Array>, tls = tlsCertificate): boolean => {
      try {
        // The RSA certificate's own shell may change: its key must not.
        return verifyTorIdentity(changed, tls).fingerprint !== fingerprint;
      } catch (error) {
        assert.ok(
          error instanceof PosternError && error.code === 'ERR_TOR_IDENTITY',
          String(error),
        );
        return true;
      }
    };
    assert.ok(!refused(certificates));
    for (const [type, certificate] of certificates) {
      assert.ok(refused(new Map([...certificates].filter(([other]) => other !== type))));
      for (let at = 0; at < certificate.length; at += 3) {
        const changed = Buffer.from(certificate);
        changed[at]! ^= 0x41;
        assert.ok(refused(new Map(certificates).set(type, changed)), `type ${type}, byte ${at}`);
      }
    }
    assert.ok(refused(certificates, Buffer.from('another connection')));
  });

  test('what is no link of Tor’s fails as that', () => {
    for (const stranger of [
      Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'.padEnd(600, '.')),
      Buffer.from('000007000200ff', 'hex'), // a version of its own
      Buffer.concat([bytes.subarray(0, 11), Buffer.from('0000000081ffff', 'hex')]), // without end
      Buffer.from('00000700020004' + '00000000' + '810003' + '050201', 'hex'), // certificates cut short
    ]) {
      const [action] = run([stranger]);
      assert.ok(action?.type === 'failed');
      assert.equal(action.error.code, 'ERR_TOR_LINK_PROTOCOL');
    }
  });

  test('traffic is padding in whole cells, and over when the circuit behind it is answered', () => {
    const traffic = createTorTraffic(1000, systemRng);
    const sent = sentBytes(traffic.start());
    assert.equal(sent.length, 3 * 514);
    assert.ok(sent.subarray(0, 2 * 514).every((byte) => byte === 0));
    assert.equal(sent.subarray(2 * 514, 2 * 514 + 5).toString('hex'), '8000000105');
    const padding = Buffer.alloc(514);
    assert.deepEqual(traffic.receive(padding), []);
    const created = Buffer.concat([Buffer.from('8000000106', 'hex'), Buffer.alloc(509)]);
    assert.equal(traffic.receive(created)[0]?.type, 'done');
  });
});
