/** The client role, without an engine around it. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Emitter } from '../../src/bytes/emitter.ts';
import { Configuration } from '../../src/config/configuration.ts';
import type { EngineEvent } from '../../src/control/engine.ts';
import { AddressMap } from '../../src/control/address-map.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import { Bandwidth } from '../../src/engine/embedded/bandwidth.ts';
import { ClientRole, type ClientRoleOptions } from '../../src/engine/embedded/client-role.ts';
import { ClientTransports } from '../../src/engine/embedded/client-transports.ts';
import { Places } from '../../src/engine/places.ts';
import { systemClock } from '../../src/time.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import { MemoryState } from '../../src/transports/memory-state.ts';
import { HandTimers } from '../support/hand-timers.ts';
import { recordingLog } from '../support/recording-log.ts';
import { temporaryDirectory } from '../support/managed.ts';

function optionsIn(t: TestContext) {
  const home = temporaryDirectory(t);
  const { log, said } = recordingLog();
  const timers = new HandTimers();
  const events = new Emitter<EngineEvent>();
  const rng = systemRng;
  const options: ClientRoleOptions = {
    ...{ log, timers, events, rng, home, env: process.env, places: new Places() },
    ...{ registry: builtinTransports, stopping: new AbortController().signal },
    transportContext: { rng, clock: systemClock, state: new MemoryState() },
    bandwidth: new Bandwidth(events, timers, () => 0),
    addressMap: new AddressMap({ rng }),
  };
  const values = (lines: string) => Configuration.parse(`DataDirectory ${home}\n${lines}`).values;
  return { options, said, home, values };
}

test('a port that cannot be opened again is a matter of `app`', async (t) => {
  const { options, said, home, values } = optionsIn(t);
  const role = new ClientRole(options);
  const folder = join(home, 'sockets');
  mkdirSync(folder, { mode: 0o700 });
  await (await role.prepare(values(`SocksPort unix:${folder}/socks\n`))).commit();
  const change = await role.prepare(values(`SocksPort unix:${folder}/socks GroupWritable\n`));
  rmSync(folder, { recursive: true });
  await change.rollback();
  assert.match(said.lines.at(-1)!, /^err a port cannot be opened again: /);
  assert.equal(said.domains.at(-1), 'app');
  await role.close();
});

test('whoever waits for a program that is to be started again can be called off', async (t) => {
  const { options, said, home, values } = optionsIn(t);
  const transports = new ClientTransports(options);
  const script = `#!/bin/sh
echo VERSION 1
echo CMETHOD obfs3 socks5 127.0.0.1:9
echo CMETHODS DONE
read -r _
`;
  writeFileSync(join(home, 'pt'), script, { mode: 0o755 });
  const { routeTo, commit } = await transports.prepare(
    values('ClientTransportPlugin obfs3 exec ~/pt\nUseBridges 1\nBridge obfs3 192.0.2.1:1\n'),
  );
  commit();
  const [, pid] = /runs as process ([0-9]+)/.exec(said.lines.join('\n'))!;
  process.kill(Number(pid), 'SIGKILL');
  await said.until(/Trying again in/);
  const endpoint = { host: '192.0.2.1', port: 1 };
  const { direct } = routeTo({ transport: 'obfs3', endpoint, args: [] });
  const stop = new AbortController();
  const dialing = direct(endpoint, { signal: stop.signal });
  dialing.catch(() => {});
  const reason = new Error('called off');
  stop.abort(reason);
  await assert.rejects(Promise.race([dialing, turn()]), reason);
  await transports.close();
});

test('a bridge whose transport nobody carries out leads nowhere, as the first hop and behind another', async (t) => {
  const { options, values } = optionsIn(t);
  const transports = new ClientTransports(options);
  const { routeTo, commit } = await transports.prepare(
    values('UseBridges 1\nBridge nobody 192.0.2.1:1\n'),
  );
  commit();
  const endpoint = { host: '192.0.2.1', port: 1 };
  const { direct, through } = routeTo({ transport: 'nobody', endpoint, args: [] });
  let isDialed = false;
  const behind = through!(async () => {
    isDialed = true;
    throw new Error('dialled without the transport');
  });
  for (const dial of [direct, behind]) {
    await assert.rejects(dial(endpoint), { code: 'ERR_TRANSPORT_UNKNOWN' });
  }
  assert.equal(isDialed, false);
  await transports.close();
});
