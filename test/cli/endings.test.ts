/** How the verbs end as real processes: at each signal, with their exit codes and never by their last resort. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { limits } from '../../src/limits.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { fakePt } from '../support/fake-pt.ts';
import type { ProcessEnd } from '../support/logged-process.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { processesOf, processGone } from '../support/processes.ts';
import { postern } from '../support/pt-programs.ts';
import { dial, echo, listen, readAll, readBytes } from '../support/sockets.ts';
import { type RunningVerb, startVerb } from '../support/verb.ts';

const anyPort = '127.0.0.1:0';
const bridgeLine = 'obfs3 127.0.0.1:9';
const shell = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');

/** What may be asked to end, started up to where it waits. */
const verbs: Readonly<Record<string, (t: TestContext) => Promise<RunningVerb>>> = {
  async bridge(t) {
    return (await startBridge(t, '127.0.0.1:9')).bridge;
  },
  async client(t) {
    return started(startVerb(t, ['client', bridgeLine, '--socks', anyPort]), /Listening on/);
  },
  async 'client --pt'(t) {
    const args = ['client', bridgeLine, '--socks', anyPort, '--pt', shell(postern.command)];
    return started(startVerb(t, args), /Listening on/);
  },
  async 'run, as a client'(t) {
    return runDaemon(t, `SocksPort auto\n${asClient('builtin')}`);
  },
  async 'run, as a bridge'(t) {
    return runDaemon(t, `SocksPort 0\n${asBridge('builtin')}ShutdownWaitLength 0\n`);
  },
  async 'run, with a child'(t) {
    const exec = `exec ${postern.command.join(' ')}`;
    return runDaemon(t, `SocksPort 0\n${asBridge(exec)}ShutdownWaitLength 0\n`);
  },
  async 'ctl events'(t) {
    const daemon = await runDaemon(t, 'SocksPort auto\nControlPort auto\n');
    const [, control] = await daemon.match(/Controllers connect to (\S+)/);
    const ctl = startVerb(t, ['ctl', '--control', control!, 'events']);
    // An event comes each second once it listens.
    return started(ctl, /bandwidth/);
  },
  async demo(t) {
    return started(startVerb(t, ['demo', '--mb', '1']), /Running until Ctrl-C/);
  },
};

describe('the end of a verb', { concurrency: 2 }, () => {
  for (const [name, start] of Object.entries(verbs)) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      // A daemon reads its torrc again at that.
      if (signal === 'SIGHUP' && name.startsWith('run')) continue;
      test(`${name}, ${signal}`, async (t) => {
        const verb = await start(t);
        verb.send(signal);
        await endsWell(verb);
      });
    }
  }

  test('a bridge and a client that carry something: SIGINT lets it go on, a second one does not', async (t) => {
    const { bridge, client, stream } = await startPair(t);
    for (const verb of [bridge, client]) verb.send('SIGINT');
    for (const verb of [bridge, client]) await verb.match(/Ending: no new connections/);
    stream.write('still there');
    assert.equal((await readBytes(stream, 11)).toString(), 'still there');
    for (const verb of [bridge, client]) verb.send('SIGINT');
    for (const verb of [bridge, client]) await endsWell(verb);
  });

  test('a bridge and a client that carry something: SIGINT, and they end with it', async (t) => {
    const { bridge, client, stream } = await startPair(t);
    for (const verb of [bridge, client]) verb.send('SIGINT');
    for (const verb of [bridge, client]) await verb.match(/Ending: no new connections/);
    stream.end();
    await readAll(stream);
    for (const verb of [bridge, client]) await endsWell(verb);
  });

  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    test(`a bridge and a client that carry something: ${signal} ends them`, async (t) => {
      const { bridge, client, stream } = await startPair(t);
      const gone = Promise.race([once(stream.resume(), 'end'), once(stream, 'close')]);
      for (const verb of [bridge, client]) verb.send(signal);
      for (const verb of [bridge, client]) await endsWell(verb);
      await gone;
    });
  }

  // Each of the two signs alone: the name that a shell leaves, and the stdin that nohup puts for a terminal.
  const startedBy = {
    'its name': 'nohup "$@" </dev/null',
    'its stdin': 'env -u _ nohup "$@" 0>/dev/null',
  };
  for (const [sign, command] of Object.entries(startedBy)) {
    test(`a verb under nohup, known by ${sign}: SIGHUP does not end it`, async (t) => {
      const script = `${command} & echo "pid $!"; wait $!`;
      const args = ['client', bridgeLine, '--socks', anyPort];
      const verb = startVerb(t, args, process.env, ['bash', '-c', script, 'bash']);
      const [, pid] = await verb.match(/pid (\d+)/);
      t.after(() => processGone(Number(pid)));
      const [, address] = await verb.match(/Listening on (\S+) /);
      process.kill(Number(pid), 'SIGHUP');
      process.kill(Number(pid), 'SIGUSR1');
      await verb.match(/running for/);
      (await dial(parseIpEndpoint(address!)!)).destroy();
      process.kill(Number(pid), 'SIGTERM');
      assert.deepEqual(await verb.ended, { exitCode: 0, signal: null });
    });
  }

  test('a program that does not stop is killed in time, and nothing of it stays', async (t) => {
    const folder = temporaryDirectory(t);
    const client = startVerb(
      t,
      ['client', bridgeLine, '--socks', anyPort, '--pt', shell(stubborn(folder))],
      { ...process.env, TMPDIR: folder },
    );
    await client.match(/Listening on/);
    client.send('SIGTERM');
    await endsWell(client);
    assert.deepEqual(processesOf(folder), []);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('SIGHUP has a daemon read its torrc again, and nothing else', async (t) => {
    const daemon = await runDaemon(t, 'SocksPort auto\n');
    daemon.send('SIGHUP');
    await daemon.match(/The torrc is loaded again/);
    daemon.send('SIGUSR1');
    await daemon.match(/0 links, 0 circuits/);
    daemon.send('SIGTERM');
    await endsWell(daemon);
  });

  for (const way of ['SIGTERM', 'a controller']) {
    test(`a daemon's program that does not stop is killed in time, told by ${way}`, async (t) => {
      const folder = temporaryDirectory(t);
      const script = join(folder, 'stubborn');
      writeFileSync(script, `#!/bin/sh\nexec ${shell(stubborn(folder))}\n`, { mode: 0o700 });
      const daemon = await runDaemon(
        t,
        `SocksPort 0\nControlPort auto\n${asClient(`exec ${script}`)}`,
      );
      const [, pid] = await daemon.match(/stubborn runs as process (\d+)/);
      const [, control] = await daemon.match(/Controllers connect to (\S+)/);
      if (way === 'SIGTERM') daemon.send('SIGTERM');
      else await startVerb(t, ['ctl', '--control', control!, 'signal', 'halt']).ended;
      await endsWell(daemon);
      await processGone(Number(pid));
    });
  }
});

/** A PT program that neither a closed stdin nor SIGTERM ends; `mark` stands among its arguments. */
function stubborn(mark: string): readonly string[] {
  const stdout = 'VERSION 1\nCMETHOD obfs3 socks5 127.0.0.1:9\nCMETHODS DONE\n';
  return [...fakePt({ stdout, onSigterm: 'ignore', onStdinEnd: 'ignore' }), mark];
}

async function startBridge(t: TestContext, forward: string) {
  const args = ['--transport', 'obfs3', '--listen', anyPort, '--forward', forward];
  const bridge = startVerb(t, ['bridge', ...args, '--state', temporaryDirectory(t)]);
  const [line] = await bridge.match(/^obfs3 \S+/m);
  await bridge.match(/The bridge runs/);
  return { bridge, line };
}

/** A bridge, a client, and a stream through both that has carried something. */
async function startPair(t: TestContext) {
  const { text } = await listen(t, echo);
  const { bridge, line } = await startBridge(t, text);
  const client = startVerb(t, ['client', line, '--forward-from', anyPort]);
  const [, address] = await client.match(/Listening on (\S+) /);
  const stream = await dial(parseIpEndpoint(address!)!);
  stream.on('error', () => {}).write('x');
  await readBytes(stream, 1);
  return { bridge, client, stream };
}

async function runDaemon(t: TestContext, lines: string): Promise<RunningVerb> {
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  writeFileSync(torrc, `DataDirectory ${directory}\n${lines}`);
  return started(startVerb(t, ['run', '-f', torrc]), / is open|what clients need|runs as process/);
}

function asClient(how: string): string {
  return `UseBridges 1\nClientTransportPlugin obfs3 ${how}\nBridge ${bridgeLine}\n`;
}

function asBridge(how: string): string {
  return `ServerTransportPlugin obfs3 ${how}\nServerTransportListenAddr obfs3 ${anyPort}\nORPort auto\n`;
}

async function started(verb: RunningVerb, pattern: RegExp): Promise<RunningVerb> {
  await verb.match(pattern);
  return verb;
}

async function endsWell(verb: RunningVerb): Promise<void> {
  assert.deepEqual(await endOf(verb), { exitCode: 0, signal: null }, verb.printed);
  assert.doesNotMatch(verb.printed, /kills itself|Warning:/);
}

/** Nothing here is about speed: ten times the deadline is patience enough on any machine. */
async function endOf(verb: RunningVerb): Promise<ProcessEnd> {
  const patience = AbortSignal.timeout(10 * limits.lastResortMs);
  const tooLong = once(patience, 'abort').then(() => assert.fail('it is still there'));
  return Promise.race([verb.ended, tooLong]);
}
