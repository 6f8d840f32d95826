/** A bridge that takes a connection and says nothing: what that can mean is told, once, by everybody. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/index.ts';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { watchSilence } from '../../src/net/silence.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import { fakePt } from '../support/fake-pt.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { listen, socksConnect } from '../support/sockets.ts';

const what = /silent for 8 seconds: a cert or password[^]*another transport[^]*`date -u`/;

test('library, client verb, daemon and LOG to a parent tell what silence can mean, and nothing is sent', async (t) => {
  const received: number[] = [];
  const silent = await listen(t, (socket) => {
    const index = received.push(0) - 1;
    socket.on('data', (bytes: Buffer) => (received[index]! += bytes.length));
  });
  const line = `obfs3 ${silent.text}`;
  const dial = createDirectDialer();
  const tell: Promise<unknown>[] = [];

  const gaveUp = new AbortController();
  tell.push(
    new Promise<string>((onNotice) => {
      connect(line, { onNotice, signal: gaveUp.signal }).catch(() => {});
    }).then((text) => assert.match(text, what)),
  );

  const verb = startCommand(['client', line, '--forward-from', '127.0.0.1:0']);
  const [, address] = await verb.stderr.match(/Listening on (\S+)/);
  const application = await dial(parseIpEndpoint(address!)!);
  const second = await dial(parseIpEndpoint(address!)!);
  tell.push(verb.stderr.match(what));

  const torrc = join(temporaryDirectory(t), 'torrc');
  const lines = [
    'SocksPort auto',
    'UseBridges 1',
    'ClientTransportPlugin obfs3 builtin',
    `Bridge ${line}`,
  ];
  await writeFile(torrc, [`DataDirectory ${dirname(torrc)}`, ...lines, ''].join('\n'));
  const daemon = startCommand(['run', '-f', torrc]);
  tell.push(daemon.stdout.match(new RegExp(`\\[warn\\] .*${what.source}`)));

  const managed = startCommand([], {
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: dirname(torrc),
    TOR_PT_CLIENT_TRANSPORTS: 'obfs3',
  });
  const [, port] = await managed.stdout.match(/CMETHOD obfs3 socks5 (\S+)/);
  const asked = socksConnect(parseIpEndpoint(port!)!, parseIpEndpoint(silent.text)!).catch(
    () => {},
  );
  tell.push(managed.stdout.match(new RegExp(`LOG SEVERITY=warning MESSAGE=.*${what.source}`)));

  await Promise.all(tell);
  assert.equal(verb.stderr.text.split('silent for').length, 2, 'once, for two connections');
  // Each handshake sends its first message, and no more because somebody was told.
  assert.ok(received.every((bytes) => bytes > 0));
  gaveUp.abort();
  application.destroy();
  second.destroy();
  verb.stop();
  daemon.stop();
  managed.stop();
  await Promise.all([verb.exitCode, daemon.exitCode, managed.exitCode, asked]);
});

test('of a program of others it is told as well, as far as it can be known', async (t) => {
  const silent = await listen(t, (socket) => void socket.resume());
  const stdout = `VERSION 1\nCMETHOD obfs3 socks5 ${silent.text}\nCMETHODS DONE\n`;
  const program = fakePt({ stdout });
  const shell = program.map((word) => `'${word}'`).join(' ');
  const line = 'obfs3 192.0.2.1:9';
  const said =
    /program took the connection, and neither it nor the bridge has said anything for 8 seconds: nothing may answer[^]*cert[^]*another transport[^]*`date -u`/;

  const verb = startCommand(['client', line, '--forward-from', '127.0.0.1:0', '--pt', shell]);
  const [, address] = await verb.stderr.match(/Listening on (\S+)/);
  const application = await createDirectDialer()(parseIpEndpoint(address!)!);
  const directory = temporaryDirectory(t);
  const exec = program.map((word) => JSON.stringify(word)).join(' ');
  const daemons = [`exec ${exec}`, `socks5 ${silent.text}`].map((how, index) => {
    const torrc = join(directory, `${index}`);
    writeFileSync(
      torrc,
      `DataDirectory ${torrc}.d\nSocksPort auto\nUseBridges 1\nBridge ${line}\nClientTransportPlugin obfs3 ${how}\n`,
    );
    return startCommand(['run', '-f', torrc]);
  });
  await Promise.all([
    verb.stderr.match(said),
    ...daemons.map(({ stdout: log }) => log.match(new RegExp(`\\[warn\\] .*${said.source}`))),
  ]);
  application.destroy();
  for (const command of [verb, ...daemons]) command.stop();
  await Promise.all([verb, ...daemons].map(({ exitCode }) => exitCode));
});

test('of a web server that is silent nothing is said about certs and clocks', async (t) => {
  const silent = await listen(t, (socket) => void socket.resume());
  const line = `webtunnel 192.0.2.3:443 url=https://bridge.example/tea addr=${silent.text}`;
  const gaveUp = new AbortController();
  const notice = await new Promise<string>((onNotice) => {
    connect(line, { onNotice, signal: gaveUp.signal }).catch(() => {});
  });
  gaveUp.abort();
  assert.match(notice, /web server of the bridge[^]*silent for 8 seconds/);
});

test('a handshake that is done in time tells nothing', async () => {
  assert.equal(await watchSilence(Promise.resolve(1), () => assert.fail()), 1);
  await assert.rejects(
    watchSilence(Promise.reject(new Error('no')), () => assert.fail()),
    /no/,
  );
});
