/** The command, as processes: other people's applications and transports go through it. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { parseIpEndpoint, type Endpoint } from '../../src/pt/address.ts';
import { exchange, serveExchange } from '../support/exchange.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { obfs4proxy, obfs4proxyMissing, type Cleanup } from '../support/pt-programs.ts';
import { closedPort, dial, listen } from '../support/sockets.ts';
import { startVerb, type RunningVerb } from '../support/verb.ts';

const run = promisify(execFile);

/** `postern bridge`, and its bridge line. */
async function startBridge(t: Cleanup, forward: string, ...options: string[]): Promise<string> {
  const state = temporaryDirectory(t);
  const args = ['--listen', '127.0.0.1:0', '--forward', forward, '--state', state, ...options];
  const [, line] = await startVerb(t, ['bridge', ...args]).match(/^(obfs\S+ \S+:\d+.*)\n/m);
  return line!;
}

/** `postern client`, and where it listens. */
async function startClient(
  t: Cleanup,
  bridgeLine: string,
  entrance: '--socks' | '--forward-from',
  ...options: string[]
): Promise<{ client: RunningVerb; endpoint: Endpoint }> {
  const client = startVerb(t, ['client', bridgeLine, entrance, '127.0.0.1:0', ...options]);
  const [, address] = await client.match(/Listening on (\S+) for/);
  return { client, endpoint: parseIpEndpoint(address!)! };
}

describe(
  'other people’s applications through postern bridge and postern client',
  { concurrency: true },
  () => {
    const curl = peerProgram('curl');
    test(
      'curl, by SOCKS and by a forwarded port',
      { skip: curl === undefined && 'curl is not installed' },
      async (t) => {
        const page = randomBytes(2_000_000).toString('base64');
        const web = createServer((request, response) => {
          request.pipe(createHash('sha256')).on('data', (digest: Buffer) => {
            response.end(request.method === 'PUT' ? digest.toString('hex') : page);
          });
        });
        web.listen(0, '127.0.0.1');
        await once(web, 'listening');
        t.after(() => {
          web.close();
          web.closeAllConnections();
        });
        const { port } = web.address() as AddressInfo;
        const bridgeLine = await startBridge(t, `127.0.0.1:${port}`);
        const [socks, plain] = await Promise.all([
          startClient(t, bridgeLine, '--socks'),
          startClient(t, bridgeLine, '--forward-from'),
        ]);
        const options = ['--silent', '--show-error', '--fail', '--noproxy', ''];
        const maxBuffer = 2 * page.length;
        const proxy = `socks5h://127.0.0.1:${socks.endpoint.port}`;
        const bySocks = ['--proxy', proxy, 'http://bridge.invalid/'];
        assert.equal((await run(curl!, [...options, ...bySocks], { maxBuffer })).stdout, page);
        const byPort = `http://127.0.0.1:${plain.endpoint.port}/`;
        assert.equal((await run(curl!, [...options, byPort], { maxBuffer })).stdout, page);

        const file = join(temporaryDirectory(t), 'upload');
        writeFileSync(file, page);
        const digest = createHash('sha256').update(page).digest('hex');
        for (const target of [bySocks, [byPort]]) {
          const { stdout } = await run(curl!, [...options, '--upload-file', file, ...target]);
          assert.equal(stdout, digest);
        }
      },
    );

    const [ssh, sshd, keygen] = [
      peerProgram('ssh'),
      peerProgram('sshd'),
      peerProgram('ssh-keygen'),
    ];
    test(
      'ssh',
      {
        skip:
          (ssh === undefined || sshd === undefined || keygen === undefined) &&
          'ssh and sshd are not installed',
      },
      async (t) => {
        const folder = temporaryDirectory(t);
        const [hostKey, userKey] = [join(folder, 'host'), join(folder, 'user')];
        for (const file of [hostKey, userKey]) {
          await run(keygen!, ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
        }
        // Where Debian's sshd confines what it does not trust yet; its service would have made it.
        if (process.getuid?.() === 0 && !existsSync('/run/sshd')) mkdirSync('/run/sshd');
        const server = await closedPort();
        const config = join(folder, 'sshd_config');
        const settings = {
          ListenAddress: `127.0.0.1:${server.port}`,
          HostKey: hostKey,
          AuthorizedKeysFile: `${userKey}.pub`,
          PidFile: 'none',
          StrictModes: 'no',
          UsePAM: 'no',
          PermitRootLogin: 'prohibit-password',
        };
        writeFileSync(
          config,
          Object.entries(settings)
            .map(([name, value]) => `${name} ${value}\n`)
            .join(''),
        );
        const daemon = spawn(sshd!, ['-D', '-e', '-f', config], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        t.after(() => void daemon.kill());
        let log = '';
        for await (const line of daemon.stderr) {
          log += String(line);
          if (log.includes('Server listening')) break;
        }
        assert.match(log, /Server listening/);

        const bridgeLine = await startBridge(t, `127.0.0.1:${server.port}`);
        const { endpoint } = await startClient(t, bridgeLine, '--forward-from');
        const shell = spawn(
          ssh!,
          [
            ...['-F', 'none', '-i', userKey, '-p', String(endpoint.port)],
            ...['-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes'],
            ...['-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${folder}/known`],
            `${userInfo().username}@127.0.0.1`,
            'sha256sum',
          ],
          { stdio: ['pipe', 'pipe', 'pipe'] },
        );
        const bytes = randomBytes(3_000_000);
        shell.stdin.end(bytes);
        const [output, errors] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
        assert.equal(
          output.split(' ')[0],
          createHash('sha256').update(bytes).digest('hex'),
          errors,
        );
      },
    );
  },
);

describe('other people’s transports by postern client --pt', { concurrency: true }, () => {
  test('obfs4proxy carries bytes', { skip: obfs4proxyMissing }, async (t) => {
    const service = await listen(t, (socket) => void serveExchange(socket));
    const [obfs4, obfs3] = await Promise.all([
      startBridge(t, service.text),
      startBridge(t, service.text, '--transport', 'obfs3'),
    ]);
    for (const bridgeLine of [obfs4, obfs3]) {
      const pt = ['--pt', obfs4proxy.command[0]];
      const { client, endpoint } = await startClient(t, bridgeLine, '--forward-from', ...pt);
      const [, pid] = await client.match(/runs as process (\d+)/);
      await exchange(await dial(endpoint), 500_000);
      assert.equal(await client.stop(), 0);
      assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
    }
  });

  const snowflake = peerProgram('snowflake-client');
  test(
    'snowflake-client starts, is reported and ends with us',
    { skip: snowflake === undefined && 'snowflake-client is not installed' },
    async (t) => {
      // Its broker is out of reach: nothing is dialled, since nobody connects.
      const line = 'snowflake 192.0.2.3:80 url=https://broker.invalid/';
      const { client } = await startClient(t, line, '--socks', '--pt', snowflake!);
      const [, pid] = await client.match(/runs as process (\d+)/);
      assert.equal(await client.stop(), 0);
      assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
    },
  );
});
