import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ntorClient, ntorServer } from '../../src/crypto/ntor.ts';
import { fromHex, readVectors, toHex } from '../support/vectors.ts';

type Name = 'x' | 'X' | 'y' | 'Y' | 'b' | 'B' | 'nodeId' | 'auth' | 'keyMaterial';
const { agreements } = readVectors<{ agreements: Record<Name, string>[] }>('ntor.json');

/** Both halves of one agreement, with any of its values replaced. */
function agree(replaced: Partial<Record<Name, string>> = {}): {
  client: ReturnType<typeof ntorClient>;
  server: ReturnType<typeof ntorServer>;
} {
  const values = { ...agreements[0]!, ...replaced };
  const { x, X, y, Y, b, B, nodeId } = Object.fromEntries(
    Object.entries(values).map(([name, hex]) => [name, fromHex(hex)]),
  ) as Record<Name, Buffer>;
  return {
    client: ntorClient({
      keyPair: { privateKey: x, publicKey: X },
      serverPublicKey: Y,
      identityPublicKey: B,
      nodeId,
    }),
    server: ntorServer({
      keyPair: { privateKey: y, publicKey: Y },
      clientPublicKey: X,
      identity: { privateKey: b, publicKey: B },
      nodeId,
    }),
  };
}

test('both halves derive the known AUTH and key material', () => {
  for (const vector of agreements) {
    for (const result of Object.values(agree(vector))) {
      assert.equal(toHex(result!.auth), vector.auth);
      assert.equal(toHex(result!.keyMaterial), vector.keyMaterial);
    }
  }
});

test('a wrong identity key or node ID changes AUTH', () => {
  const [first, second] = agreements as [(typeof agreements)[0], (typeof agreements)[0]];
  assert.notEqual(toHex(agree({ B: second.B }).client!.auth), first.auth);
  assert.notEqual(toHex(agree({ nodeId: second.nodeId }).client!.auth), first.auth);
  assert.notEqual(toHex(agree({ b: second.b }).server!.auth), first.auth);
});

test('a public key that makes a secret zero is refused on both sides', () => {
  const zero = '00'.repeat(32);
  assert.equal(agree({ Y: zero }).client, undefined);
  assert.equal(agree({ B: zero }).client, undefined);
  assert.equal(agree({ X: zero }).server, undefined);
});
