import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ChildMachine,
  transitions,
  type ChildAction,
  type ChildRequest,
  type StagedKind,
} from '../../src/parent/machine.ts';
import { parseLine } from '../../src/pt/decode.ts';
import { LineSplitter } from '../../src/pt/line-splitter.ts';
import { holds } from '../support/properties.ts';

const client: ChildRequest = {
  role: 'client',
  versions: ['1'],
  transports: ['obfs3', 'obfs4'],
  hasUpstreamProxy: false,
};
const proxied: ChildRequest = { ...client, hasUpstreamProxy: true };
const server: ChildRequest = { ...client, role: 'server' };

interface Outcome {
  readonly machine: ChildMachine;
  readonly actions: readonly ChildAction[];
  /** `ready`, or the code of the failure; undefined while neither came. */
  readonly verdict: string | undefined;
}

function play(request: ChildRequest, text: string): Outcome {
  const machine = new ChildMachine(request);
  const actions = text.split('\n').flatMap((line) => machine.receive(parseLine(line)));
  const verdicts = actions.flatMap((action) =>
    action.type === 'ready' ? ['ready'] : action.type === 'failed' ? [action.error.code] : [],
  );
  assert.ok(verdicts.length <= 1, `one verdict at most: ${verdicts.join(' ')}`);
  return { machine, actions, verdict: verdicts[0] };
}

function messageOf({ actions }: Outcome): string {
  const failed = actions.find((action) => action.type === 'failed');
  return failed?.type === 'failed' ? failed.error.message : '';
}

test('[PT-A-01] the client session of the specification, replayed', () => {
  const { machine, verdict } = play(
    proxied,
    'VERSION 1\nPROXY DONE\nCMETHOD obfs3 socks5 127.0.0.1:32525\nCMETHOD obfs4 socks5 127.0.0.1:37347\nCMETHODS DONE',
  );
  assert.equal(verdict, 'ready');
  assert.deepEqual(
    [...machine.methods.values()].map((method) => [
      method.transport,
      method.kind === 'CMETHOD' && method.protocol,
      method.endpoint.port,
    ]),
    [
      ['obfs3', 'socks5', 32525],
      ['obfs4', 'socks5', 37347],
    ],
  );
});

test('[PT-B-01] [PT-3.3.3-09] the server session of the specification, replayed', () => {
  const cert = 'HszPy3vWfjsESCEOo9ZBkRv6zQ/1mGHzc8arF0y2SpwFr3WhsMu8rK0zyaoyERfbz3ddFw';
  const { machine, verdict } = play(
    server,
    `VERSION 1\nSMETHOD obfs3 198.51.100.1:1984\nSMETHOD obfs4 198.51.100.1:43734 ARGS:cert=${cert},iat-mode=0\nSMETHODS DONE`,
  );
  assert.equal(verdict, 'ready');
  const obfs4 = machine.methods.get('obfs4');
  assert.deepEqual(obfs4?.kind === 'SMETHOD' && obfs4.args, [
    ['cert', cert],
    ['iat-mode', '0'],
  ]);
  assert.deepEqual(machine.methods.get('obfs3')?.endpoint, { host: '198.51.100.1', port: 1984 });
});

const start = 'VERSION 1';
const clientLines = ['CMETHOD obfs3 socks5 127.0.0.1:1', 'CMETHOD-ERROR obfs4 no rocks  available'];
const serverLines = ['SMETHOD obfs3 192.0.2.1:1', 'SMETHOD-ERROR obfs4 no cows  available'];

test('[PT-3.3.2-17] [PT-3.3.3-14] method lines may come in any order', () => {
  const third = { ...client, transports: ['a', 'obfs4', 'obfs3'] };
  for (const [request, lines, done] of [
    [third, [...clientLines, 'CMETHOD a socks4 127.0.0.1:2'], 'CMETHODS DONE'],
    [
      { ...third, role: 'server' as const },
      [...serverLines, 'SMETHOD a 192.0.2.1:2'],
      'SMETHODS DONE',
    ],
  ] as const) {
    for (const order of permutations(lines)) {
      const { machine, verdict } = play(
        request,
        [start, ...order.flatMap((line) => [line, 'FOO bar']), done].join('\n'),
      );
      assert.equal(verdict, 'ready');
      assert.deepEqual([...machine.methods.keys()].sort(), ['a', 'obfs3']);
      assert.deepEqual([...machine.failures.keys()], ['obfs4']);
    }
  }
});

test('[PT-3.3.2-11] [PT-3.3.2-12] [PT-3.3.3-11] a failed transport is recorded with its whole text, and the others come up', () => {
  const asClient = play(client, [start, ...clientLines, 'CMETHODS DONE'].join('\n'));
  assert.equal(asClient.machine.failures.get('obfs4'), 'no rocks  available');
  assert.ok(asClient.machine.methods.has('obfs3'));
  const asServer = play(server, [start, ...serverLines, 'SMETHODS DONE'].join('\n'));
  assert.equal(asServer.machine.failures.get('obfs4'), 'no cows  available');
  assert.ok(asServer.machine.methods.has('obfs3'));
});

test('[PT-3.3.2-16] no method at all is a completed start', () => {
  const { machine, verdict } = play(client, `${start}\nCMETHODS DONE`);
  assert.equal(verdict, 'ready');
  assert.equal(machine.methods.size, 0);
});

test('[PT-3.3-07] [PT-3.3-02] lines with unknown keywords change nothing, wherever they stand', () => {
  const noise = [
    'STATUS TRANSPORT=x',
    'LOG y',
    'FOO',
    'X-1_2 a b',
    '',
    ' VERSION 2',
    '!VERSION-ERROR x',
    'CMETHODX a b c',
    'VERSIONS 1',
    'version 7',
    'VERSION: 7',
  ];
  const lines = [start, 'PROXY DONE', ...clientLines, 'CMETHODS DONE'];
  const plain = play(proxied, lines.join('\n')).machine;
  for (let at = 0; at <= lines.length; at += 1) {
    const { machine, verdict } = play(
      proxied,
      [...lines.slice(0, at), ...noise, ...lines.slice(at)].join('\n'),
    );
    assert.equal(verdict, 'ready');
    assert.deepEqual([machine.methods, machine.failures], [plain.methods, plain.failures]);
  }
});

test('LOG and STATUS are handed up in every stage', () => {
  const lines = [start, ...clientLines, 'CMETHODS DONE'];
  for (let at = 0; at <= lines.length; at += 1) {
    const said = ['LOG SEVERITY=info MESSAGE="hello"', 'STATUS TYPE=version VERSION=1'];
    const { actions } = play(
      client,
      [...lines.slice(0, at), ...said, ...lines.slice(at)].join('\n'),
    );
    assert.deepEqual(
      actions.filter(({ type }) => type === 'log' || type === 'status'),
      [
        { type: 'log', message: { kind: 'LOG', severity: 'info', text: 'hello' } },
        {
          type: 'status',
          message: {
            kind: 'STATUS',
            pairs: [
              ['TYPE', 'version'],
              ['VERSION', '1'],
            ],
          },
        },
      ],
    );
  }
});

test('[PT-3.3.1-03] [PT-3.3.1-05] VERSION-ERROR fails the launch, whatever its text', () => {
  for (const text of ['no-version', 'we speak only 3']) {
    const outcome = play(client, `VERSION-ERROR ${text}`);
    assert.equal(outcome.verdict, 'ERR_PARENT_VERSION');
    assert.ok(messageOf(outcome).includes(text));
  }
});

test('[PT-3.3.1-07] a version that was not offered, or none, fails the launch', () => {
  assert.equal(play(client, 'VERSION 7').verdict, 'ERR_PARENT_VERSION');
  assert.equal(play(client, 'VERSION').verdict, 'ERR_PARENT_PROTOCOL');
  assert.equal(
    play({ ...client, versions: ['7', '1'] }, 'VERSION 7\nCMETHODS DONE').verdict,
    'ready',
  );
});

test('[PT-3.3.1-11] [PT-3.3.1-12] ENV-ERROR is a failed launch wherever it stands, with its text', () => {
  const lines = [start, 'PROXY DONE', clientLines[0]!];
  for (let at = 0; at <= lines.length; at += 1) {
    const outcome = play(proxied, [...lines.slice(0, at), 'ENV-ERROR TOR_PT_X is odd'].join('\n'));
    assert.equal(outcome.verdict, 'ERR_PARENT_CONFIGURATION');
    assert.ok(messageOf(outcome).includes('TOR_PT_X is odd'));
    assert.deepEqual(
      play(server, [start, 'ENV-ERROR x'].join('\n')).verdict,
      'ERR_PARENT_CONFIGURATION',
    );
  }
});

test('[PT-3.3.2-04] PROXY-ERROR fails the launch with its text', () => {
  const outcome = play(proxied, `${start}\nPROXY-ERROR SOCKS 4 upstream proxies unsupported.`);
  assert.equal(outcome.verdict, 'ERR_PARENT_UPSTREAM_PROXY');
  assert.match(messageOf(outcome), /SOCKS 4 upstream proxies unsupported\./);
});

test('[PT-3.3.2-03] an upstream proxy must be confirmed before the end, and only where there is one', () => {
  assert.equal(play(proxied, `${start}\nCMETHODS DONE`).verdict, 'ERR_PARENT_UPSTREAM_PROXY');
  assert.equal(play(client, `${start}\nPROXY DONE`).verdict, 'ERR_PARENT_PROTOCOL');
  assert.equal(play(proxied, `${start}\nPROXY DONE\nPROXY DONE`).verdict, 'ERR_PARENT_PROTOCOL');
  // tor accepts it at any place before the end.
  assert.equal(
    play(proxied, `${start}\n${clientLines[0]}\nPROXY DONE\nCMETHODS DONE`).verdict,
    'ready',
  );
});

test('a transport that was not requested is ignored; a second line for one is an error', () => {
  const outcome = play(
    client,
    `${start}\nCMETHOD other socks5 127.0.0.1:1\nCMETHOD-ERROR other2 x\nCMETHODS DONE`,
  );
  assert.equal(outcome.verdict, 'ready');
  assert.equal(outcome.machine.methods.size + outcome.machine.failures.size, 0);
  for (const second of ['CMETHOD obfs3 socks5 127.0.0.1:2', 'CMETHOD-ERROR obfs3 x']) {
    assert.equal(
      play(client, `${start}\n${clientLines[0]}\n${second}`).verdict,
      'ERR_PARENT_PROTOCOL',
    );
  }
});

test('[PT-2-02] a CMETHOD that is not on loopback is refused', () => {
  for (const address of ['192.0.2.1:1', '0.0.0.0:1', '[2001:db8::1]:1']) {
    const outcome = play(client, `${start}\nCMETHOD obfs4 socks5 ${address}`);
    assert.equal(outcome.verdict, 'ERR_PARENT_PROTOCOL');
    assert.ok(!messageOf(outcome).includes(address));
  }
  assert.equal(
    play(client, `${start}\nCMETHOD obfs4 socks5 [::1]:1\nCMETHODS DONE`).verdict,
    'ready',
  );
});

for (const line of [
  'CMETHODS MAYBE',
  'CMETHODS',
  'PROXY',
  'CMETHOD obfs4 socks6 127.0.0.1:1',
  'CMETHOD obfs4 socks5',
  'CMETHOD obfs4 socks5 127.0.0.1:0',
  'CMETHOD obfs4 socks5 localhost:1',
  'CMETHOD obfs4 socks5 127.0.0.1:1 x',
  'CMETHOD-ERROR obfs4',
  'ENV-ERROR',
  'SMETHOD obfs4',
]) {
  test(`[PT-3.3.2-08] malformed arguments of a known keyword fail the launch: ${line}`, () => {
    const outcome = play(client, `${start}\n${line}`);
    assert.equal(outcome.verdict, 'ERR_PARENT_PROTOCOL');
    assert.ok(messageOf(outcome).startsWith(line.split(' ')[0]!), messageOf(outcome));
  });
}

for (const line of [
  'SMETHOD obfs4',
  'SMETHOD obfs4 198.51.100.1:0',
  'SMETHOD obfs4 example.net:1',
  'SMETHOD obfs4 198.51.100.1:1 ARGS:N',
]) {
  test(`[PT-3.3.3-03] malformed arguments of a known keyword fail the launch: ${line}`, () => {
    assert.equal(play(server, `${start}\n${line}`).verdict, 'ERR_PARENT_PROTOCOL');
  });
}

const lineOf: Readonly<Record<StagedKind, string>> = {
  VERSION: 'VERSION 1',
  'VERSION-ERROR': 'VERSION-ERROR no-version',
  'ENV-ERROR': 'ENV-ERROR x',
  'PROXY DONE': 'PROXY DONE',
  'PROXY-ERROR': 'PROXY-ERROR x',
  CMETHOD: 'CMETHOD obfs4 socks5 127.0.0.1:1',
  'CMETHOD-ERROR': 'CMETHOD-ERROR obfs4 x',
  'CMETHODS DONE': 'CMETHODS DONE',
  SMETHOD: 'SMETHOD obfs4 192.0.2.1:1',
  'SMETHOD-ERROR': 'SMETHOD-ERROR obfs4 x',
  'SMETHODS DONE': 'SMETHODS DONE',
};

test('[PT-3.3.1-02] [PT-3.3.1-09] every message that a stage does not expect fails the launch', () => {
  const paths = {
    starting: [],
    versionAgreed: [start],
    proxyAccepted: [start, 'PROXY DONE'],
  } as const;
  for (const role of ['client', 'server'] as const) {
    for (const [stage, path] of Object.entries(paths) as [
      keyof typeof paths,
      readonly string[],
    ][]) {
      if (role === 'server' && stage === 'proxyAccepted') continue;
      const request = { ...(stage === 'proxyAccepted' ? proxied : client), role };
      for (const [kind, line] of Object.entries(lineOf) as [StagedKind, string][]) {
        const { verdict, machine } = play(request, [...path, line].join('\n'));
        const expected = transitions[role][stage][kind];
        if (expected === undefined)
          assert.equal(verdict, 'ERR_PARENT_PROTOCOL', `${role} ${stage} ${kind}`);
        else if (kind !== 'PROXY DONE')
          assert.equal(
            verdict === undefined || verdict === 'ready',
            expected !== 'failed',
            `${role} ${stage} ${kind}`,
          );
        const reached = verdict === 'ready' ? 'ready' : verdict === undefined ? expected : stage;
        assert.equal(machine.reached, reached, `${role} ${stage} ${kind}`);
      }
    }
  }
});

test('[PT-3.3.2-14] [PT-3.3.3-13] after DONE every line is ignored; without it the end of stdout is a failure', () => {
  for (const [request, lines] of [
    [client, [start, ...clientLines, 'CMETHODS DONE']],
    [server, [start, ...serverLines, 'SMETHODS DONE']],
  ] as const) {
    for (let length = 0; length < lines.length; length += 1) {
      const { machine } = play(request, lines.slice(0, length).join('\n'));
      assert.equal(
        machine
          .receiveEnd()
          .map((action) => (action.type === 'failed' ? action.error.code : action.type))
          .join(),
        'ERR_PARENT_START_ENDED',
      );
      assert.deepEqual(machine.receiveEnd(), []);
    }
    const { machine } = play(request, lines.join('\n'));
    const before = new Map(machine.methods);
    for (const line of [...Object.values(lineOf), 'CMETHODS MAYBE']) {
      assert.deepEqual(
        machine.receive(parseLine(line)).map(({ type }) => type),
        ['ignored'],
        line,
      );
    }
    assert.deepEqual(machine.receiveEnd(), []);
    assert.deepEqual(machine.methods, before);
  }
});

test('[PT-4-05] addresses in the child’s words are scrubbed in errors', () => {
  assert.doesNotMatch(
    messageOf(play(client, 'ENV-ERROR cannot reach 192.0.2.77:443')),
    /192\.0\.2/,
  );
});

test('random lines in random order give one verdict at most, and never an exception', () => {
  const line = fc.constantFrom(
    ...Object.values(lineOf),
    ...clientLines,
    ...serverLines,
    'PROXY',
    'LOG x',
    'FOO',
    '',
    'CMETHOD a',
    'VERSION 2',
  );
  holds(
    fc.property(
      fc.constantFrom(client, proxied, server),
      fc.array(line, { maxLength: 12 }),
      (request, lines) => {
        const { machine, verdict } = play(request, lines.join('\n'));
        assert.equal(machine.reached === 'ready', verdict === 'ready');
      },
    ),
    2000,
  );
});

test('mutated output of a child, as bytes: bounded, total, and ready only after DONE', () => {
  const session = Buffer.from(
    [start, ...clientLines, 'CMETHODS DONE', 'LOG SEVERITY=info MESSAGE="x"', ''].join('\n'),
  );
  holds(
    fc.property(
      fc.array(fc.tuple(fc.nat(session.length - 1), fc.nat(255)), { maxLength: 4 }),
      fc.nat(session.length),
      (changes, cut) => {
        const bytes = Buffer.from(session);
        for (const [at, value] of changes) bytes[at] = value;
        const splitter = new LineSplitter(64);
        const machine = new ChildMachine(client);
        const actions = [bytes.subarray(0, cut), bytes.subarray(cut)]
          .flatMap((chunk) => splitter.push(chunk))
          .flatMap((event) =>
            event.kind === 'line' ? machine.receive(parseLine(event.bytes)) : [],
          );
        const isReady = actions.some(({ type }) => type === 'ready');
        assert.equal(isReady, machine.reached === 'ready');
        if (isReady) assert.match(bytes.toString('latin1'), /^CMETHODS DONE\r?$/m);
      },
    ),
    2000,
  );
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations([...items.slice(0, index), ...items.slice(index + 1)]).map((rest) => [
      item,
      ...rest,
    ]),
  );
}
