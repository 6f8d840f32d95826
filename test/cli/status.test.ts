/** SIGUSR1: everybody answers with a line, and nobody opens Node's debugger. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { packageRoot } from '../../scripts/paths.ts';
import { Output } from '../support/command.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { listeningPorts } from '../support/processes.ts';
import { listen } from '../support/sockets.ts';

const bin = join(packageRoot, 'bin', 'postern');
/** That of the first line of bin/postern does nothing; the other is the verb's. */
const TELL_WHEN_IT_ANSWERS = `
  process.on('newListener', (event, listener) => {
    if (event !== 'SIGUSR1' || String(listener) === 'function () {}') return;
    setImmediate(() => process.stderr.write('It answers.\\n'));
  });
`;
const STATUS = /running for \d+ s; TCP listeners: \d+, TCP connections: \d+, memory: \d+ MB/;

interface Started {
  readonly process: ChildProcess;
  /** Both what it prints for programs and for people. */
  readonly output: Output;
}

function start(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  file = bin,
): Started {
  const preload = join(temporaryDirectory(t), 'tell.cjs');
  writeFileSync(preload, TELL_WHEN_IT_ANSWERS);
  const child = spawn(process.execPath, ['--require', preload, file, ...args], {
    env: { PATH: process.env['PATH'], TMPDIR: temporaryDirectory(t), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.after(() => void child.kill('SIGKILL'));
  const output = new Output();
  child.stdout.on('data', (bytes: Buffer) => void output.write(bytes));
  child.stderr.on('data', (bytes: Buffer) => void output.write(bytes));
  return { process: child, output };
}

const onLinux = { skip: process.platform !== 'linux' && 'reads /proc' };

/** Node's debugger, if nobody says otherwise. */
const DEBUGGER_PORT = 9229;

/** Sends SIGUSR1 as soon as it is answered; another pattern for who answers in other words. */
async function demandStatus({ process: { pid }, output }: Started, status = STATUS): Promise<void> {
  await output.match(/It answers/);
  process.kill(pid!, 'SIGUSR1');
  await output.match(status);
  assert.ok(!listeningPorts(pid!).includes(DEBUGGER_PORT));
  assert.doesNotMatch(output.text, /Debugger/);
}

describe('SIGUSR1 is answered with a line, and opens no port', onLinux, () => {
  test('postern bridge', async (t) => {
    const state = temporaryDirectory(t);
    const args = ['--listen', '127.0.0.1:0', '--forward', '127.0.0.1:9', '--state', state];
    const bridge = start(t, ['bridge', ...args]);
    await bridge.output.match(/Clients use the line above/);
    await demandStatus(bridge);
  });

  test('postern client', async (t) => {
    const client = start(t, ['client', 'obfs3 127.0.0.1:9', '--socks', '127.0.0.1:0']);
    await client.output.match(/Listening on/);
    await demandStatus(client);
  });

  test('postern demo, its bridge and its client', async (t) => {
    const demo = start(t, ['demo', '--mb', '1']);
    await demo.output.match(/Running until Ctrl-C/);
    await demandStatus(demo);
    const { pid } = demo.process;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    for (const child of children) process.kill(Number(child), 'SIGUSR1');
    for (const name of ['bridge', 'client']) {
      await demo.output.match(new RegExp(`${name} -> parent   LOG .*"${STATUS.source}"`));
    }
    for (const child of children) assert.ok(!listeningPorts(Number(child)).includes(DEBUGGER_PORT));
  });

  test('postern run', async (t) => {
    const directory = temporaryDirectory(t);
    const torrc = join(directory, 'torrc');
    writeFileSync(torrc, `DataDirectory ${directory}\nSocksPort auto\n`);
    const daemon = start(t, ['run', '-f', torrc]);
    await daemon.output.match(/is open/);
    await demandStatus(daemon, /0 links, 0 circuits, 0 streams/);
  });

  test('postern ctl', async (t) => {
    // A daemon that never answers.
    const daemon = await listen(t, () => {
      daemonWasReached();
    });
    let daemonWasReached = (): void => {};
    const reached = new Promise<void>((resolve) => (daemonWasReached = resolve));
    const ctl = start(t, ['ctl', '--control', daemon.text, 'events']);
    await reached;
    await demandStatus(ctl);
  });

  test('postern hash-password', async (t) => {
    // It says nothing before it waits.
    const verb = start(t, ['hash-password']);
    await demandStatus(verb);
    verb.process.kill('SIGINT');
    await once(verb.process, 'exit');
  });

  for (const [role, transports] of [
    ['CLIENT', {}],
    ['SERVER', { TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:0', TOR_PT_ORPORT: '127.0.0.1:9' }],
  ] as const) {
    test(`the managed proxy as ${role.toLowerCase()}`, async (t) => {
      const proxy = start(t, [], {
        TOR_PT_MANAGED_TRANSPORT_VER: '1',
        TOR_PT_STATE_LOCATION: temporaryDirectory(t),
        [`TOR_PT_${role}_TRANSPORTS`]: 'obfs3',
        ...transports,
      });
      await proxy.output.match(/METHODS DONE/);
      await demandStatus(proxy, new RegExp(`LOG SEVERITY=notice MESSAGE="${STATUS.source}"`));
    });
  }

  test('also while the command is being loaded', async (t) => {
    const folder = temporaryDirectory(t);
    cpSync(join(packageRoot, 'bin'), join(folder, 'bin'), { recursive: true });
    cpSync(join(packageRoot, 'package.json'), join(folder, 'package.json'));
    mkdirSync(join(folder, 'dist', 'command'), { recursive: true });
    // Stands where the command would be. With a listener, Node leaves the signal alone.
    writeFileSync(
      join(folder, 'dist', 'command', 'postern.js'),
      `process.stdout.write('listeners: ' + process.listenerCount('SIGUSR1'));`,
    );
    await start(t, [], {}, join(folder, 'bin', 'postern')).output.match(/listeners: 1/);
  });
});
