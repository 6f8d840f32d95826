/** The command, interrupted in the middle of its work: no process and no file is left. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { faultyParent } from './support/faulty-parent.ts';
import { faultyPt, faultyPtTransports } from './support/faulty-pt.ts';
import { posternConform, temporaryDirectory } from './support/programs.ts';

/** What of the kit to run, so that programs are running for a while. */
const examinations = {
  // Deaf to SIGTERM and to the end of stdin: nothing but a kill ends it.
  pt: ['pt', '--transports', faultyPtTransports.join(), '--', ...faultyPt('ignores-everything')],
  parent: ['parent', '--', ...faultyParent('none', 'client')],
} as const;

const skip = process.platform === 'linux' ? false : 'only Linux tells of other processes';

describe('interrupted, the kit leaves nothing behind', { skip, concurrency: 2 }, () => {
  for (const [name, args] of Object.entries(examinations)) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
      test(`${name}, by ${signal}`, async (t) => {
        const folder = temporaryDirectory(t);
        const [file, ...first] = posternConform;
        const kit = spawn(file, [...first, ...args], {
          env: { ...process.env, TMPDIR: folder },
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        t.after(() => kit.kill('SIGKILL'));
        let said = '';
        kit.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
        await busy(kit, folder);
        kit.kill(signal);
        const [code] = (await once(kit, 'close')) as [number | null];
        if (signal === 'SIGKILL') {
          // The guard is at work still.
          while (processesOf(folder).length > 0) await delay(LOOK_EVERY_MS);
        } else {
          assert.equal(code, 1);
          assert.match(said, /^Given up; [^\n]*\n$/);
          await guardGone(folder);
        }
        assert.deepEqual(processesOf(folder), []);
        assert.deepEqual(readdirSync(folder), []);
      });
    }
  }
});

/** Waits until several programs are running. */
async function busy(kit: ChildProcess, folder: string): Promise<void> {
  while (processesOf(folder).filter((each) => !isGuard(each)).length < 3) {
    assert.equal(kit.exitCode, null, 'the kit has ended too early');
    await delay(LOOK_EVERY_MS);
  }
}

/** The guard ends by itself when the kit has. */
async function guardGone(folder: string): Promise<void> {
  assert.deepEqual(
    processesOf(folder).filter((each) => !isGuard(each)),
    [],
  );
  while (processesOf(folder).length > 0) await delay(LOOK_EVERY_MS);
}

function isGuard(command: string): boolean {
  return command.includes('postern-conform-guard');
}

/** The command lines of the processes that run in a folder or were told of it. */
function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const isOurs = readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
        return isOurs || command.includes(folder) ? [command] : [];
      } catch {
        return []; // Gone in the meantime.
      }
    });
}

const LOOK_EVERY_MS = 20;
