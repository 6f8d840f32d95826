/**
 * A server's state survives whatever ends its process: at each step that a save or a repair takes on the
 * disk everything stops, as after `kill -9`, and a new start finds what the last one knew.
 */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { systemRng } from '../../src/crypto/rng.ts';
import type { KeyValues } from '../../src/pt/key-value.ts';
import { replaceFile } from '../../src/state/replace-file.ts';
import { openStateDirectory } from '../../src/state/state-directory.ts';
import type { Transport, TransportServer } from '../../src/transports/contract.ts';
import { obfs4 } from '../../src/transports/obfs4/index.ts';
import { scramblesuit } from '../../src/transports/scramblesuit/index.ts';
import { watchFileSteps } from '../support/file-steps.ts';
import { memoryDisk, temporaryDirectory } from '../support/managed.ts';

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

interface Start {
  readonly options?: KeyValues;
  readonly nowMs?: number;
}

async function start(
  transport: Transport,
  path: string,
  how: Start = {},
): Promise<TransportServer> {
  const server = await transport.server(how.options ?? [], {
    rng: systemRng,
    clock: { epochMs: () => how.nowMs ?? 0 },
    state: openStateDirectory(path),
    notify: () => {},
  });
  if (how.nowMs !== undefined) {
    // Looked at as a ticket, whose keys are due: a save while the server runs.
    const session = server.createSession();
    session.start();
    session.receive(Buffer.alloc(144));
  }
  await server.close();
  return server;
}

/** What bridge lines hang on, without what an option may change. */
function identityOf(server: TransportServer): unknown {
  return [server.clientArguments.filter(([key]) => key !== 'iat-mode'), server.rejectAfterMs];
}

/**
 * Lets a start die before its `count`-th step on the disk; a write is cut in half.
 *
 * @returns false when it took fewer steps, and so came to its end
 */
async function dies(t: TestContext, work: () => Promise<unknown>, count: number): Promise<boolean> {
  let steps = 0;
  let die: (died: true) => void;
  const death = new Promise<true>((resolve) => {
    die = resolve;
  });
  const beforeStep = (
    step: string,
    [handle, content]: readonly unknown[],
  ): undefined | Promise<void> => {
    steps += 1;
    if (steps < count) return undefined;
    if (steps === count && step.startsWith('handle.')) {
      t.after(() => (handle as FileHandle).close());
    }
    if (steps === count && step === 'handle.writeFile') {
      const bytes = content as Uint8Array;
      writeFileSync((handle as FileHandle).fd, bytes.subarray(0, bytes.length / 2));
    }
    die(true);
    return new Promise(() => {});
  };
  return watchFileSteps(beforeStep, () => Promise.race([work().then(() => false), death]));
}

/** Damage that a crash of the machine or an accident does. */
type Damage = (file: string) => void;
const none: Damage = () => {};
const emptied: Damage = (file) => truncateSync(file, 0);
const removed: Damage = (file) => rmSync(file);

const CASES: readonly {
  readonly what: string;
  readonly transport: Transport;
  readonly file: string;
  readonly damage: Damage;
  readonly how?: Start;
}[] = [
  ...[
    { transport: obfs4, file: 'obfs4_state.json' },
    { transport: scramblesuit, file: 'scramblesuit_state.json' },
  ].flatMap((one) => [
    { ...one, what: 'a start', damage: none },
    { ...one, what: 'the repair of an empty file', damage: emptied },
    { ...one, what: 'the repair of a missing file', damage: removed },
    {
      ...one,
      file: `${one.file}.previous`,
      what: 'the repair of an empty second copy',
      damage: emptied,
    },
  ]),
  {
    transport: obfs4,
    file: 'obfs4_state.json',
    what: 'a change of iat-mode',
    damage: none,
    how: { options: [['iat-mode', '1']] },
  },
  {
    transport: obfs4,
    file: 'obfs4_state.json',
    what: 'a change of iat-mode with an empty file',
    damage: emptied,
    how: { options: [['iat-mode', '1']] },
  },
  {
    transport: scramblesuit,
    file: 'scramblesuit_state.json',
    what: 'a rotation of the ticket keys',
    damage: none,
    how: { nowMs: WEEK_MS },
  },
  {
    transport: scramblesuit,
    file: 'scramblesuit_state.json',
    what: 'a rotation of the ticket keys with an empty file',
    damage: emptied,
    how: { nowMs: WEEK_MS },
  },
];

describe('a process that dies at any step on the disk keeps its identity', () => {
  for (const { what, transport, file, damage, how } of CASES) {
    test(`${transport.name}: ${what}`, async (t) => {
      for (let count = 1; ; count += 1) {
        const path = temporaryDirectory(t, memoryDisk);
        const identity = identityOf(await start(transport, path));
        damage(join(path, file));
        const died = await dies(t, () => start(transport, path, how), count);
        assert.deepEqual(identityOf(await start(transport, path)), identity, `at step ${count}`);
        if (!died) {
          assert.ok(count > 3, 'the steps were seen');
          break;
        }
      }
    });
  }

  for (const transport of [obfs4, scramblesuit]) {
    test(`${transport.name}: what was published at the first start`, async (t) => {
      for (let count = 1; ; count += 1) {
        const path = temporaryDirectory(t, memoryDisk);
        const died = await dies(t, () => start(transport, path), count);
        // Whatever the first start left, the second one works with it, and that stays.
        const identity = identityOf(await start(transport, path));
        assert.deepEqual(identityOf(await start(transport, path)), identity, `at step ${count}`);
        if (!died) break;
      }
    });
  }
});

test('a replaced file is on the disk before its name is, and its name before the caller hears of it', async (t) => {
  const path = join(temporaryDirectory(t), 'file');
  await replaceFile(path, Buffer.from('old'));
  const synced: string[] = [];
  await watchFileSteps(
    (step, [handle]) => {
      if (step !== 'handle.sync') return undefined;
      const opened = readlinkSync(`/proc/self/fd/${(handle as FileHandle).fd}`);
      const content = opened === dirname(path) ? 'the directory' : readFileSync(opened, 'utf8');
      synced.push(`${content}, while the file is ${readFileSync(path, 'utf8')}`);
      return undefined;
    },
    () => replaceFile(path, Buffer.from('new')),
  );
  assert.deepEqual(synced, ['new, while the file is old', 'the directory, while the file is new']);
});
