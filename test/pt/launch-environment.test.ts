import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  buildEnvironment,
  type ClientLaunch,
  type ServerLaunch,
} from '../../src/pt/launch-environment.ts';
import { parseProxyEnvironment } from '../../src/pt/proxy-environment.ts';
import { endpoints, holds, textOf } from '../support/properties.ts';

const client: ClientLaunch = {
  role: 'client',
  stateLocation: '/state',
  transports: ['obfs3', 'obfs4'],
};
const server: ServerLaunch = {
  role: 'server',
  stateLocation: '/state',
  transports: [{ name: 'obfs4', options: [] }],
};

function refuses(launch: ClientLaunch | ServerLaunch, code: string): void {
  assert.throws(() => buildEnvironment(launch), { code }, JSON.stringify(launch));
}

test('[PT-3.2.1-01] [PT-3.4-01] [PT-3.2.1-13] the three common variables are there for both roles', () => {
  for (const launch of [client, server]) {
    const env = buildEnvironment(launch);
    assert.equal(env['TOR_PT_MANAGED_TRANSPORT_VER'], '1');
    assert.equal(env['TOR_PT_STATE_LOCATION'], '/state');
    assert.equal(env['TOR_PT_EXIT_ON_STDIN_CLOSE'], '1');
  }
});

test('[PT-3.2.1-02] the versions on offer are a comma-delimited list', () => {
  assert.equal(
    buildEnvironment({ ...client, versions: ['1', '2'] })['TOR_PT_MANAGED_TRANSPORT_VER'],
    '1,2',
  );
});

test('[PT-3.2.1-04] an ill-formed version is refused before launch', () => {
  for (const version of ['1 a', '1,2', '1\t', '\x7f', 'é', ''])
    refuses({ ...client, versions: [version] }, 'ERR_PT_VERSION');
  refuses({ ...client, versions: [] }, 'ERR_PT_VERSION');
});

test('[PT-3.2.1-07] a relative state location is refused', () => {
  for (const stateLocation of ['state', '', './state', '/st\0ate'])
    refuses({ ...client, stateLocation }, 'ERR_PT_ENVIRONMENT');
});

test('[PT-3.2.2-03] [PT-3.2.2-08] [PT-3.2.2-09] the whole environment of a plain client', () => {
  assert.deepEqual(buildEnvironment(client), {
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: '/state',
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
    TOR_PT_CLIENT_TRANSPORTS: 'obfs3,obfs4',
  });
  refuses({ ...client, transports: [] }, 'ERR_PT_NAME');
  refuses({ ...client, transports: ['a-b'] }, 'ERR_PT_NAME');
});

test('a client with an upstream proxy and outbound addresses', () => {
  const env = buildEnvironment({
    ...client,
    upstreamProxy: {
      type: 'socks5',
      endpoint: { host: '127.0.0.1', port: 9 },
      username: 'a@b',
      password: '%',
    },
    outboundBind: { v4: '127.0.0.9', v6: '::1' },
  });
  assert.equal(env['TOR_PT_PROXY'], 'socks5://a%40b:%25@127.0.0.1:9');
  assert.equal(env['TOR_PT_OUTBOUND_BIND_ADDRESS_V4'], '127.0.0.9');
  assert.equal(env['TOR_PT_OUTBOUND_BIND_ADDRESS_V6'], '[::1]');
  refuses({ ...client, outboundBind: { v4: '::1' } }, 'ERR_PT_ENVIRONMENT');
  refuses({ ...client, outboundBind: { v6: '[::1]' } }, 'ERR_PT_ENVIRONMENT');
  refuses(
    { ...client, upstreamProxy: { type: 'http', endpoint: { host: 'proxy', port: 1 } } },
    'ERR_PT_UPSTREAM_PROXY',
  );
});

test('[PT-3.2.3-03] [PT-3.2.3-07] [PT-3.2.3-15] [PT-3.2.3-21] [PT-3.2.3-24] the whole environment of a plain server', () => {
  assert.deepEqual(buildEnvironment(server), {
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: '/state',
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
    TOR_PT_SERVER_TRANSPORTS: 'obfs4',
    TOR_PT_EXTENDED_SERVER_PORT: '',
  });
  refuses({ ...server, transports: [] }, 'ERR_PT_NAME');
});

test('[PT-3.2.3-10] [PT-3.2.3-11] bind addresses come in the order of the transports', () => {
  const env = buildEnvironment({
    ...server,
    transports: [
      { name: 'c', bindAddress: { host: '127.0.0.1', port: 0 }, options: [] },
      { name: 'b', options: [] },
      { name: 'a', bindAddress: { host: '::1', port: 4891 }, options: [] },
    ],
  });
  assert.equal(env['TOR_PT_SERVER_TRANSPORTS'], 'c,b,a');
  assert.equal(env['TOR_PT_SERVER_BINDADDR'], 'c-127.0.0.1:0,a-[::1]:4891');
});

test('[PT-3.2.3-12] [PT-3.2.3-13] a bind address that bind() would refuse is refused before launch', () => {
  for (const bindAddress of [
    { host: '300.1.1.1', port: 80 },
    { host: '1.2.3.4', port: 99_999 },
    { host: '1.2.3.4', port: -1 },
    { host: '1.2.3.4', port: 1.5 },
    { host: 'localhost', port: 1984 },
    { host: '', port: 1984 },
    { host: '[::1]', port: 1984 },
  ]) {
    refuses(
      { ...server, transports: [{ name: 'obfs3', bindAddress, options: [] }] },
      'ERR_PT_ENVIRONMENT',
    );
  }
});

test('[PT-3.2.3-14] one transport cannot get two addresses', () => {
  const entry = (port: number) => ({
    name: 'obfs3',
    bindAddress: { host: '127.0.0.1', port },
    options: [],
  });
  refuses({ ...server, transports: [entry(1), entry(2)] }, 'ERR_PT_NAME');
});

test('[PT-3.2.3-18] [PT-3.2.3-22] the Extended ORPort comes with the path of its cookie', () => {
  const extendedOrPort = { endpoint: { host: '127.0.0.1', port: 4200 }, cookieFile: '/run/cookie' };
  const env = buildEnvironment({
    ...server,
    orPort: { host: '127.0.0.1', port: 9001 },
    extendedOrPort,
  });
  assert.equal(env['TOR_PT_ORPORT'], '127.0.0.1:9001');
  assert.equal(env['TOR_PT_EXTENDED_SERVER_PORT'], '127.0.0.1:4200');
  assert.equal(env['TOR_PT_AUTH_COOKIE_FILE'], '/run/cookie');
  refuses(
    { ...server, extendedOrPort: { ...extendedOrPort, cookieFile: 'cookie' } },
    'ERR_PT_ENVIRONMENT',
  );
  refuses({ ...server, orPort: { host: '127.0.0.1', port: 0 } }, 'ERR_PT_ENVIRONMENT');
  refuses({ ...server, orPort: { host: 'localhost', port: 1 } }, 'ERR_PT_ENVIRONMENT');
});

test('[PT-1-01] what the parent builds, the proxy reads', () => {
  const text = textOf('az:;=\\,- é', { maxLength: 8 });
  const key = text.map((value) => `k${value.replaceAll('=', '')}`);
  const names = fc.uniqueArray(fc.constantFrom('a', 'b_1', '_c', 'obfs4'), { minLength: 1 });
  const servers = names.chain((list) =>
    fc.tuple(
      ...list.map((name) =>
        fc.record(
          {
            name: fc.constant(name),
            bindAddress: endpoints,
            options: fc.array(fc.tuple(key, text)),
          },
          { requiredKeys: ['name', 'options'], noNullPrototype: true },
        ),
      ),
    ),
  );
  const launches = fc.oneof(
    fc.record(
      {
        role: fc.constant('server' as const),
        stateLocation: fc.constant('/s é'),
        transports: servers,
        orPort: endpoints,
      },
      { noNullPrototype: true },
    ),
    fc.record(
      {
        role: fc.constant('client' as const),
        stateLocation: fc.constant('/s'),
        transports: names,
        outboundBind: fc.constantFrom({}, { v4: '127.0.0.2' }, { v6: '::1' }),
      },
      { noNullPrototype: true },
    ),
  );
  holds(
    fc.property(launches, (launch) => {
      const { configuration } = parseProxyEnvironment(buildEnvironment(launch));
      assert.deepEqual(configuration, { ...launch, exitOnStdinClose: true });
    }),
    500,
  );
});
