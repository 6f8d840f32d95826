import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCert, parseClientArguments } from '../../../src/transports/obfs4/identity.ts';

// From a state directory and the SMETHOD line that Debian's obfs4proxy 0.0.14 made of it.
const nodeId = '45911e83561fe3113bd9043568570c67735e80d0';
const publicKey = 'f0ecb54deca1afdd15ff6710a3ccb72cb8abc17b72ba3017e40c59d139344a1e';
const cert = 'RZEeg1Yf4xE72QQ1aFcMZ3NegNDw7LVN7KGv3RX/ZxCjzLcsuKvBe3K6MBfkDFnROTRKHg';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('`cert` and the older pair say the same, as obfs4proxy writes them', () => {
  for (const args of [
    [['cert', cert]],
    [['cert', `${cert}==`]],
    [
      ['node-id', nodeId],
      ['public-key', publicKey.toUpperCase()],
    ],
  ] as [string, string][][]) {
    const { bridge, iatMode } = parseClientArguments([...args, ['iat-mode', '2']]);
    assert.equal(hex(bridge.nodeId), nodeId);
    assert.equal(hex(bridge.publicKey), publicKey);
    assert.equal(iatMode, 2);
    assert.equal(formatCert(bridge), cert);
  }
});

test('[PT-3.5-01] missing and malformed arguments are errors that name them and not their values', () => {
  const iat: [string, string] = ['iat-mode', '0'];
  const cases: [[string, string][], RegExp][] = [
    [[['cert', cert]], /`iat-mode`/],
    [
      [
        ['cert', cert],
        ['iat-mode', '3'],
      ],
      /`iat-mode`/,
    ],
    [
      [
        ['cert', cert],
        ['iat-mode', '00'],
      ],
      /`iat-mode`/,
    ],
    [[['cert', cert.slice(0, -1)], iat], /`cert`/],
    [[['cert', `${cert}AAAA`], iat], /`cert`/],
    [[['cert', `!${cert.slice(1)}`], iat], /`cert`/],
    // What every line of today has, not the older pair.
    [[iat], /`cert` is missing/],
    [[['public-key', publicKey], iat], /`node-id`/],
    [[['node-id', nodeId], iat], /`public-key`/],
    [[['node-id', nodeId], ['public-key', publicKey.slice(2)], iat], /`public-key`/],
    [[['node-id', `${nodeId.slice(1)}g`], ['public-key', publicKey], iat], /`node-id`/],
  ];
  for (const [args, names] of cases) {
    assert.throws(
      () => parseClientArguments(args),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_TRANSPORT_ARGUMENT');
        assert.match(error.message, names);
        for (const [, value] of args) {
          assert.ok(value.length < 4 || !error.message.includes(value));
        }
        return true;
      },
    );
  }
});
