/** `postern check`: what it prints, and what it exits with. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { listen as listenTransport } from '../../src/index.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { closedPort, echo } from '../support/sockets.ts';
import { startVerb } from '../support/verb.ts';

async function startBridge(t: TestContext, transport = 'obfs4'): Promise<string> {
  const bridge = await listenTransport(
    { transport, host: '127.0.0.1', port: 0, stateDir: temporaryDirectory(t) },
    echo,
  );
  t.after(() => bridge.abort());
  return bridge.bridgeLine;
}

async function check(...args: readonly string[]) {
  const command = startCommand(['check', ...args]);
  const exitCode = await command.exitCode;
  return { exitCode, out: command.stdout.text, err: command.stderr.text };
}

const faketime = peerProgram('faketime');

describe('postern check', { concurrency: true }, () => {
  test('0 when all are well, 1 when some are not, 2 when a line cannot be read', async (t) => {
    const good = await startBridge(t);
    const closed = `obfs3 ${formatEndpoint(await closedPort())}`;
    assert.equal((await check(good)).exitCode, 0);
    const some = await check(good, closed);
    assert.equal(some.exitCode, 1);
    assert.match(some.out, /^line +transport +outcome +tcp +handshake +round trip\n1 +obfs4 +well/);
    assert.match(some.out, /\n2 +obfs3 +NOT WELL +failed/);
    assert.match(some.out, /\nLine 2: the connection failed .*\n +It may be: /);
    const none = await check(good, 'obfs4 nonsense');
    assert.equal(none.exitCode, 2);
    assert.match(none.out, /\n1 +obfs4 +well .*\n2 +- +unreadable/);
  });

  test('no address is shown unless it is asked for', async (t) => {
    const good = await startBridge(t);
    const [, address] = good.split(' ');
    const scrubbed = await check(good, '--json');
    assert.ok(!scrubbed.out.includes('127.0.0.1') && !scrubbed.err.includes('127.0.0.1'));
    const shown = await check(good, '--json', '--show-addresses');
    assert.equal((JSON.parse(shown.out) as { address: string }[])[0]!.address, address);
  });

  test('--json has an entry for every line, in their order', async (t) => {
    const folder = temporaryDirectory(t);
    const file = join(folder, 'lines');
    writeFileSync(file, `# mine\n\nBridge ${await startBridge(t, 'obfs3')}\nnonsense\n`);
    const { out, exitCode } = await check(await startBridge(t), '--file', file, '--json');
    const entries = JSON.parse(out) as { line: number; outcome: string; steps: unknown[] }[];
    assert.deepEqual(
      entries.map(({ line, outcome }) => [line, outcome]),
      [
        [1, 'well'],
        [2, 'well'],
        [3, 'unreadable'],
      ],
    );
    assert.equal(exitCode, 2);
  });

  test('options that cannot be read are exit code 2', async () => {
    for (const args of [
      [],
      ['obfs3 192.0.2.3:1', '--traffic', '100'],
      ['obfs3 192.0.2.3:1', '--tor', '--traffic', 'much'],
      ['obfs3 192.0.2.3:1', '--timeout', '0'],
      ['obfs3 192.0.2.3:1', '--upstream', 'gopher://192.0.2.1:1'],
      ['obfs3 192.0.2.3:1', '--clock-from', 'nowhere'],
      ['--file', '/nonexistent'],
    ]) {
      const { exitCode, out } = await check(...args);
      assert.equal(exitCode, 2, args.join(' '));
      assert.equal(out, '');
    }
  });

  test(
    'a wrong clock is named when it is compared',
    { skip: faketime === undefined ? 'faketime is not installed' : false },
    async (t) => {
      const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1');
      t.after(() => server.close());
      await once(server, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const args = ['check', await startBridge(t), '--timeout', '3'];
      const launcher = [faketime!, '-f', '+3h'];
      const plain = startVerb(t, args, process.env, launcher);
      await plain.match(/no answer came/);
      assert.equal((await plain.ended).exitCode, 1);
      const compared = startVerb(t, [...args, '--clock-from', url], process.env, launcher);
      await compared.match(/Clock: 3 h 0 min ahead/);
      await compared.match(/this machine’s clock is 3 h 0 min ahead, and no answer came/);
      assert.equal((await compared.ended).exitCode, 1);
    },
  );
});
