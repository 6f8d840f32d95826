/** `--metrics` of the verbs that have no torrc. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startCommand, type RunningCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { LoggedProcess } from '../support/logged-process.ts';
import { postern } from '../support/pt-programs.ts';

const pattern = /Figures for Prometheus are at (\S+)/;

async function scrape(text: string): Promise<string> {
  return (await fetch(text)).text();
}

describe('--metrics', { concurrency: true }, () => {
  test('of bridge and client', async (t) => {
    const start = (...args: string[]): RunningCommand => {
      const command = startCommand([...args, '--metrics', '127.0.0.1:0']);
      t.after(async () => {
        command.stop();
        await command.exitCode;
      });
      return command;
    };
    const state = ['--state', temporaryDirectory(t)];
    const bridge = start('bridge', '--listen', '127.0.0.1:0', '--forward', '127.0.0.1:9', ...state);
    const [line] = await bridge.stdout.match(/^.+$/m);
    const client = start('client', line, '--socks', '127.0.0.1:0');
    for (const command of [bridge, client]) {
      const [, url] = await command.stderr.match(pattern);
      assert.match(await scrape(url!), /^postern_build_info\{/m);
      command.stop();
      assert.equal(await command.exitCode, 0);
      await assert.rejects(fetch(url!));
    }
  });

  test('of a managed proxy, by the log', async (t) => {
    const child = new LoggedProcess('managed', [
      'env',
      ...environment(temporaryDirectory(t)),
      ...postern.command,
      '-unsafeLogging',
      '-metrics=127.0.0.1:0',
    ]);
    t.after(async () => {
      child.process.kill();
      await child.ended;
    });
    const [, url] = await child.line(/Figures for Prometheus are at (http:[^"\s]+)/);
    assert.match(await scrape(url!), /^postern_pending_handshakes 0$/m);
  });

  test('takes no address that others could reach', async () => {
    const command = startCommand([
      'client',
      'obfs3 192.0.2.3:1',
      '--socks',
      '127.0.0.1:0',
      '--metrics',
      '0.0.0.0:1',
    ]);
    assert.equal(await command.exitCode, 2);
    assert.match(command.stderr.text, /--metrics takes an address of this machine’s own/);
  });
});

function environment(state: string): readonly string[] {
  return [
    'TOR_PT_MANAGED_TRANSPORT_VER=1',
    `TOR_PT_STATE_LOCATION=${state}`,
    'TOR_PT_CLIENT_TRANSPORTS=obfs3',
  ];
}
