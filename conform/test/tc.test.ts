/** The kit against TC servers that keep every clause. Faults, one at a time, are in the other files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { examineTc } from '../src/tc/index.ts';
import { startFaultyTcServer, type TcVariant } from './support/faulty-tc-server.ts';
import { faultsIn, withVerdict } from './examine.ts';
import { everything, examineFaultyTc, optionsFor } from './examine-tc.ts';
import { tcConductFaults, tcMessageFaults, tcStateFaults } from './tc-faults.ts';

const variants: readonly TcVariant[] = [
  'trusting',
  'cookie',
  'passphrase',
  'socket',
  'relay',
  'unwritable',
];

test('a server without a fault breaks nothing, and every clause that is judged has a fault that breaks it', async () => {
  const held = new Set<string>();
  for (const variant of variants) {
    const halt = variant === 'cookie';
    const permissions = { ...everything, shutdown: !halt, halt };
    const left: string[] = [];
    const reports = await examineFaultyTc('none', variant, {
      permissions,
      onLeftBehind: (what) => left.push(what),
    });
    assert.deepEqual(faultsIn(reports), [], variant);
    assert.deepEqual(left, [], variant);
    for (const id of withVerdict(reports, 'holds')) held.add(id);
  }
  const all = [...tcMessageFaults, ...tcStateFaults, ...tcConductFaults];
  const caught = all.flatMap(([, , clauses]) => clauses.split(' '));
  assert.deepEqual(
    [...held].filter((id) => !caught.includes(id)),
    [],
  );
});

test('what would last or disturb is not done unasked, and said so', async (t) => {
  const server = await startFaultyTcServer('none');
  t.after(() => server.close());
  const { address, signal } = optionsFor(server);
  const reports = await examineTc({ address, signal });
  assert.deepEqual(faultsIn(reports), []);
  const reasonOf = (id: string): string | undefined =>
    reports.find(({ clause }) => clause.id === id)?.reason;
  for (const [id, option] of [
    ['TC-3.9-02', '--saveconf'],
    ['TC-3.10-02', '--reload'],
    ['TC-3.10-03', '--shutdown'],
    ['TC-3.10-07', '--halt'],
    ['TC-3.7-08', '--socks'],
    ['TC-4.2-01', '--flood'],
  ] as const) {
    assert.match(reasonOf(id) ?? '', new RegExp(option), id);
  }
});

test('everything is put back, also when it is interrupted at any point', async (t) => {
  const server = await startFaultyTcServer('none');
  t.after(() => server.close());
  const keys =
    'MaxCircuitDirtiness\nShutdownWaitLength\nContactInfo\nMapAddress\nHiddenServiceOptions\n';
  const before = server.getConf(keys);
  let total = 1;
  let interrupted = 0;
  for (let at = 0; at < total; at += 1) {
    const stop = new AbortController();
    const examination = examineTc({
      ...optionsFor(server),
      signal: stop.signal,
      onProgress(done, all) {
        total = Math.max(total, all);
        // In the middle of the next probe.
        if (all > 0 && done === at) setImmediate(() => stop.abort(new Error('enough')));
      },
      onLeftBehind: (what) => assert.fail(what),
    });
    await examination.catch((error: Error) => {
      assert.equal(error.message, 'enough');
      interrupted += 1;
    });
    assert.equal(server.getConf(keys), before, String(at));
    assert.equal(server.mappings(), 0, String(at));
  }
  // Those that have nothing to do without permission are over before they can be interrupted.
  assert.ok(interrupted > total / 2, `${interrupted} of ${total}`);
});

test('what cannot be put back is told', async (t) => {
  const server = await startFaultyTcServer('bare-is-empty');
  t.after(() => server.close());
  const left: string[] = [];
  await examineTc({
    ...optionsFor(server),
    only: ['TC-3.3-07'],
    onLeftBehind: (what) => left.push(what),
  });
  assert.ok(
    left.some((what) => what.startsWith('ContactInfo ')),
    left.join(),
  );
});

test('a server that is not there, does not speak TC or does not let one in is said so', async (t) => {
  const server = await startFaultyTcServer('none', 'cookie');
  t.after(() => server.close());
  const { address, signal, socks } = optionsFor(server);
  await assert.rejects(examineTc({ address, signal }), {
    code: 'ERR_CONFORM_SERVER',
    message: /empty AUTHENTICATE: ERROR 0x0008/,
  });
  const wrong = { kind: 'passphrase', bytes: Buffer.from('wrong') } as const;
  await assert.rejects(examineTc({ address, signal, secret: wrong }), { message: /the secret/ });
  // A SOCKS server waits for more, and says nothing.
  await assert.rejects(examineTc({ address: socks!, signal, patienceMs: 100 }), {
    code: 'ERR_CONFORM_SERVER',
    message: /does not speak TC/,
  });
  server.close();
  await assert.rejects(examineTc({ address, signal }), { message: /nobody answers/ });
});
