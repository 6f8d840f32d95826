/** Foreign proxies, a foreign SOCKS client and a foreign parent, as they are installed. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createDirectDialer } from '../../src/net/direct-dialer.ts';
import { listenSocks, serveApplication } from '../../src/net/applications.ts';
import { createUpstreamDialer } from '../../src/net/upstream-dialer.ts';
import { type Endpoint, formatEndpoint } from '../../src/pt/address.ts';
import { parseUpstreamProxy } from '../../src/pt/upstream-proxy.ts';
import { LoggedProcess } from '../support/logged-process.ts';
import { exchange, serveExchange } from '../support/exchange.ts';
import { temporaryDirectory } from '../support/managed.ts';
import { peerProgram } from '../support/peers.ts';
import { postern, type PtServer, startPtClient, startPtServer } from '../support/pt-programs.ts';
import { closedPort, dial, echo, listen, readBytes } from '../support/sockets.ts';

const run = promisify(execFile);
const danted = peerProgram('danted');
const squid = peerProgram('squid');
const tinyproxy = peerProgram('tinyproxy');
const python = peerProgram('python3') ?? 'python3';

/** Why a module of Python cannot be used, or false. */
function withoutModule(name: string): string | false {
  const { status } = spawnSync(python, ['-c', `import ${name}`]);
  return status === 0 ? false : `Python has no ${name}`;
}

/** A program that logs to both outputs, ended after the test. */
function start(t: TestContext, name: string, command: readonly string[]): LoggedProcess {
  const child = new LoggedProcess(name, ['sh', '-c', 'exec "$0" "$@" 2>&1', ...command]);
  t.after(async () => {
    child.process.kill('SIGKILL');
    await child.ended;
  });
  return child;
}

/** squid and ptadapter say that they are there some time before they accept connections. */
async function untilReached(endpoint: Endpoint): Promise<void> {
  const attempt = (): Promise<boolean> =>
    dial(endpoint).then(
      (stream) => Boolean(stream.destroy()),
      () => false,
    );
  while (!(await attempt())) await nextTurn();
}

/** What an HTTP proxy that wants user and password makes of targets that answer, refuse or are forbidden. */
async function tries(proxy: Endpoint, service: Endpoint, closed: Endpoint, forbidden: Endpoint) {
  const reach = (target: Endpoint, user = 'user:secret@') => {
    const uri = `http://${user}${formatEndpoint(proxy)}`;
    return createUpstreamDialer(parseUpstreamProxy(uri), createDirectDialer())(target);
  };
  const stream = await reach(service);
  stream.write('through');
  assert.equal((await readBytes(stream, 7)).toString(), 'through');
  stream.destroy();
  for (const user of ['', 'user:wrong@']) {
    await assert.rejects(reach(service, user), { code: 'ERR_TUNNEL_AUTH_REJECTED' });
  }
  await assert.rejects(reach(closed), { code: 'ERR_DIAL_HOST_UNREACHABLE' });
  await assert.rejects(reach(forbidden), { code: 'ERR_DIAL_NOT_ALLOWED', message: /443 only/ });
  for (const type of ['socks5', 'socks4a']) {
    const upstream = parseUpstreamProxy(`${type}://${formatEndpoint(proxy)}`);
    await assert.rejects(
      createUpstreamDialer(upstream, createDirectDialer())(service),
      { code: 'ERR_TUNNEL_MALFORMED', message: /this is an HTTP proxy: use http:/ },
      type,
    );
  }
}

/** Where webtunnel goes to: a bridge that is a web site, by a name that the proxy is to look up. */
interface WebtunnelBridge extends PtServer {
  readonly port: number;
}

async function startWebtunnelBridge(t: TestContext): Promise<WebtunnelBridge> {
  const [target, at] = [
    await listen(t, (socket) => void serveExchange(socket)),
    await closedPort(),
  ];
  const server = await startPtServer(t, postern, {
    transport: 'webtunnel',
    orPort: target.endpoint,
    bindAddress: at,
    options: [
      ['url', `https://localhost:${at.port}/secret`],
      ['tls-cert', 'self-signed'],
    ],
  });
  return { ...server, port: at.port };
}

/** webtunnel through a proxy, which says so; and by no other way when the proxy refuses. */
async function tunnelThrough(
  t: TestContext,
  { endpoint, args }: WebtunnelBridge,
  uri: string,
  saidSo: Promise<unknown>,
): Promise<void> {
  const upstreamProxy = parseUpstreamProxy(uri);
  const { dialer } = await startPtClient(t, postern, 'webtunnel', { upstreamProxy });
  await exchange(await dialer(args)(endpoint), 4_000_000);
  await saidSo;
  const forbidden = await listen(t, () => assert.fail('it was reached past the proxy'));
  const elsewhere = ['addr', `localhost:${forbidden.endpoint.port}`] as const;
  await assert.rejects(dialer([...args, elsewhere])(endpoint), { code: 'ERR_DIAL_NOT_ALLOWED' });
}

test('[PT-3.2.2-04] squid', { skip: squid ? false : 'squid is not installed' }, async (t) => {
  const [service, closed, proxy] = [await listen(t, echo), await closedPort(), await closedPort()];
  const bridge = await startWebtunnelBridge(t);
  let onSaid!: () => void;
  const said = new Promise<void>((resolve) => (onSaid = resolve));
  // Its standard output it cannot open by name, having dropped root's rights.
  const accessLog = await listen(t, (socket) => {
    socket.on('data', (line) => {
      if (String(line).includes(`CONNECT localhost:${bridge.port}`)) onSaid();
    });
  });
  const directory = temporaryDirectory(t);
  // squid drops root's rights, and so do its helpers.
  chmodSync(directory, 0o755);
  const password = execFileSync('openssl', ['passwd', '-apr1', 'secret'], { encoding: 'utf8' });
  writeFileSync(join(directory, 'passwd'), `user:${password}`);
  writeFileSync(
    join(directory, 'squid.conf'),
    `http_port ${formatEndpoint(proxy)}
     pid_filename none
     cache_log /dev/null
     access_log tcp:${accessLog.text} squid
     buffered_logs off
     cache deny all
     coredump_dir ${directory}
     auth_param basic program /usr/lib/squid/basic_ncsa_auth ${directory}/passwd
     acl known proxy_auth REQUIRED
     acl open port ${service.endpoint.port} ${closed.port} ${bridge.port}
     http_access deny !known
     http_access deny !open
     http_access allow known`,
  );
  const server = start(t, 'squid', [squid!, '-N', '-d1', '-f', join(directory, 'squid.conf')]);
  await server.line(/Accepting HTTP Socket connections/);
  await untilReached(proxy);
  await tries(proxy, service.endpoint, closed, { host: '127.0.0.1', port: 1 });
  await tunnelThrough(t, bridge, `http://user:secret@${formatEndpoint(proxy)}`, said);
});

test(
  '[PT-3.2.2-04] tinyproxy',
  { skip: tinyproxy ? false : 'tinyproxy is not installed' },
  async (t) => {
    const [service, closed, proxy] = [
      await listen(t, echo),
      await closedPort(),
      await closedPort(),
    ];
    const bridge = await startWebtunnelBridge(t);
    const file = join(temporaryDirectory(t), 'tinyproxy.conf');
    writeFileSync(
      file,
      [
        `Port ${proxy.port}`,
        'Listen 127.0.0.1',
        'Timeout 60',
        'LogLevel Info',
        'BasicAuth user secret',
        ...[service.endpoint, closed, bridge].map(({ port }) => `ConnectPort ${port}`),
        '',
      ].join('\n'),
    );
    const server = start(t, 'tinyproxy', [tinyproxy!, '-d', '-c', file]);
    await server.line(/Accepting connections/);
    await tries(proxy, service.endpoint, closed, { host: '127.0.0.1', port: 1 });
    const saidSo = server.line(new RegExp(`CONNECT localhost:${bridge.port}`));
    await tunnelThrough(t, bridge, `http://user:secret@${formatEndpoint(proxy)}`, saidSo);
  },
);

test('[PT-3.2.2-04] dante', { skip: danted ? false : 'dante is not installed' }, async (t) => {
  const proxy = await closedPort();
  const bridge = await startWebtunnelBridge(t);
  const file = join(temporaryDirectory(t), 'danted.conf');
  writeFileSync(
    file,
    `logoutput: stdout
     internal: ${proxy.host} port = ${proxy.port}
     external: 127.0.0.1
     clientmethod: none
     socksmethod: none
     client pass { from: 0/0 to: 0/0 }
     socks pass { from: 0/0 to: 0/0 port = ${bridge.port} log: connect }`,
  );
  const server = start(t, 'dante', [danted!, '-f', file]);
  await untilReached(proxy);
  const saidSo = server.line(new RegExp(`pass.* 127\\.0\\.0\\.1\\.${bridge.port}$`));
  await tunnelThrough(t, bridge, `socks5://${formatEndpoint(proxy)}`, saidSo);
});

describe('PySocks', { skip: withoutModule('socks') }, () => {
  const script = `
import socks, sys
host, port, kind, user, password, target, target_port = sys.argv[1:]
s = socks.socksocket()
s.set_proxy(getattr(socks, kind), host, int(port), True, user or None, password or None)
s.connect((target, int(target_port)))
s.sendall(b'through')
assert s.recv(7, 0x100) == b'through'
`;
  for (const [kind, ...credentials] of [
    ['SOCKS5', '', ''],
    ['SOCKS5', 'user', 'secret'],
    ['SOCKS4', '', ''],
    ['SOCKS4', 'user', ''],
  ] as const) {
    test(`[PT-2-07] ${kind} ${credentials.join(':')}`, async (t) => {
      const service = await listen(t, echo);
      const port = await listenSocks(
        { host: '127.0.0.1', port: 0 },
        {
          accept: () => {},
          serve: (application) => serveApplication(application, () => dial(service.endpoint)),
          onFailure: (error) => assert.fail(String(error)),
        },
      );
      t.after(() => port.abort());
      const { host, port: number } = port.endpoint;
      await run(python, [
        ...['-c', script, host, String(number), kind, ...credentials],
        ...['bridge.example', '80'],
      ]);
    });
  }
});

test(
  '[PT-1-01] ptadapter is the parent of both sides, with its Extended ORPort',
  { skip: withoutModule('ptadapter') },
  async (t) => {
    const directory = temporaryDirectory(t);
    const service = await listen(t, echo);
    const [bridge, entrance] = [await closedPort(), await closedPort()];
    const adapter = (role: string, text: string): LoggedProcess => {
      const file = join(directory, `ptadapter${role}`);
      writeFileSync(file, text.replace(/^ +/gm, ''));
      return start(t, `ptadapter ${role}`, [python, '-m', 'ptadapter', role, '-vv', file]);
    };
    const server = adapter(
      '-E',
      `[server]
       exec = ${postern.command.join(' ')}
       state = ${directory}/server
       forward = ${service.text}
       tunnels = bridge
       [bridge]
       transport = obfs4
       listen = ${formatEndpoint(bridge)}
       options-iat-mode = 0`,
    );
    await server.line(/SMETHODS DONE/);
    const line = readFileSync(join(directory, 'server', 'obfs4_bridgeline.txt'), 'utf8');
    const [, cert] = /cert=(\S+)/.exec(line)!;
    const client = adapter(
      '-C',
      `[client]
       exec = ${postern.command.join(' ')}
       state = ${directory}/client
       tunnels = bridge
       [bridge]
       transport = obfs4
       listen = ${formatEndpoint(entrance)}
       upstream = ${formatEndpoint(bridge)}
       options-cert = ${cert}
       options-iat-mode = 0`,
    );
    await client.line(/CMETHODS DONE/);
    // It listens a moment later.
    await untilReached(entrance);
    const stream = await dial(entrance);
    stream.write('through');
    assert.equal((await readBytes(stream, 7)).toString(), 'through');
    await server.line(/Connection received from .*obfs4/);
    stream.destroy();
  },
);
