/** The kit against our engines, with TC in front of them: none breaks a clause, and all is put back. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { formatPassphraseHash, hashPassphrase } from '../../src/crypto/passphrase.ts';
import { systemRng } from '../../src/crypto/rng.ts';
import type { Daemon } from '../../src/engine/daemon.ts';
import { formatEndpoint } from '../../src/pt/address.ts';
import { systemTimers, type Timers } from '../../src/time.ts';
import { startBridge, startClient, startEngine, type TestEngine } from '../support/engine.ts';
import { examineTc } from '../support/kit.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { offline, startTorDaemon } from '../support/tor-engine.ts';

/** A daemon to examine, and how. */
interface Examined {
  readonly daemon: Daemon;
  /** Where, if not at its control port. */
  readonly address?: { readonly socketPath: string };
  readonly words: readonly string[];
}

interface Row {
  readonly name: string;
  readonly skip?: string | false;
  readonly start: (t: TestContext) => Promise<Examined>;
  /** Clauses that only this way of running it shows. */
  readonly holds: string;
}

/** Every second passes fifty times as fast. */
const timers: Timers = {
  after: (delayMs, callback) => systemTimers.after(delayMs / 50, callback),
};

const PASSPHRASE = Buffer.from('a long passphrase');

/** Needs something to ask for, whatever it is. */
async function plain(t: TestContext, lines: string): Promise<TestEngine> {
  return startEngine(t, `ControlPort auto\n${lines}`, { timers });
}

const rows: readonly Row[] = [
  {
    name: 'the embedded engine, with traffic',
    async start(t) {
      const bridge = await startBridge(t, '', { timers });
      const { engine } = await startClient(t, [bridge], 'ControlPort auto\n', { timers });
      return {
        daemon: engine,
        words: [
          ...['--socks', formatEndpoint(engine.endpoints.socks[0]!)],
          ...['--saveconf', '--reload', '--shutdown'],
        ],
      };
    },
    holds:
      'TC-3.7-03 TC-3.7-04 TC-3.7-05 TC-3.7-06 TC-3.7-07 TC-3.7-08 TC-3.7-09 TC-3.7-12 TC-3.7-13 ' +
      'TC-3.9-01 TC-3.9-02 TC-3.10-02 TC-3.10-03 TC-3.11-05 TC-3.11-15 TC-4.1-01',
  },
  {
    name: 'the embedded engine as a bridge, with a cookie',
    async start(t) {
      const lines = 'ControlPort auto\nCookieAuthentication 1\nShutdownWaitLength 10\n';
      const { engine, directory } = await startBridge(t, lines, { timers });
      const path = join(directory, 'control_auth_cookie');
      return { daemon: engine, words: ['--cookie', path, '--shutdown'] };
    },
    holds: 'TC-3.10-04 TC-4.1-03 TC-3.8-02 TC-3.1-10',
  },
  {
    name: 'the embedded engine, with a passphrase',
    async start(t) {
      const hash = formatPassphraseHash(hashPassphrase(PASSPHRASE, systemRng));
      const { engine } = await plain(t, `HashedControlPassword ${hash}\n`);
      const file = join(temporaryDirectory(t), 'passphrase');
      writeFileSync(file, PASSPHRASE);
      return { daemon: engine, words: ['--password-file', file, '--halt'] };
    },
    holds: 'TC-4.1-04 TC-3.10-07',
  },
  {
    name: 'the embedded engine, on a socket',
    async start(t) {
      const socketPath = join(temporaryDirectory(t), 'control');
      const { engine } = await plain(t, `ControlSocket ${socketPath}\n`);
      return { daemon: engine, address: { socketPath }, words: [] };
    },
    holds: 'TC-1-04 TC-4.1-02',
  },
  {
    name: 'a real Tor',
    skip: peerProgram('tor') === undefined && 'tor is not installed',
    async start(t) {
      const { daemon } = await startTorDaemon(t, offline);
      return { daemon, words: ['--saveconf', '--reload', '--halt'] };
    },
    holds: 'TC-3.3-06 TC-3.4-06 TC-3.7-13 TC-3.9-02 TC-3.10-02 TC-3.10-07 TC-3.11-11 TC-3.13-03',
  },
];

describe('our engines break no clause of TC', { concurrency: true }, () => {
  for (const { name, skip = false, start, holds } of rows) {
    test(name, { skip }, async (t) => {
      const { daemon, address = daemon.endpoints.control[0]!, words } = await start(t);
      void daemon.ended.then(() => daemon.close());
      const report = await examineTc(t, address, words);
      assert.deepEqual(report.broken, []);
      assert.equal(report.said, '');
      const missing = holds.split(' ').filter((id) => !report.holds.includes(id));
      assert.deepEqual(missing, []);
    });
  }
});
