/** SETCONF and GETCONF (TC 3.2 to 3.5). */
import type { Findings } from '../findings.ts';
import { type Frame, message, Type } from './frames.ts';
import type { TcLab } from './lab.ts';
import { UNKNOWN_KEY } from './messages.ts';
import { done, error, expect, isSame, type TcProbe, values } from './probe.ts';
import type { Session } from './session.ts';

const NO_NUMBER = 'it knows no option with a number that could be changed without harm';
const NO_LIST = 'it knows no option with several values that is not in use';
const NO_TEXT = 'it knows no option for free text that is not in use';

/** One session that changes options, and what it expects of them. */
class Settings {
  readonly #lab: TcLab;
  readonly #findings: Findings;
  readonly session: Session;

  private constructor(lab: TcLab, findings: Findings, session: Session) {
    this.#lab = lab;
    this.#findings = findings;
    this.session = session;
  }

  /** To be used on options that are given back afterwards. */
  static async open(lab: TcLab, findings: Findings, ...keys: readonly string[]): Promise<Settings> {
    const session = await lab.open();
    for (const key of keys) await lab.borrow(session, key);
    return new Settings(lab, findings, session);
  }

  /** Sends a SETCONF, and looks at what an option has become: `Key value`, or nothing. */
  async set(
    clauses: string,
    body: string | Buffer,
    outcome: 'done' | number,
    key: string,
    after: readonly string[],
  ): Promise<void> {
    const request = message(Type.setConf, body);
    const expected = outcome === 'done' ? done : error(outcome);
    await expect(this.#findings, clauses, this.session, request, expected);
    await this.#shows(clauses, request, key, after);
  }

  async #shows(
    clauses: string,
    request: Frame,
    key: string,
    after: readonly string[],
  ): Promise<void> {
    const lines = await this.#lab.linesOf(this.session, key);
    this.#findings.judge(clauses, isSame(lines, after), {
      sent: `SETCONF “${request.body.toString().replaceAll('\n', '\\n')}”, then GETCONF ${key}`,
      came: lines === undefined ? 'no CONFVALUE' : lines.join(', ') || 'a CONFVALUE without a line',
      expected: after.join(', ') || 'a CONFVALUE without a line',
    });
  }
}

const setting: TcProbe = {
  clauses: ['TC-3.2-01', 'TC-3.3-01', 'TC-3.3-02', 'TC-3.3-03', 'TC-3.3-04', 'TC-3.1-08'],
  title: 'SETCONF, right and wrong',
  async run(lab, findings) {
    const { number } = lab.facts;
    if (number === undefined) {
      findings.pass(this.clauses.join(' '), 'not observable', NO_NUMBER);
      return;
    }
    const { key, value } = number;
    const settings = await Settings.open(lab, findings, key);
    let now = value;
    const line = (): string => `${key} ${now}`;
    const sets = async (clauses: string, form: (line: string) => string): Promise<void> => {
      now = now === value + 1 ? value + 2 : value + 1;
      await settings.set(clauses, form(line()), 'done', key, [line()]);
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
    await settings.set('TC-3.3-01', '', 'done', key, [line()]);
    const nul = Buffer.from(`${key} ${value + 3}\n\0`);
    await settings.set('TC-3.3-01', nul, 0x0003, key, [line()]);
    const atomic: readonly (readonly [string, string, number])[] = [
      ['TC-3.3-04', `${key} ${value + 3}\n${UNKNOWN_KEY} 1\n`, 0x0004],
      ['TC-3.3-04', `${UNKNOWN_KEY} 1\n${key} ${value + 3}\n`, 0x0004],
      ['TC-3.3-04 TC-3.1-08', `${key} ${value + 3}\n${key} banana\n`, 0x0005],
      ['TC-3.1-08 TC-3.3-04 TC-3.3-02', `${key} banana\n`, 0x0005],
      ['TC-3.1-08', `${key} -1\n`, 0x0005],
    ];
    for (const [clauses, body, code] of atomic) {
      await settings.set(clauses, body, code, key, [line()]);
    }
  },
};

const clearing: TcProbe = {
  clauses: ['TC-3.3-07'],
  title: 'an option without a value',
  async run(lab, findings) {
    const { number, text, list } = lab.facts;
    const keys = [number?.key, text, list?.key].filter((key) => key !== undefined);
    const { session } = await Settings.open(lab, findings, ...keys);
    const settings = await Settings.open(lab, findings, ...keys);
    for (const end of ['\n', ' \n', '']) {
      if (text !== undefined) {
        await session.ask(message(Type.setConf, `${text} conform\n`));
        await settings.set('TC-3.3-07', `${text}${end}`, 'done', text, []);
      }
      if (list !== undefined) {
        const body = list.values.map((value) => `${list.key} ${value}\n`).join('');
        await session.ask(message(Type.setConf, body));
        await settings.set('TC-3.3-07', `${list.key}${end}`, 'done', list.key, []);
      }
    }
    if (number === undefined) return;
    // What it was may have been set: the default is what two ways of setting lead back to.
    const defaults: string[] = [];
    for (const value of [number.value + 1, number.value + 2]) {
      await session.ask(message(Type.setConf, `${number.key} ${value}\n`));
      await expect(findings, 'TC-3.3-07', session, message(Type.setConf, `${number.key}\n`), done);
      defaults.push((await lab.linesOf(session, number.key))?.join(', ') ?? 'no CONFVALUE');
    }
    findings.judge('TC-3.3-07', defaults[0] === defaults[1], {
      sent: `two times ${number.key} with another value, then without one`,
      came: defaults.join('; '),
      expected: 'its default, two times',
    });
  },
};

const lists: TcProbe = {
  clauses: ['TC-3.3-05', 'TC-3.4-03'],
  title: 'options with several values',
  async run(lab, findings) {
    const { list } = lab.facts;
    if (list === undefined) {
      findings.pass(this.clauses.join(' '), 'not observable', NO_LIST);
      return;
    }
    const { key } = list;
    const settings = await Settings.open(lab, findings, key);
    const [one, two, three] = list.values.map((value) => `${key} ${value}`);
    const body = (...lines: readonly (string | undefined)[]): string =>
      lines.map((line) => `${line}\n`).join('');
    await settings.set('TC-3.4-03 TC-3.3-05', body(two, one, three), 'done', key, [
      two!,
      one!,
      three!,
    ]);
    await settings.set('TC-3.3-05', body(three), 'done', key, [three!]);
    await settings.set('TC-3.3-05', body(one, two), 'done', key, [one!, two!]);
  },
};

const getting: TcProbe = {
  clauses: ['TC-3.2-01', 'TC-3.4-01', 'TC-3.4-02', 'TC-3.4-04', 'TC-3.5-01'],
  title: 'GETCONF, right and wrong',
  async run(lab, findings) {
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
    ): Promise<unknown> =>
      expect(findings, clauses, session, message(Type.getConf, body), values(...lines));
    const [one, two] = known;
    const five = Array.from({ length: 5 }, (_, at) => known[at % known.length]!);
    const body = (keys: readonly string[]): string => keys.map((key) => `${key}\n`).join('');
    await gets('TC-3.4-02 TC-3.5-01 TC-3.2-01', body([one]), of(one));
    await gets('TC-3.4-02 TC-3.2-01', body(five), of(...five));
    await gets('TC-3.4-02', body(five.toReversed()), of(...five.toReversed()));
    await gets('TC-3.4-02', body([two, two]), of(two, two));
    await gets('TC-3.4-01', one, of(one));
    await gets('TC-3.4-01', `${one}\r\n${two}\r\n`, of(one, two));
    await gets('TC-3.4-01', `  ${one} \n\n${two}\t\n`, of(one, two));
    await gets('TC-3.4-01', `${one.toLowerCase()}\n`, of(one));
    await gets('TC-3.4-01', '', []);
    for (const keys of [
      [one, UNKNOWN_KEY],
      [UNKNOWN_KEY, one],
    ]) {
      await expect(
        findings,
        'TC-3.4-04',
        session,
        message(Type.getConf, body(keys)),
        error(0x0004),
      );
    }
    const { text } = lab.facts;
    if (text !== undefined) await gets('TC-3.4-02', body([text, one]), of(one));
  },
};

const texts: TcProbe = {
  clauses: ['TC-3.5-02'],
  title: 'values with spaces',
  async run(lab, findings) {
    const key = lab.facts.text;
    if (key === undefined) {
      findings.pass('TC-3.5-02', 'not observable', NO_TEXT);
      return;
    }
    const settings = await Settings.open(lab, findings, key);
    const line = `${key} two  words, and more`;
    await settings.set('TC-3.5-02', `${line}\n`, 'done', key, [line]);
  },
};

export const configurationProbes: readonly TcProbe[] = [setting, clearing, lists, getting, texts];
