/** The demo as a process of its own, for what it starts and leaves behind is processes and files. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { Output } from '../support/command.ts';
import { dial } from '../support/sockets.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
after(() => rmSync(folder, { recursive: true, force: true }));

interface RunningDemo {
  readonly process: ChildProcess;
  readonly stdout: Output;
  /** Resolves with the exit code once the process is gone. */
  readonly exitCode: Promise<number | null>;
}

function startDemo(t: TestContext, ...options: string[]): RunningDemo {
  const child = spawn(process.execPath, [MAIN, 'demo', ...options], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  return { process: child, stdout: child.stdout.pipe(new Output()), exitCode };
}

let bridgeAddress = '';

afterEach(async () => {
  assert.deepEqual(readdirSync(folder), [], 'no file is left behind');
  await assert.rejects(dial(parseIpEndpoint(bridgeAddress)!), { code: 'ERR_DIAL_REFUSED' });
});

async function noteBridge({ stdout }: RunningDemo): Promise<void> {
  [, bridgeAddress = ''] = await stdout.match(/SMETHOD \w+ (\S+)/);
}

test('--once shows the messages, carries bytes both ways intact, and exits with 0', async (t) => {
  const demo = startDemo(t, '--once', '--mb', '1');
  await noteBridge(demo);
  assert.equal(await demo.exitCode, 0);
  const { text } = demo.stdout;
  assert.match(text, /parent -> bridge {3}TOR_PT_MANAGED_TRANSPORT_VER=1\n/);
  assert.match(text, /bridge -> parent {3}VERSION 1\n/);
  assert.match(text, /client -> parent {3}CMETHOD obfs4 socks5 127\.0\.0\.1:\d+\n/);
  assert.match(text, /up {3}1\.0 MB in .* MB\/s, intact\n/);
  assert.match(text, /down 1\.0 MB in .* MB\/s, intact\n/);
  // Not a terminal: no line is ever rewritten.
  assert.ok(!text.includes('\r'));
});

test('another transport can be chosen', async (t) => {
  const demo = startDemo(t, '--once', '--mb', '1', '--transport', 'obfs3');
  await noteBridge(demo);
  assert.equal(await demo.exitCode, 0);
  assert.match(demo.stdout.text, /SMETHOD obfs3 /);
});

test('it stays up, and the address that it names leads through the bridge', async (t) => {
  const demo = startDemo(t, '--mb', '1');
  await noteBridge(demo);
  const [, url] = await demo.stdout.match(/curl (http:\S+)\n/);
  const [response] = (await once(get(url!), 'response')) as [IncomingMessage];
  let answer = '';
  for await (const chunk of response.setEncoding('utf8')) answer += chunk as string;
  assert.match(answer, /^This answer came through the bridge/);
  demo.process.kill('SIGINT');
  assert.equal(await demo.exitCode, 0);
  assert.match(demo.stdout.text, /Ended\. .* 1 in all;/);
});

test('Ctrl-C in the middle of the transfer ends everything', async (t) => {
  const demo = startDemo(t, '--once', '--mb', '100000');
  await noteBridge(demo);
  await demo.stdout.match(/each way/);
  demo.process.kill('SIGINT');
  // Asked to stop before the check was through: it did not succeed.
  assert.equal(await demo.exitCode, 1);
});

test('a reader who leaves, as in `postern demo | head`, ends everything', async (t) => {
  const demo = startDemo(t, '--mb', '1');
  await noteBridge(demo);
  demo.process.stdout!.destroy();
  await demo.exitCode;
});
