/** Against the tor that is installed here, cut off from every network. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { formatPassphraseHash, hashPassphrase } from '../../src/crypto/passphrase.ts';
import { randomBytes, systemRng } from '../../src/crypto/rng.ts';
import { parseBootstrapPhase } from '../../src/tor-control/event-parser.ts';
import type { TorEvent } from '../../src/tor-control/events.ts';
import { connectTorControl } from '../../src/tor-control/node/connect.ts';
import { keepTorControl } from '../../src/tor-control/node/keep.ts';
import type { Endpoint } from '../../src/pt/address.ts';
import { startControlledTor, type Tor, torMissing } from '../support/tor.ts';

const options = { skip: torMissing };

async function startTor(
  t: TestContext,
  ...torrc: readonly string[]
): Promise<{ tor: Tor; endpoint: Endpoint }> {
  const { tor, port } = await startControlledTor(t, ...torrc);
  return { tor, endpoint: { host: '127.0.0.1', port } };
}

describe('the tor that is installed', options, () => {
  test('lets in by SAFECOOKIE, with its own path or ours, and not with another cookie', async (t) => {
    const { tor, endpoint } = await startTor(t, 'CookieAuthentication 1');
    const cookiePath = join(tor.dataDirectory, 'control_auth_cookie');
    for (const credentials of [{}, { cookiePath }, { password: 'not asked for' }]) {
      const control = await connectTorControl({ endpoint, ...credentials });
      assert.match((await control.getInfo('version')).get('version')!, /^0\.4\./);
      await control.close();
      assert.equal(await control.closed, undefined);
    }
    const wrong = join(tor.dataDirectory, 'cookie-of-another');
    writeFileSync(wrong, randomBytes(systemRng, 32));
    await assert.rejects(connectTorControl({ endpoint, cookiePath: wrong }), {
      code: 'ERR_TOR_CONTROL_FALSE_SERVER',
    });
  });

  test('lets in by password, by nothing, and by its Unix socket', async (t) => {
    const hash = formatPassphraseHash(hashPassphrase(Buffer.from('a "b" \\ é'), systemRng));
    const { tor, endpoint } = await startTor(t, `HashedControlPassword ${hash}`);
    const control = await connectTorControl({ endpoint, password: 'a "b" \\ é' });
    await control.close();
    for (const password of ['wrong', '']) {
      await assert.rejects(connectTorControl({ endpoint, password }), {
        code: 'ERR_TOR_CONTROL_AUTHENTICATION',
        message: /515/,
      });
    }
    await assert.rejects(connectTorControl({ endpoint }), {
      code: 'ERR_TOR_CONTROL_AUTHENTICATION',
      message: /asks for its password/,
    });
    assert.equal(tor.process.exitCode, null);

    const socketPath = join(tor.dataDirectory, 'control');
    const open = await startTor(t, `ControlSocket ${socketPath}`);
    for (const address of [{ endpoint: open.endpoint }, { path: socketPath }]) {
      const each = await connectTorControl(address);
      assert.equal((await each.getInfo('config-file')).size, 1);
      await each.close();
    }
  });

  test('takes every typed command, and its answers and events are understood', async (t) => {
    const { tor, endpoint } = await startTor(t);
    const control = await connectTorControl({ endpoint });
    const seen: TorEvent[] = [];
    control.onEvent((event) => seen.push(event));
    const heard = async (wanted: (event: TorEvent) => boolean): Promise<TorEvent> => {
      for (;;) {
        const event = seen.find(wanted);
        if (event !== undefined) return event;
        await new Promise<void>((resolve) => {
          const stop = control.onEvent(() => {
            stop();
            resolve();
          });
        });
      }
    };
    const info = await control.getInfo('status/bootstrap-phase', 'events/names', 'config-text');
    assert.equal(parseBootstrapPhase(info.get('status/bootstrap-phase')!)?.progress, 0);
    assert.match(info.get('config-text')!, /^DisableNetwork 1$/m);
    await control.setEvents(info.get('events/names')!.split(' '));

    // Whatever the value: as it was set, so it is read and told of.
    const values = ['plain', 'a "b" \\ # é \'c\'', '"', '\\n', 'x=y', ' ', '$(id); `id`'];
    for (const value of values) {
      await control.setConf([
        { key: 'ContactInfo', value },
        { key: 'Nickname', value: 'gate' },
      ]);
      const [entry] = await control.getConf(['ContactInfo']);
      assert.equal(entry?.value, value);
      await heard(
        (event) =>
          event.type === 'configurationChanged' &&
          event.entries.some((each) => each.key === 'ContactInfo' && each.value === value),
      );
    }
    // What Tor holds in lines of its own comes back on one.
    await control.command('SETCONF ContactInfo="a\\r\\n650 BW 1 2\\r\\n250 OK"');
    const [injected] = await control.getConf(['ContactInfo']);
    assert.equal(injected?.value, 'a\r\n650 BW 1 2\r\n250 OK');
    await control.resetConf([{ key: 'ContactInfo' }, { key: 'Nickname' }]);
    await control.setConf(['notice stdout', 'err stderr'].map((value) => ({ key: 'Log', value })));
    assert.deepEqual(await control.getConf(['ContactInfo', 'DisableNetwork', 'Log']), [
      { key: 'ContactInfo', value: undefined },
      { key: 'DisableNetwork', value: '1' },
      { key: 'Log', value: 'notice stdout' },
      { key: 'Log', value: 'err stderr' },
    ]);

    const refusal = { code: 'ERR_TOR_CONTROL_REFUSED' };
    await assert.rejects(control.setConf([{ key: 'Nope', value: 'x' }]), {
      ...refusal,
      status: 552,
    });
    await assert.rejects(control.setConf([{ key: 'SocksPort', value: 'x' }]), {
      ...refusal,
      status: 513,
    });
    await assert.rejects(control.getConf(['Nope']), { ...refusal, status: 552 });
    await assert.rejects(control.getInfo('nope', 'nix'), { status: 552, text: /"nope"; .*"nix"/ });
    await assert.rejects(control.setEvents(['NOPE']), { ...refusal, status: 552 });
    await assert.rejects(control.closeCircuit('99'), { ...refusal, status: 552 });
    await assert.rejects(control.closeStream('99'), { ...refusal, status: 552 });
    await assert.rejects(control.command('NOSUCH'), { ...refusal, status: 510 });

    const [picked, named] = await control.mapAddress([
      { original: '0.0.0.0', replacement: 'www.example.com' },
      { original: '.', replacement: 'b.example' },
    ]);
    assert.match(picked!.original, /^127\./);
    assert.match(named!.original, /\.virtual$/);
    await heard((event) => event.type === 'addressMap' && event.original === picked!.original);
    const partly = control.mapAddress([
      { original: 'c.example', replacement: '192.0.2.3' },
      { original: '0.0.0.0', replacement: '!!' },
    ]);
    await assert.rejects(partly, { status: 512 });
    const mappings = (await control.getInfo('address-mappings/all')).get('address-mappings/all')!;
    assert.match(mappings, /^c\.example 192\.0\.2\.3 NEVER$/m);
    // Resolved by nobody: the network is off.
    await control.command('RESOLVE www.example.org');
    const stream = await heard((event) => event.type === 'stream');
    assert.ok(stream.type === 'stream' && stream.host === 'www.example.org' && stream.port === 0);

    await control.loadConf(`${info.get('config-text')!}\nNickname loaded\n`);
    assert.equal((await control.getConf(['Nickname']))[0]?.value, 'loaded');
    await assert.rejects(control.loadConf('.dots are stuffed\n'), { text: /'\.dots'/ });
    await control.saveConf();
    assert.match(readFileSync(join(tor.dataDirectory, 'torrc'), 'utf8'), /^Nickname loaded$/m);
    await control.signal('RELOAD');
    await heard((event) => event.type === 'signal' && event.name === 'RELOAD');
    await heard((event) => event.type === 'log' && event.severity === 'notice');
    await heard((event) => event.type === 'bandwidth');
    assert.deepEqual(
      seen.filter(({ type }) => type === 'malformed'),
      [],
    );
    await control.setEvents([]);

    // More than one read can hold, sent before any is answered.
    const all = await Promise.all(
      Array.from({ length: 50 }, () => control.getInfo('config/names', 'config/defaults')),
    );
    assert.equal(new Set(all.map((each) => each.get('config/names'))).size, 1);
    assert.match(all[0]!.get('config/names')!, /^Bridge LineList$/m);

    await control.takeOwnership();
    const exit = once(tor.process, 'exit');
    await control.close();
    await exit;
  });

  test('is found again after it was killed, with the events that were asked for', async (t) => {
    const { tor, endpoint } = await startTor(t, 'CookieAuthentication 1');
    const kept = keepTorControl({
      endpoint,
      events: ['SIGNAL'],
      firstDelayMs: 20,
      maxDelayMs: 50,
    });
    t.after(() => kept.close());
    const events = kept.events();
    const until = async (type: string): Promise<void> => {
      while ((await events.next()).value?.type !== type);
    };
    await kept.connection();
    tor.process.kill('SIGKILL');
    await until('disconnected');
    await startTor(t, 'CookieAuthentication 1', `ControlPort 127.0.0.1:${endpoint.port}`);
    await kept.connection();
    await until('connected');
    await kept.signal('CLEARDNSCACHE');
    await until('signal');
  });
});
