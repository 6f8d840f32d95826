/** SETCONF and GETCONF (TC 3.2 to 3.5). */
import { Unjudged } from '../findings.ts';
import { asLines, getConf, message, setConf, Type } from './frames.ts';
import type { TcLab } from './lab.ts';
import { UNKNOWN_KEY } from './messages.ts';
import { done, error, isSame, type TcCheck, values } from './check.ts';
import type { Session } from './session.ts';

const NO_NUMBER = 'it knows no option with a number that could be changed without harm';
const NO_LIST = 'it knows no option with several values that is not in use';
const NO_TEXT = 'it knows no option for free text that is not in use';

/** Sends a SETCONF, and looks at what an option has become: `Key value`, or nothing. */
type Set = (
  clauses: string,
  body: string | Buffer,
  outcome: 'done' | number,
  key: string,
  after: readonly string[],
) => Promise<void>;

/** To be used on options that are given back afterwards. */
async function borrowing(
  lab: TcLab,
  ...keys: readonly (string | undefined)[]
): Promise<{ readonly session: Session; readonly set: Set }> {
  const session = await lab.open();
  for (const key of keys) if (key !== undefined) await lab.borrow(session, key);
  const set: Set = async (clauses, body, outcome, key, after) => {
    const request = setConf(body);
    await session.expect(clauses, request, outcome === 'done' ? done : error(outcome));
    const lines = await lab.linesOf(session, key);
    const empty = 'a CONFVALUE without a line';
    lab.judge(clauses, isSame(lines, after), {
      sent: `SETCONF “${request.body.toString().replaceAll('\n', '\\n')}”, then GETCONF ${key}`,
      came: lines === undefined ? 'no CONFVALUE' : lines.join(', ') || empty,
      expected: after.join(', ') || empty,
    });
  };
  return { session, set };
}

const setting: TcCheck = {
  clauses: 'TC-3.2-01 TC-3.3-01 TC-3.3-02 TC-3.3-03 TC-3.3-04 TC-3.1-08',
  title: 'SETCONF, right and wrong',
  async run(lab) {
    const { number } = lab.facts;
    if (number === undefined) throw new Unjudged(NO_NUMBER);
    const { key, value } = number;
    const { set } = await borrowing(lab, key);
    let now = value;
    const line = (): string => `${key} ${now}`;
    const sets = async (clauses: string, form: (line: string) => string): Promise<void> => {
      now = now === value + 1 ? value + 2 : value + 1;
      await set(clauses, form(line()), 'done', key, [line()]);
    };
    await sets('TC-3.3-03 TC-3.2-01', (text) => `${text}\n`);
    await sets('TC-3.3-01', (text) => text);
    await sets('TC-3.3-01', (text) => `${text}\r\n`);
    await sets('TC-3.3-02', (text) => `${text.toLowerCase()}\n`);
    await sets('TC-3.3-02', (text) => `# a comment\n\n${text}\n`);
    await sets('TC-3.3-02', (text) => `${text} # a comment\n`);
    await sets('TC-3.3-02', (text) => `  ${text.replace(' ', ' \t ')} \n`);
    // The last of a repeated line counts.
    await sets('TC-3.3-02', (text) => `${key} ${value + 3}\n${text}\n`);
    await set('TC-3.3-01', '', 'done', key, [line()]);
    const nul = Buffer.from(`${key} ${value + 3}\n\0`);
    await set('TC-3.3-01', nul, 0x0003, key, [line()]);
    const atomic: readonly (readonly [string, string, number])[] = [
      ['TC-3.3-04', `${key} ${value + 3}\n${UNKNOWN_KEY} 1\n`, 0x0004],
      ['TC-3.3-04', `${UNKNOWN_KEY} 1\n${key} ${value + 3}\n`, 0x0004],
      ['TC-3.3-04 TC-3.1-08', `${key} ${value + 3}\n${key} banana\n`, 0x0005],
      ['TC-3.1-08 TC-3.3-04 TC-3.3-02', `${key} banana\n`, 0x0005],
      ['TC-3.1-08', `${key} -1\n`, 0x0005],
    ];
    for (const [clauses, body, code] of atomic) {
      await set(clauses, body, code, key, [line()]);
    }
  },
};

const clearing: TcCheck = {
  clauses: 'TC-3.3-07',
  title: 'an option without a value',
  async run(lab) {
    const { number, text, list } = lab.facts;
    const { session, set } = await borrowing(lab, number?.key, text, list?.key);
    for (const end of ['\n', ' \n', '']) {
      if (text !== undefined) {
        await session.ask(setConf(`${text} conform\n`));
        await set('TC-3.3-07', `${text}${end}`, 'done', text, []);
      }
      if (list !== undefined) {
        await session.ask(setConf(asLines(list.values.map((value) => `${list.key} ${value}`))));
        await set('TC-3.3-07', `${list.key}${end}`, 'done', list.key, []);
      }
    }
    if (number === undefined) return;
    // What it was may have been set: the default is what two ways of setting lead back to.
    const defaults: string[] = [];
    for (const value of [number.value + 1, number.value + 2]) {
      await session.ask(setConf(`${number.key} ${value}\n`));
      await session.expect('TC-3.3-07', setConf(`${number.key}\n`), done);
      defaults.push((await lab.linesOf(session, number.key))?.join(', ') ?? 'no CONFVALUE');
    }
    lab.judge('TC-3.3-07', defaults[0] === defaults[1], {
      sent: `two times ${number.key} with another value, then without one`,
      came: defaults.join('; '),
      expected: 'its default, two times',
    });
  },
};

const lists: TcCheck = {
  clauses: 'TC-3.3-05 TC-3.4-03',
  title: 'options with several values',
  async run(lab) {
    const { list } = lab.facts;
    if (list === undefined) throw new Unjudged(NO_LIST);
    const { key } = list;
    const { set } = await borrowing(lab, key);
    const [one = '', two = '', three = ''] = list.values.map((value) => `${key} ${value}`);
    for (const [clauses, ...lines] of [
      ['TC-3.4-03 TC-3.3-05', two, one, three],
      ['TC-3.3-05', three],
      ['TC-3.3-05', one, two],
    ] as const) {
      await set(clauses, asLines(lines), 'done', key, lines);
    }
  },
};

const getting: TcCheck = {
  clauses: 'TC-3.2-01 TC-3.4-01 TC-3.4-02 TC-3.4-04 TC-3.5-01',
  title: 'GETCONF, right and wrong',
  async run(lab) {
    const session = await lab.open();
    const { known } = lab.facts;
    const linesOf = new Map<string, readonly string[]>();
    for (const key of known) linesOf.set(key, (await lab.linesOf(session, key)) ?? []);
    const of = (...keys: readonly string[]): readonly string[] =>
      keys.flatMap((key) => linesOf.get(key)!);
    const gets = async (
      clauses: string,
      body: string,
      lines: readonly string[],
    ): Promise<unknown> => session.expect(clauses, message(Type.getConf, body), values(...lines));
    const [one, two] = known;
    const five = Array.from({ length: 5 }, (_, at) => known[at % known.length]!);
    await gets('TC-3.4-02 TC-3.5-01 TC-3.2-01', asLines([one]), of(one));
    await gets('TC-3.4-02 TC-3.2-01', asLines(five), of(...five));
    await gets('TC-3.4-02', asLines(five.toReversed()), of(...five.toReversed()));
    await gets('TC-3.4-02', asLines([two, two]), of(two, two));
    await gets('TC-3.4-01', one, of(one));
    await gets('TC-3.4-01', `${one}\r\n${two}\r\n`, of(one, two));
    await gets('TC-3.4-01', `  ${one} \n\n${two}\t\n`, of(one, two));
    await gets('TC-3.4-01', `${one.toLowerCase()}\n`, of(one));
    await gets('TC-3.4-01', '', []);
    for (const keys of [
      [one, UNKNOWN_KEY],
      [UNKNOWN_KEY, one],
    ]) {
      await session.expect('TC-3.4-04', getConf(...keys), error(0x0004));
    }
    const { text } = lab.facts;
    if (text !== undefined) await gets('TC-3.4-02', asLines([text, one]), of(one));
  },
};

const texts: TcCheck = {
  clauses: 'TC-3.5-02',
  title: 'values with spaces',
  async run(lab) {
    const key = lab.facts.text;
    if (key === undefined) throw new Unjudged(NO_TEXT);
    const { set } = await borrowing(lab, key);
    const line = `${key} two  words, and more`;
    await set('TC-3.5-02', `${line}\n`, 'done', key, [line]);
  },
};

export const configurationChecks: readonly TcCheck[] = [setting, clearing, lists, getting, texts];
