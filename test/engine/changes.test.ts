/** How a running engine changes: SETCONF, SAVECONF, reload, and the signals of TC 3.10. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, readlink, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import type { EngineEvent } from '../../src/control/engine.ts';
import { connectControl } from '../../src/control/node/client.ts';
import { readControlCookie } from '../../src/control/node/cookie-file.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import {
  bridgeLinesOf,
  connectThrough,
  startBridge,
  startClient,
  startEngine,
} from '../support/engine.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { closedPort, dial, echo, listen, readAll, readBytes } from '../support/sockets.ts';

const isLog =
  (text: string) =>
  (event: EngineEvent): boolean =>
    event.type === 'log' && event.message.includes(text);

async function refuses(endpoint: { host: string; port: number }): Promise<void> {
  await assert.rejects(dial(endpoint), { code: 'ERR_DIAL_REFUSED' });
}

describe('SETCONF', () => {
  test('[TC-3.3-02] moves a listener; streams that stand go on', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge]);
    const old = client.engine.endpoints.socks[0]!;
    const stream = await connectThrough(client, target.endpoint);
    const next = await closedPort();
    await client.engine.setConf(`SocksPort ${next.port}\n`);
    assert.deepEqual(client.engine.endpoints.socks, [next]);
    await refuses(old);
    stream.end('still here');
    assert.equal((await readAll(stream)).toString(), 'still here');
    await connectThrough(client, target.endpoint);
  });

  test('does not bring back a mapping of the torrc that a controller has removed', async (t) => {
    const client = await startEngine(t, 'MapAddress a.example b.example\n');
    const name = { kind: 'name', host: 'a.example' } as const;
    assert.equal((await client.engine.mappings()).length, 1);
    await client.engine.mapAddress(name, name);
    await client.engine.setConf('Nickname other\n');
    assert.deepEqual(await client.engine.mappings(), []);
    await client.engine.setConf('MapAddress c.example d.example\n');
    assert.equal((await client.engine.mappings()).length, 1);
  });

  test('[TC-3.3-04] [TC-3.1-08] whose effect fails changes nothing, not even what could be done', async (t) => {
    const taken = await listen(t, () => {});
    const client = await startEngine(t, 'SocksPort auto\nControlPort auto\n');
    const [socks, control] = [
      client.engine.endpoints.socks[0]!,
      client.engine.endpoints.control[0]!,
    ];
    const free = await closedPort();
    const failing = [
      `HTTPTunnelPort ${free.port}\nSocksPort ${taken.endpoint.port}\n`,
      `SocksPort ${free.port}\nControlPort ${taken.endpoint.port}\n`,
      `SocksPort ${free.port}\nORPort ${taken.endpoint.port}\n`,
      `SocksPort ${free.port}\nLog notice file /dev/null/log\n`,
      `SocksPort ${free.port}\nExtORPort 127.0.0.2:${free.port}\n`,
      `SocksPort ${free.port}\nMapAddress 0.0.0.0 127.0.0.1\n`,
      `SocksPort ${free.port}\nServerTransportPlugin nosuch builtin\n`,
      `SocksPort ${free.port}\nServerTransportPlugin obfs4 exec /dev/null/program\n`,
      `SocksPort ${free.port}\nUseBridges 1\nClientTransportPlugin obfs4 exec /dev/null/program\nBridge obfs4 192.0.2.1:1 cert=x\n`,
      `SocksPort ${free.port}\nUseBridges 1\nClientTransportPlugin obfs4 builtin\nBridge obfs4 192.0.2.1:1 cert=x\n`,
      `SocksPort ${free.port}\nUseBridges 1\nCircuitHops 2\nBridge 192.0.2.1:1\nBridge 192.0.2.1:1\n`,
      `SocksPort ${free.port}\nControlSocket /tmp/socket\n`,
    ];
    for (const lines of failing) {
      await assert.rejects(
        async () => client.engine.setConf(lines),
        { code: 'ERR_CONFIG_VALUE' },
        lines,
      );
      await refuses(free);
    }
    assert.deepEqual(client.engine.endpoints.socks, [socks]);
    assert.deepEqual(client.engine.endpoints.control, [control]);
    assert.deepEqual(client.engine.getConf(['SocksPort']), [{ key: 'SocksPort', value: 'auto' }]);
    await (await connectControl(control)).close();
    (await dial(socks)).destroy();
  });

  test('names the option that is at fault', async (t) => {
    const taken = await listen(t, () => {});
    const client = await startEngine(t, '');
    await assert.rejects(async () => client.engine.setConf(`SocksPort ${taken.endpoint.port}\n`), {
      message: 'SocksPort: the address and port are in use',
    });
  });

  test('that takes a bridge away lets its streams end by themselves', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge]);
    const stream = await connectThrough(client, target.endpoint);
    await client.engine.setConf('UseBridges 0\n');
    stream.end('goes on');
    assert.equal((await readAll(stream)).toString(), 'goes on');
    await client.until((event) => event.type === 'circuit' && event.status === 'closed');
    // The link to a bridge that is not ours any more goes with its last circuit.
    await client.until((event) => event.type === 'orConnection' && event.status === 'closed');
  });

  test('[TC-4.1-07] [TC-4.1-03] [TC-4.1-02] switches authentication and listeners of the control port', async (t) => {
    const client = await startEngine(t, 'ControlPort auto\n');
    const port = client.engine.endpoints.control[0]!;
    const trusted = await connectControl(port);
    const directory = join(client.directory, 'private');
    await mkdir(directory, { mode: 0o700 });
    const socketPath = join(directory, 'socket');
    await trusted.setConf([
      { key: 'CookieAuthentication', value: '1' },
      { key: 'ControlSocket', value: socketPath },
    ]);
    await assert.rejects(connectControl(port), { code: 'ERR_CONTROL_REFUSED' });
    const secret = await readControlCookie(join(client.directory, 'control_auth_cookie'));
    const cookie = await connectControl(port, { secret });
    const socket = await connectControl({ socketPath }, { secret });
    assert.deepEqual(await socket.getConf(['ControlSocket']), [
      { key: 'ControlSocket', value: socketPath },
    ]);
    // Once for each start, not for each change.
    await trusted.setConf([{ key: 'CookieAuthentication', value: '0' }]);
    await trusted.setConf([{ key: 'CookieAuthentication', value: '1' }]);
    assert.deepEqual(
      await readControlCookie(join(client.directory, 'control_auth_cookie')),
      secret,
    );
    for (const control of [trusted, cookie, socket]) await control.close();
  });

  test('leads links through an upstream proxy, and never past it', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    // Our own engine is a SOCKS proxy as well: one that leads to loopback through another bridge.
    const outer = await startBridge(t);
    const proxy = await startClient(t, [outer]);
    const { port } = proxy.engine.endpoints.socks[0]!;
    const client = await startClient(t, [bridge], `Socks5Proxy 127.0.0.1:${port}\n`);
    const stream = await connectThrough(client, target.endpoint);
    stream.end('the long way');
    assert.equal((await readAll(stream)).toString(), 'the long way');
    const entrance = formatEndpoint(bridge.engine.bridgeLines[0]!.endpoint);
    await proxy.until((event) => event.type === 'stream' && event.target === entrance);

    const dead = await closedPort();
    await client.engine.setConf(`Socks5Proxy ${formatEndpoint(dead)}\n`);
    await client.until(isLog('the upstream proxy cannot be reached'));
  });
});

describe('SAVECONF and reload', () => {
  test('[TC-3.9-02] [TC-3.10-02] save what is in force, and put in force what the file says', async (t) => {
    const client = await startEngine(t, '# mine\nSocksPort auto\n');
    await client.engine.setConf('Nickname saved\n');
    await client.engine.saveConf();
    assert.match(client.torrc.text, /# mine\n/);
    assert.match(client.torrc.text, /Nickname saved\n/);
    await client.engine.setConf('Nickname lost\nHTTPTunnelPort auto\n');
    assert.equal(await client.engine.signal('reload'), 'done');
    assert.deepEqual(client.engine.getConf(['nickname']), [{ key: 'Nickname', value: 'saved' }]);
    assert.deepEqual(client.engine.endpoints.httpTunnel, []);
  });

  test('of a torrc that became invalid leave everything as it is', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge], 'ControlPort auto\n');
    const control = await connectControl(client.engine.endpoints.control[0]!);
    const good = client.torrc.text;
    for (const broken of ['SocksPort nonsense\n', 'NoSuchOption 1\n', 'SocksPort "9050\n']) {
      client.torrc.text = good + broken;
      await assert.rejects(control.sendSignal('reload'), { replyCode: 0x0001 });
      const stream = await connectThrough(client, target.endpoint);
      stream.end('runs');
      assert.equal((await readAll(stream)).toString(), 'runs');
    }
    await client.until(isLog('the configuration in force stays'));
    await control.close();
  });

  test('begin log files again', async (t) => {
    const client = await startEngine(t, '');
    const path = join(client.directory, 'log');
    await client.engine.setConf(`Log notice file ${path}\n`);
    client.torrc.text += `Log notice file ${path}\n`;
    await client.engine.signal('dump');
    await rename(path, `${path}.1`);
    await client.engine.signal('reload');
    await client.engine.signal('dump');
    await client.engine.close();
    assert.match(await readFile(`${path}.1`, 'utf8'), /0 links, 0 circuits, 0 streams/);
    assert.match(await readFile(path, 'utf8'), /\[notice\] 0 links, 0 circuits, 0 streams/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
});

describe('changes at the same time', () => {
  test('50 reloads and SETCONFs leave one descriptor of the log, and its last line', async (t) => {
    const client = await startEngine(t, '');
    const path = join(client.directory, 'log');
    client.torrc.text = `SocksPort 0\nLog info file ${path}\n`;
    await client.engine.signal('reload');
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        index % 2 === 0
          ? client.engine.signal('reload')
          : client.engine.setConf(`Nickname n${index}\n`),
      ),
    );
    const descriptors = async (): Promise<number> => {
      const links = (await readdir('/proc/self/fd')).map((fd) =>
        readlink(`/proc/self/fd/${fd}`).catch(() => ''),
      );
      return (await Promise.all(links)).filter((link) => link === path).length;
    };
    // Files are closed behind our back; one that leaks never is.
    while ((await descriptors()) > 1) await new Promise(setImmediate);
    await client.engine.setConf('Nickname last\n');
    await client.engine.close();
    assert.match(await readFile(path, 'utf8'), /The configuration has changed\.\n$/);
  });

  test('a reload that fails leaves the logs as they are', async (t) => {
    const client = await startEngine(t, '');
    const path = join(client.directory, 'log');
    client.torrc.text = `SocksPort 0\nLog err file ${path}\n`;
    await client.engine.signal('reload');
    await client.engine.signal('debug');
    client.torrc.text = `SocksPort 0\nLog err file ${path}\nNonsense 1\n`;
    await assert.rejects(client.engine.signal('reload'), { code: 'ERR_CONFIG_KEY' });
    await client.engine.setConf('Nickname second\n');
    await client.engine.close();
    assert.match(await readFile(path, 'utf8'), /The configuration has changed\.\n$/);
  });
});

describe('SIGNAL', () => {
  test('[TC-3.10-05] dump writes links, circuits and streams to the log, targets concealed', async (t) => {
    const target = await listen(t, echo);
    const bridge = await startBridge(t);
    const client = await startClient(t, [bridge]);
    await connectThrough(client, target.endpoint);
    await client.engine.signal('dump');
    await client.until(isLog('1 links, 1 circuits, 1 streams'));
    await client.until(isLog('stream 1 to [scrubbed] is on circuit 1'));
    await bridge.engine.signal('dump');
    await bridge.until(isLog('as a bridge: 1 links, 1 streams'));
    await client.engine.setConf('SafeLogging 0\n');
    await client.engine.signal('dump');
    await client.until(isLog(`stream 1 to ${target.text} is on circuit 1`));
  });

  test('[TC-3.10-06] debug opens every log to every line, up to the next reload', async (t) => {
    const client = await startEngine(t, '');
    const path = join(client.directory, 'log');
    client.torrc.text = `SocksPort 0\nLog err file ${path}\n`;
    await client.engine.signal('reload');
    await client.engine.setConf('Nickname first\n');
    await client.engine.signal('debug');
    await client.engine.setConf('Nickname second\n');
    await client.engine.signal('reload');
    await client.engine.setConf('Nickname third\n');
    await client.engine.close();
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    assert.equal(
      lines.filter((line) => line.endsWith('[info] The configuration has changed.')).length,
      1,
    );
  });

  test('[TC-3.10-03] [TC-3.10-07] [TC-3.10-08] a client ends at once, its connection closes without a reply', async (t) => {
    for (const signal of ['shutdown', 'halt'] as const) {
      const client = await startEngine(t, 'ControlPort auto\nSocksPort auto\n');
      const control = await connectControl(client.engine.endpoints.control[0]!);
      const [asked] = await Promise.all([
        control.getConf(['Nickname']),
        control.sendSignal(signal),
      ]);
      // What was asked before is still answered.
      assert.deepEqual(asked, [{ key: 'Nickname', value: 'Unnamed' }]);
      await client.engine.ended;
      await client.engine.close();
      await control.closed;
    }
  });

  test('[TC-3.10-04] a bridge closes its listeners and ends after ShutdownWaitLength; streams go on', async (t) => {
    const target = await listen(t, echo);
    const timers = new HandTimers();
    const bridge = await startBridge(t, 'ControlPort auto\nShutdownWaitLength 30\n', { timers });
    const client = await startClient(t, [bridge]);
    const stream = await connectThrough(client, target.endpoint);
    const control = await connectControl(bridge.engine.endpoints.control[0]!);
    await control.sendSignal('shutdown');
    await refuses(bridge.engine.bridgeLines[0]!.endpoint);
    await echoesOn(stream, 'on');
    let hasEnded = false;
    void bridge.engine.ended.then(() => (hasEnded = true));
    await control.getConf(['Nickname']);
    assert.equal(hasEnded, false);
    await timers.fire(30_000);
    await bridge.engine.ended;
  });

  test('a bridge ends with its last stream; at once, if there is none', async (t) => {
    const timers = new HandTimers();
    const lines = 'ShutdownWaitLength 1 hour\nControlPort auto\n';
    const idle = await startBridge(t, lines, { timers });
    const control = await connectControl(idle.engine.endpoints.control[0]!);
    await control.sendSignal('shutdown');
    await idle.engine.ended;

    const bridge = await startBridge(t, lines, { timers });
    const client = await startClient(t, [bridge]);
    const target = await listen(t, echo);
    const stream = await connectThrough(client, target.endpoint);
    assert.equal(await bridge.engine.signal('shutdown'), 'done');
    await echoesOn(stream, 'still here');
    stream.end();
    await bridge.engine.ended;
  });

  test('a daemon that is ending changes nothing any more', async (t) => {
    const free = await closedPort();
    const bridge = await startBridge(t, 'ShutdownWaitLength 1 hour\n', {
      timers: new HandTimers(),
    });
    const client = await startClient(t, [bridge]);
    const target = await listen(t, echo);
    await connectThrough(client, target.endpoint);
    assert.equal(await bridge.engine.signal('shutdown'), 'done');
    const refused = { code: 'ERR_DAEMON_ENDING' };
    await assert.rejects(bridge.engine.setConf(`SocksPort ${free.port}\n`), refused);
    await assert.rejects(bridge.engine.signal('reload'), refused);
    await refuses(free);
  });

  test('a second shutdown does not wait', async (t) => {
    const bridge = await startBridge(t, 'ShutdownWaitLength 1 hour\n', {
      timers: new HandTimers(),
    });
    const client = await startClient(t, [bridge]);
    const target = await listen(t, echo);
    await connectThrough(client, target.endpoint);
    assert.equal(await bridge.engine.signal('shutdown'), 'done');
    assert.equal(await bridge.engine.signal('shutdown'), 'ending');
    await bridge.engine.ended;
  });
});

test('[TC-3.7-12] each second has its bandwidth, zeros too', async (t) => {
  const target = await listen(t, echo);
  const timers = new HandTimers();
  const bridge = await startBridge(t);
  const client = await startClient(t, [bridge], '', { timers });
  const stream = await connectThrough(client, target.endpoint);
  stream.end(Buffer.alloc(100_000));
  await readAll(stream);
  await client.until((event) => event.type === 'stream' && event.status === 'closed');
  await timers.fire(1000);
  await timers.fire(1000);
  const [first, second] = client.events.filter(({ type }) => type === 'bandwidth');
  assert.ok(first?.type === 'bandwidth' && first.read > 100_000 && first.written > 100_000);
  assert.deepEqual(second, { type: 'bandwidth', read: 0, written: 0 });
});

test('an engine that cannot start leaves nothing behind', async (t) => {
  const taken = await listen(t, () => {});
  const free = await closedPort();
  await assert.rejects(startEngine(t, `SocksPort ${free.port}\nORPort ${taken.endpoint.port}\n`), {
    code: 'ERR_LISTEN_IN_USE',
  });
  await refuses(free);
});

test('a bridge writes what clients need where only its operator can read it', async (t) => {
  const bridge = await startBridge(t);
  await bridge.until(isLog('what clients need is in')).catch(() => {});
  const path = join(bridge.directory, 'bridge-lines');
  assert.equal(await readFile(path, 'utf8'), bridgeLinesOf(bridge));
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

/** Sends something on a stream to an echo, and waits until it is back. */
async function echoesOn(stream: Duplex, text: string): Promise<void> {
  stream.write(text);
  assert.equal((await readBytes(stream, text.length)).toString(), text);
}
