/** What a bridge writes down for its clients, when the name under which they reach it cannot be looked up. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Emitter } from '../../src/bytes/emitter.ts';
import { Configuration } from '../../src/config/configuration.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { Bandwidth } from '../../src/engine/embedded/bandwidth.ts';
import { BridgeRole } from '../../src/engine/embedded/bridge-role.ts';
import { Places } from '../../src/engine/places.ts';
import { PosternError } from '../../src/errors.ts';
import type { ResolveName } from '../../src/net/name-resolver.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { recordingLog } from '../support/recording-log.ts';
import { temporaryDirectory } from '../support/managed.ts';

/** A bridge whose names are looked up by `resolve`. */
function bridgeRole(t: TestContext, resolve: ResolveName, directory = temporaryDirectory(t)) {
  const { log, said } = recordingLog();
  const stop = new AbortController();
  const timers = new HandTimers();
  const sources = { rng: systemRng, clock: systemClock };
  const role = new BridgeRole({
    ...{ log, resolve, timers, sources, env: {}, home: directory, rng: systemRng },
    ...{ registry: builtinTransports, places: new Places(), stopping: stop.signal },
    bandwidth: new Bandwidth(new Emitter(), timers, () => 0),
  });
  const load = async (lines: string): Promise<void> => {
    const { values } = Configuration.parse(
      `DataDirectory ${directory}\nServerTransportPlugin obfs3 builtin\n${lines}`,
    );
    await (await role.prepare(values)).commit();
  };
  const written = (): string => readFileSync(join(directory, 'bridge-lines'), 'utf8');
  return { role, said, stop, load, written, directory };
}

describe('the bridge lines', () => {
  test('stay while the name cannot be looked up, and the log says so; the next reload mends them', async (t) => {
    let answer: string | undefined;
    const bridge = bridgeRole(t, async () => {
      if (answer === undefined) throw new PosternError('ERR_DIAL_TIMED_OUT', 'no server answers');
      return [answer];
    });
    // Nothing is there that could stay.
    await bridge.load('Address gate.example\n');
    await bridge.said.until(/what clients need is in/);
    assert.match(bridge.said.lines[0]!, /^warn Address: .* and no bridge line has it: /);
    answer = '192.0.2.7';
    await bridge.load('Address gate.example\n');
    await bridge.said.until(/what clients need is in/, 2);
    const good = bridge.written();
    assert.match(good, /^Bridge obfs3 192\.0\.2\.7:\d+\n$/);
    answer = undefined;
    await bridge.load('Address gate.example\nAddress 192.0.2.9\n');
    await bridge.said.until(/^warn Address: .*\/bridge-lines stays as it is: .*A reload/);
    assert.equal(bridge.written(), good);
    answer = '192.0.2.8';
    await bridge.load('Address gate.example\n');
    await bridge.said.until(/what clients need is in/, 3);
    assert.match(bridge.written(), /^Bridge obfs3 192\.0\.2\.8:\d+\n$/);
    await bridge.role.close();
  });

  test('stay when the name cannot be looked up at the next start', async (t) => {
    const first = bridgeRole(t, async () => ['192.0.2.7']);
    await first.load('Address gate.example\n');
    await first.said.until(/what clients need is in/);
    const good = first.written();
    await first.role.close();
    const second = bridgeRole(
      t,
      async () => {
        throw new PosternError('ERR_DIAL_TIMED_OUT', 'no server answers');
      },
      first.directory,
    );
    await second.load('Address gate.example\n');
    await second.said.until(/^warn Address: .* stays as it is: /);
    assert.equal(second.written(), good);
    await second.role.close();
  });

  test('are not waited for at the end', async (t) => {
    let asked = (_signal?: AbortSignal): void => {};
    const isAsked = new Promise<AbortSignal | undefined>((resolve) => (asked = resolve));
    const bridge = bridgeRole(t, (_name, signal) => {
      asked(signal);
      return new Promise((_resolve, reject) => {
        const giveUp = (): void => reject(new Error('given up'));
        if (signal === undefined) giveUp();
        else signal.addEventListener('abort', giveUp);
      });
    });
    await bridge.load('Address gate.example\n');
    const signal = await isAsked;
    bridge.stop.abort(new Error('the daemon ends'));
    await bridge.role.close();
    assert.equal(signal?.aborted, true);
    assert.deepEqual(bridge.said.lines, []);
    assert.throws(bridge.written, { code: 'ENOENT' });
  });
});
