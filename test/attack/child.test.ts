/** The running daemon with a hostile transport program, and a good client and the operator beside it. */
import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { LimitName } from '../../src/limits.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { fakePt } from '../support/fake-pt.ts';
import { GoodClient } from '../support/good-client.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { ProbedBridge } from '../support/probed-bridge.ts';
import { ProbedProcess } from '../support/probed-process.ts';
import { closedPort, socksConnect } from '../support/sockets.ts';

const started = 'VERSION 1\nCMETHOD hostile socks5 127.0.0.1:9\nCMETHODS DONE\n';

/** What a child writes as fast as it can. */
const floods: Readonly<Record<string, string>> = {
  'bare newlines': '\n',
  'lines of one byte': 'x\n',
  'LOG lines': 'LOG SEVERITY=warning MESSAGE="the same again and again"\n',
};

/** A client daemon of a good bridge, which also starts the hostile program. */
async function startDaemon(
  t: TestContext,
  flood: string,
  limits: Partial<Record<LimitName, number>> = {},
) {
  const bridge = await ProbedBridge.start(t);
  const directory = temporaryDirectory(t);
  const wrapper = join(directory, 'hostile');
  const words = fakePt({ stdout: started, flood }).map(
    (word) => `'${word.replaceAll("'", `'\\''`)}'`,
  );
  writeFileSync(wrapper, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o700 });
  const { args, endpoint } = bridge.bridgeLine('obfs4');
  const line = args.map(([key, value]) => `${key}=${value}`).join(' ');
  const logFile = join(directory, 'log');
  const torrc = join(directory, 'torrc');
  writeFileSync(
    torrc,
    [
      `DataDirectory ${directory}`,
      'SocksPort auto',
      'UseBridges 1',
      'ShutdownWaitLength 0',
      `Bridge obfs4 ${formatEndpoint(endpoint)} ${line}`,
      `Bridge hostile ${formatEndpoint(await closedPort())}`,
      'ClientTransportPlugin obfs4 builtin',
      `ClientTransportPlugin hostile exec ${wrapper}`,
      `Log notice file ${logFile}`,
      'Log notice stdout',
      '',
    ].join('\n'),
  );
  const daemon = new ProbedProcess(t, ['run', '-f', torrc], { limits });
  const socks = await daemon.address(/SocksPort (\S+) is open/);
  const [, pid] = await daemon.line(/hostile runs as process (\d+)/);
  const good = await GoodClient.start(() => socksConnect(socks, bridge.targets.echo));
  return { daemon, pid, logFile, good };
}

for (const [name, flood] of Object.entries(floods)) {
  test(`a child that writes ${name} without end is ended, and nobody waits for it`, async (t) => {
    const limits = { childFloodMs: 3_000 };
    const { daemon, pid, logFile, good } = await startDaemon(t, flood, limits);
    while (existsSync(`/proc/${pid}`)) {
      await good.serve();
      await delay(20);
    }
    await daemon.line(/hostile: ended: it (?:writes without end|says too much)/);
    t.diagnostic(good.report());
    await good.serve();
    const after = await daemon.holdings();
    const logBytes = statSync(logFile).size;
    t.diagnostic(JSON.stringify({ ...after, logBytes }));
    assert.ok(logBytes < 100_000, `${logBytes} bytes of log`);
    assert.ok(after.memoryBytes < 40e6);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`a daemon ends at ${signal} as ever while a child writes ${name} without end`, async (t) => {
      const { daemon, pid, good } = await startDaemon(t, flood);
      await good.serve();
      good.close();
      daemon.process.kill(signal);
      assert.deepEqual(await daemon.ended, { exitCode: 0, signal: null });
      assert.ok(!existsSync(`/proc/${pid}`));
    });
  }
}
