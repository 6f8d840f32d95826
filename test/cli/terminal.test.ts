/** Verbs and the terminal that they were started in: its end, and what is pressed there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fakePt } from '../support/fake-pt.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { processGone } from '../support/processes.ts';
import { type RunningVerb, startVerb } from '../support/verb.ts';

const anyPort = '127.0.0.1:0';
const bridgeLine = 'obfs3 127.0.0.1:9';
const skip = peerProgram('script') === undefined && 'script is not installed';

/** A verb in a terminal of its own. */
interface VerbInTerminal {
  readonly verb: RunningVerb;
  /**
   * Takes the terminal away.
   *
   * @returns the exit code as a shell tells it: 128 and the number of the signal for what was killed
   */
  close(): Promise<number>;
}

async function startInTerminal(
  t: TestContext,
  args: readonly string[],
  folder: string,
): Promise<VerbInTerminal> {
  const code = join(folder, 'code');
  const inside = join(folder, 'inside.sh');
  // The shell hears of the end, as the first in the terminal, hands it on, and tells the exit code.
  const lines = [
    `trap 'kill -HUP $!' HUP`,
    'echo shell=$$',
    '"$@" <&0 &',
    'wait $!; wait $!',
    `echo $? >'${code}'`,
  ];
  writeFileSync(inside, `${lines.join('\n')}\n`);
  const terminal = join(folder, 'terminal.sh');
  const command = `"$(printf "'%s' " sh '${inside}' "$@")"`;
  writeFileSync(terminal, `exec script -q -e -c ${command} /dev/null\n`);
  const state = join(folder, 'tmp');
  const verb = startVerb(t, args, { ...process.env, TMPDIR: folder, HOME: state }, [
    'sh',
    terminal,
  ]);
  const [, pid] = await verb.match(/shell=(\d+)/);
  return {
    verb,
    async close() {
      verb.send('SIGKILL');
      await processGone(Number(pid));
      return Number(readFileSync(code, 'utf8'));
    },
  };
}

describe('a terminal that goes away', { skip }, () => {
  const verbs: Readonly<Record<string, readonly [args: readonly string[], isReady: RegExp]>> = {
    bridge: [
      ['bridge', '--transport', 'obfs3', '--listen', anyPort, '--forward', '127.0.0.1:9'],
      /The bridge runs/,
    ],
    client: [['client', bridgeLine, '--socks', anyPort], /Listening on/],
    demo: [['demo', '--mb', '1'], /Running until Ctrl-C/],
  };
  for (const [name, [args, isReady]] of Object.entries(verbs)) {
    test(`${name} ends in order`, async (t) => {
      const folder = temporaryDirectory(t);
      const terminal = await startInTerminal(t, args, folder);
      await terminal.verb.match(isReady);
      assert.equal(await terminal.close(), 0);
      // The demo's keys, for one.
      const left = readdirSync(folder).filter((entry) => entry.startsWith('postern-'));
      assert.deepEqual(left, []);
    });
  }
});

test('what a terminal tells all in it does not reach another program, which is ours to stop', async (t) => {
  const program = fakePt({
    stdout: 'VERSION 1\nCMETHOD obfs3 socks5 127.0.0.1:9\nCMETHODS DONE\n',
  });
  const pt = program.map((word) => `'${word}'`).join(' ');
  const args = ['client', bridgeLine, '--socks', anyPort, '--pt', pt];
  const verb = startVerb(t, args, process.env, ['setsid', 'env', '_=nohup']);
  const [, pid] = await verb.match(/runs as process (\d+)/);
  await verb.match(/Listening on/);
  process.kill(-verb.pid, 'SIGHUP');
  verb.send('SIGUSR1');
  await verb.match(/running for/);
  assert.notEqual(processGroup(Number(pid)), verb.pid);
  assert.doesNotMatch(verb.printed, /Trying again in/);
  process.kill(-verb.pid, 'SIGINT');
  assert.deepEqual(await verb.ended, { exitCode: 0, signal: null }, verb.printed);
  await processGone(Number(pid));
});

function processGroup(pid: number): number {
  // Behind the name of the program, which may hold anything: its state, its parent, its group.
  const [, , group] = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(group);
}
