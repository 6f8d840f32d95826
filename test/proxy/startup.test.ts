/** Steps 1 to 5 of the workflow: from the environment to METHODS DONE. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { PosternError } from '../../src/errors.ts';
import { encodeCookieFile } from '../../src/extor/cookie-file.ts';
import { listenTcp } from '../../src/net/listener.ts';
import { version } from '../../src/version.ts';
import { TransportRegistry } from '../../src/transports/registry.ts';
import {
  clientEnv,
  Managed,
  serverEnv,
  startManaged,
  temporaryDirectory,
} from '../support/managed.ts';
import { dial, listen, socksConnect } from '../support/sockets.ts';
import { createRot } from '../support/test-transport.ts';

type Env = Record<string, string | undefined>;

/** Runs to the end of a start that is expected to fail; stdin stays open all the time. */
async function failedStart(env: Env): Promise<string[]> {
  const managed = new Managed(env, { listen: () => assert.fail('nothing may listen') });
  assert.equal(await managed.exitCode, 1);
  assert.ok(managed.output.endsWith('\n'));
  return managed.lines;
}

test('[PT-3-02] [PT-3-03] [PT-3.3.1-03] [PT-3.3.1-04] [PT-3.3.1-06] no common version: one line, and the end', async () => {
  for (const versions of ['2', '2,3', '01', '1.0', 'one']) {
    // Everything else is malformed as well, and is not even looked at.
    const lines = await failedStart({
      TOR_PT_MANAGED_TRANSPORT_VER: versions,
      TOR_PT_STATE_LOCATION: 'relative',
      TOR_PT_CLIENT_TRANSPORTS: '',
      TOR_PT_PROXY: 'gopher://x',
    });
    assert.deepEqual(lines, ['VERSION-ERROR no-version']);
  }
});

test('[PT-3-04] [PT-3.2.1-03] [PT-3.3.1-01] [PT-3.3.1-07] [PT-3.3.1-08] a list that holds 1 is answered with VERSION 1', async (t) => {
  const state = temporaryDirectory(t);
  const many = Array.from({ length: 5000 }, (_, index) => `v${index}`).join(',');
  for (const versions of ['1', '9,1', '1,9', 'a,b,1,c', `${many},1,${many}`]) {
    const managed = startManaged(t, {
      ...clientEnv(state),
      TOR_PT_MANAGED_TRANSPORT_VER: versions,
    });
    await managed.line(/^CMETHODS DONE$/);
    assert.equal(managed.lines[0], 'VERSION 1');
  }
});

test('[PT-3.3.1-01] [PT-3.2.1-04] a missing or ill-formed version list is an ENV-ERROR', async (t) => {
  const env = clientEnv(temporaryDirectory(t));
  for (const versions of [undefined, '', '1,,2', '1, 2', '1,']) {
    const lines = await failedStart({ ...env, TOR_PT_MANAGED_TRANSPORT_VER: versions });
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /^ENV-ERROR TOR_PT_MANAGED_TRANSPORT_VER: /);
  }
});

/** Each variable broken in one way, with the variable that the message must name. */
const malformed: readonly (readonly [role: 'client' | 'server', broken: Env])[] = [
  ['client', { TOR_PT_STATE_LOCATION: undefined }],
  ['client', { TOR_PT_STATE_LOCATION: '' }],
  ['client', { TOR_PT_STATE_LOCATION: 'state/pt' }],
  ['client', { TOR_PT_CLIENT_TRANSPORTS: '' }],
  ['client', { TOR_PT_CLIENT_TRANSPORTS: 'a,,b' }],
  ['client', { TOR_PT_CLIENT_TRANSPORTS: 'a-b' }],
  ['client', { TOR_PT_CLIENT_TRANSPORTS: '9x' }],
  ['client', { TOR_PT_CLIENT_TRANSPORTS: 'rot\n' }],
  ['client', { TOR_PT_OUTBOUND_BIND_ADDRESS_V4: 'localhost' }],
  ['client', { TOR_PT_OUTBOUND_BIND_ADDRESS_V6: '192.0.2.1' }],
  ['server', { TOR_PT_STATE_LOCATION: undefined }],
  ['server', { TOR_PT_SERVER_TRANSPORTS: '' }],
  ['server', { TOR_PT_SERVER_TRANSPORTS: 'rot,' }],
  ['server', { TOR_PT_SERVER_TRANSPORTS: 'r\u00f6t' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.1' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.1:http' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.1:65536' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-300.1.1.1:80' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-localhost:1984' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.1:1,rot-127.0.0.1:2' }],
  ['server', { TOR_PT_SERVER_BINDADDR: 'absent-127.0.0.1:1' }],
  ['server', { TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot' }],
  ['server', { TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key' }],
  ['server', { TOR_PT_SERVER_TRANSPORT_OPTIONS: 'r-t:k=v' }],
  ['server', { TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:k=v\\' }],
  ['server', { TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:k=v:w' }],
  ['server', { TOR_PT_ORPORT: '127.0.0.1' }],
  ['server', { TOR_PT_ORPORT: 'localhost:9001' }],
  ['server', { TOR_PT_ORPORT: '127.0.0.1:65536' }],
  ['server', { TOR_PT_EXTENDED_SERVER_PORT: 'x', TOR_PT_AUTH_COOKIE_FILE: '/c' }],
  ['server', { TOR_PT_AUTH_COOKIE_FILE: 'c', TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:1' }],
];

test('[PT-3-05] [PT-3.3.1-09] [PT-3.3.1-10] [PT-3.3.1-11] [PT-3.3.1-12] [PT-3.3.1-13] [PT-3.3.1-14] [PT-3.1-06] each malformed variable: VERSION, an ENV-ERROR that names it, the end', async (t) => {
  const state = temporaryDirectory(t);
  for (const [role, broken] of malformed) {
    const env = role === 'client' ? clientEnv(state, broken) : serverEnv(state, broken);
    const lines = await failedStart(env);
    assert.equal(lines.length, 2, JSON.stringify(broken));
    assert.equal(lines[0], 'VERSION 1');
    assert.match(lines[1]!, new RegExp(`^ENV-ERROR ${Object.keys(broken)[0]!}: [\\x20-\\x7e]+$`));
  }
});

test('[PT-3.2.1-01] without TOR_PT_EXIT_ON_STDIN_CLOSE a proxy starts all the same', async (t) => {
  const env = clientEnv(temporaryDirectory(t), { TOR_PT_EXIT_ON_STDIN_CLOSE: undefined });
  await startManaged(t, env).line(/^CMETHODS DONE$/);
});

test('[PT-2-06] [PT-3-06] one role, decided by which variable is there', async (t) => {
  const state = temporaryDirectory(t);
  const both = await failedStart({ ...serverEnv(state), ...clientEnv(state) });
  const neither = await failedStart(clientEnv(state, { TOR_PT_CLIENT_TRANSPORTS: undefined }));
  for (const lines of [both, neither]) {
    assert.equal(lines.length, 2);
    assert.match(lines[1]!, /^ENV-ERROR .*TOR_PT_CLIENT_TRANSPORTS.*TOR_PT_SERVER_TRANSPORTS/);
  }
  const client = startManaged(t, clientEnv(state));
  await client.line(/^CMETHODS DONE$/);
  assert.ok(!client.output.includes('SMETHOD'));
  const server = startManaged(t, serverEnv(state));
  await server.line(/^SMETHODS DONE$/);
  assert.ok(!server.output.includes('CMETHOD'));
});

test('[PT-3.2.3-23] [PT-3.3.1-15] an extended port without its cookie file', async (t) => {
  const extended = { TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200' };
  assert.deepEqual(await failedStart(serverEnv(temporaryDirectory(t), extended)), [
    'VERSION 1',
    'ENV-ERROR No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set',
  ]);
});

test('[PT-3.3.1-10] an unreadable or malformed cookie file is an ENV-ERROR, and its bytes stay secret', async (t) => {
  const state = temporaryDirectory(t);
  const file = join(state, 'cookie');
  const env = serverEnv(state, {
    TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
    TOR_PT_AUTH_COOKIE_FILE: file,
  });
  const contents = [undefined, '', 'SECRET'.repeat(10), `! Extended ORPort Auth Cookie !\nSHORT`];
  for (const content of contents) {
    if (content !== undefined) writeFileSync(file, content);
    const lines = await failedStart(env);
    assert.equal(lines.length, 2);
    assert.match(lines[1]!, /^ENV-ERROR the cookie file .*TOR_PT_AUTH_COOKIE_FILE/);
    assert.doesNotMatch(lines[1]!, /SECRET|SHORT/);
  }
});

test('[PT-3.2.3-21] [PT-3.2.3-24] an empty extended port needs no cookie, and a superfluous one does no harm', async (t) => {
  const extra = { TOR_PT_AUTH_COOKIE_FILE: '/dev/null/cookie' };
  await startManaged(t, serverEnv(temporaryDirectory(t), extra)).line(/^SMETHODS DONE$/);
});

test('[PT-3-07] [PT-3.2.2-05] [PT-3.3.2-01] [PT-3.3.2-02] [PT-3.3.2-04] [PT-3.3.2-05] an unusable upstream proxy ends the start before any listener, and its password stays secret', async (t) => {
  const state = temporaryDirectory(t);
  for (const uri of [
    'gopher://127.0.0.1:1',
    'socks4://127.0.0.1:1',
    '127.0.0.1:1080',
    'socks5://127.0.0.1',
    'socks5://127.0.0.1:0',
    'socks5://127.0.0.1:65536',
    'socks5://localhost:1080',
    'socks5://::1:1080',
    'socks5://u:SECRET@127.0.0.1:1080/path',
    'socks5://u:SECRET@127.0.0.1:1080?q',
    'socks5://u:SECRET@127.0.0.1:1080#f',
    'socks4a://u:SECRET@127.0.0.1:1080',
    'https://127.0.0.1:443',
  ]) {
    const lines = await failedStart(clientEnv(state, { TOR_PT_PROXY: uri }));
    assert.equal(lines.length, 2, uri);
    assert.equal(lines[0], 'VERSION 1');
    assert.match(lines[1]!, /^PROXY-ERROR TOR_PT_PROXY: /);
    assert.doesNotMatch(lines[1]!, /SECRET/);
  }
});

test('[PT-3-08] [PT-3.2.2-07] [PT-3.3.2-02] [PT-3.3.2-03] [PT-3-13] a usable upstream proxy: PROXY DONE between VERSION and CMETHOD', async (t) => {
  const state = temporaryDirectory(t);
  for (const uri of [
    'socks5://tor:test1234@198.51.100.1:8000',
    'socks5://user@198.51.100.1:8000',
    'socks4a://198.51.100.2:8001',
    'http://198.51.100.3:443',
    'SOCKS5://us%40er:p%3Aw@[::1]:1080',
  ]) {
    const managed = startManaged(t, clientEnv(state, { TOR_PT_PROXY: uri }));
    await managed.line(/^CMETHODS DONE$/);
    assert.deepEqual(managed.lines.slice(0, 2), ['VERSION 1', 'PROXY DONE']);
    assert.equal(managed.lines.filter((line) => line.startsWith('PROXY')).length, 1);
  }
  const without = startManaged(t, clientEnv(state));
  await without.line(/^CMETHODS DONE$/);
  assert.doesNotMatch(without.output, /PROXY/);
});

test('[PT-3.3.2-01] with an invalid environment and an invalid upstream proxy, step 3 comes before step 4', async (t) => {
  const env = clientEnv(temporaryDirectory(t), {
    TOR_PT_PROXY: 'gopher://x',
    TOR_PT_STATE_LOCATION: 'relative',
  });
  assert.match((await failedStart(env))[1]!, /^ENV-ERROR TOR_PT_STATE_LOCATION/);
});

test('[PT-3-09] a server ignores TOR_PT_PROXY, well-formed or not', async (t) => {
  for (const uri of ['socks5://127.0.0.1:1080', 'gopher://x']) {
    const server = startManaged(t, serverEnv(temporaryDirectory(t), { TOR_PT_PROXY: uri }));
    await server.line(/^SMETHODS DONE$/);
    assert.doesNotMatch(server.output, /PROXY/);
  }
});

test('[PT-2-05] [PT-3.3-01] [PT-3.3-02] [PT-3.3-03] [PT-3.3-06] [PT-A-01] the client session of the specification’s appendix', async (t) => {
  const managed = startManaged(
    t,
    clientEnv(`${temporaryDirectory(t)}/var/lib/tor/pt_state/`, {
      TOR_PT_PROXY: 'socks5://127.0.0.1:8001',
      TOR_PT_CLIENT_TRANSPORTS: 'obfs3,obfs4',
    }),
    {
      registry: new TransportRegistry([createRot({ name: 'obfs3' }), createRot({ name: 'obfs4' })]),
    },
  );
  await managed.line(/^CMETHODS DONE$/);
  const expected = [
    /^VERSION 1$/,
    /^PROXY DONE$/,
    /^CMETHOD obfs3 socks5 127\.0\.0\.1:[1-9][0-9]*$/,
    /^CMETHOD obfs4 socks5 127\.0\.0\.1:[1-9][0-9]*$/,
    /^CMETHODS DONE$/,
  ];
  assert.equal(managed.lines.length, expected.length);
  for (const [index, pattern] of expected.entries()) assert.match(managed.lines[index]!, pattern);
  assert.ok(managed.output.endsWith('CMETHODS DONE\n'));
  assert.doesNotMatch(managed.output, /\r/);
});

test('[PT-B-01] [PT-3.3.3-03] [PT-3.3.3-06] the server session of the appendix: one fixed address, one of our choice', async (t) => {
  const free = await listen(t, () => {});
  await free.close();
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: 'obfs3,obfs4',
      TOR_PT_SERVER_BINDADDR: `obfs3-${free.text}`,
      TOR_PT_EXTENDED_SERVER_PORT: undefined,
    }),
    {
      registry: new TransportRegistry([createRot({ name: 'obfs3' }), createRot({ name: 'obfs4' })]),
    },
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.equal(managed.lines[0], 'VERSION 1');
  assert.match(managed.lines[1]!, new RegExp(`^SMETHOD obfs3 ${free.text} ARGS:key=[0-9]+$`));
  assert.match(managed.lines[2]!, /^SMETHOD obfs4 0\.0\.0\.0:[1-9][0-9]* ARGS:key=[0-9]+$/);
  assert.equal(managed.lines[3], 'SMETHODS DONE');
});

test('[PT-2-02] [PT-3.3.2-09] SOCKS listens on loopback only, at once, on the port that is reported', async (t) => {
  const managed = startManaged(t, clientEnv(temporaryDirectory(t)));
  const endpoint = await managed.endpoint();
  assert.match(endpoint.host, /^127\./);
  (await dial(endpoint)).destroy();
  const others = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of others) {
    await assert.rejects(dial({ host: address, port: endpoint.port }), {
      code: 'ERR_DIAL_REFUSED',
    });
  }
});

test('[PT-3.2.2-01] [PT-3.2.2-02] [PT-3.3.2-06] [PT-3.3.2-07] [PT-3.3.2-08] [PT-3.3.2-14] [PT-3.3.2-15] [PT-2-08] exactly the requested and known transports are reported, each once', async (t) => {
  const managed = startManaged(
    t,
    clientEnv(temporaryDirectory(t), { TOR_PT_CLIENT_TRANSPORTS: 'rot2,unknown_one,rot,rot2' }),
  );
  await managed.line(/^CMETHODS DONE$/);
  assert.doesNotMatch(managed.output, /unknown_one/);
  const methods = managed.lines.slice(1, -1);
  assert.deepEqual(
    methods.map((line) => line.replace(/:[0-9]+$/, '')),
    ['CMETHOD rot2 socks5 127.0.0.1', 'CMETHOD rot socks5 127.0.0.1'],
  );
  assert.notEqual(methods[0], methods[1]);
});

test('[PT-3.3.2-16] [PT-3.3.2-13] with unknown names only, VERSION is followed by CMETHODS DONE', async (t) => {
  const env = clientEnv(temporaryDirectory(t), { TOR_PT_CLIENT_TRANSPORTS: 'nobody,knows' });
  const managed = startManaged(t, env);
  await managed.line(/^CMETHODS DONE$/);
  assert.deepEqual(managed.lines, ['VERSION 1', 'CMETHODS DONE']);
});

test('what program this is stands before METHODS DONE, and after it in LOG', async (t) => {
  const status = `STATUS TYPE=version IMPLEMENTATION=postern VERSION=${version}\n`;
  const client = startManaged(t, clientEnv(temporaryDirectory(t)));
  await client.line(/^LOG SEVERITY=notice MESSAGE="postern-\S+ as a client, asked for rot"$/);
  assert.ok(client.output.includes(`${status}CMETHODS DONE\nLOG `), client.output);
  const server = startManaged(t, serverEnv(temporaryDirectory(t)), { logLevel: 'info' });
  await server.line(/^LOG SEVERITY=info MESSAGE="rot listens on port \d+ of loopback"$/);
  assert.ok(server.output.includes(`${status}SMETHODS DONE\nLOG `), server.output);
});

test('[PT-3.3.2-11] [PT-3.3.2-12] [PT-3.3.2-13] one listener that fails keeps no other from starting', async (t) => {
  let count = 0;
  const managed = startManaged(
    t,
    clientEnv(temporaryDirectory(t), { TOR_PT_CLIENT_TRANSPORTS: 'good1,bad,good2' }),
    {
      registry: new TransportRegistry(['good1', 'bad', 'good2'].map((name) => createRot({ name }))),
      listen: (endpoint, onConnection) => {
        count += 1;
        if (count !== 2) return listenTcp(endpoint, onConnection);
        return Promise.reject(new PosternError('ERR_LISTEN_FAILED', 'no rocks\navailable \u00e4'));
      },
    },
  );
  await managed.line(/^CMETHODS DONE$/);
  assert.match(managed.lines[1]!, /^CMETHOD good1 /);
  // [PT-3.3-05] One line of ASCII, whatever the text was.
  assert.match(managed.lines[2]!, /^CMETHOD-ERROR bad no rocks available \? .+$/);
  assert.match(managed.lines[3]!, /^CMETHOD good2 /);
  assert.equal(managed.lines.length, 5);
});

test('[PT-3.3-05] [PT-3.3.2-13] when all transports fail, CMETHODS DONE comes all the same', async (t) => {
  const text = 'a\0b\nc\u00fc';
  const managed = startManaged(t, clientEnv(temporaryDirectory(t)), {
    listen: () => Promise.reject(new PosternError('ERR_LISTEN_FAILED', text)),
  });
  await managed.line(/^CMETHODS DONE$/);
  assert.match(managed.lines[1]!, /^CMETHOD-ERROR rot a\?b c\? [\x20-\x7e]+$/);
});

test('[PT-3.2.3-01] [PT-3.2.3-02] [PT-3.3.3-01] [PT-3.3.3-02] [PT-3.3.3-12] [PT-3.3.3-13] a server reports exactly the requested and known transports', async (t) => {
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: 'rot2,unknown_one,rot,rot2',
      TOR_PT_SERVER_BINDADDR: 'rot2-127.0.0.1:0,rot-127.0.0.1:0',
    }),
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.doesNotMatch(managed.output, /unknown_one/);
  assert.deepEqual(
    managed.lines.slice(1).map((line) => line.replace(/:[0-9]+ ARGS.*$/, '')),
    ['SMETHOD rot2 127.0.0.1', 'SMETHOD rot 127.0.0.1', 'SMETHODS DONE'],
  );
  const none = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: 'nobody',
      TOR_PT_SERVER_BINDADDR: undefined,
    }),
  );
  await none.line(/^SMETHODS DONE$/);
  assert.deepEqual(none.lines, ['VERSION 1', 'SMETHODS DONE']);
});

test('[PT-3.2.3-09] [PT-3.2.3-11] [PT-3.3.3-04] [PT-3.3.3-05] bind addresses: IPv4, IPv6, port 0', async (t) => {
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: 'rot,rot2',
      TOR_PT_SERVER_BINDADDR: 'rot-127.0.0.7:0,rot2-[::1]:0',
    }),
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.match(managed.output, /^SMETHOD rot 127\.0\.0\.7:[1-9][0-9]* /m);
  assert.match(managed.output, /^SMETHOD rot2 \[::1\]:[1-9][0-9]* /m);
  (await dial(await managed.endpoint('rot'))).destroy();
  (await dial(await managed.endpoint('rot2'))).destroy();
});

test('[PT-3.3.3-05] [PT-3.3.3-11] [PT-3.2.3-12] a port in use and a foreign address are SMETHOD-ERRORs, and the rest starts', async (t) => {
  const taken = await listen(t, () => {});
  const names = ['taken', 'foreign', 'good'];
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: names.join(','),
      TOR_PT_SERVER_BINDADDR: `taken-${taken.text},foreign-192.0.2.1:1984,good-127.0.0.1:0`,
    }),
    { registry: new TransportRegistry(names.map((name) => createRot({ name }))) },
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.match(managed.lines[1]!, /^SMETHOD-ERROR taken .*in use.+ERR_LISTEN_IN_USE.+/);
  assert.match(managed.lines[2]!, /^SMETHOD-ERROR foreign .+EADDRNOTAVAIL.+/);
  assert.match(managed.lines[3]!, /^SMETHOD good 127\.0\.0\.1:/);
});

test('[PT-3.2.3-04] [PT-3.2.3-06] [PT-3.2.3-08] each server transport gets its own options, unescaped and in order', async (t) => {
  const seen: Record<string, unknown> = {};
  const spy = (name: string) =>
    createRot({ name, onArguments: (args) => void (seen[name] = args) });
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORTS: 'scramblesuit,automata,plain',
      TOR_PT_SERVER_BINDADDR: undefined,
      TOR_PT_SERVER_TRANSPORT_OPTIONS:
        'scramblesuit:key=banana;automata:rule=110;automata:depth=3;absent:a=b;' +
        'automata:path=C\\:\\\\dir\\;x',
    }),
    { registry: new TransportRegistry(['scramblesuit', 'automata', 'plain'].map(spy)) },
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.deepEqual(seen, {
    scramblesuit: [['key', 'banana']],
    automata: [
      ['rule', '110'],
      ['depth', '3'],
      ['path', 'C:\\dir;x'],
    ],
    plain: [],
  });
});

test('[PT-3.3.3-07] [PT-3.3.3-08] [PT-3.3.3-10] what clients need is published as ARGS, escaped', async (t) => {
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:key=7;rot:publish=a=b,c\\\\d',
    }),
  );
  const line = await managed.line(/^SMETHOD rot /);
  assert.equal(line.split(' ').slice(3).join(' '), 'ARGS:key=7,publish=a\\=b\\,c\\\\d');
});

test('[PT-3.3.3-10] a value that no line can carry is an SMETHOD-ERROR, and no listener stays', async (t) => {
  const managed = startManaged(
    t,
    serverEnv(temporaryDirectory(t), {
      TOR_PT_SERVER_TRANSPORT_OPTIONS: 'rot:publish=two words',
    }),
  );
  await managed.line(/^SMETHODS DONE$/);
  assert.match(managed.lines[1]!, /^SMETHOD-ERROR rot .+/);
});

test('[PT-3.1-05] a transport’s name may be thousands of characters long', async (t) => {
  const name = `n${'a1_'.repeat(2000)}`;
  const managed = startManaged(
    t,
    clientEnv(temporaryDirectory(t), { TOR_PT_CLIENT_TRANSPORTS: name }),
    { registry: new TransportRegistry([createRot({ name })]) },
  );
  await managed.line(/^CMETHODS DONE$/);
  assert.ok(managed.lines[1]!.startsWith(`CMETHOD ${name} socks5 `));
});

test('[PT-3.2.1-08] state persists in its directory, and another directory is another state', async (t) => {
  const keyIn = async (state: string): Promise<string> => {
    const managed = startManaged(t, serverEnv(state));
    const line = await managed.line(/^SMETHOD rot /);
    await managed.stop();
    return line.split('ARGS:')[1]!;
  };
  const first = temporaryDirectory(t);
  const key = await keyIn(first);
  assert.equal(await keyIn(first), key);
  // 255 keys: that twenty fresh ones all equal the first is out of the question.
  const others = await Promise.all(Array.from({ length: 20 }, () => keyIn(temporaryDirectory(t))));
  assert.ok(others.some((other) => other !== key));
});

test('[PT-3.2.1-09] [PT-3.2.1-10] a missing state directory is made when it is needed, for its owner only', async (t) => {
  const state = join(temporaryDirectory(t), 'not', 'yet', 'there');
  const client = startManaged(t, clientEnv(`${state}/`));
  await client.line(/^CMETHODS DONE$/);
  assert.ok(!existsSync(state));
  const server = startManaged(t, serverEnv(`${state}/`));
  await server.line(/^SMETHOD rot /);
  assert.ok(existsSync(join(state, 'rot.key')));
  assert.equal(statSync(state).mode & 0o777, 0o700);
});

test('[PT-3.2.1-10] [PT-3.3.3-11] a state directory that cannot be made is an SMETHOD-ERROR that names the file', async (t) => {
  const state = temporaryDirectory(t);
  writeFileSync(join(state, 'file'), '');
  const env = serverEnv(join(state, 'file', 'below'), {
    TOR_PT_SERVER_TRANSPORTS: 'rot,stateless',
    TOR_PT_SERVER_BINDADDR: undefined,
  });
  const stateless = createRot({ name: 'stateless' });
  const server = startManaged(t, env, {
    registry: new TransportRegistry([
      createRot(),
      {
        ...stateless,
        server: async (options, environment) =>
          stateless.server([...options, ['key', '1']], {
            ...environment,
            state: { ...environment.state, read: async () => Buffer.of(1) },
          }),
      },
    ]),
  });
  await server.line(/^SMETHODS DONE$/);
  assert.match(server.lines[1]!, /^SMETHOD-ERROR rot .*rot\.key.*ERR_DIRECTORY_UNUSABLE/);
  assert.match(server.lines[2]!, /^SMETHOD stateless /);
});

test('[PT-3-10] [PT-3-13] nothing listens before VERSION and PROXY DONE are written', async (t) => {
  let written = '';
  const before: string[] = [];
  const managed = startManaged(
    t,
    clientEnv(temporaryDirectory(t), { TOR_PT_PROXY: 'socks5://127.0.0.1:9' }),
    {
      stdout: new Writable({
        write(chunk: Buffer, _encoding, callback) {
          written += chunk.toString();
          callback();
        },
      }),
      listen: (endpoint, onConnection) => {
        before.push(written);
        return listenTcp(endpoint, onConnection);
      },
    },
  );
  assert.equal(await managed.stop(), 0);
  assert.deepEqual(before, ['VERSION 1\nPROXY DONE\n']);
});

test('[PT-3.2-01] an undefined TOR_PT_ variable changes nothing', async (t) => {
  const extra = { TOR_PT_FROBNICATE: 'x', TOR_PT_MANAGED_TRANSPORT_VERSION: '7' };
  const managed = startManaged(t, clientEnv(temporaryDirectory(t), extra));
  await managed.line(/^CMETHODS DONE$/);
  assert.equal(managed.lines.length, 3);
});

test('a readable cookie file lets the server start', async (t) => {
  const state = temporaryDirectory(t);
  const file = join(state, 'cookie');
  writeFileSync(file, encodeCookieFile(Buffer.alloc(32, 7)));
  chmodSync(file, 0o600);
  const managed = startManaged(
    t,
    serverEnv(state, {
      TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
      TOR_PT_AUTH_COOKIE_FILE: file,
    }),
  );
  await managed.line(/^SMETHODS DONE$/);
});

test('a transport’s warning reaches the parent once its start-up is reported', async (t) => {
  const managed = startManaged(t, clientEnv(temporaryDirectory(t)), {
    registry: new TransportRegistry([createRot({ warning: 'hides nothing' })]),
  });
  await managed.line(/^LOG SEVERITY=warning MESSAGE="rot: hides nothing"$/);
  assert.equal(managed.lines.indexOf('CMETHODS DONE'), 2);
});

test('[PT-3.3.2-09] the reported address speaks the reported protocol as soon as the line is there', async (t) => {
  const managed = startManaged(t, clientEnv(temporaryDirectory(t)));
  const endpoint = await managed.endpoint();
  await assert.rejects(socksConnect(endpoint, { host: '127.0.0.1', port: 9 }, 'key=1'), {
    code: 'ERR_DIAL_REFUSED',
  });
});
