import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkTransport,
  type ComplianceOptions,
} from '../../../src/transports/compliance/index.ts';
import { builtinTransports } from '../../../src/transports/registry.ts';
import { measureMemory } from '../../support/memory.ts';
import { keyStreamRng } from '../../support/rng.ts';

const isWebSite = 'strangers are answered as by a web site, and TLS lies below';
const speaksFirst = 'both ends speak at once, and anyone may';
/** What a sender's delays can break; the handshake is the same. */
const dataPhase: ComplianceOptions = {
  only: ['leftover', 'half-close', 'back-pressure', 'ownership', 'transfer'],
  transferBytes: 1_000_000,
};
const expectations: Readonly<Record<string, ComplianceOptions>> = {
  obfs2: {
    wrongArguments: [[['shared-secret', '']]],
    wrongOptions: [[['shared-secret', '']]],
    notApplicable: { probing: speaksFirst, replay: speaksFirst },
  },
  obfs3: { notApplicable: { probing: speaksFirst, replay: speaksFirst } },
  obfs4: {
    wrongArguments: [
      [],
      [
        ['cert', 'AAAAAAAAAAAAAAAA'],
        ['iat-mode', '0'],
      ],
      [['iat-mode', '0']],
    ],
    wrongOptions: [[['iat-mode', '3']], [['private-key', '00112233445566778899']]],
  },
  'obfs4 iat-mode=1': { ...dataPhase, serverOptions: [['iat-mode', '1']] },
  'obfs4 iat-mode=2': { ...dataPhase, serverOptions: [['iat-mode', '2']] },
  scramblesuit: {
    wrongArguments: [[], [['password', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ23456']]],
    wrongOptions: [[['password', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ23456']], [['iat-mode', '2']]],
  },
  webtunnel: {
    serverOptions: [['url', 'http://bridge.example/secret']],
    wrongArguments: [
      [],
      [['url', 'ftp://bridge.example/secret']],
      [
        ['url', 'https://bridge.example/secret'],
        ['cert', 'AAAAAAAAAAAAAAAA'],
      ],
      [
        ['url', 'https://bridge.example/secret'],
        ['utls', 'hellowhatever'],
      ],
      [
        ['url', 'https://bridge.example/secret'],
        ['addr', 'bridge.example'],
      ],
    ],
    wrongOptions: [
      [],
      [['url', 'bridge.example/secret']],
      [
        ['url', 'https://bridge.example/secret'],
        ['path-check', 'sometimes'],
      ],
      [
        ['url', 'http://bridge.example/secret'],
        ['tls-cert', 'self-signed'],
      ],
    ],
    notApplicable: { probing: isWebSite, replay: isWebSite },
  },
  'scramblesuit iat-mode=1': {
    ...dataPhase,
    serverOptions: [['iat-mode', '1']],
    clientArguments: [['iat-mode', '1']],
  },
};

describe('the transports that come with Postern keep to the contract', () => {
  for (const [name, options] of Object.entries(expectations)) {
    test(name, async () => {
      const results = await checkTransport(builtinTransports.get(name.split(' ')[0]!), {
        rng: keyStreamRng(name),
        measureMemory,
        ...options,
      });
      const outcomes = Object.fromEntries(
        results.map((result) => [
          result.check,
          result.outcome === 'broken' ? result.reason : result.outcome,
        ]),
      );
      const expected = Object.fromEntries(
        results.map(({ check }) => [
          check,
          options.notApplicable?.[check] === undefined ? 'holds' : 'not applicable',
        ]),
      );
      assert.deepEqual(outcomes, expected);
    });
  }
});
