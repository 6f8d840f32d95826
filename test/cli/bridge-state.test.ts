/** `postern bridge`, `postern client` and their state directory: whose it is, and what is wrong with it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ExitCode } from '../../src/cli/context.ts';
import { type RunningCommand, startCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { postern } from '../support/pt-programs.ts';

const shell = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

function startBridge(t: TestContext, ...options: readonly string[]): RunningCommand {
  const command = startCommand(
    ['bridge', '--listen', '127.0.0.1:0', '--forward', '127.0.0.1:9', ...options],
    { PATH: process.env['PATH'] ?? '' },
  );
  t.after(() => command.stop());
  return command;
}

describe('postern client', () => {
  for (const options of [[], ['--pt', shell(postern.command)]]) {
    test(`keeps its state directory to itself, and gives it back: ${options[0] ?? 'builtin'}`, async (t) => {
      const state = temporaryDirectory(t);
      const startClient = (): RunningCommand => {
        const socks = ['--socks', '127.0.0.1:0', '--state', state];
        const command = startCommand(['client', 'obfs3 127.0.0.1:9', ...socks, ...options], {
          PATH: process.env['PATH'] ?? '',
        });
        t.after(() => command.stop());
        return command;
      };
      const first = startClient();
      await first.stderr.match(/Listening on/);
      const second = startClient();
      assert.equal(await second.exitCode, ExitCode.failed);
      await second.stderr.match(
        new RegExp(`process ${process.pid} uses ${state} .*ERR_DIRECTORY_IN_USE`),
      );
      first.drain();
      assert.equal(await first.exitCode, ExitCode.ok);
      await startClient().stderr.match(/Listening on/);
    });
  }
});

describe('postern bridge', () => {
  test('keeps its state directory to itself, and gives it back', async (t) => {
    const state = temporaryDirectory(t);
    const first = startBridge(t, '--state', state);
    await first.stdout.match(/^obfs4 /);
    const identity = readFileSync(join(state, 'obfs4_state.json'), 'utf8');
    const second = startBridge(t, '--state', state);
    assert.equal(await second.exitCode, ExitCode.failed);
    await second.stderr.match(
      new RegExp(`process ${process.pid} uses ${state} \\(ERR_DIRECTORY_IN_USE\\)`),
    );
    first.drain();
    assert.equal(await first.exitCode, ExitCode.ok);
    const third = startBridge(t, '--state', state);
    await third.stdout.match(/^obfs4 /);
    assert.equal(readFileSync(join(state, 'obfs4_state.json'), 'utf8'), identity);
  });

  test('does not try for ever where no directory can be made', async (t) => {
    const command = startBridge(t, '--state', '/proc/nope');
    assert.equal(await command.exitCode, ExitCode.failed);
    await command.stderr.match(/ERR_DIRECTORY_UNUSABLE/);
  });

  test('refuses an option that the transport does not have', async (t) => {
    const command = startBridge(t, '--state', temporaryDirectory(t), '--option', 'iat=1');
    assert.equal(await command.exitCode, ExitCode.usage);
    await command.stderr.match(/obfs4: there is no option `iat`; there are .*`iat-mode`/);
  });

  test('says only that it ends, when it is to end now', async (t) => {
    const command = startBridge(t, '--state', temporaryDirectory(t));
    await command.stdout.match(/^obfs4 /);
    command.stop();
    assert.equal(await command.exitCode, ExitCode.ok);
    await command.stderr.match(/^Ending now\.$/m);
    assert.doesNotMatch(command.stderr.text, /may finish/);
  });
});
