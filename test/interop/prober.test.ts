/**
 * What a prober sees of a server of ours is what it sees of obfs4proxy's: whether anything comes back, who
 * closes, and how. When they close by the clock is field/prober.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  obfs4proxy,
  obfs4proxyMissing,
  postern,
  startPtServer,
  type PtServer,
} from '../support/pt-programs.ts';
import { firstMessage, probesOf, startProber, watch, type Probe } from '../support/prober.ts';
import { echo, listen } from '../support/sockets.ts';

/** How long one that is silent is watched. */
const WATCH_MS = 2_000;

/**
 * What obfs2 and obfs3 refuse in so many words, and obfs4proxy closes upon at once, with a reset where bytes
 * were left unread. Ours read on, as for every peer that has not proven itself: what tells the two apart are
 * transports that have told with their first bytes what they are.
 */
const refused: Readonly<Record<string, RegExp>> = {
  obfs2: /an HTTP|a TLS|^\d{3,} random|9000 bytes|megabyte|drip|another magic|too much padding/,
  obfs3: /9000 bytes|17000|megabyte|more noise/,
};

function openFiles({ pid }: PtServer): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Lets probers at two servers, and at the end no connection is left of them. */
async function compareServers(
  t: TestContext,
  servers: readonly [PtServer, PtServer],
  probes: readonly Probe[],
): Promise<void> {
  // A first handshake opens files of its own.
  const says: Probe['says'] = (server) => [firstMessage(server)];
  for (const server of servers) {
    await startProber(server, { name: 'the first', says, then: 'ends' }).closed;
  }
  const before = servers.map(openFiles);
  const differences: string[] = [];
  const seen = await Promise.all(
    probes.map(async (probe) => {
      const probers = servers.map((server) => startProber(server, probe));
      t.after(() => probers.forEach((prober) => prober.stop()));
      const [mine, other] = await compareOne(servers[0].transport, probe, probers);
      probers.forEach((prober) => prober.stop());
      if (mine !== other) differences.push(`${probe.name}: ${mine} of ours, ${other}`);
      return mine;
    }),
  );
  assert.deepEqual(differences, []);
  t.diagnostic(`${probes.length} probes; ${[...new Set(seen)].join('; ')}`);
  for (const [index, server] of servers.entries()) {
    // Their targets hear of it, and the last of it is closed.
    while (openFiles(server) > before[index]!) await delay(50);
  }
}

async function compareOne(
  transport: string,
  { name, then }: Probe,
  probers: readonly ReturnType<typeof startProber>[],
): Promise<readonly [string, string]> {
  if (then === 'resets') {
    // It sees nothing any more; what counts is that nothing is left of it.
    await probers[0]!.said;
    await probers[1]!.said;
    return ['', ''];
  }
  if (!refused[transport]?.test(name)) {
    const [mine, other] = await watch(probers, WATCH_MS);
    return [mine!, other!];
  }
  await probers[1]!.closed;
  if (then === 'ends') await probers[0]!.closed;
  const { end } = probers[0]!.sight();
  const expected = then === 'ends' ? 'FIN' : undefined;
  return [String(end), String(expected)];
}

for (const transport of ['obfs4', 'obfs3', 'obfs2']) {
  test(
    `a prober of ${transport} sees the same of both programs, whatever it says`,
    { skip: obfs4proxyMissing },
    async (t) => {
      const { endpoint: orPort } = await listen(t, echo);
      const options = { transport, orPort };
      const ours = await startPtServer(t, postern, options);
      const theirs = await startPtServer(t, obfs4proxy, options);
      await compareServers(t, [ours, theirs], probesOf(transport));
    },
  );
}

test(
  'who does not know its password sees the same of ScrambleSuit as of obfs4proxy’s obfs4',
  { skip: obfs4proxyMissing },
  async (t) => {
    const { endpoint: orPort } = await listen(t, echo);
    const ours = await startPtServer(t, postern, { transport: 'scramblesuit', orPort });
    const theirs = await startPtServer(t, obfs4proxy, { transport: 'obfs4', orPort });
    await compareServers(t, [ours, theirs], probesOf('scramblesuit'));
  },
);
