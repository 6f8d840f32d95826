// check-transport.mjs: runs a transport through the checks that every transport has to pass.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTransport } from 'postern/compliance';
import { rotByN } from './rot-by-n.mjs';

test('rot_by_N keeps to the contract', async () => {
  const results = await checkTransport(rotByN, {
    wrongArguments: [[['N', '0']], [['N', 'thirteen']]],
    wrongOptions: [[['N', '256']]],
    notApplicable: {
      probing: 'it has no handshake: anyone who connects is served',
      replay: 'it has no handshake that could be replayed',
    },
  });
  assert.deepEqual(
    results.filter(({ outcome }) => outcome === 'broken'),
    [],
  );
});
