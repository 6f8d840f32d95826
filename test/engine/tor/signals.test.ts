/** SIGNAL, Unix signals, and the events of a real Tor that has no network. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ExitCode } from '../../../src/cli/context.ts';
import type { EngineEvent } from '../../../src/control/engine.ts';
import type { ControlEvent } from '../../../src/control/messages.ts';
import { connectControl, type ControlClient } from '../../../src/control/node/client.ts';
import { PosternError } from '../../../src/errors.ts';
import { parseIpEndpoint } from '../../../src/pt/address.ts';
import { startCommand, type RunningCommand } from '../../support/command.ts';
import { torMissing } from '../../support/tor.ts';
import {
  getConf,
  offline,
  refusal,
  shared,
  startTorDaemon,
  stateDirectory,
  torBehind,
  type TestDaemon,
} from '../../support/tor-engine.ts';

const options = { skip: torMissing };
const all = shared();
let daemon: TestDaemon;
let control: ControlClient;

describe('SIGNAL with a real Tor that stays', options, () => {
  before(async () => {
    daemon = await startTorDaemon(all, `${offline}ConnLimit 900\n`);
    ({ control } = daemon);
  });
  after(() => all.close());

  /** What is logged while something is done, from its first line on. */
  async function logOf(action: () => Promise<unknown>): Promise<() => string> {
    const start = daemon.log.text.length;
    await action();
    return () => daemon.log.text.slice(start);
  }

  test('[TC-3.10-02] reload brings the torrc in force, in Tor as well; what was not saved is lost', async (t) => {
    const tor = await torBehind(t, daemon);
    await control.setConf([
      { key: 'ContactInfo', value: 'unsaved' },
      { key: 'ConnLimit', value: '901' },
    ]);
    daemon.torrc.text = daemon.torrc.text.replace('ConnLimit 900', 'ConnLimit 902\nNickname gate');
    const printed = await logOf(() => control.sendSignal('reload'));
    assert.match(printed(), /\[notice\] The torrc is loaded again/);
    assert.deepEqual(await getConf(control, 'ConnLimit', 'Nickname', 'ContactInfo'), [
      'ConnLimit 902',
      'Nickname gate',
    ]);
    // Tor has read its own torrc again: it says the same, and Tor goes on with it.
    const own = await readFile(join(daemon.directory, 'postern', 'torrc'), 'utf8');
    assert.match(own, /^ConnLimit 902$/m);
    await daemon.log.match(/Read configuration file/);
    assert.deepEqual(
      (await tor.getConf(['ConnLimit', 'Nickname', 'ContactInfo'])).map(({ value }) => value),
      ['902', 'gate', undefined],
    );
  });

  test('reload and SETCONF at once come one after the other, in Tor as with us', async (t) => {
    const tor = await torBehind(t, daemon);
    const { text } = daemon.torrc;
    const keys = ['SocksTimeout', 'NewCircuitPeriod', 'CircuitStreamTimeout', 'KeepalivePeriod'];
    for (let round = 0; round < 10; round += 1) {
      const reloading = control.sendSignal('reload');
      // Each once, so that none mends what has become of the one before.
      for (const key of keys) await daemon.daemon.setConf(`${key} 7${round}`);
      await reloading;
      await control.saveConf();
      for (const { key, value } of await tor.getConf(keys)) {
        const isSet = daemon.torrc.text.includes(`${key} 7${round}\n`);
        assert.equal(value === `7${round}`, isSet, `${key} ${value}`);
      }
      daemon.torrc.text = text;
    }
    await control.sendSignal('reload');
  });

  test('reload of a torrc that is wrong leaves the one in force, and says what is wrong with which line', async () => {
    const { text } = daemon.torrc;
    const line = text.split('\n').length;
    for (const [bad, message] of [
      ['Nickname a b', new RegExp(`Nickname \\(line ${line}\\): .*between 1 and 19`)],
      ['NoSuchOption 1', new RegExp(`NoSuchOption \\(line ${line}\\)`)],
      ['Sandbox 1', new RegExp(`Sandbox \\(line ${line}\\): While Tor is running`)],
      ['ControlPort 192.0.2.1:1', /ControlPort: off loopback/],
      ['DataDirectory /elsewhere', /DataDirectory: cannot be changed/],
      ['ContactInfo "a', new RegExp(`line ${line}:`, 'i')],
    ] as const) {
      daemon.torrc.text = `${text}${bad}\nConnLimit 950\n`;
      const printed = await logOf(() =>
        assert.rejects(control.sendSignal('reload'), refusal(1, message)),
      );
      assert.match(
        printed(),
        /\[warn\] The torrc was not loaded, and the configuration in force stays/,
      );
      assert.match(printed(), message);
      // A Unix signal has nobody to answer to, and does not end the daemon.
      await assert.rejects(daemon.daemon.obey('reload'), PosternError);
      assert.deepEqual(await getConf(control, 'ConnLimit', 'Nickname'), [
        'ConnLimit 902',
        'Nickname gate',
      ]);
    }
    daemon.torrc.text = text;
  });

  test('a SIGHUP that somebody else sends to Tor leaves what is in force', async (t) => {
    const tor = await torBehind(t, daemon);
    await control.setConf([{ key: 'ConnLimit', value: '907' }]);
    const pid = Number((await tor.getInfo('process/pid')).get('process/pid'));
    const printed = await logOf(async () => process.kill(pid, 'SIGHUP'));
    await daemon.until(() => printed().includes('Received reload signal'));
    assert.deepEqual(await tor.getConf(['ConnLimit']), [{ key: 'ConnLimit', value: '907' }]);
  });

  test('reload of a torrc that cannot be read is told as well', async () => {
    const { torrc } = daemon;
    const read = torrc.read.bind(torrc);
    torrc.read = () => Promise.reject(new PosternError('ERR_CONFIG_FILE', 'no reading (EACCES)'));
    const printed = await logOf(() =>
      assert.rejects(control.sendSignal('reload'), refusal(1, /EACCES/)),
    );
    assert.match(printed(), /\[warn\] The torrc was not loaded.*EACCES/);
    torrc.read = read;
    await control.sendSignal('reload');
  });

  test('[TC-3.10-05] dump writes what Tor has to the log', async () => {
    const printed = await logOf(() => control.sendSignal('dump'));
    assert.match(printed(), /\[notice\] 0 OR connections, 0 circuits, 0 streams/);
    await daemon.daemon.obey('dump');
    assert.equal(printed().match(/0 OR connections/g)?.length, 2);
  });

  test('[TC-3.10-06] debug opens all logs for everything, until the next reload', async () => {
    const file = join(daemon.directory, 'second.log');
    await control.setConf([
      { key: 'Log', value: 'warn stdout' },
      { key: 'Log', value: `err file ${file}` },
    ]);
    await control.saveConf();
    const printed = await logOf(() => control.sendSignal('debug'));
    await control.getConf(['ConnLimit']);
    await daemon.log.match(/\[debug\] \S+: /);
    assert.match(printed(), /\[notice\] All logs write everything now/);
    await control.sendSignal('reload');
    assert.match(await readFile(file, 'utf8'), /\[debug\] \S+: /);
    const later = await logOf(async () => {
      await control.getConf(['ConnLimit', 'Nickname']);
      await control.mapAddress({ kind: 'name', host: 'a' }, { kind: 'name', host: 'b' });
    });
    assert.doesNotMatch(later(), /\[(?:debug|info|notice)\]/);
    await control.setConf([{ key: 'Log' }]);
  });

  test('[TC-3.7-12] [TC-3.7-13] bandwidth and what is logged come as events, to those who asked', async () => {
    const other = await connectControl(daemon.daemon.endpoints.control[0]!);
    const seen: ControlEvent[] = [];
    const reading = (async () => {
      for await (const event of other.events()) seen.push(event);
    })();
    await other.setEvents(['bandwidth', 'log']);
    const before = daemon.events.length;
    const isNew = (event: EngineEvent): boolean => daemon.events.indexOf(event) >= before;
    await daemon.until((event) => event.type === 'bandwidth' && isNew(event));
    // Tor itself warns about this one, and we tell of the next.
    await assert.rejects(control.setConf([{ key: 'Nickname', value: 'a b' }]));
    await daemon.until(
      (event) =>
        event.type === 'log' && event.message.includes('Controller gave us') && isNew(event),
    );
    await control.sendSignal('dump');
    await other.setEvents([]);
    await other.close();
    await reading;
    const messages = seen.flatMap((event) => (event.type === 'log' ? [event.message] : []));
    assert.ok(messages.some((text) => text.includes('Controller gave us config lines')));
    assert.ok(messages.some((text) => text.startsWith('0 OR connections')));
    for (const event of seen) {
      assert.ok(event.type === 'bandwidth' || event.type === 'log', event.type);
      if (event.type === 'bandwidth') assert.deepEqual(event, { ...event, read: 0, written: 0 });
      else assert.doesNotMatch(event.message, /[\r\n]/);
    }
    assert.ok(seen.some(({ type }) => type === 'bandwidth'));
  });
});

describe('SIGNAL that ends a real Tor', options, () => {
  /** Waits as the owner of a daemon does, and makes sure that nothing of it is left. */
  async function leftNothing(t: { after(callback: () => void): void }, ending: TestDaemon) {
    const tor = await torBehind(t, ending);
    const pid = Number((await tor.getInfo('process/pid')).get('process/pid'));
    process.kill(pid, 0);
    return async (): Promise<void> => {
      assert.equal(await ending.daemon.ended, undefined);
      await ending.daemon.close();
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
      assert.equal(existsSync(join(ending.directory, 'postern')), false);
      assert.equal(await ending.control.closed.then((error) => error?.code), 'ERR_CONTROL_CLOSED');
    };
  }

  for (const [signal, clause] of [
    ['shutdown', 'TC-3.10-03'],
    ['halt', 'TC-3.10-07'],
  ] as const) {
    test(`[${clause}] [TC-3.10-08] ${signal} ends a client at once, with a bare close`, async (t) => {
      const ending = await startTorDaemon(t, offline);
      const end = await leftNothing(t, ending);
      await ending.control.sendSignal(signal);
      await end();
    });
  }

  test('[TC-3.10-04] shutdown of a relay is answered, and comes when its time is over', async (t) => {
    const ending = await startTorDaemon(
      t,
      `${offline}ORPort 127.0.0.1:auto\nAddress 127.0.0.1\nAssumeReachable 1\nPublishServerDescriptor 0\nShutdownWaitLength 1\n`,
    );
    const end = await leftNothing(t, ending);
    await ending.control.sendSignal('shutdown');
    await ending.log.match(/Taking no new connections; ending soon/);
    // It answers until then, which a bare close would not have allowed.
    assert.deepEqual(await getConf(ending.control, 'ShutdownWaitLength'), ['ShutdownWaitLength 1']);
    await end();
  });

  test('asked by the system: a relay waits for the first signal, and not for the second', async (t) => {
    const ending = await startTorDaemon(
      t,
      `${offline}ORPort 127.0.0.1:auto\nAddress 127.0.0.1\nAssumeReachable 1\nPublishServerDescriptor 0\nShutdownWaitLength 600\n`,
    );
    const end = await leftNothing(t, ending);
    assert.equal(await ending.daemon.obey('shutdown'), 'done');
    await ending.daemon.obey('halt');
    await end();
  });

  /** `postern run` in this process, and a controller of it. */
  async function run(t: {
    after(callback: () => void | Promise<void>): void;
  }): Promise<{ command: RunningCommand; client: ControlClient; directory: string }> {
    const directory = stateDirectory();
    const torrc = join(directory, 'torrc');
    await writeFile(torrc, `Engine tor\nControlPort auto\nDataDirectory ${directory}\n${offline}`);
    const command = startCommand(['run', '-f', torrc]);
    const [, address] = await command.stdout.match(/Controllers connect to (\S+)/);
    const client = await connectControl(parseIpEndpoint(address!)!);
    t.after(() => client.close());
    return { command, client, directory };
  }

  test('`postern run` exits with 0, by TC and by Unix signals, and leaves no files of the control', async (t) => {
    for (const end of [
      ({ client }: Awaited<ReturnType<typeof run>>) => client.sendSignal('halt'),
      async ({ command }: Awaited<ReturnType<typeof run>>) => command.drain(),
      async ({ command }: Awaited<ReturnType<typeof run>>) => command.stop(),
    ]) {
      const running = await run(t);
      await end(running);
      assert.equal(await running.command.exitCode, ExitCode.ok);
      assert.equal(existsSync(join(running.directory, 'postern')), false);
    }
  });
});
