/** Debian's tor as the parent of both sides, over loopback: the client gets the bridge's descriptor. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { formatEndpoint } from '../../src/pt/address.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { closedPort } from '../support/sockets.ts';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const plugin = `exec ${process.execPath} ${program}`;

/** A tor whose log is read as it is written. */
class Tor {
  readonly process: ChildProcess;
  readonly log: string[] = [];
  #wake: () => void = () => {};
  #ended = false;

  constructor(t: TestContext, tor: string, dataDirectory: string, options: Record<string, string>) {
    mkdirSync(dataDirectory, { mode: 0o700 });
    const lines = Object.entries({
      DataDirectory: dataDirectory,
      SocksPort: '0',
      Log: 'info stdout',
      // No authority of the real network may ever be asked; nobody listens on this one's port.
      DirAuthority: `none orport=9 v3ident=${'0'.repeat(39)}1 127.0.0.1:9 ${'0'.repeat(39)}2`,
      ...options,
    }).map(([name, value]) => `${name} ${value}\n`);
    const torrc = join(dataDirectory, 'torrc');
    writeFileSync(torrc, lines.join(''));
    this.process = spawn(tor, ['--defaults-torrc', '/dev/null', '-f', torrc], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => void this.process.kill('SIGKILL'));
    const reader = createInterface({ input: this.process.stdout! });
    reader.on('line', (line) => {
      this.log.push(line);
      this.#wake();
    });
    reader.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const line = this.log.find((text) => pattern.test(text));
      if (line !== undefined) return line;
      if (this.#ended) throw new Error(`tor ended without ${String(pattern)}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The process IDs of the pluggable transports that this tor runs. */
  get children(): string[] {
    const { pid } = this.process;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
  }
}

const tor = peerProgram('tor');

test(
  '[PT-1-01] tor runs us as bridge and as client, for obfs3 and obfs4, and we end with it',
  { skip: tor === undefined ? 'tor is not installed' : process.platform !== 'linux' },
  async (t) => {
    const directory = temporaryDirectory(t);
    const addresses = { obfs3: await closedPort(), obfs4: await closedPort() };
    const bridge = new Tor(t, tor!, join(directory, 'bridge'), {
      BridgeRelay: '1',
      ORPort: `${formatEndpoint(await closedPort())} IPv4Only`,
      Address: '127.0.0.1',
      AssumeReachable: '1',
      PublishServerDescriptor: '0',
      ExtORPort: 'auto',
      ServerTransportPlugin: `obfs3,obfs4 ${plugin}`,
      'ServerTransportListenAddr obfs3': formatEndpoint(addresses.obfs3),
      'ServerTransportListenAddr obfs4': formatEndpoint(addresses.obfs4),
    });
    const smethod = await bridge.line(/SMETHOD obfs4 .*ARGS:/);
    await bridge.line(/Registered server transport 'obfs3'/);
    await bridge.line(/Registered server transport 'obfs4'/);
    const args = /ARGS:([^)]*)/.exec(smethod)![1]!.replaceAll(',', ' ');
    const fingerprint = readFileSync(join(directory, 'bridge', 'fingerprint'), 'latin1')
      .trim()
      .split(' ')[1]!;

    await Promise.all(
      (['obfs3', 'obfs4'] as const).map(async (name) => {
        const client = new Tor(t, tor!, join(directory, name), {
          UseBridges: '1',
          ClientTransportPlugin: `obfs3,obfs4 ${plugin}`,
          Bridge: `${name} ${formatEndpoint(addresses[name])} ${fingerprint} ${name === 'obfs4' ? args : ''}`,
        });
        await client.line(/new bridge descriptor/);
        const children = client.children;
        assert.equal(children.length, 1);
        // One is told to end, the other is killed: neither leaves a child behind.
        client.process.kill(name === 'obfs3' ? 'SIGTERM' : 'SIGKILL');
        for (const child of children) while (existsSync(`/proc/${child}`)) await delay(20);
      }),
    );
    for (const line of bridge.log) assert.doesNotMatch(line, /\[warn\].*(?:proxy|transport)/i);
    const children = bridge.children;
    bridge.process.kill('SIGTERM');
    for (const child of children) while (existsSync(`/proc/${child}`)) await delay(20);
  },
);
