/** Where sodium-native has no library: everything runs, and whoever runs it is told once that it is slow. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { secretboxBackend, slowSecretboxNotice } from '../../src/crypto/secretbox.ts';
import { Output } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { postern } from '../support/pt-programs.ts';

const NOTICE =
  'sodium-native has no library for this system: encryption runs in JavaScript, ten times slower';

/** Runs the command without sodium-native until it has said `last`; resolves with all that it said. */
async function runSlowly(
  t: TestContext,
  args: readonly string[],
  last: RegExp,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const preload = join(temporaryDirectory(t), 'no-sodium.cjs');
  writeFileSync(
    preload,
    `const Module = require('node:module');
     const load = Module._load;
     Module._load = function (name, ...rest) {
       if (name.startsWith('sodium-native')) throw new Error('no prebuilt library');
       return load.call(this, name, ...rest);
     };`,
  );
  const [node, ...command] = postern.command;
  const child = spawn(node, ['--require', preload, ...command, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => void child.kill('SIGKILL'));
  const output = new Output();
  child.stdout.on('data', (bytes: Buffer) => void output.write(bytes));
  child.stderr.on('data', (bytes: Buffer) => void output.write(bytes));
  await output.match(last);
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
  return output.text;
}

function demandOnce(text: string, line: string): void {
  assert.equal(text.split(line).length, 2, text);
}

describe('without a library of sodium-native', () => {
  test('postern bridge', async (t) => {
    const state = temporaryDirectory(t);
    const args = ['--listen', '127.0.0.1:0', '--forward', '127.0.0.1:9', '--state', state];
    demandOnce(await runSlowly(t, ['bridge', ...args], /Clients use/), `\nNote: ${NOTICE}\n`);
  });

  test('postern client', async (t) => {
    const args = ['client', 'obfs3 127.0.0.1:9', '--socks', '127.0.0.1:0'];
    demandOnce(await runSlowly(t, args, /connections go to/), `Note: ${NOTICE}\n`);
  });

  test('postern run', async (t) => {
    const directory = temporaryDirectory(t);
    const torrc = join(directory, 'torrc');
    writeFileSync(torrc, `DataDirectory ${directory}\nSocksPort auto\n`);
    demandOnce(await runSlowly(t, ['run', '-f', torrc], /is open/), `[notice] ${NOTICE}\n`);
  });

  test('the managed proxy', async (t) => {
    const text = await runSlowly(t, [], new RegExp(NOTICE), {
      TOR_PT_MANAGED_TRANSPORT_VER: '1',
      TOR_PT_STATE_LOCATION: temporaryDirectory(t),
      TOR_PT_CLIENT_TRANSPORTS: 'obfs4',
    });
    demandOnce(text, `\nLOG SEVERITY=notice MESSAGE="${NOTICE}"\n`);
  });
});

test('with one, nothing is said', () => {
  assert.equal(slowSecretboxNotice === undefined, secretboxBackend === 'sodium-native');
});
