import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from './soak.ts';

for (const transport of ['obfs4', 'obfs3', 'webtunnel']) {
  test(`${transport}: after seconds of connections that come, go, pause and break, nothing is left`, async (t) => {
    const { conversations, processes } = await soak(t, {
      transport,
      ms: 10_000,
      connections: 100,
      seed: `${transport} ${process.env['POSTERN_SEED'] ?? '1'}`,
    });
    assert.ok(conversations > 100);
    for (const { name, descriptors } of processes) {
      assert.ok(descriptors[1] <= descriptors[0], `${name}: ${descriptors.join(' → ')}`);
    }
  });
}
