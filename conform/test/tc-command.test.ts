/** `postern-conform tc`, as it is typed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { ExitCode } from '../src/cli/context.ts';
import { startCommand } from './support/command.ts';
import {
  type FaultyTcServer,
  startFaultyTcServer,
  type TcVariant,
} from './support/faulty-tc-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-conform-tc-'));
after(() => rmSync(folder, { recursive: true }));

async function start(
  t: TestContext,
  fault = 'none',
  variant: TcVariant = 'trusting',
): Promise<{ readonly server: FaultyTcServer; readonly words: readonly string[] }> {
  const server = await startFaultyTcServer(fault, variant);
  t.after(() => server.close());
  const { address } = server;
  const text = 'socketPath' in address ? `unix:${address.socketPath}` : addressText(address);
  return { server, words: ['tc', text] };
}

function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host}:${port}`;
}

describe('postern-conform tc', () => {
  test('prints a table, and ends with 0 when nothing is broken', async (t) => {
    const { server, words } = await start(t);
    const command = startCommand([...words, '--socks', addressText(server.socks)]);
    assert.equal(await command.exitCode, ExitCode.ok);
    assert.match(command.stdout.text, /^holds {2}TC-3\.4-02 /m);
    assert.match(command.stdout.text, /^106 clauses: \d+ hold, 0 broken/m);
  });

  test('says what is broken, as JSON and for CI, and ends with 1', async (t) => {
    const { words } = await start(t, 'sorted-values');
    const junit = join(folder, 'junit.xml');
    const command = startCommand([
      ...[...words, '--json', '--junit', junit],
      ...['--only', 'TC-3.4-02', '--only', 'TC-3.4-04', '--level', 'FACT'],
    ]);
    assert.equal(await command.exitCode, ExitCode.failed);
    const { clauses } = JSON.parse(command.stdout.text) as {
      clauses: { id: string; verdict: string }[];
    };
    assert.deepEqual(
      clauses.map(({ id, verdict }) => [id, verdict]),
      [
        ['TC-3.4-02', 'broken'],
        ['TC-3.4-04', 'holds'],
      ],
    );
    assert.match(command.stderr.text, /Wrote .*junit\.xml/);
  });

  test('proves what a server wants to see: a cookie, a passphrase, or nothing on a socket', async (t) => {
    const passwordFile = join(folder, 'passphrase');
    const proofs: Readonly<Record<string, (server: FaultyTcServer) => readonly string[]>> = {
      cookie: ({ secret }) => ['--cookie', secret?.kind === 'cookie' ? secret.path : ''],
      passphrase({ secret }) {
        writeFileSync(passwordFile, Buffer.concat([secret!.bytes, Buffer.from('\n')]));
        return ['--password-file', passwordFile];
      },
      socket: () => [],
    };
    for (const [variant, proof] of Object.entries(proofs)) {
      const { server, words } = await start(t, 'none', variant as TcVariant);
      const command = startCommand([...words, ...proof(server), '--only', 'TC-3.4-02']);
      assert.equal(await command.exitCode, ExitCode.ok, command.stderr.text);
    }
  });

  test('does what lasts when told to', async (t) => {
    const { words } = await start(t);
    const only = ['TC-3.9-02', 'TC-3.10-02', 'TC-3.10-07'];
    const command = startCommand([
      ...[...words, '--saveconf', '--reload', '--halt'],
      ...[...only.flatMap((id) => ['--only', id]), '--json'],
    ]);
    assert.equal(await command.exitCode, ExitCode.ok);
    assert.equal(command.stdout.text.match(/"verdict": "holds"/g)?.length, only.length);
  });

  test('gives up when it is asked to stop, and leaves nothing behind', async (t) => {
    const { server, words } = await start(t);
    const keys = 'MaxCircuitDirtiness\nShutdownWaitLength\nContactInfo\nMapAddress\n';
    const before = server.getConf(keys);
    const command = startCommand(words);
    // Only a terminal is shown how far it is.
    Object.assign(command.stderr, { isTTY: true });
    await command.stderr.match(/SETCONF/);
    command.stop();
    assert.equal(await command.exitCode, ExitCode.failed);
    assert.match(command.stderr.text, /Given up; everything is cleaned up\./);
    assert.equal(command.stdout.text, '');
    assert.equal(server.getConf(keys), before);
  });

  test('refuses a command line that cannot be followed', async () => {
    for (const [words, problem] of [
      [['banana'], /address and a port/],
      [['127.0.0.1:0'], /address and a port/],
      [['127.0.0.1:9051', '--socks', '127.0.0.1:0'], /--socks takes/],
      [['127.0.0.1:9051', '--only', 'PT-2-01'], /is no clause/],
      // What stands behind an option with one value is the address.
      [['--only', 'TC-3.4-02', 'banana'], /address and a port/],
      [['127.0.0.1:9051', '--cookie', 'a', '--password-file', 'b'], /only one of/],
    ] as const) {
      const command = startCommand(['tc', ...words]);
      assert.equal(await command.exitCode, ExitCode.usage);
      assert.match(command.stderr.text, problem);
    }
  });

  test('a server that cannot be examined is no verdict', async (t) => {
    const { words } = await start(t, 'none', 'cookie');
    const command = startCommand(words);
    assert.equal(await command.exitCode, ExitCode.failed);
    assert.match(command.stderr.text, /ERR_CONFORM_SERVER/);
    assert.equal(command.stdout.text, '');
  });
});
