import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatMessage } from '../../src/pt/encode.ts';
import {
  parseProxyEnvironment,
  type ClientConfiguration,
  type EnvironmentVariables,
  type ServerConfiguration,
} from '../../src/pt/proxy-environment.ts';
import { holds, textOf } from '../support/properties.ts';

const common = {
  TOR_PT_MANAGED_TRANSPORT_VER: '1',
  TOR_PT_STATE_LOCATION: '/var/lib/tor/pt_state/',
};
const client = { ...common, TOR_PT_CLIENT_TRANSPORTS: 'obfs3,obfs4' };
const server = { ...common, TOR_PT_SERVER_TRANSPORTS: 'obfs3,obfs4' };

function lines(env: EnvironmentVariables): readonly string[] {
  return parseProxyEnvironment(env).messages.map(formatMessage);
}

function clientOf(env: EnvironmentVariables): ClientConfiguration {
  const { configuration } = parseProxyEnvironment(env);
  assert.equal(configuration?.role, 'client', lines(env).join('; '));
  return configuration as ClientConfiguration;
}

function serverOf(env: EnvironmentVariables): ServerConfiguration {
  const { configuration } = parseProxyEnvironment(env);
  assert.equal(configuration?.role, 'server', lines(env).join('; '));
  return configuration as ServerConfiguration;
}

/** The environment is refused after VERSION with one error line that names the variable and the fault. */
function refuses(env: EnvironmentVariables, variable: string, error = 'ENV-ERROR'): void {
  const [version, line, ...more] = lines(env);
  assert.equal(version, 'VERSION 1');
  assert.match(
    line ?? '',
    new RegExp(`^${error} ${variable}: [\\x20-\\x7e]{5,}$`),
    JSON.stringify(env),
  );
  assert.deepEqual(more, []);
  assert.equal(parseProxyEnvironment(env).configuration, undefined);
}

test('[PT-3-02] [PT-3-03] [PT-3.3.1-04] the version comes before anything else', () => {
  const env = {
    TOR_PT_MANAGED_TRANSPORT_VER: '2,3',
    TOR_PT_STATE_LOCATION: 'x',
    TOR_PT_PROXY: 'y',
  };
  assert.deepEqual(lines(env), ['VERSION-ERROR no-version']);
  assert.equal(parseProxyEnvironment(env).configuration, undefined);
});

test('[PT-3.3.1-01] [PT-3.2.1-04] a missing or ill-formed version list is an ENV-ERROR without VERSION', () => {
  for (const list of [undefined, '', '1,,2', '1, 2', '1\n', '1,é']) {
    const [line, ...more] = lines({ ...client, TOR_PT_MANAGED_TRANSPORT_VER: list });
    assert.match(line ?? '', /^ENV-ERROR TOR_PT_MANAGED_TRANSPORT_VER: .+$/);
    assert.deepEqual(more, []);
  }
});

test('[PT-3.3.1-07] the version is one of those offered', () => {
  for (const list of ['1', '9,1', '1,1a,2b,this_is_a_valid_ver']) {
    assert.deepEqual(lines({ ...client, TOR_PT_MANAGED_TRANSPORT_VER: list }), ['VERSION 1']);
  }
});

test('[PT-2-06] [PT-3-06] one role: exactly one of the two lists', () => {
  assert.equal(clientOf(client).role, 'client');
  assert.equal(serverOf(server).role, 'server');
  assert.match(
    lines({ ...client, ...server })[1]!,
    /^ENV-ERROR TOR_PT_CLIENT_TRANSPORTS and TOR_PT_SERVER_TRANSPORTS /,
  );
  assert.match(lines({ ...client, TOR_PT_SERVER_TRANSPORTS: '' })[1]!, /^ENV-ERROR .+ both /);
  assert.match(
    lines(common)[1]!,
    /^ENV-ERROR neither TOR_PT_CLIENT_TRANSPORTS nor TOR_PT_SERVER_TRANSPORTS /,
  );
});

test('[PT-3.2.1-07] the state location is required and absolute', () => {
  for (const value of [undefined, '', 'state', './state']) {
    refuses({ ...client, TOR_PT_STATE_LOCATION: value }, 'TOR_PT_STATE_LOCATION');
  }
  assert.equal(clientOf(client).stateLocation, '/var/lib/tor/pt_state/');
});

test('[PT-3.2.1-14] only "1" makes a closed stdin a request to end', () => {
  assert.equal(clientOf({ ...client, TOR_PT_EXIT_ON_STDIN_CLOSE: '1' }).exitOnStdinClose, true);
  for (const value of [undefined, '', '0', 'true', '01', '1 ']) {
    assert.equal(
      clientOf({ ...client, TOR_PT_EXIT_ON_STDIN_CLOSE: value }).exitOnStdinClose,
      false,
    );
  }
});

test('[PT-3.2.2-01] [PT-3.2.3-01] the lists of names', () => {
  assert.deepEqual(clientOf(client).transports, ['obfs3', 'obfs4']);
  assert.deepEqual(
    serverOf(server).transports.map(({ name }) => name),
    ['obfs3', 'obfs4'],
  );
  for (const value of ['', 'a,,b', 'a,', 'a b', 'a-b', 'a\n', 'é']) {
    refuses({ ...common, TOR_PT_CLIENT_TRANSPORTS: value }, 'TOR_PT_CLIENT_TRANSPORTS');
    refuses({ ...common, TOR_PT_SERVER_TRANSPORTS: value }, 'TOR_PT_SERVER_TRANSPORTS');
  }
});

test('[PT-3-07] [PT-3-08] [PT-3.3.2-02] the upstream proxy is accepted or refused, with one line', () => {
  const good = { ...client, TOR_PT_PROXY: 'socks5://127.0.0.1:8001' };
  assert.deepEqual(lines(good), ['VERSION 1', 'PROXY DONE']);
  assert.equal(clientOf(good).upstreamProxy?.endpoint.port, 8001);
  for (const value of [
    'gopher://127.0.0.1:1',
    'socks5://localhost:1',
    'socks4a://u:p@127.0.0.1:1',
  ]) {
    refuses({ ...client, TOR_PT_PROXY: value }, 'TOR_PT_PROXY', 'PROXY-ERROR');
  }
  for (const env of [client, { ...client, TOR_PT_PROXY: '' }]) {
    assert.deepEqual(lines(env), ['VERSION 1']);
    assert.ok(!('upstreamProxy' in clientOf(env)));
  }
});

test('[PT-3.3.2-01] a fault of another variable comes before one of the upstream proxy', () => {
  refuses(
    { ...common, TOR_PT_CLIENT_TRANSPORTS: '', TOR_PT_PROXY: 'x' },
    'TOR_PT_CLIENT_TRANSPORTS',
  );
});

test('[PT-3-09] a server ignores the upstream proxy', () => {
  for (const value of ['socks5://127.0.0.1:8001', 'x']) {
    assert.deepEqual(lines({ ...server, TOR_PT_PROXY: value }), ['VERSION 1']);
  }
});

test('outbound addresses, as tor writes them', () => {
  const bind = {
    TOR_PT_OUTBOUND_BIND_ADDRESS_V4: '127.0.0.9',
    TOR_PT_OUTBOUND_BIND_ADDRESS_V6: '[2001:db8::4]',
  };
  assert.deepEqual(clientOf({ ...client, ...bind }).outboundBind, {
    v4: '127.0.0.9',
    v6: '2001:db8::4',
  });
  assert.deepEqual(clientOf({ ...client, TOR_PT_OUTBOUND_BIND_ADDRESS_V6: '::1' }).outboundBind, {
    v6: '::1',
  });
  for (const value of ['', '::1', 'localhost', '127.0.0.1:1', '[127.0.0.1]']) {
    refuses(
      { ...client, TOR_PT_OUTBOUND_BIND_ADDRESS_V4: value },
      'TOR_PT_OUTBOUND_BIND_ADDRESS_V4',
    );
  }
  for (const value of ['', '127.0.0.1', '[::1', '[[::1]]', '[::1]:1', 'fe80::1%eth0']) {
    refuses(
      { ...client, TOR_PT_OUTBOUND_BIND_ADDRESS_V6: value },
      'TOR_PT_OUTBOUND_BIND_ADDRESS_V6',
    );
  }
});

test('[PT-3.2.3-09] bind addresses go to the transports they name', () => {
  const env = {
    ...common,
    TOR_PT_SERVER_TRANSPORTS: 'obfs3,x,scramblesuit',
    TOR_PT_SERVER_BINDADDR: 'obfs3-127.0.0.1:1984,scramblesuit-[::1]:0',
  };
  assert.deepEqual(serverOf(env).transports, [
    { name: 'obfs3', bindAddress: { host: '127.0.0.1', port: 1984 }, options: [] },
    { name: 'x', options: [] },
    { name: 'scramblesuit', bindAddress: { host: '::1', port: 0 }, options: [] },
  ]);
});

for (const [ids, value] of [
  ['[PT-3.2.3-09]', ''],
  ['[PT-3.2.3-09]', 'obfs3'],
  ['[PT-3.2.3-09]', 'obfs3-127.0.0.1'],
  ['[PT-3.2.3-09]', 'obfs3-127.0.0.1:x'],
  ['[PT-3.2.3-09]', 'obfs3-127.0.0.1:65536'],
  ['[PT-3.2.3-09]', '-127.0.0.1:1'],
  ['[PT-3.2.3-09]', 'obfs3-127.0.0.1:1,'],
  ['[PT-3.2.3-10]', 'obfs4-127.0.0.1:1,obfs3-127.0.0.1:2'],
  ['[PT-3.2.3-10]', 'other-127.0.0.1:1'],
  ['[PT-3.2.3-12]', 'obfs3-300.1.1.1:80'],
  ['[PT-3.2.3-13]', 'obfs3-localhost:1984'],
  ['[PT-3.2.3-14]', 'obfs3-127.0.0.1:1,obfs3-127.0.0.1:2'],
] as const) {
  test(`${ids} a bind address list of ${JSON.stringify(value)} is refused`, () => {
    refuses({ ...server, TOR_PT_SERVER_BINDADDR: value }, 'TOR_PT_SERVER_BINDADDR');
  });
}

test('[PT-3.2.3-04] [PT-3.2.3-08] options go to the transports they name, in order', () => {
  const env = {
    ...common,
    TOR_PT_SERVER_TRANSPORTS: 'automata,scramblesuit',
    TOR_PT_SERVER_TRANSPORT_OPTIONS:
      'scramblesuit:key=banana;automata:rule=110;other:a=b;automata:depth=3',
  };
  assert.deepEqual(serverOf(env).transports, [
    {
      name: 'automata',
      options: [
        ['rule', '110'],
        ['depth', '3'],
      ],
    },
    { name: 'scramblesuit', options: [['key', 'banana']] },
  ]);
  assert.deepEqual(
    serverOf({ ...server, TOR_PT_SERVER_TRANSPORT_OPTIONS: '' }).transports[0]?.options,
    [],
  );
  for (const value of ['obfs4', 'obfs4:secret', 'a-b:k=v', 'obfs4:k=v\\', 'obfs4:k=a:b']) {
    refuses(
      { ...server, TOR_PT_SERVER_TRANSPORT_OPTIONS: value },
      'TOR_PT_SERVER_TRANSPORT_OPTIONS',
    );
  }
});

test('[PT-3.2.3-16] the ORPort is ip:port, and may be missing', () => {
  assert.deepEqual(serverOf({ ...server, TOR_PT_ORPORT: '127.0.0.1:9001' }).orPort, {
    host: '127.0.0.1',
    port: 9001,
  });
  assert.ok(!('orPort' in serverOf(server)));
  assert.ok(!('orPort' in serverOf({ ...server, TOR_PT_ORPORT: '' })));
  for (const value of [
    '127.0.0.1',
    'localhost:1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:x',
  ]) {
    refuses({ ...server, TOR_PT_ORPORT: value }, 'TOR_PT_ORPORT');
  }
});

test('[PT-3.2.3-19] [PT-3.2.3-22] the Extended ORPort with its cookie file', () => {
  const env = {
    ...server,
    TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
    TOR_PT_AUTH_COOKIE_FILE: '/run/cookie',
  };
  assert.deepEqual(serverOf(env).extendedOrPort, {
    endpoint: { host: '127.0.0.1', port: 4200 },
    cookieFile: '/run/cookie',
  });
  for (const value of ['localhost:1', '127.0.0.1', '127.0.0.1:0']) {
    refuses({ ...env, TOR_PT_EXTENDED_SERVER_PORT: value }, 'TOR_PT_EXTENDED_SERVER_PORT');
  }
  refuses({ ...env, TOR_PT_AUTH_COOKIE_FILE: 'cookie' }, 'TOR_PT_AUTH_COOKIE_FILE');
});

test('[PT-3.2.3-23] [PT-3.3.1-15] an extended port without its cookie file is refused in the words of the specification', () => {
  for (const cookie of [undefined, '']) {
    const env = {
      ...server,
      TOR_PT_EXTENDED_SERVER_PORT: '127.0.0.1:4200',
      TOR_PT_AUTH_COOKIE_FILE: cookie,
    };
    assert.deepEqual(lines(env), [
      'VERSION 1',
      'ENV-ERROR No TOR_PT_AUTH_COOKIE_FILE when TOR_PT_EXTENDED_SERVER_PORT set',
    ]);
  }
});

test('[PT-3.2.3-21] an empty extended port means none, and a superfluous cookie file is ignored', () => {
  for (const value of [undefined, '']) {
    const env = {
      ...server,
      TOR_PT_EXTENDED_SERVER_PORT: value,
      TOR_PT_AUTH_COOKIE_FILE: 'relative',
    };
    assert.ok(!('extendedOrPort' in serverOf(env)));
  }
});

test('[PT-3.2-01] undefined variables of the namespace change nothing', () => {
  assert.deepEqual(clientOf({ ...client, TOR_PT_FUTURE: 'x' }), clientOf(client));
});

test('[PT-A-01] the environment of the client session', () => {
  const outcome = parseProxyEnvironment({
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: '/var/lib/tor/pt_state/',
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
    TOR_PT_PROXY: 'socks5://127.0.0.1:8001',
    TOR_PT_CLIENT_TRANSPORTS: 'obfs3,obfs4',
  });
  assert.deepEqual(outcome, {
    messages: [{ kind: 'VERSION', version: '1' }, { kind: 'PROXY DONE' }],
    configuration: {
      role: 'client',
      stateLocation: '/var/lib/tor/pt_state/',
      exitOnStdinClose: true,
      transports: ['obfs3', 'obfs4'],
      upstreamProxy: { type: 'socks5', endpoint: { host: '127.0.0.1', port: 8001 } },
      outboundBind: {},
    },
  });
});

test('[PT-B-01] the environment of the server session', () => {
  const outcome = parseProxyEnvironment({
    TOR_PT_MANAGED_TRANSPORT_VER: '1',
    TOR_PT_STATE_LOCATION: '/var/lib/tor/pt_state',
    TOR_PT_EXIT_ON_STDIN_CLOSE: '1',
    TOR_PT_SERVER_TRANSPORTS: 'obfs3,obfs4',
    TOR_PT_SERVER_BINDADDR: 'obfs3-198.51.100.1:1984',
  });
  assert.deepEqual(outcome, {
    messages: [{ kind: 'VERSION', version: '1' }],
    configuration: {
      role: 'server',
      stateLocation: '/var/lib/tor/pt_state',
      exitOnStdinClose: true,
      transports: [
        { name: 'obfs3', bindAddress: { host: '198.51.100.1', port: 1984 }, options: [] },
        { name: 'obfs4', options: [] },
      ],
    },
  });
});

test('[PT-3.3.1-13] [PT-3-13] whatever stands in the variables, the lines are in order, ASCII, and quote nothing', () => {
  const names = [
    'TOR_PT_MANAGED_TRANSPORT_VER',
    'TOR_PT_STATE_LOCATION',
    'TOR_PT_CLIENT_TRANSPORTS',
    'TOR_PT_SERVER_TRANSPORTS',
    'TOR_PT_SERVER_BINDADDR',
    'TOR_PT_SERVER_TRANSPORT_OPTIONS',
    'TOR_PT_ORPORT',
    'TOR_PT_EXTENDED_SERVER_PORT',
    'TOR_PT_AUTH_COOKIE_FILE',
    'TOR_PT_PROXY',
    'TOR_PT_OUTBOUND_BIND_ADDRESS_V4',
  ];
  const value = fc.oneof(
    fc.constantFrom(
      undefined,
      '',
      '1',
      '/state',
      'obfs4',
      'obfs4-127.0.0.1:1',
      'obfs4:k=v',
      '127.0.0.1:1',
    ),
    textOf('a1,:;=-/\\\n\0é[]@', { maxLength: 10 }).map((text) => `QQ${text}QQ`),
  );
  holds(
    fc.property(fc.record(Object.fromEntries(names.map((name) => [name, value]))), (env) => {
      const text = lines(env)
        .map((line) => `${line}\n`)
        .join('');
      assert.match(
        text,
        /^(VERSION-ERROR no-version\n|ENV-ERROR [\x20-\x7e]+\n|VERSION 1\n(ENV-ERROR [\x20-\x7e]+\n|PROXY-ERROR [\x20-\x7e]+\n|PROXY DONE\n)?)$/,
      );
      assert.ok(!text.includes('QQ'));
      assert.equal(parseProxyEnvironment(env).configuration === undefined, text.includes('ERROR'));
    }),
    2000,
  );
});
