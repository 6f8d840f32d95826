/** Ports of a daemon while its configuration changes: what stays, what is taken over, what is written down. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { connectControl } from '../../src/control/node/client.ts';
import type { EngineEvent } from '../../src/control/engine.ts';
import { type Endpoint, formatEndpoint } from '../../src/pt/address.ts';
import { formatBridgeLine } from '../../src/pt/bridge-line.ts';
import {
  bridgeLinesOf,
  connectThrough,
  startBridge,
  startClient,
  startEngine,
  type TestEngine,
} from '../support/engine.ts';
import { postern } from '../support/pt-programs.ts';
import { closedPort, dial, echo, listen, readAll } from '../support/sockets.ts';

function linesOf({ engine }: TestEngine): Readonly<Record<string, string>> {
  return Object.fromEntries(
    engine.bridgeLines.map((line) => [line.transport!, formatBridgeLine(line)]),
  );
}

function placesOf({ engine }: TestEngine): Readonly<Record<string, string>> {
  return Object.fromEntries(
    engine.bridgeLines.map(({ transport, endpoint }) => [transport!, formatEndpoint(endpoint)]),
  );
}

async function echoes(client: TestEngine, text: string): Promise<void> {
  const target = await listen({ after: () => {} }, echo);
  try {
    const stream = await connectThrough(client, target.endpoint);
    stream.end(text);
    assert.equal((await readAll(stream)).toString(), text);
  } finally {
    target.abort();
  }
}

describe('a transport of a bridge', () => {
  test('on a fixed port takes other options, and the port stays', async (t) => {
    const { port } = await closedPort();
    const bridge = await startEngine(
      t,
      `ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:${port}
ExitPolicyRejectPrivate 0
`,
    );
    const before = linesOf(bridge);
    const client = await startClient(t, [bridge]);
    await echoes(client, 'before');
    await bridge.engine.setConf('ServerTransportOptions obfs4 iat-mode=1\n');
    assert.equal(linesOf(bridge)['obfs4'], before['obfs4']!.replace('iat-mode=0', 'iat-mode=1'));
    await client.engine.setConf(bridgeLinesOf(bridge));
    await echoes(client, 'after');
    const path = join(bridge.directory, 'bridge-lines');
    await bridge.until(
      () =>
        bridge.events.filter(
          (event) => 'message' in event && /what clients need/.test(event.message),
        ).length === 2,
    );
    assert.equal(await readFile(path, 'utf8'), bridgeLinesOf(bridge));
    // The same by a reload.
    bridge.torrc.text = bridge.torrc.text.replace('SocksPort 0', 'SocksPort 0\n');
    await bridge.engine.signal('reload');
    // obfs4 keeps its mode in its state.
    assert.deepEqual(placesOf(bridge), { obfs4: `127.0.0.1:${port}` });
  });

  test('without a fixed port stays where it is, whatever becomes of the others', async (t) => {
    const bridge = await startEngine(t, 'ServerTransportPlugin obfs3,obfs4 builtin\n');
    const before = linesOf(bridge);
    await bridge.engine.setConf('ServerTransportOptions obfs4 iat-mode=2\n');
    assert.equal(linesOf(bridge)['obfs3'], before['obfs3']);
    assert.equal(linesOf(bridge)['obfs4'], before['obfs4']!.replace('iat-mode=0', 'iat-mode=2'));
    await bridge.engine.setConf(
      'ServerTransportOptions\nServerTransportPlugin obfs3,obfs4,scramblesuit builtin\n',
    );
    const after = linesOf(bridge);
    assert.equal(after['obfs3'], before['obfs3']);
    assert.equal(after['obfs4'], before['obfs4']!.replace('iat-mode=0', 'iat-mode=2'));
    assert.ok(after['scramblesuit'] !== undefined);
  });

  test('goes on where it was, when a change comes to nothing', async (t) => {
    const { port } = await closedPort();
    const taken = await listen(t, () => {});
    const other = await startEngine(
      t,
      `ServerTransportPlugin obfs4 builtin
ServerTransportListenAddr obfs4 127.0.0.1:${port}
ExitPolicyRejectPrivate 0
`,
    );
    const client = await startClient(t, [other]);
    const before = linesOf(other);
    for (const line of [
      'ServerTransportOptions obfs4 iat-mode=9',
      `ServerTransportOptions obfs4 iat-mode=1\nORPort ${taken.endpoint.port}`,
      `ServerTransportListenAddr obfs4 0.0.0.0:${port}\nServerTransportPlugin obfs4,obfs3 builtin\nServerTransportListenAddr obfs3 ${taken.text}`,
    ]) {
      await assert.rejects(other.engine.setConf(`${line}\n`), { code: 'ERR_CONFIG_VALUE' }, line);
      assert.deepEqual(linesOf(other), before);
      await echoes(client, line);
    }
  });

  test('moves from a program to this process and back, on its port', async (t) => {
    const { port } = await closedPort();
    const command = postern.command.join(' ');
    const bridge = await startEngine(
      t,
      `ServerTransportPlugin obfs4 exec ${command}
ServerTransportListenAddr obfs4 127.0.0.1:${port}
`,
    );
    const before = linesOf(bridge);
    await bridge.engine.setConf('ServerTransportPlugin obfs4 builtin\n');
    assert.deepEqual(linesOf(bridge), before);
    await bridge.engine.setConf(`ServerTransportPlugin obfs4 exec ${command}\n`);
    assert.deepEqual(linesOf(bridge), before);
    await bridge.engine.setConf('ServerTransportOptions obfs4 iat-mode=1\n');
    assert.equal(linesOf(bridge)['obfs4'], before['obfs4']!.replace('iat-mode=0', 'iat-mode=1'));
  });

  test('that is a program and moves when it is started again, is written down again', async (t) => {
    const bridge = await startEngine(t, '');
    await bridge.engine.setConf(
      `ServerTransportPlugin obfs4 exec ${postern.command.join(' ')}
ServerTransportListenAddr obfs4 127.0.0.1:0
`,
    );
    const path = join(bridge.directory, 'bridge-lines');
    const written = (count: number): Promise<unknown> =>
      bridge.until(
        () =>
          bridge.events.filter(
            (event) => event.type === 'log' && event.message.includes('what clients need is in'),
          ).length === count,
      );
    await written(1);
    assert.equal(await readFile(path, 'utf8'), bridgeLinesOf(bridge));
    const runs = bridge.events.flatMap((event) =>
      event.type === 'log' ? (/runs as process ([0-9]+)/.exec(event.message)?.[1] ?? []) : [],
    );
    const before = bridgeLinesOf(bridge);
    process.kill(Number(runs[0]), 'SIGKILL');
    await written(2);
    assert.notEqual(bridgeLinesOf(bridge), before);
    assert.equal(await readFile(path, 'utf8'), bridgeLinesOf(bridge));
  });
});

test('a port of an application goes from one address to all, and back; who is connected stays', async (t) => {
  const { port } = await closedPort();
  const bridge = await startBridge(t);
  const client = await startClient(t, [bridge]);
  await client.engine.setConf(`SocksPort ${port}\n`);
  const target = await listen(t, echo);
  const stream = await connectThrough(client, target.endpoint);
  await client.engine.setConf(`SocksPort 0.0.0.0:${port}\n`);
  (await dial({ host: '127.0.0.2', port })).destroy();
  await client.engine.setConf(`HTTPTunnelPort ${port}\nSocksPort 0\n`);
  assert.deepEqual(client.engine.endpoints.httpTunnel, [{ host: '127.0.0.1', port }]);
  stream.end('still here');
  assert.equal((await readAll(stream)).toString(), 'still here');
});

test('Address says in bridge-lines where a bridge is reached; without it that is where it listens', async (t) => {
  const { port } = await closedPort();
  const bridge = await startEngine(
    t,
    `ServerTransportPlugin obfs3 builtin
ServerTransportListenAddr obfs3 [::]:${port}
Address 192.0.2.7
Address 2001:db8::7
`,
  );
  const written = async (count: number): Promise<string> => {
    const isNews = (event: EngineEvent): boolean =>
      event.type === 'log' && event.message.includes('what clients need is in');
    await bridge.until(() => bridge.events.filter(isNews).length === count);
    return readFile(join(bridge.directory, 'bridge-lines'), 'utf8');
  };
  const lines = (...hosts: readonly string[]): string =>
    hosts.map((host) => `Bridge obfs3 ${host}:${port}\n`).join('');
  assert.equal(await written(1), lines('192.0.2.7', '[2001:db8::7]'));
  await bridge.engine.setConf('Address 192.0.2.8\n');
  assert.equal(await written(2), lines('192.0.2.8'));
  await bridge.engine.setConf('Address\n');
  assert.equal(await written(3), lines('0.0.0.0', '[::]'));
});

describe('one change', () => {
  const text = (endpoint: Endpoint | undefined): string => formatEndpoint(endpoint!);

  test('has parts of the daemon exchange their ports, and who is connected stays', async (t) => {
    const [one, two, three, four] = await Promise.all(Array.from({ length: 4 }, closedPort));
    const [a, b, c, d] = [one!, two!, three!, four!].map((at) => formatEndpoint(at));
    const { engine } = await startEngine(t, `SocksPort ${a}\nControlPort ${b}\nORPort ${c}\n`);
    const plugin = 'ServerTransportPlugin obfs3 builtin\nServerTransportListenAddr obfs3';
    const control = await connectControl(two!);
    t.after(() => control.close());
    const places = (): readonly string[] => {
      const { socks, control: controls, orPort } = engine.endpoints;
      return [...[...socks, ...controls].map(text), orPort === undefined ? '-' : text(orPort)];
    };
    await engine.setConf(`SocksPort ${b}\nControlPort ${a}\n`);
    assert.deepEqual(places(), [b, a, c]);
    await engine.setConf(`SocksPort ${c}\nControlPort ${b}\nORPort ${a}\n`);
    assert.deepEqual(places(), [c, b, a]);
    await engine.setConf(`SocksPort ${a}\nORPort\n${plugin} ${c}\n`);
    assert.deepEqual(places(), [a, b, '-']);
    await engine.setConf(`ControlPort ${c}\nSocksPort ${b}\n${plugin} ${a}\n`);
    assert.deepEqual(places(), [b, c, '-']);
    assert.deepEqual(
      engine.bridgeLines.map(({ endpoint }) => text(endpoint)),
      [a],
    );
    await engine.setConf(`SocksPort ${c}\nHTTPTunnelPort ${b}\nControlPort ${d}\n`);
    await engine.setConf(`SocksPort ${b}\nHTTPTunnelPort ${c}\n`);
    assert.deepEqual(places(), [b, d, '-']);
    assert.deepEqual(await control.getConf(['SocksPort']), [
      { key: 'SocksPort', value: String(two!.port) },
    ]);
    for (const endpoint of [one!, two!, three!, four!]) (await dial(endpoint)).destroy();
  });

  test('that is refused gives the ports back', async (t) => {
    const [one, two] = await Promise.all([closedPort(), closedPort()]);
    const [a, b] = [formatEndpoint(one), formatEndpoint(two)];
    const taken = await listen(t, () => {});
    const { engine } = await startEngine(t, `SocksPort ${a}\nControlPort ${b}\n`);
    for (const line of [`ORPort ${taken.text}`, `HTTPTunnelPort ${a}`]) {
      const change = engine.setConf(`SocksPort ${b}\nControlPort ${a}\n${line}\n`);
      await assert.rejects(change, { code: 'ERR_CONFIG_VALUE', message: /in use/ }, line);
      assert.deepEqual(engine.endpoints.socks.map(text), [a]);
      assert.deepEqual(engine.endpoints.control.map(text), [b]);
      (await dial(one)).destroy();
      const control = await connectControl(two);
      assert.deepEqual(await control.getConf(['SocksPort']), [
        { key: 'SocksPort', value: String(one.port) },
      ]);
      await control.close();
    }
  });

  test('that wants the place of a program that is to stay leaves it alone', async (t) => {
    const { port } = await closedPort();
    const bridge = await startEngine(t, '');
    await bridge.engine.setConf(
      `ServerTransportPlugin obfs3 exec ${postern.command.join(' ')}
ServerTransportListenAddr obfs3 127.0.0.1:${port}
`,
    );
    const change = bridge.engine.setConf(`ControlPort ${port}\n`);
    await assert.rejects(change, { code: 'ERR_CONFIG_VALUE', message: /in use/ });
    const starts = bridge.events.filter(
      (event) => event.type === 'log' && event.message.includes('runs as process'),
    );
    assert.equal(starts.length, 1);
  });

  test('opens a ControlSocket of the same path for others than before', async (t) => {
    const { engine, directory } = await startEngine(t, 'ControlSocket ~/control\n');
    const path = join(directory, 'control');
    const mode = async (): Promise<number> => (await stat(path)).mode & 0o777;
    await engine.setConf('ControlSocket ~/control GroupWritable RelaxDirModeCheck\n');
    assert.equal(await mode(), 0o660);
    await engine.setConf(`ControlPort unix:${path}\nControlSocket\n`);
    assert.equal(await mode(), 0o600);
    await (await connectControl({ socketPath: path })).close();
  });
});
