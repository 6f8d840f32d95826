/**
 * Four controllers at once change a daemon at random: SETCONF, SAVECONF, reload and other signals.
 * Afterwards what is in force, what listens, what is open and what the torrc says agree.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Configuration } from '../../src/config/configuration.ts';
import { connectControl, type ControlClient } from '../../src/control/node/client.ts';
import { PosternError } from '../../src/errors.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { startEngine } from '../support/engine.ts';
import { processesOf } from '../support/processes.ts';
import { seededRng } from '../support/rng.ts';
import { closedPort, dial } from '../support/sockets.ts';
import { getConf, offline, startTorDaemon, type TestDaemon } from '../support/tor-engine.ts';
import { torMissing } from '../support/tor-process.ts';

type Setting = readonly { readonly key: string; readonly value?: string }[];
const CONTROLLERS = 4;
/** A multiple of the controllers. Ten thousand for each engine take some minutes. */
const STEPS = process.env['WALK_STEPS'];
const EMBEDDED_STEPS = Number(STEPS ?? 1_200);
const TOR_STEPS = Number(STEPS ?? 300);

/** So many steps, shared out among controllers that do not wait for each other. */
async function walk(
  controllers: readonly ControlClient[],
  steps: number,
  seed: string,
  settings: readonly Setting[],
): Promise<Readonly<Record<'taken' | 'refused', number>>> {
  const rng = seededRng(seed);
  const counts = { taken: 0, refused: 0 };
  const below = (count: number): number => {
    const bytes = new Uint8Array(4);
    rng.fill(bytes);
    return Buffer.from(bytes).readUInt32BE() % count;
  };
  const step = async (control: ControlClient): Promise<void> => {
    const what = below(20);
    if (what === 0) await control.saveConf();
    else if (what <= 3) await control.sendSignal('reload');
    else if (what === 4) await control.sendSignal('dump');
    else if (what === 5) await control.sendSignal('debug');
    else if (what === 6) await control.getConf(['Nickname', 'SocksPort']);
    else await control.setConf(settings[below(settings.length)]!);
  };
  await Promise.all(
    controllers.map(async (control) => {
      for (let left = steps / controllers.length; left > 0; left -= 1) {
        try {
          await step(control);
          counts.taken += 1;
        } catch (error) {
          if (!(error instanceof PosternError) || error.code !== 'ERR_CONTROL_REFUSED') throw error;
          counts.refused += 1;
        }
      }
    }),
  );
  return counts;
}

/** What a process has open, this one by default, by kind; files by their path. */
function descriptors(pid: number | 'self' = 'self'): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    let name: string;
    try {
      name = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, '');
    } catch {
      continue; // the one of this very list
    }
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** The ports on which something listens on this machine. */
function listeningPorts(): ReadonlySet<number> {
  const rows = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  return new Set(
    rows
      .map((row) => row.trim().split(/\s+/))
      .filter((cells) => cells[3] === '0A')
      .map((cells) => Number.parseInt(cells[1]!.split(':')[1]!, 16)),
  );
}

/** The Tor of a daemon. */
function torPid({ directory }: TestDaemon): number {
  const tors = processesOf(directory).filter(({ program }) => program === 'tor');
  assert.equal(tors.length, 1);
  return tors[0]!.pid;
}

async function connectAll(
  endpoint: Parameters<typeof connectControl>[0],
): Promise<ControlClient[]> {
  return Promise.all(Array.from({ length: CONTROLLERS }, () => connectControl(endpoint)));
}

describe('a random walk', () => {
  test('through the embedded engine ends where it says', async (t) => {
    const ports = await Promise.all(Array.from({ length: 5 }, () => closedPort()));
    const [socks, http, obfs4, obfs3, orPort] = ports.map(({ port }) => port);
    const daemon = await startEngine(t, 'ControlPort auto\nSocksPort 0\n');
    const log = join(daemon.directory, 'log');
    const other = join(daemon.directory, 'other');
    daemon.torrc.text = `ControlPort auto\nSocksPort 0\nLog notice file ${log}\n`;
    await daemon.engine.signal('reload');
    const controllers = await connectAll(daemon.engine.endpoints.control[0]!);
    const plugin = { key: 'ServerTransportPlugin', value: 'obfs4,obfs3 builtin' };
    const at = (name: string, port: number | undefined): Setting[number] => ({
      key: 'ServerTransportListenAddr',
      value: `${name} 127.0.0.1:${port}`,
    });
    const settings: readonly Setting[] = [
      [{ key: 'SocksPort', value: String(socks) }],
      [{ key: 'SocksPort', value: `0.0.0.0:${socks}` }],
      [{ key: 'SocksPort', value: 'auto' }],
      [{ key: 'SocksPort', value: '0' }],
      [
        { key: 'SocksPort', value: String(http) },
        { key: 'HTTPTunnelPort', value: '0' },
      ],
      [
        { key: 'HTTPTunnelPort', value: String(http) },
        { key: 'SocksPort', value: '0' },
      ],
      [{ key: 'HTTPTunnelPort' }],
      [{ key: 'ORPort', value: String(orPort) }],
      [{ key: 'ORPort' }],
      [plugin, at('obfs4', obfs4), at('obfs3', obfs3)],
      [plugin, at('obfs4', obfs3), at('obfs3', obfs4)],
      [plugin, at('obfs4', obfs4), { key: 'ServerTransportOptions', value: 'obfs4 iat-mode=1' }],
      [{ key: 'ServerTransportOptions', value: 'obfs4 iat-mode=0' }],
      [{ key: 'ServerTransportOptions', value: 'obfs4 iat-mode=7' }],
      [
        { key: 'ServerTransportListenAddr' },
        { key: 'ServerTransportOptions' },
        { key: plugin.key },
      ],
      [{ key: 'Nickname', value: 'one' }],
      [{ key: 'Nickname', value: 'no, not this' }],
      [{ key: 'MapAddress', value: 'a.example b.example' }],
      [{ key: 'Log', value: `info file ${other}` }],
      [{ key: 'Log', value: `notice file ${log}` }],
      [{ key: 'Log', value: 'notice file /nonexistent/log' }],
    ];
    const before = descriptors();
    const counts = await walk(controllers, EMBEDDED_STEPS, 'embedded walk', settings);
    assert.equal(counts.taken + counts.refused, EMBEDDED_STEPS);
    assert.ok(counts.taken > EMBEDDED_STEPS / 2 && counts.refused > 0, JSON.stringify(counts));

    await controllers[0]!.saveConf();
    const saved = Configuration.parse(daemon.torrc.text, { DataDirectory: daemon.directory });
    const keys = ['SocksPort', 'HTTPTunnelPort', 'ORPort', 'ServerTransportPlugin', 'Nickname'];
    keys.push('ServerTransportListenAddr', 'ServerTransportOptions', 'MapAddress', 'Log');
    assert.deepEqual(await controllers[1]!.getConf(keys), saved.get(keys));

    const { endpoints, bridgeLines } = daemon.engine;
    assert.equal(endpoints.socks.length, saved.values.SocksPort.length);
    assert.equal(endpoints.httpTunnel.length, saved.values.HTTPTunnelPort.length);
    assert.equal(endpoints.orPort === undefined, saved.values.ORPort === undefined);
    const wanted = saved.values.ServerTransportListenAddr.map(({ endpoint }) =>
      formatEndpoint(endpoint),
    );
    const open = bridgeLines.map(({ endpoint }) => formatEndpoint(endpoint));
    for (const address of wanted) assert.ok(open.includes(address), address);
    const ours = [...endpoints.socks, ...endpoints.httpTunnel, endpoints.orPort ?? []].flat();
    const all = [...ours, ...bridgeLines.map(({ endpoint }) => endpoint)];
    for (const { port } of all) (await dial({ host: '127.0.0.1', port })).destroy();
    const listening = listeningPorts();
    for (const { port } of ports) {
      const isOurs = all.some((endpoint) => endpoint.port === port);
      assert.equal(listening.has(port), isOurs, String(port));
    }

    // Back to where it began; files are closed behind our back, and one that leaks never is.
    daemon.torrc.text = `ControlPort auto\nSocksPort 0\nLog notice file ${log}\n`;
    await controllers[0]!.sendSignal('reload');
    const same = (): boolean => {
      const now = descriptors();
      return [log, other, 'socket'].every((name) => (now[name] ?? 0) <= (before[name] ?? 0));
    };
    while (!same()) await new Promise(setImmediate);
    for (const control of controllers) await control.close();
  });

  test('through a real Tor does so too', { skip: torMissing }, async (t) => {
    const ports = await Promise.all(Array.from({ length: 2 }, () => closedPort()));
    const [socks, http] = ports.map(({ port }) => port);
    // With its network disabled a Tor would not listen; of this one nobody answers.
    const lines = offline.replace('DisableNetwork 1', 'UseBridges 1\nBridge 127.0.0.1:9');
    const daemon = await startTorDaemon(t, lines);
    const controllers = await connectAll(daemon.daemon.endpoints.control[0]!);
    const settings: readonly Setting[] = [
      [{ key: 'SocksPort', value: String(socks) }],
      [{ key: 'SocksPort', value: '0' }],
      [{ key: 'HTTPTunnelPort', value: String(http) }],
      [{ key: 'HTTPTunnelPort' }],
      [{ key: 'Nickname', value: 'one' }],
      [{ key: 'Nickname', value: 'a b' }],
      [{ key: 'ConnLimit', value: '900' }],
      [{ key: 'ConnLimit' }],
      [{ key: 'ContactInfo', value: 'me' }],
      [{ key: 'Log', value: 'info stdout' }],
      [{ key: 'Log', value: 'notice stdout' }],
    ];
    // Tor keeps some descriptors that it opens when it first needs them: counted from behind a short walk.
    await walk(controllers, 40, 'tor warms up', settings);
    const start = `Engine tor\nControlPort auto\n${lines}`;
    const pid = torPid(daemon);
    daemon.torrc.text = start;
    await controllers[0]!.sendSignal('reload');
    const before = { ours: descriptors(), tor: descriptors(pid) };

    const counts = await walk(controllers, TOR_STEPS, 'tor walk', settings);
    assert.ok(counts.taken > TOR_STEPS / 2 && counts.refused > 0, JSON.stringify(counts));
    await controllers[0]!.saveConf();
    const saved = daemon.torrc.text.split('\n');
    for (const key of ['SocksPort', 'HTTPTunnelPort', 'Nickname', 'ConnLimit', 'ContactInfo']) {
      const inForce = await getConf(controllers[1]!, key);
      const written = saved.filter((line) => line.startsWith(`${key} `));
      if (written.length > 0) assert.deepEqual(inForce, written);
    }

    // What it says, where Tor listens, and what the torrc says.
    const { endpoints } = daemon.daemon;
    const written = (key: string): readonly string[] =>
      saved.filter((line) => line.startsWith(`${key} `) && line !== `${key} 0`);
    assert.equal(endpoints.socks.length, written('SocksPort').length);
    assert.equal(endpoints.httpTunnel.length, written('HTTPTunnelPort').length);
    const all = [...endpoints.socks, ...endpoints.httpTunnel];
    for (const endpoint of all) (await dial(endpoint)).destroy();
    const listening = listeningPorts();
    for (const { port } of ports) {
      const isOurs = all.some((endpoint) => endpoint.port === port);
      assert.equal(listening.has(port), isOurs, String(port));
    }

    // Back to where it began: nothing of the walk stays open, in Tor or here.
    daemon.torrc.text = start;
    await controllers[0]!.sendSignal('reload');
    assert.equal(torPid(daemon), pid);
    const noMore = (now: Readonly<Record<string, number>>, then: typeof now): boolean =>
      Object.entries(now).every(([name, count]) => count <= (then[name] ?? 0));
    while (!noMore(descriptors(pid), before.tor)) await new Promise(setImmediate);
    while ((descriptors()['socket'] ?? 0) > (before.ours['socket'] ?? 0)) {
      await new Promise(setImmediate);
    }
    for (const control of controllers) await control.close();
  });
});
