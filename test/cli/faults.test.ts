/** What a peer, an application or a plug-in does wrong costs a connection, and never the process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test, type TestContext } from 'node:test';
import { encodeCookieFile } from '../../src/extor/cookie-file.ts';
import { parseBridgeLine, formatBridgeLine } from '../../src/pt/bridge-line.ts';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { serverEnv, temporaryDirectory } from '../support/managed.ts';
import { postern, startPtServer } from '../support/pt-programs.ts';
import { dial, echo, listen, readAll, readBytes } from '../support/sockets.ts';
import { startVerb } from '../support/verb.ts';

/** A bridge as a process, which forwards there. */
async function startBridge(t: TestContext, forward: string, transport = 'obfs4') {
  const bridge = startVerb(t, [
    ...['bridge', '--listen', '127.0.0.1:0', '--forward', forward, '--transport', transport],
    ...['--state', temporaryDirectory(t)],
  ]);
  const [, line] = await bridge.match(new RegExp(`^(${transport} .+)\n`, 'm'));
  return { bridge, line: line! };
}

/** A client as a process, and where applications reach it. */
async function startClient(t: TestContext, line: string): Promise<Endpoint> {
  const client = startVerb(t, ['client', line, '--forward-from', '127.0.0.1:0']);
  const [, address] = await client.match(/Listening on (\S+) for/);
  return parseIpEndpoint(address!)!;
}

describe('a process goes on, and ends when it is told to', { concurrency: 2 }, () => {
  test('an obfs3 stranger that is established and rejected in one breath', async (t) => {
    const service = await listen(t, echo);
    const { bridge, line } = await startBridge(t, service.text, 'obfs3');
    const stranger = await dial(parseBridgeLine(line).endpoint);
    // A public key, and more than the server looks through for the magic value.
    stranger.resume().write(Buffer.alloc(192 + 9000, 1));
    await once(stranger, 'data');
    const endpoint = await startClient(t, line);
    const stream = await dial(endpoint);
    stream.end('the next one is served');
    assert.equal((await readAll(stream)).toString(), 'the next one is served');
    assert.equal(await bridge.stop('SIGINT'), 0);
    stranger.destroy();
  });

  test('a plug-in that cannot make a session', async (t) => {
    const plugin = join(temporaryDirectory(t), 'broken.mjs');
    writeFileSync(
      plugin,
      `export const broken = {
         name: 'broken',
         summary: 'cannot make a session',
         client() { throw new Error('not here'); },
         async server() {
           return {
             clientArguments: [['a', 'b']],
             rejectAfterMs: 10,
             createSession() { throw new Error('a defect of the plug-in'); },
             async close() {},
           };
         },
       };`,
    );
    const [file, ...args] = postern.command;
    const program = { name: 'broken', command: [file, ...args, '--plugin', plugin] } as const;
    const service = await listen(t, echo);
    const server = await startPtServer(t, program, {
      transport: 'broken',
      orPort: service.endpoint,
    });
    for (let count = 0; count < 2; count += 1) {
      const stream = await dial(server.endpoint);
      assert.equal((await readAll(stream)).length, 0);
      stream.destroy();
    }
    await server.stop();
  });

  test('an Extended ORPort that says nothing keeps no server that is told to end', async (t) => {
    const state = temporaryDirectory(t);
    const cookieFile = join(state, 'cookie');
    writeFileSync(cookieFile, encodeCookieFile(Buffer.alloc(32)));
    let accept!: () => void;
    const accepted = new Promise<void>((resolve) => (accept = resolve));
    const silent = await listen(t, () => accept());
    const [file, ...args] = postern.command;
    const server = spawn(file, args, {
      env: serverEnv(state, {
        TOR_PT_SERVER_TRANSPORTS: 'obfs3',
        TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:0',
        TOR_PT_EXTENDED_SERVER_PORT: silent.text,
        TOR_PT_AUTH_COOKIE_FILE: cookieFile,
      }),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => void server.kill('SIGKILL'));
    let endpoint: Endpoint | undefined;
    for await (const line of createInterface(server.stdout)) {
      const address = /^SMETHOD obfs3 (\S+)/.exec(line)?.[1];
      if (address === undefined) continue;
      endpoint = parseIpEndpoint(address)!;
      break;
    }
    const client = await startClient(
      t,
      formatBridgeLine({ transport: 'obfs3', endpoint: endpoint!, args: [] }),
    );
    const stream = await dial(client);
    stream.write('x');
    await accepted;
    server.kill('SIGTERM');
    // Ten times what it may take. Without the signal it was the exchange's whole minute.
    const patience = AbortSignal.timeout(20_000);
    assert.deepEqual(await once(server, 'exit', { signal: patience }), [0, null]);
    stream.destroy();
  });
});

/** Passes bytes on, until the test cuts the way from the bridge. */
async function startCutter(t: TestContext, target: Endpoint) {
  let fromBridge = Buffer.alloc(0);
  let toClient!: Socket;
  let holds = false;
  const { endpoint } = await listen(t, (socket) => {
    toClient = socket;
    const bridge = connect({ ...target, allowHalfOpen: true });
    bridge.on('error', () => {});
    socket.pipe(bridge);
    bridge.on('data', (chunk: Buffer) => {
      if (holds) fromBridge = Buffer.concat([fromBridge, chunk]);
      else socket.write(chunk);
      socket.emit('passed');
    });
    t.after(() => void bridge.destroy());
  });
  return {
    endpoint,
    /** From now on, what the bridge sends is kept. */
    hold: () => void (holds = true),
    /** What has been kept, as soon as there is something. */
    async held(): Promise<Buffer> {
      while (fromBridge.length === 0) await once(toClient, 'passed');
      return fromBridge;
    },
    client: () => toClient,
  };
}

describe('a wire that breaks in the middle of a download', () => {
  for (const [what, cut, expected] of [
    ['is reset', (socket: Socket) => socket.resetAndDestroy(), 'ECONNRESET'],
    [
      'ends inside a frame',
      (socket: Socket, held: Buffer) => socket.end(held.subarray(0, 1)),
      'ECONNRESET',
    ],
    ['ends behind a frame', (socket: Socket, held: Buffer) => socket.end(held), 'the end'],
  ] as const) {
    test(`it ${what}: the application sees ${expected}`, async (t) => {
      let accept!: (socket: Socket) => void;
      const accepted = new Promise<Socket>((resolve) => (accept = resolve));
      const service = await listen(t, (socket) => accept(socket));
      const { line } = await startBridge(t, service.text);
      const bridgeLine = parseBridgeLine(line);
      const cutter = await startCutter(t, bridgeLine.endpoint);
      const client = await startClient(
        t,
        formatBridgeLine({ ...bridgeLine, endpoint: cutter.endpoint }),
      );
      const application = await dial(client);
      application.write('download, please');
      const server = await accepted;
      await once(server, 'data');
      server.write('first half');
      assert.equal((await readBytes(application, 10)).toString(), 'first half');
      cutter.hold();
      server.write('x');
      const ended = new Promise((resolve) => {
        application.on('end', () => resolve('the end'));
        application.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      });
      application.resume();
      cut(cutter.client(), await cutter.held());
      assert.equal(await ended, expected);
      application.destroy();
      server.destroy();
    });
  }
});
