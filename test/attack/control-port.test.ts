/** The running daemon's control port under strangers, and the operator beside them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/managed.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { postern } from '../support/pt-programs.ts';
import { letStrangersCome } from '../support/strangers-process.ts';

async function startDaemon(t: TestContext) {
  const directory = temporaryDirectory(t);
  const torrc = join(directory, 'torrc');
  const socket = join(directory, 'control');
  const lines = ['SocksPort 0', 'ControlPort auto', 'CookieAuthentication 1'];
  writeFileSync(
    torrc,
    [`DataDirectory ${directory}`, ...lines, `ControlSocket ${socket}`, ''].join('\n'),
  );
  const daemon = new ProbedProcess(t, ['run', '-f', torrc]);
  const endpoint = await daemon.address(/Controllers connect to (\S+:\d+)$/);
  const cookie = join(directory, 'control_auth_cookie');
  const run = promisify(execFile);
  const [node, ...main] = postern.command;
  /** Asks as an operator does. */
  const ask = async (...how: readonly string[]): Promise<void> => {
    const { stdout } = await run(node, [...main, 'ctl', ...how, 'getconf', 'SocksPort']);
    assert.match(stdout, /SocksPort/);
  };
  return {
    daemon,
    endpoint,
    askByPort: () => ask('--control', `127.0.0.1:${endpoint.port}`, '--cookie', cookie),
    askBySocket: () => ask('--control', `unix:${socket}`),
  };
}

test('10,000 idle connections lock no operator out, and leave nothing behind', async (t) => {
  const { daemon, endpoint, askByPort, askBySocket } = await startDaemon(t);
  await askByPort();
  const before = await daemon.holdings();
  const logLength = daemon.log.length;
  const coming = letStrangersCome(t, endpoint, 10_000);
  await askByPort();
  const strangers = await coming;
  const startMs = performance.now();
  await askByPort();
  t.diagnostic(`ctl answers in ${Math.round(performance.now() - startMs)} ms`);
  await askBySocket();
  const during = await daemon.holdings();
  t.diagnostic(JSON.stringify({ before, during }));
  assert.ok(during.files <= before.files + 130);
  const lines = daemon.log.slice(logLength);
  assert.ok(lines.length > 0 && lines.length < 20, lines.join('\n'));
  await strangers.kill();
  t.diagnostic(JSON.stringify({ after: await daemon.comesBackTo(before, 8e6) }));
});

test('10,000 HTTP requests write fewer than 20 lines', async (t) => {
  const { daemon, endpoint, askByPort } = await startDaemon(t);
  const logLength = daemon.log.length;
  let left = 10_000;
  const request = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await new Promise<void>((resolve) => {
        const socket = connect(endpoint.port, '127.0.0.1');
        socket
          .on('error', () => {})
          .once('close', () => resolve())
          .end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
        socket.resume();
      });
    }
  };
  await Promise.all(Array.from({ length: 50 }, request));
  await askByPort();
  const lines = daemon.log.slice(logLength);
  assert.ok(lines.length > 0 && lines.length < 20, `${lines.length} lines`);
});
