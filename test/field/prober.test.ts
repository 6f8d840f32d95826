/** When a prober of obfs4 is closed by the clock: of both programs by the same, which is in their identity. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { obfs4proxy, obfs4proxyMissing, postern, startPtServer } from '../support/pt-programs.ts';
import { describeSight, identityClosingAfter, probesOf, startProber } from '../support/prober.ts';
import { echo, listen } from '../support/sockets.ts';

/** How much later than it should a loaded machine may close. */
const LATE_MS = 10_000;

for (const closingAfterMs of [30_000, 43_000]) {
  test(
    `a bridge whose identity says ${closingAfterMs} ms closes a prober then, whatever it said, as obfs4proxy does`,
    { skip: obfs4proxyMissing },
    async (t) => {
      const { endpoint: orPort } = await listen(t, echo);
      const options = { transport: 'obfs4', orPort, options: identityClosingAfter(closingAfterMs) };
      const servers = await Promise.all(
        [postern, obfs4proxy].map((program) => startPtServer(t, program, options)),
      );
      const staying = probesOf('obfs4').filter(({ then }) => then === 'stays');
      const seen = staying.map(async (probe) => {
        const probers = servers.map((server) => startProber(server, probe));
        const closed = Promise.all(probers.map((prober) => prober.closed));
        await Promise.race([closed, delay(closingAfterMs + LATE_MS)]);
        const sights = probers.map((prober) => {
          const sight = prober.sight();
          prober.stop();
          if (sight.afterMs < 20_000) return describeSight(sight);
          assert.ok(sight.afterMs >= closingAfterMs - 50, `${probe.name}: ${sight.afterMs}`);
          return `${describeSight(sight)} by the clock`;
        });
        assert.equal(sights[0], sights[1], probe.name);
        return sights[0]!;
      });
      const kinds = new Map<string, number>();
      for (const kind of await Promise.all(seen)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      t.diagnostic(JSON.stringify(Object.fromEntries(kinds)));
      // Those that have shown that they have the bridge line stand, or have been closed for what came then.
      assert.ok(kinds.get('nothing, FIN by the clock')! >= 20);
    },
  );
}
