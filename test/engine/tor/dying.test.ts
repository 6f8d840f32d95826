/** A Tor that dies, a daemon that dies, and a Tor that dies at once again and again. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { ExitCode } from '../../../src/cli/context.ts';
import type { ControlEvent } from '../../../src/control/messages.ts';
import type { Rng } from '../../../src/crypto/rng.ts';
import { connectTorControl } from '../../../src/tor-control/node/connect.ts';
import { findTor } from '../../../src/engine/tor/program.ts';
import { limits } from '../../../src/limits.ts';
import { formatEndpoint } from '../../../src/pt/address.ts';
import { encodeGreeting, encodeRequest5 } from '../../../src/socks/encode.ts';
import { SocksMethod } from '../../../src/socks/messages.ts';
import { startCommand } from '../../support/command.ts';
import { postern } from '../../support/pt-programs.ts';
import { closedPort, dial, listen, readBytes } from '../../support/sockets.ts';
import { torMissing } from '../../support/tor.ts';
import {
  getConf,
  HeldTimers,
  offline,
  refusal,
  startTorDaemon,
  stateDirectory,
  torBehind,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const options = { skip: torMissing };

/** Every wait before a restart is the least possible and one more: no other timer is like that. */
const ones: Rng = { fill: (target) => void target.fill(0).fill(1, -1) };
const backOffMs = [501, 1_001, 2_001, 4_001, 8_001, 16_001, 30_001];

async function pidBehind(t: TestContext, daemon: TestDaemon): Promise<number> {
  const tor = await torBehind(t, daemon);
  return Number((await tor.getInfo('process/pid')).get('process/pid'));
}

const name = (host: string) => ({ kind: 'name', host }) as const;

describe('a Tor that dies', options, () => {
  test('is started again; controllers stay, and what they have mapped and set comes back', async (t) => {
    const timers = new HeldTimers(...backOffMs);
    const daemon = await startTorDaemon(t, `${offline}ConnLimit 900\n`, { timers, rng: ones });
    const { control } = daemon;
    await control.setEvents(['bandwidth']);
    await control.mapAddress(name('a.example'), name('b.example'));
    const picked = await control.mapAddress({ kind: 'ipv4', host: '0.0.0.0' }, name('c.example'));
    await control.setConf([
      { key: 'ContactInfo', value: 'a "b" # c' },
      { key: 'Bridge', value: '192.0.2.1:1' },
      { key: 'Bridge', value: '192.0.2.2:2' },
      { key: 'ConnLimit' },
    ]);
    const first = await pidBehind(t, daemon);
    process.kill(first, 'SIGKILL');
    await daemon.log.match(
      /\[warn\] Tor is gone: Tor ended unasked \(ended by SIGKILL.*Trying again in 0\.5 s/,
    );

    const gone = refusal(1, /Tor does not run at this moment/);
    await assert.rejects(control.getConf(['ConnLimit']), gone);
    await assert.rejects(control.setConf([{ key: 'ConnLimit', value: '7' }]), gone);
    await assert.rejects(control.mapAddress(name('x'), name('y')), gone);
    await assert.rejects(control.mappings(), gone);
    await assert.rejects(control.sendSignal('dump'), gone);
    await assert.rejects(control.sendSignal('reload'), gone);
    // That Tor is gone has been logged, and is not for each that asks.
    assert.ok(!daemon.log.text.includes('the control request'));
    // What is ours, and what is wrong in any case, needs no Tor.
    assert.deepEqual(await getConf(control, 'Engine', 'ControlPort'), [
      'Engine tor',
      'ControlPort auto',
    ]);
    await assert.rejects(control.getConf(['NoSuchOption']), refusal(4));
    await assert.rejects(control.setConf([{ key: 'NoSuchOption', value: '1' }]), refusal(4));
    await control.saveConf();
    assert.match(daemon.torrc.text, /^Bridge 192\.0\.2\.2:2$/m);
    // No file of a dead Tor is left, its torrc with the secrets of bridges least of all.
    assert.equal(existsSync(join(daemon.directory, 'postern')), false);

    const bandwidth = daemon.events.filter(({ type }) => type === 'bandwidth').length;
    await timers.fire(backOffMs[0]!);
    await daemon.until(
      (event) =>
        event.type === 'bandwidth' &&
        daemon.events.filter(({ type }) => type === 'bandwidth').length > bandwidth,
    );
    assert.notEqual(await pidBehind(t, daemon), first);
    assert.deepEqual(await getConf(control, 'ContactInfo', 'Bridge', 'ConnLimit'), [
      'ContactInfo a "b" # c',
      ...['Bridge 192.0.2.1:1', 'Bridge 192.0.2.2:2', 'ConnLimit 1000'],
    ]);
    assert.deepEqual(
      (await control.mappings())
        .map(({ original, replacement }) => `${original.host} ${replacement.host}`)
        .toSorted(),
      ['a.example b.example', `${picked.original.host} c.example`].toSorted(),
    );
    for await (const event of control.events()) if (event.type === 'bandwidth') break;
  });

  test('goes on being started when something is in the way of what was right before', async (t) => {
    const timers = new HeldTimers(...backOffMs);
    const directory = stateDirectory();
    const service = join(directory, 'hs');
    const daemon = await startTorDaemon(
      t,
      `${offline}HiddenServiceDir ${service}\nHiddenServicePort 80\n`,
      { directory, timers, rng: ones },
    );
    process.kill(await pidBehind(t, daemon), 'SIGKILL');
    await daemon.log.match(/Trying again in 0\.5 s/);
    await rm(service, { recursive: true });
    await writeFile(service, '');
    await timers.fire(backOffMs[0]!);
    await daemon.log.match(/\[warn\] Tor is gone: .*Trying again in 1\.0 s/);
    await rm(service);
    await timers.fire(backOffMs[1]!);
    await daemon.log.match(/Tor 0\S+ runs[^]*Tor 0\S+ runs/);
    assert.deepEqual(await getConf(daemon.control, 'HiddenServiceOptions'), [
      `HiddenServiceDir ${service}`,
      'HiddenServicePort 80',
    ]);
  });

  test('[TC-3.7-05] [TC-3.7-09] fails its circuits and streams, and no number comes again in its next life', async (t) => {
    // A relay that takes connections and says nothing: whatever leads there stays as it is.
    const silent = await listen(t, (socket) => void socket.on('error', () => {}));
    const timers = new HeldTimers(...backOffMs);
    const daemon = await startTorDaemon(
      t,
      `SocksPort auto\nGeoIPFile /dev/null\nGeoIPv6File /dev/null\nUseDefaultFallbackDirs 0\nExtendAllowPrivateAddresses 1
DirAuthority none orport=${silent.endpoint.port} v3ident=${'0'.repeat(39)}1 ${silent.endpoint.host}:1 ${'0'.repeat(39)}2\n`,
      { timers, rng: ones },
    );
    const { control } = daemon;
    await control.setEvents(['circuit', 'stream', 'orConnection']);
    const seen: ControlEvent[] = [];
    const reading = (async () => {
      for await (const event of control.events()) seen.push(event);
    })();
    for (let life = 1; life <= 2; life += 1) {
      // An application asks for something, and nothing comes of it.
      const target = `life${life}.example:80`;
      const stream = await dial(daemon.daemon.endpoints.socks[0]!);
      stream.on('error', () => {});
      stream.write(encodeGreeting([SocksMethod.none]));
      await readBytes(stream, 2);
      stream.write(encodeRequest5({ host: `life${life}.example`, port: 80 }));
      const tor = await torBehind(t, daemon);
      for (;;) {
        const info = await tor.getInfo('stream-status', 'circuit-status', 'orconn-status');
        const [streams, circuits, links] = [...info.values()];
        if (streams!.includes(target) && circuits !== '' && links !== '') break;
      }
      // The events have come before this answer on the daemon's own connection.
      await control.getConf(['ConnLimit']);
      if (life === 2) {
        // Another port, which those who look for it learn.
        const next = await closedPort();
        await control.setConf([{ key: 'SocksPort', value: formatEndpoint(next) }]);
        assert.deepEqual(daemon.daemon.endpoints.socks, [next]);
        await daemon.log.match(new RegExp(`Applications connect to ${formatEndpoint(next)} `));
      }
      process.kill(Number((await tor.getInfo('process/pid')).get('process/pid')), 'SIGKILL');
      await daemon.until(
        (event) => event.type === 'stream' && event.status === 'failed' && event.target === target,
      );
      await timers.fire(backOffMs[life - 1]!);
      const starts = (): number =>
        daemon.events.filter(
          (event) => event.type === 'log' && /^Tor 0\S+ runs/.test(event.message),
        ).length;
      await daemon.until(() => starts() === life);
    }
    await control.setEvents([]);
    await control.close();
    await reading;
    // One circuit and one link of each life at least; each of them has ended once.
    const ends = (kind: 'circuit' | 'stream'): number[] =>
      seen.flatMap((event) =>
        event.type === kind && (event.status === 'failed' || event.status === 'closed')
          ? [event.id]
          : [],
      );
    for (const kind of ['circuit', 'stream'] as const) {
      assert.ok(ends(kind).length >= 2, kind);
      assert.equal(new Set(ends(kind)).size, ends(kind).length, `${kind} that ended twice`);
    }
    const links = seen.filter(
      (event) => event.type === 'orConnection' && event.status === 'closed',
    );
    assert.ok(links.length >= 2);
  });

  test('is not waited for by those who want to end: halt and shutdown while there is none', async (t) => {
    for (const signal of ['halt', 'shutdown'] as const) {
      const timers = new HeldTimers(...backOffMs);
      const daemon = await startTorDaemon(t, offline, { timers, rng: ones });
      process.kill(await pidBehind(t, daemon), 'SIGKILL');
      await daemon.log.match(/Tor is gone/);
      await daemon.control.sendSignal(signal);
      assert.equal(await daemon.daemon.ended, undefined);
      await daemon.daemon.close();
    }
  });

  test('is killed when it hangs and hears of no end', async (t) => {
    const timers = new HeldTimers(limits.childTermWaitMs);
    const daemon = await startTorDaemon(t, offline, { timers });
    const pid = await pidBehind(t, daemon);
    process.kill(pid, 'SIGSTOP');
    const halted = daemon.control.sendSignal('halt');
    await timers.fire(limits.childTermWaitMs);
    await halted;
    assert.equal(await daemon.daemon.ended, undefined);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    await daemon.daemon.close();
  });

  test('again and again is given up with the reason', async (t) => {
    const timers = new HeldTimers(...backOffMs);
    const directory = stateDirectory();
    const lock = join(directory, 'die');
    const binary = join(directory, 'tor-that-dies');
    // The real one, until the file is there.
    await writeFile(
      binary,
      `#!/bin/sh\ncase "$*" in *--list-torrc-options*) exec tor "$@";; esac\n[ -e ${lock} ] || exec tor "$@"\nexit 3\n`,
      { mode: 0o700 },
    );
    const daemon = await startTorDaemon(t, `TorBinary ${binary}\n${offline}`, {
      timers,
      rng: ones,
      directory,
    });
    await writeFile(lock, '');
    process.kill(await pidBehind(t, daemon), 'SIGKILL');
    assert.equal(backOffMs.length, limits.childFailures - 1);
    for (const delayMs of backOffMs) await timers.fire(delayMs);
    const reason = await daemon.daemon.ended;
    assert.match(String(reason), /Tor ended while it was starting \(exit code 3/);
    await daemon.daemon.close();
    assert.equal(existsSync(join(directory, 'postern')), false);
  });
});

describe('a daemon that dies', options, () => {
  test('takes its Tor with it, though nobody could say goodbye', async (t) => {
    const directory = stateDirectory();
    const torrc = join(directory, 'torrc');
    await writeFile(torrc, `Engine tor\nControlPort auto\nDataDirectory ${directory}\n${offline}`);
    const [program, ...args] = postern.command;
    const child = spawn(program, [...args, 'run', '-f', torrc], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => void child.kill('SIGKILL'));
    let printed = '';
    while (!printed.includes('Controllers connect to')) {
      const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
      printed += String(chunk);
    }
    const tor = await connectTorControl({ path: join(directory, 'postern', 'control') });
    child.kill('SIGKILL');
    await once(child, 'exit');
    // Its connections end when it does.
    assert.equal((await tor.closed)?.code, 'ERR_TOR_CONTROL_CLOSED');
  });

  test('by a Tor that cannot be kept exits with 1 and says why', async () => {
    const directory = stateDirectory();
    const torrc = join(directory, 'torrc');
    const program = join(directory, 'tor');
    await symlink(await findTor(undefined, process.env), program);
    await writeFile(
      torrc,
      `Engine tor\nTorBinary ${program}\nControlPort auto\nDataDirectory ${directory}\n${offline}`,
    );
    const command = startCommand(['run', '-f', torrc]);
    await command.stdout.match(/Controllers connect to/);
    const tor = await connectTorControl({ path: join(directory, 'postern', 'control') });
    const pid = Number((await tor.getInfo('process/pid')).get('process/pid'));
    await rm(program);
    process.kill(pid, 'SIGKILL');
    assert.equal(await command.exitCode, ExitCode.failed);
    assert.match(command.stderr.text, /cannot be started \(ENOENT\)/);
    assert.equal(existsSync(join(directory, 'postern')), false);
  });
});
