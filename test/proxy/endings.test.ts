/**
 * The end of the managed proxy as a real process: whatever it is doing and however it is told, it is gone
 * or drains as documented, and never by its last resort.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { buildRoot } from '../../scripts/paths.ts';
import { connect } from '../../src/index.ts';
import { limits } from '../../src/limits.ts';
import { parseIpEndpoint } from '../../src/pt/address.ts';
import { serverEnv, temporaryDirectory } from '../support/managed.ts';
import { type ChildExit, ParentedChild } from '../support/parented-child.ts';
import { dial, echo, listen } from '../support/sockets.ts';

const postern = [process.execPath, join(buildRoot, '..', 'bin', 'postern')];

/** A proxy in one of its states. */
interface Scene {
  readonly child: ParentedChild;
  /** Ends the connections that a drain waits for. */
  readonly endConnections?: () => void;
  /** Whether its stdout can still be read. */
  readonly isRead?: false;
  readonly logFile?: string;
}

type Start = (
  extra?: Readonly<Record<string, string>>,
  args?: readonly string[],
) => ReturnType<typeof startServer>;

/** What the proxy may be doing. */
const scenes: Readonly<Record<string, (t: TestContext, start: Start) => Promise<Scene>>> = {
  async idle(_t, start) {
    return { child: (await start()).child };
  },

  async 'handshake pending'(t, start) {
    const { child, bridgeLine, endpoint } = await start();
    const wire = await dial(endpoint);
    wire.on('error', () => {}).write('half a hello');
    t.after(() => void wire.destroy());
    // Accepted after that one, and served.
    (await connect(bridgeLine)).destroy();
    return { child };
  },

  async 'onward pending'(t, start) {
    const cookie = join(temporaryDirectory(t), 'cookie');
    writeFileSync(cookie, `! Extended ORPort Auth Cookie !\n${'x'.repeat(32)}`);
    const onward: Socket[] = [];
    let wake = (): void => {};
    const silent = await listen(t, (socket) => {
      onward.push(socket);
      wake();
    });
    const { child, bridgeLine } = await start({
      TOR_PT_EXTENDED_SERVER_PORT: silent.text,
      TOR_PT_AUTH_COOKIE_FILE: cookie,
    });
    // More than a signal takes listeners without a warning, by default.
    for (let count = 1; count <= 12; count += 1) {
      const accepted = new Promise<void>((resolve) => (wake = resolve));
      const stream = (await connect(bridgeLine)).on('error', () => {});
      t.after(() => void stream.destroy());
      await accepted;
    }
    return {
      child,
      endConnections() {
        for (const socket of onward) socket.destroy();
      },
    };
  },

  async 'log backlog'(t, start) {
    const { child, state } = await start(...talkative(t, '--log-file', 'a.log'));
    return { child, logFile: join(state, 'a.log') };
  },

  async 'stdout unread'(t, start) {
    const { child } = await start(...talkative(t));
    child.stopReading();
    return { child, isRead: false };
  },
};

/** How it may be told, and what it then says. */
const messengers: Readonly<Record<string, readonly [(child: ParentedChild) => void, RegExp]>> = {
  SIGTERM: [(child) => child.send('SIGTERM'), /ending: a signal told it to/],
  SIGINT: [(child) => child.send('SIGINT'), /ending: the last connection ended/],
  'stdin closed': [(child) => child.closeStdin(), /ending: the parent closed stdin/],
  'parent killed': [(child) => child.killParent(), /ending: the parent has gone/],
};

describe(
  '[PT-3-12] [PT-3.4-06] [PT-3.4-07] [PT-3.4-08] the end of the process',
  { concurrency: 4 },
  () => {
    for (const [state, open] of Object.entries(scenes)) {
      for (const [name, [tell, reason]] of Object.entries(messengers)) {
        test(`${state}, ${name}`, async (t) => {
          // A parent that is killed closes stdin; that it is gone must show without that.
          const exitOnStdinClose = name === 'parent killed' ? '0' : '1';
          const start: Start = (extra, args) =>
            startServer(t, { TOR_PT_EXIT_ON_STDIN_CLOSE: exitOnStdinClose, ...extra }, args);
          const { child, endConnections, isRead = true, logFile } = await open(t, start);
          tell(child);
          if (name === 'SIGINT' && endConnections !== undefined) {
            await child.match(/no new connections from now on/);
            assert.ok(!child.stdout.includes('ending:'));
            endConnections();
          }
          const end = await endOf(child);
          assert.equal(child.stderr, '');
          if (name !== 'parent killed') assert.deepEqual(end, { exitCode: 0, signal: null });
          if (isRead) {
            await child.read;
            assert.ok(reason.test(child.stdout), child.stdout.slice(-1000));
          }
          if (logFile !== undefined) {
            const content = readFileSync(logFile, 'utf8');
            assert.match(content, reason);
            assert.equal(content.match(/talkative: \d+ x/g)?.length, TALKATIVE_LINES);
          }
        });
      }
    }
  },
);

test('the last resort: what hangs on a dead disk is gone all the same, and says why', async (t) => {
  // Whoever opens a FIFO that nobody writes to hangs in the system call.
  const cookie = join(temporaryDirectory(t), 'cookie');
  execFileSync('mkfifo', [cookie]);
  const env = serverEnv(temporaryDirectory(t), {
    TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:9',
    TOR_PT_AUTH_COOKIE_FILE: cookie,
  });
  const child = await ParentedChild.start(t, postern, env);
  await child.match(/^VERSION 1$/m);
  child.closeStdin();
  assert.deepEqual(await endOf(child), { exitCode: null, signal: 'SIGKILL' });
  assert.match(child.stderr, /^postern: .*\(the parent closed stdin\).*kills itself. Still open: /);
});

test('the last resort: an event loop that does not turn any more is no way to stay', async (t) => {
  const child = await startPlugin(t, 'for (;;);');
  child.send('SIGTERM');
  assert.deepEqual(await endOf(child), { exitCode: null, signal: 'SIGKILL' });
  assert.match(child.stderr, /^postern: .*kills itself. Its event loop does not turn/);
});

test('a socket that Node cannot close any more does not keep the process', async (t) => {
  const child = await startPlugin(t, 'socket.end(); socket.resetAndDestroy();');
  child.send('SIGTERM');
  assert.deepEqual(await endOf(child), { exitCode: 0, signal: null });
  assert.equal(child.stderr, '');
});

/** A server with a transport that does something at its end, where it has a connected `socket`. */
async function startPlugin(t: TestContext, atItsEnd: string): Promise<ParentedChild> {
  const { endpoint } = await listen(t, () => {});
  const plugin = join(temporaryDirectory(t), 'plugin.mjs');
  writeFileSync(
    plugin,
    `import { once } from 'node:events';
    import { connect } from 'node:net';
    export const ending = {
      name: 'ending',
      summary: 'does something at its end',
      client() {},
      async server() {
        const socket = connect(${endpoint.port}, '127.0.0.1').pause();
        await once(socket.on('error', () => {}), 'connect');
        return { clientArguments: [], async close() { ${atItsEnd} } };
      },
    };`,
  );
  const env = serverEnv(temporaryDirectory(t), {
    TOR_PT_SERVER_TRANSPORTS: 'ending',
    TOR_PT_SERVER_BINDADDR: 'ending-127.0.0.1:0',
  });
  const child = await ParentedChild.start(t, [...postern, '--plugin', plugin], env);
  await child.match(/^SMETHODS DONE$/m);
  return child;
}

async function startServer(
  t: TestContext,
  extra: Readonly<Record<string, string>>,
  args: readonly string[] = [],
) {
  const app = await listen(t, echo);
  const state = temporaryDirectory(t);
  const env = serverEnv(state, {
    TOR_PT_SERVER_TRANSPORTS: 'obfs4',
    TOR_PT_SERVER_BINDADDR: 'obfs4-127.0.0.1:0',
    TOR_PT_ORPORT: app.text,
    ...extra,
  });
  const child = await ParentedChild.start(t, [...postern, ...args], env);
  const [, address, published] = await child.match(/^SMETHOD obfs4 (\S+) ARGS:(\S+)$/m);
  await child.match(/^SMETHODS DONE$/m);
  const bridgeLine = `obfs4 ${address} ${published!.replaceAll(',', ' ')}`;
  return { child, state, bridgeLine, endpoint: parseIpEndpoint(address!)! };
}

/** Each of its own kind, or they would become a count. */
const TALKATIVE_LINES = 60;

/** What starts a server with a transport that has more to log than a pipe holds. */
function talkative(t: TestContext, ...args: readonly string[]): Parameters<Start> {
  const plugin = join(temporaryDirectory(t), 'plugin.mjs');
  writeFileSync(
    plugin,
    `export const talkative = {
      name: 'talkative',
      summary: 'says much',
      client() {},
      async server(options, { notify }) {
        for (let number = 1; number <= ${TALKATIVE_LINES}; number += 1) notify(number + ' ' + 'x'.repeat(16_384));
        return { clientArguments: [], async close() {} };
      },
    };`,
  );
  const extra = {
    TOR_PT_SERVER_TRANSPORTS: 'obfs4,talkative',
    TOR_PT_SERVER_BINDADDR: 'obfs4-127.0.0.1:0,talkative-127.0.0.1:0',
  };
  return [extra, ['--plugin', plugin, ...args]];
}

/** Nothing here is about speed: ten times the deadline is patience enough on any machine. */
async function endOf(child: ParentedChild): Promise<ChildExit | undefined> {
  const patience = AbortSignal.timeout(10 * limits.lastResortMs);
  const tooLong = once(patience, 'abort').then(() => assert.fail('it is still there'));
  return Promise.race([child.ended, tooLong]);
}
