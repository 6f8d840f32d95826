/** What is logged and where: to the parent without holding anything up, to disk without addresses. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { PosternError, describeError } from '../../src/errors.ts';
import { LogLimiter } from '../../src/log-limiter.ts';
import { limits } from '../../src/limits.ts';
import { openStateDirectory } from '../../src/state/state-directory.ts';
import { LogQueue, type LogEntry } from '../../src/proxy/log-queue.ts';
import { createLogFile, createLogger } from '../../src/proxy/logger.ts';
import { Reporter } from '../../src/proxy/reporter.ts';
import { builtinTransports } from '../../src/transports/registry.ts';
import {
  clientEnv,
  Managed,
  serverEnv,
  startManaged,
  temporaryDirectory,
} from '../support/managed.ts';
import { closedPort, dial, readAll, socksConnect } from '../support/sockets.ts';

const clock = { epochMs: () => 0 };

test('entries wait until the queue is open, then come in order', async () => {
  const written: string[] = [];
  const queue = new LogQueue(async (entries) => {
    written.push(...entries.map(({ text }) => text));
  });
  queue.push({ severity: 'notice', text: 'a' });
  queue.push({ severity: 'notice', text: 'b' });
  await queue.idle();
  assert.deepEqual(written, []);
  queue.open();
  await queue.idle();
  queue.push({ severity: 'notice', text: 'c' });
  await queue.idle();
  assert.deepEqual(written, ['a', 'b', 'c']);
});

test('what waits goes out in one write; what a reader does not take is dropped past the limit, and counted', async () => {
  const written: (readonly LogEntry[])[] = [];
  const held: (() => void)[] = [];
  const queue = new LogQueue((entries) => {
    written.push(entries);
    return new Promise((resolve) => void held.push(resolve));
  });
  queue.open();
  for (let index = 0; index < limits.logBacklogLines + 11; index += 1) {
    queue.push({ severity: 'info', text: String(index) });
  }
  const idle = queue.idle();
  held[0]!();
  await new Promise(setImmediate);
  // One was on its way, the limit's worth waited, ten were too many.
  assert.deepEqual(
    written.map((entries) => entries.length),
    [1, limits.logBacklogLines + 1],
  );
  assert.equal(written[1]!.at(-2)?.text, String(limits.logBacklogLines));
  assert.match(written[1]!.at(-1)!.text, /^10 log lines were dropped/);
  held[1]!();
  await idle;
});

test('a flush waits for a slow reader; once told to end, for a moment only', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const isSettled = async (work: Promise<void>): Promise<boolean> => {
    let settled = false;
    void work.then(() => (settled = true));
    await new Promise(setImmediate);
    return settled;
  };
  const held: (() => void)[] = [];
  const slow = new Writable({ write: (_chunk, _encoding, callback) => void held.push(callback) });
  const reporter = new Reporter(slow);
  const now = new AbortController();
  reporter.startLogging();
  reporter.report({ kind: 'CMETHODS DONE' });
  reporter.log({ severity: 'notice', text: 'a' });
  const early = reporter.flush(now.signal);
  t.mock.timers.tick(100 * limits.finalFlushMs);
  assert.equal(await isSettled(early), false);
  now.abort();
  t.mock.timers.tick(limits.finalFlushMs - 1);
  assert.equal(await isSettled(early), false);
  t.mock.timers.tick(1);
  assert.equal(await isSettled(early), true);

  // Read at last: no need to wait for the moment to pass.
  const late = reporter.flush(now.signal);
  assert.equal(await isSettled(late), false);
  while (held.length > 0) {
    held.shift()!();
    await new Promise(setImmediate);
  }
  assert.equal(await isSettled(late), true);
});

test('protocol lines pass a parent that does not read LOG lines; memory stays bounded', async () => {
  const stuck = new Writable({ write() {} });
  const reporter = new Reporter(stuck);
  reporter.startLogging();
  for (let index = 0; index < 100_000; index += 1) {
    reporter.log({ severity: 'notice', text: 'x'.repeat(100) });
  }
  assert.ok(stuck.writableLength < 1000);
  reporter.report({ kind: 'CMETHODS DONE' });
  assert.ok(stuck.writableLength < 1000);
});

test('a line is one write, and LOG lines wait until the start-up is reported', async () => {
  const writes: string[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, callback) {
      writes.push(chunk.toString());
      callback();
    },
  });
  const reporter = new Reporter(stdout);
  reporter.log({ severity: 'warning', text: 'say "hi"\nand more' });
  reporter.report({ kind: 'VERSION', version: '1' });
  reporter.report({ kind: 'CMETHODS DONE' });
  reporter.startLogging();
  await reporter.flush(new AbortController().signal);
  assert.deepEqual(
    writes.filter((text) => text !== ''),
    ['VERSION 1\n', 'CMETHODS DONE\n', 'LOG SEVERITY=warning MESSAGE="say \\"hi\\"\\nand more"\n'],
  );
});

test('[PT-4-02] a logger keeps to its level and scrubs addresses unless told otherwise', () => {
  const entries: LogEntry[] = [];
  const push = (entry: LogEntry): void => void entries.push(entry);
  const limiter = new LogLimiter();
  const safe = createLogger([push], { level: 'warning', unsafe: false, limiter });
  safe.error('from 198.51.100.7:9');
  safe.warning('from [2001:db8::7]:9');
  safe.notice('not said', 'kind');
  for (let count = 0; count < 9; count += 1) safe.error('by 198.51.100.7', 'kind');
  createLogger([push], { level: 'debug', unsafe: true, limiter }).debug('from 198.51.100.7:9');
  assert.deepEqual(entries, [
    { severity: 'error', text: 'from [scrubbed]' },
    { severity: 'warning', text: 'from [scrubbed]' },
    { severity: 'error', text: 'by [scrubbed]' },
    { severity: 'debug', text: 'from 198.51.100.7:9' },
  ]);
});

test('an error is described with its remedy; a defect with its stack', () => {
  const inner = new PosternError('ERR_DIAL_REFUSED', 'refused');
  const outer = new PosternError('ERR_TUNNEL_UNREACHABLE', 'no way', { cause: inner });
  assert.equal(describeError(outer), `no way: refused (ERR_TUNNEL_UNREACHABLE). ${outer.remedy}`);
  assert.match(describeError(new TypeError('x')), /^defect, please report it: TypeError: x\n +at /);
  assert.equal(describeError('x'), 'defect, please report it: x');
});

test('the log file: one line each, in the state directory; a failure is told once', async (t) => {
  const path = temporaryDirectory(t);
  const state = openStateDirectory(path);
  const failures: unknown[] = [];
  const file = createLogFile(state, 'a.log', clock, (error) => void failures.push(error));
  file.push({ severity: 'notice', text: 'two\n lines' });
  await file.idle();
  await state.close();
  assert.equal(
    readFileSync(join(path, 'a.log'), 'utf8'),
    '1970-01-01T00:00:00.000Z [notice] two | lines\n',
  );
  const appended: string[] = [];
  const slow = {
    ...state,
    async append(_file: string, content: Uint8Array) {
      appended.push(Buffer.from(content).toString());
    },
  };
  const busy = createLogFile(slow, 'c.log', clock, (error) => void failures.push(error));
  for (const text of ['a', 'b', 'c', 'd']) busy.push({ severity: 'notice', text });
  await busy.idle();
  assert.deepEqual(
    appended.map((text) => text.split('\n').length - 1),
    [1, 3],
  );
  const full = { ...state, append: () => Promise.reject(new Error('ENOSPC')) };
  const failing = createLogFile(full, 'b.log', clock, (error) => void failures.push(error));
  failing.push({ severity: 'notice', text: 'a' });
  failing.push({ severity: 'notice', text: 'b' });
  await failing.idle();
  assert.equal(failures.length, 1);
});

test('[PT-3.2.1-11] a log file’s name cannot lead out of the state directory', async (t) => {
  for (const logFile of ['../x', '/tmp/x', 'a/b', '', '.', '..']) {
    const managed = new Managed(clientEnv(temporaryDirectory(t)), { logFile });
    assert.equal(await managed.exitCode, 1);
    assert.deepEqual(managed.lines.slice(0, 1), ['VERSION 1']);
    assert.match(managed.lines[1]!, /^ENV-ERROR the log file must be a name/);
  }
});

test('a log file that cannot be written is told to the parent, and the proxy goes on', async (t) => {
  const path = temporaryDirectory(t);
  writeFileSync(join(path, 'file'), '');
  const env = clientEnv(join(path, 'file'));
  const managed = startManaged(t, env, { logFile: 'a.log' });
  await managed.line(/^CMETHODS DONE$/);
  await assert.rejects(socksConnect(await managed.endpoint(), { host: '::1', port: 9 }, 'bad'));
  await managed.line(/^LOG SEVERITY=warning MESSAGE="no log file from now on: /);
  (await dial(await managed.endpoint())).destroy();
});

test('an option or argument that a transport does not know is warned of once, and not with each connection', async (t) => {
  const state = temporaryDirectory(t);
  const extra = {
    TOR_PT_SERVER_TRANSPORTS: 'obfs3',
    TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:0',
    TOR_PT_SERVER_TRANSPORT_OPTIONS: 'obfs3:speed=9',
  };
  const registry = builtinTransports;
  const server = startManaged(t, serverEnv(state, extra), { registry });
  await server.endpoint('obfs3');
  const client = startManaged(t, clientEnv(state, { TOR_PT_CLIENT_TRANSPORTS: 'obfs3' }), {
    registry,
  });
  const proxy = await client.endpoint('obfs3');
  const target = await closedPort();
  for (const args of ['colour=red', 'colour=green', '', 'taste=sweet', 'colour=red']) {
    await assert.rejects(socksConnect(proxy, target, args));
  }
  // What an application makes up fills no memory and no log.
  for (let index = 0; index < 100; index += 1) {
    await assert.rejects(socksConnect(proxy, target, `made-up-${index}=1`));
  }
  await Promise.all([server.stop(), client.stop()]);
  const warnings = ({ lines }: Managed): string[] =>
    lines.flatMap(
      (line) => /^LOG SEVERITY=warning MESSAGE="(.* does not .*)"$/.exec(line)?.[1] ?? [],
    );
  assert.deepEqual(warnings(server), [
    'obfs3 does not know `speed` in its options, and goes without',
  ]);
  assert.deepEqual(warnings(client).slice(0, 3), [
    'obfs3 does not know `colour` in the bridge line, and goes without',
    'obfs3 does not know `taste` in the bridge line, and goes without',
    'obfs3 does not know `made-up-0` in the bridge line, and goes without',
  ]);
  assert.ok(warnings(client).length < 50);
});

test('[PT-4-01] [PT-4-02] [PT-4-05] no address, destination or argument reaches stdout or the log file', async (t) => {
  const state = temporaryDirectory(t);
  const options = { logFile: 'a.log', logLevel: 'debug' } as const;
  const { port } = await closedPort();
  const server = startManaged(t, serverEnv(state, { TOR_PT_ORPORT: `127.0.0.1:${port}` }), options);
  const client = startManaged(t, clientEnv(state), { ...options, logFile: 'b.log' });
  const proxy = await client.endpoint();
  const { port: serverPort, ...host } = await server.endpoint();
  // A handshake that fails, one that cannot be forwarded, targets and arguments that are wrong.
  const probe = await dial({ ...host, port: serverPort });
  probe.end('GET /');
  await readAll(probe);
  const good = await server.socksArguments();
  const stream = await socksConnect(proxy, { ...host, port: serverPort }, good);
  await readAll(stream);
  stream.destroy();
  for (const [target, args] of [
    [{ host: '127.0.0.1', port }, 'key=5;secret=SESAME'],
    [{ host: 'hidden-bridge.invalid', port: 1 }, 'key=5'],
    [{ host: '127.0.0.1', port }, 'SESAME'],
    [{ host: '127.0.0.1', port }, 'key=SESAME'],
  ] as const) {
    await assert.rejects(socksConnect(proxy, target, args));
  }
  await Promise.all([server.stop(), client.stop()]);
  const methods = /^[CS]METHOD .*$/gm;
  const texts = [
    server.output.replaceAll(methods, ''),
    client.output.replaceAll(methods, ''),
    readFileSync(join(state, 'a.log'), 'utf8'),
    readFileSync(join(state, 'b.log'), 'utf8'),
  ];
  for (const text of texts) {
    assert.match(text, /ERR_/);
    assert.doesNotMatch(text, /127\.0\.0\.1|hidden-bridge|SESAME/);
    assert.ok(!text.includes(`:${port}`) && !text.includes(`:${serverPort}`));
  }
});

test('[PT-3.2.1-10] an unwritable state directory stops only what needs it', async (t) => {
  const path = temporaryDirectory(t);
  chmodSync(path, 0o500);
  // Root may write anywhere: then the directory does not count as unwritable.
  const isRoot = process.getuid?.() === 0;
  const managed = startManaged(t, serverEnv(path));
  await managed.line(/^SMETHODS DONE$/);
  assert.match(managed.lines[1]!, isRoot ? /^SMETHOD rot / : /^SMETHOD-ERROR rot .*EACCES/);
});
