/** MAPADDRESS, ADDRESSMAPPED and GETALLMAPPINGS (TC 3.11 to 3.13). */
import { Unjudged } from '../findings.ts';
import {
  decodePair,
  describeFrame,
  encodeAddress,
  mapAddress,
  message,
  type Pair,
  setConf,
  Type,
} from './frames.ts';
import type { TcLab } from './lab.ts';
import { done, error, mapped, type TcCheck } from './check.ts';
import { type Answer, describeAnswer, type Session } from './session.ts';

/** Addresses for documentation (RFC 5737, RFC 3849) and names that are never given to anyone. */
const V4 = '192.0.2.77';
const V6 = '2001:db8::77';
const NAME = 'from.conform.invalid';
const OTHER_NAME = 'to.conform.invalid';

/** The null addresses, by kind. */
const nulls = { IPv4: '0.0.0.0', IPv6: '::', name: '.' } as const;

/** The mappings of one check. */
interface Mappings {
  readonly session: Session;
  /** Maps an address that is given back afterwards. */
  map(clauses: string, ...pair: Pair): Promise<void>;
  /** Looks whether an address is mapped, and how. */
  lists(
    clauses: string,
    when: string,
    from: string,
    to: string | undefined,
    other?: Session,
  ): Promise<void>;
}

async function openMappings(lab: TcLab): Promise<Mappings> {
  const session = await lab.open();
  return {
    session,
    async map(clauses, ...pair) {
      lab.borrowAddress(pair[0]);
      await session.expect(clauses, mapAddress(...pair), mapped(pair));
    },
    async lists(clauses, when, from, to, other = session) {
      const found = (await lab.mappings(other))?.filter(([original]) => original === from);
      const isRight = to === undefined ? found?.length === 0 : isOne(found, to);
      lab.judge(clauses, isRight, {
        sent: `${when}, then GETALLMAPPINGS`,
        came: found === undefined ? 'not ADDRESSMAPPED messages and DONE' : describePairs(found),
        expected: to === undefined ? `no mapping of ${from}` : `${from} → ${to}, once`,
      });
    },
  };
}

/** The pair of an ADDRESSMAPPED, if that was the answer. */
export function pairIn({ frames: [frame] }: Answer): Pair | readonly [] {
  return (frame && decodePair(frame.body)) ?? [];
}

function isOne(found: readonly Pair[] | undefined, to: string): boolean {
  return found?.length === 1 && found[0]![1] === to;
}

function describePairs(pairs: readonly Pair[]): string {
  return pairs.map((pair) => pair.join(' → ')).join(', ') || 'no mapping of it';
}

const mapping: TcCheck = {
  clauses:
    'TC-3.2-01 TC-3.11-01 TC-3.11-02 TC-3.11-03 TC-3.11-04 TC-3.11-06 TC-3.11-13 ' +
    'TC-3.11-14 TC-3.12-01 TC-3.13-01 TC-3.13-02',
  title: 'addresses mapped, again, and no more',
  async run(lab) {
    const mappings = await openMappings(lab);
    const before = (await lab.mappings(mappings.session)) ?? [];
    const ids = 'TC-3.11-01 TC-3.11-06 TC-3.12-01 TC-3.2-01';
    await mappings.map(`${ids} TC-3.11-02 TC-3.11-04`, V4, NAME);
    await mappings.map(`${ids} TC-3.11-03 TC-3.11-04`, V6, OTHER_NAME);
    await mappings.map(`${ids} TC-3.11-04 TC-3.11-02`, NAME, '192.0.2.78');
    const elsewhere = await lab.open();
    for (const [from, to] of [
      [V4, NAME],
      [V6, OTHER_NAME],
      [NAME, '192.0.2.78'],
    ] as const) {
      await mappings.lists('TC-3.13-02', `MAPADDRESS ${from} → ${to}`, from, to, elsewhere);
    }
    const listing = await elsewhere.ask(message(Type.getAllMappings, 'any content'));
    const pairs = listing.frames.slice(0, -1);
    const isListing =
      listing.frames.at(-1)?.type === Type.done &&
      pairs.every(({ type }) => type === Type.addressMapped) &&
      pairs.length >= before.length + 3;
    lab.judge('TC-3.13-01 TC-3.13-02', isListing, {
      sent: `GETALLMAPPINGS, with ${before.length + 3} mappings`,
      came: describeAnswer(listing),
      expected: 'an ADDRESSMAPPED for each of them, then one DONE',
    });

    await mappings.map('TC-3.11-13 TC-3.11-06', V4, OTHER_NAME);
    const again = `MAPADDRESS ${V4} → ${NAME}, then → ${OTHER_NAME}`;
    await mappings.lists('TC-3.11-13', again, V4, OTHER_NAME);
    await mappings.map('TC-3.11-14', V4, V4);
    await mappings.lists('TC-3.11-14', `MAPADDRESS ${V4} → ${V4}`, V4, undefined);
    await mappings.map('TC-3.11-14', NAME, NAME);
    await mappings.lists('TC-3.11-14', `MAPADDRESS ${NAME} → ${NAME}`, NAME, undefined);
    await mappings.map('TC-3.11-14', V6, V6);
    // Nothing is left of it to undo.
    await mappings.map('TC-3.11-14', V6, V6);
    if (before.length > 0) return;
    await elsewhere.expect('TC-3.13-02', message(Type.getAllMappings), done, 'with none');
  },
};

const malformed: TcCheck = {
  clauses: 'TC-3.11-02 TC-3.11-03 TC-3.11-04 TC-3.11-07',
  title: 'malformed MAPADDRESS',
  async run(lab) {
    const mappings = await openMappings(lab);
    const [from, to] = [encodeAddress(V4), encodeAddress(OTHER_NAME)];
    const bodies: readonly (readonly [string, Buffer])[] = [
      ['TC-3.11-07', Buffer.alloc(0)],
      ['TC-3.11-07', from],
      ['TC-3.11-07', Buffer.concat([from, to, Buffer.of(0)])],
      ['TC-3.11-07', Buffer.concat([Buffer.of(0), from.subarray(1), to])],
      ['TC-3.11-07', Buffer.concat([Buffer.of(4), from.subarray(1), to])],
      ['TC-3.11-02 TC-3.11-07', Buffer.concat([from, encodeAddress('192.0.2.78').subarray(0, 4)])],
      ['TC-3.11-03 TC-3.11-07', Buffer.concat([from, encodeAddress(V6).subarray(0, 16)])],
      ['TC-3.11-04 TC-3.11-07', Buffer.concat([from, Buffer.from(`\x03${NAME}`)])],
      ['TC-3.11-04 TC-3.11-07', Buffer.concat([from, Buffer.of(3, 0)])],
    ];
    lab.borrowAddress(V4);
    for (const [ids, body] of bodies) {
      const request = message(Type.mapAddress, body);
      await mappings.session.expect(ids, request, error(0x0003));
    }
    await mappings.lists('TC-3.11-07', 'malformed MAPADDRESS messages', V4, undefined);
  },
};

const refused: TcCheck = {
  clauses: 'TC-3.1-04 TC-3.11-08 TC-3.11-13',
  title: 'mappings that cannot be',
  async run(lab) {
    const mappings = await openMappings(lab);
    await mappings.map('TC-3.11-13', V4, NAME);
    for (const [from, to] of [
      [V4, nulls.IPv4],
      [V4, nulls.name],
      [nulls.IPv4, nulls.IPv4],
      [nulls.name, nulls.name],
    ] as const) {
      const request = mapAddress(from, to);
      const ids = 'TC-3.11-08 TC-3.1-04';
      await mappings.session.expect(ids, request, error(0x0001), 'to the null address');
    }
    const when = `MAPADDRESS ${V4} → ${NAME}, then to a null address`;
    await mappings.lists('TC-3.11-13 TC-3.11-08', when, V4, NAME);
  },
};

const picking: TcCheck = {
  clauses: 'TC-3.11-09 TC-3.11-10 TC-3.11-11 TC-3.11-12 TC-3.13-02',
  title: 'addresses that the server picks',
  async run(lab) {
    const mappings = await openMappings(lab);
    for (const kind of ['IPv4', 'IPv6', 'name'] as const) {
      const picked: string[] = [];
      for (const to of [NAME, OTHER_NAME, NAME]) {
        const request = mapAddress(nulls[kind], to);
        const answer = await mappings.session.ask(request);
        const [original, replacement] = pairIn(answer);
        const isMapped = mapped().isMet(answer) && replacement === to;
        const evidence = { sent: describeFrame(request), came: describeAnswer(answer) };
        const expected = `an ADDRESSMAPPED of some address → ${to}`;
        lab.judge('TC-3.11-09', isMapped, { ...evidence, expected });
        if (!isMapped || original === undefined) return;
        lab.borrowAddress(original);
        lab.judge('TC-3.11-10', original !== nulls[kind] && kindOf(original) === kind, {
          ...evidence,
          expected: `an address of kind ${kind} that is not null`,
        });
        lab.judge('TC-3.11-11', isReserved(original), {
          ...evidence,
          expected:
            'an address that hardly anyone really uses: private, reserved, a name that nobody has',
        });
        await mappings.lists('TC-3.13-02 TC-3.11-10', evidence.sent, original, to);
        picked.push(original);
      }
      const [one, two, three] = picked;
      lab.judge('TC-3.11-10', one !== two && three !== two, {
        sent: `two null addresses of kind ${kind}, to ${NAME} and to ${OTHER_NAME}`,
        came: `${one} and ${two}`,
        expected: 'two different addresses',
      });
      // Either is right, as long as both addresses stand for what was asked for.
      const sent = `the null address of kind ${kind} mapped to ${NAME} a second time`;
      await mappings.lists('TC-3.11-12', sent, one!, NAME);
      await mappings.lists('TC-3.11-12', sent, three!, NAME);
    }
  },
};

const configured: TcCheck = {
  clauses: 'TC-3.13-03',
  title: 'mappings of the configuration',
  async run(lab) {
    const { list } = lab.facts;
    if (list?.key !== 'MapAddress') {
      throw new Unjudged(
        'it has no MapAddress option, or mappings in it that would be lost for a moment',
      );
    }
    const mappings = await openMappings(lab);
    await lab.borrow(mappings.session, list.key);
    const [from = '', to] = list.values[0]!.split(' ');
    const set = setConf(`${list.key} ${list.values[0]}\n`);
    await mappings.session.ask(set);
    await mappings.map('TC-3.13-03', V4, NAME);
    await mappings.lists('TC-3.13-03', describeFrame(set), from, to);
    await mappings.lists('TC-3.13-03', `${describeFrame(set)}, MAPADDRESS`, V4, NAME);
  },
};

export const mappingChecks: readonly TcCheck[] = [mapping, malformed, refused, picking, configured];

function kindOf(host: string): keyof typeof nulls {
  const type = encodeAddress(host)[0];
  return type === 1 ? 'IPv4' : type === 2 ? 'IPv6' : 'name';
}

/** Whether an address or a name is set aside, so that nobody can be meant by it (RFC 6890, RFC 6761). */
function isReserved(host: string): boolean {
  return reserved.some((pattern) => pattern.test(host.toLowerCase()));
}

const reserved: readonly RegExp[] = [
  /^(?:0|10|127|24[0-9]|25[0-5])\.[\d.]+$/,
  /^172\.(?:1[6-9]|2\d|3[01])\.[\d.]+$/,
  /^(?:192\.168|169\.254|198\.1[89])\.[\d.]+$/,
  /^100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.[\d.]+$/,
  /^(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d+$/,
  /^(?:f[cd][0-9a-f]{2}|fe[89a-f][0-9a-f]|2001:db8|100:):/,
  /\.(?:virtual|invalid|test|example|local|localhost|internal|onion|exit|alt)$/,
];
