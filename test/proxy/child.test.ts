/** The proxy as a process: signals, a killed parent, whole lines, and what it leaves on disk. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { clientEnv, serverEnv, temporaryDirectory } from '../support/managed.ts';
import { dial, readAll, socksConnect } from '../support/sockets.ts';

const program = fileURLToPath(new URL('../support/managed-child.js', import.meta.url));

/** A child process whose stdout is read line by line. */
class Child {
  readonly process: ChildProcess;
  readonly exit: Promise<[code: number | null, signal: string | null]>;
  readonly #lines: AsyncIterator<string>;

  constructor(
    t: TestContext,
    args: string[],
    env: Record<string, string | undefined>,
    cwd?: string,
  ) {
    this.process = spawn(process.execPath, args, {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(cwd !== undefined && { cwd }),
    });
    this.exit = once(this.process, 'exit') as Promise<[number | null, string | null]>;
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
    t.after(() => void this.process.kill('SIGKILL'));
  }

  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`stdout ended without ${String(pattern)}`);
      if (pattern.test(value)) return value;
    }
  }

  async endpoint(): Promise<Endpoint> {
    const line = await this.line(/^[CS]METHOD /);
    return parseIpEndpoint(/[0-9.]+:[0-9]+/.exec(line)![0])!;
  }
}

describe('the proxy as a process', { concurrency: 4 }, () => {
  test('[PT-3-12] [PT-3.4-07] SIGTERM, idle and with an open connection: exit 0, not killed', async (t) => {
    const child = new Child(t, [program], clientEnv(temporaryDirectory(t)));
    const stream = await dial(await child.endpoint());
    const closed = readAll(stream);
    await child.line(/^CMETHODS DONE$/);
    child.process.kill('SIGTERM');
    assert.deepEqual(await child.exit, [0, null]);
    await closed;
  });

  test('SIGINT drains an idle proxy to its end', async (t) => {
    const child = new Child(t, [program], serverEnv(temporaryDirectory(t)));
    await child.line(/^SMETHODS DONE$/);
    child.process.kill('SIGINT');
    assert.deepEqual(await child.exit, [0, null]);
  });

  test('[PT-3.4-06] the end of stdin ends the process', async (t) => {
    const child = new Child(t, [program], clientEnv(temporaryDirectory(t)));
    await child.line(/^CMETHODS DONE$/);
    child.process.stdin!.end();
    assert.deepEqual(await child.exit, [0, null]);
  });

  test('[PT-3.3.1-06] [PT-3.3.1-14] [PT-3.3.2-05] error lines arrive whole, and the process ends with stdin open', async (t) => {
    const state = temporaryDirectory(t);
    const long = `n${'x'.repeat(100_000)}`;
    for (const [env, last] of [
      [{ TOR_PT_MANAGED_TRANSPORT_VER: '2' }, /^VERSION-ERROR no-version$/],
      [clientEnv(state, { TOR_PT_CLIENT_TRANSPORTS: '9' }), /^ENV-ERROR TOR_PT_CLIENT_TRANSPORTS/],
      [clientEnv(state, { TOR_PT_PROXY: 'gopher://x' }), /^PROXY-ERROR TOR_PT_PROXY/],
      [clientEnv(state, { TOR_PT_PROXY: `${long}://x` }), /^PROXY-ERROR TOR_PT_PROXY/],
    ] as const) {
      const child = new Child(t, [program], env);
      const text = (await readAll(child.process.stdout as never)).toString();
      assert.ok(text.endsWith('\n'));
      assert.match(text.split('\n').at(-2)!, last);
      assert.deepEqual(await child.exit, [1, null]);
    }
  });

  test('[PT-3.4-08] the parent is killed: the child ends by itself, with stdin held open elsewhere', async (t) => {
    // The parent in between hands its own stdin and stdout to the child. Whoever could write to
    // that stdin is another process, which outlives the parent.
    const holder = spawn('sleep', ['60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => void holder.kill('SIGKILL'));
    const script = `
      const child = require('node:child_process').spawn(process.execPath, [process.argv[1]], {
        stdio: 'inherit',
      });
      child.on('spawn', () => process.send(child.pid));
      setInterval(() => {}, 1000);
    `;
    const parent = spawn(process.execPath, ['-e', script, program], {
      env: clientEnv(temporaryDirectory(t)),
      stdio: [holder.stdout, 'pipe', 'inherit', 'ipc'],
    });
    t.after(() => void parent.kill('SIGKILL'));
    const [pid] = (await once(parent, 'message')) as [number];
    t.after(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    let text = '';
    parent.stdout!.on('data', (chunk: Buffer) => void (text += chunk.toString()));
    while (!text.includes('CMETHODS DONE')) await once(parent.stdout!, 'data');
    parent.kill('SIGKILL');
    // Only the child holds that pipe now: its end is the child's end.
    const killedAtMs = performance.now();
    await once(parent.stdout!, 'end');
    t.diagnostic(`ended ${Math.round(performance.now() - killedAtMs)} ms after its parent`);
    assert.match(text, /ending: the parent has gone/);
  });

  test('[PT-3.2.1-11] [PT-3.2.1-12] nothing is written outside the state directory', async (t) => {
    const sandbox = temporaryDirectory(t);
    const state = join(sandbox, 'state');
    const places = { HOME: join(sandbox, 'home'), TMPDIR: join(sandbox, 'tmp') };
    const cwd = join(sandbox, 'cwd');
    for (const place of [...Object.values(places), cwd]) mkdirSync(place);
    const extra = { ...places, TEST_LOG_FILE: 'postern.log' };
    const server = new Child(t, [program], serverEnv(state, extra), cwd);
    const client = new Child(t, [program], clientEnv(state, extra), cwd);
    const target = await server.endpoint();
    await assert.rejects(socksConnect(await client.endpoint(), target, 'nonsense'));
    for (const { process: child, exit } of [server, client]) {
      child.kill('SIGTERM');
      assert.deepEqual(await exit, [0, null]);
    }
    const files = readdirSync(sandbox, { recursive: true, encoding: 'utf8' }).filter((file) =>
      statSync(join(sandbox, file)).isFile(),
    );
    assert.deepEqual(files.sort(), ['state/postern.log', 'state/rot.key']);
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
