/** Verbs that are told to end before they have come up: they do, at once and in order. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fakePt } from '../support/fake-pt.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { listen } from '../support/sockets.ts';
import { type RunningVerb, startVerb } from '../support/verb.ts';

const bridgeLine = 'obfs3 127.0.0.1:9';

/** Something that a start waits for in vain. */
interface Silent {
  /** An executable file that answers nothing. */
  readonly program: string;
  /** A port that answers nothing. */
  readonly port: number;
  /** Whoever has come to the port: the program does when it runs. */
  readonly arrived: Promise<Socket>;
}

async function startSilent(t: TestContext): Promise<Silent> {
  let onArrival!: (socket: Socket) => void;
  const arrived = new Promise<Socket>((resolve) => (onArrival = resolve));
  const { endpoint } = await listen(t, (socket) => {
    onArrival(socket.resume().on('end', () => socket.end()));
  });
  const program = join(temporaryDirectory(t), 'silent');
  const words = fakePt({ connectTo: endpoint.port }).map((word) => `'${word}'`);
  writeFileSync(program, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o700 });
  return { program, port: endpoint.port, arrived };
}

function startDaemon(t: TestContext, lines: string, ...options: string[]): RunningVerb {
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  writeFileSync(torrc, `DataDirectory ${directory}\n${lines}`);
  return startVerb(t, ['run', '-f', torrc, ...options]);
}

const starts: Readonly<Record<string, (t: TestContext, silent: Silent) => RunningVerb>> = {
  'client --pt': (t, { program }) =>
    startVerb(t, ['client', bridgeLine, '--socks', '127.0.0.1:0', '--pt', program]),
  'run, as a client of a program': (t, { program }) =>
    startDaemon(
      t,
      `UseBridges 1\nClientTransportPlugin obfs3 exec ${program}\nBridge ${bridgeLine}\n`,
    ),
  'run, as a bridge with a program': (t, { program }) =>
    startDaemon(t, `SocksPort 0\nServerTransportPlugin obfs3 exec ${program}\n`),
  'run, with a Tor': (t, { program }) => startDaemon(t, `Engine tor\nTorBinary ${program}\n`),
  'run, with a Tor that runs': (t, { port }) =>
    startDaemon(t, `Engine tor\nTorControlPort ${port}\n`),
};

describe('a start that waits in vain', { concurrency: 2 }, () => {
  for (const [name, start] of Object.entries(starts)) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      test(`${name}, ${signal}`, async (t) => {
        const silent = await startSilent(t);
        const verb = start(t, silent);
        const socket = await silent.arrived;
        verb.send(signal);
        assert.deepEqual(await verb.ended, { exitCode: 0, signal: null }, verb.printed);
        assert.doesNotMatch(verb.printed, /kills itself|Warning:|at .*\.js/);
        if (!socket.closed) await once(socket, 'close');
      });
    }
  }

  test('run --verify has not verified anything', async (t) => {
    const silent = await startSilent(t);
    const verb = startDaemon(t, `Engine tor\nTorBinary ${silent.program}\n`, '--verify');
    await silent.arrived;
    verb.send('SIGINT');
    assert.deepEqual(await verb.ended, { exitCode: 1, signal: null }, verb.printed);
    assert.match(verb.printed, /^Stopped before all was verified\.$/m);
  });

  test('in a change of a daemon that runs', async (t) => {
    const silent = await startSilent(t);
    const daemon = startDaemon(t, 'SocksPort 0\nControlPort auto\n');
    const [, control] = await daemon.match(/Controllers connect to (\S+)/);
    const change = [`SocksPort=0`, `ServerTransportPlugin=obfs3 exec ${silent.program}`];
    const ctl = startVerb(t, ['ctl', '--control', control!, 'setconf', ...change]);
    const socket = await silent.arrived;
    daemon.send('SIGTERM');
    assert.deepEqual(await daemon.ended, { exitCode: 0, signal: null }, daemon.printed);
    assert.doesNotMatch(daemon.printed, /kills itself|Warning:/);
    assert.equal((await ctl.ended).exitCode, 1);
    assert.match(ctl.printed, /the daemon is ending/);
    if (!socket.closed) await once(socket, 'close');
  });
});
