/** Options that mean something together: those of hidden services (TC 3.3 and 3.4). */
import { join } from 'node:path';
import { Unjudged } from '../findings.ts';
import { asLines, confLines, getConf, setConf, Type } from './frames.ts';
import { GROUP, GROUP_HEAD, type TcLab } from './lab.ts';
import { done, error, isSame, type TcCheck, values } from './check.ts';
import { describeAnswer, type Session } from './session.ts';

/** The group has two more in the document, which later Tors have dropped. */
const PORT = 'HiddenServicePort';
const dropped = ['HiddenServiceNodes', 'HiddenServiceExcludeNodes'];

const hiddenServices: TcCheck = {
  clauses: 'TC-3.3-06 TC-3.4-05 TC-3.4-06',
  title: 'the options of hidden services',
  async run(lab) {
    const { group } = lab.facts;
    const session = await lab.open();
    if (group === 'unknown') {
      await judgeUnknown(lab, session);
      throw new Unjudged('it has no options whose meaning hangs on others', 'not applicable');
    }
    const members = [GROUP_HEAD, PORT];
    for (const key of dropped) {
      const answer = await session.ask(getConf(key));
      if (!error(0x0004).isMet(answer)) members.push(key);
    }
    for (const key of members) await session.expect('TC-3.4-05', getConf(key), values());
    if (group !== 'used') return judgeSetting(lab, session, members);
    lab.pass('TC-3.3-06', 'it has hidden services, which the check would take down for a moment');
    const lines = (await lab.linesOf(session, GROUP)) ?? [];
    const [first] = lines[0]!.split(' ');
    const judge = lab.on(`GETCONF “${GROUP}”`, `${lines.length} lines, the first with ${first}`);
    judge(
      'TC-3.4-06',
      first === GROUP_HEAD,
      `lines of hidden services, each of which begins with ${GROUP_HEAD}`,
    );
  },
};

/** Sets hidden services, other ones, and none. */
async function judgeSetting(
  lab: TcLab,
  session: Session,
  members: readonly string[],
): Promise<void> {
  await lab.borrow(session, GROUP);
  const serviceLines = (number: number): readonly string[] =>
    linesOfService(lab, number).filter((line) => members.includes(line.split(' ')[0]!));
  const two = [...serviceLines(1), ...serviceLines(2)];
  const set = await session.ask(setConf(asLines(two)));
  if (!done.isMet(set)) throw new Unjudged(`it takes no hidden service: ${describeAnswer(set)}`);
  const shows = async (ids: string, sent: string, lines: readonly string[]): Promise<void> => {
    const answer = await session.ask(getConf(GROUP));
    const found = answer.frames[0] && confLines(answer.frames[0]);
    const expected = lines.filter((line) => isKept(line, found));
    const judge = lab.on(
      `${sent}, then GETCONF “${GROUP}”`,
      found?.join(', ') ?? describeAnswer(answer),
    );
    const isShown = answer.frames.length === 1 && isSame(found, expected);
    judge(ids, isShown, expected.join(', ') || 'no line');
  };
  await shows('TC-3.4-06', 'SETCONF of two hidden services', two);
  for (const key of members) {
    await session.expect('TC-3.4-05', getConf(key), values(), 'with two hidden services');
  }
  const third = serviceLines(3).slice(0, 2);
  await session.expect('TC-3.3-06', setConf(asLines(third)), done);
  await shows('TC-3.3-06 TC-3.4-06', 'SETCONF of two hidden services, then of another', third);
  await session.expect('TC-3.3-06', setConf(`${PORT}\n`), done);
  await shows('TC-3.3-06', `SETCONF of a hidden service, then of ${PORT} alone`, []);
  await session.expect('TC-3.4-06', setConf(`${GROUP} value\n`), error(0x0005));
}

/** An engine that has dropped an option may take it, and forget it. */
function isKept(line: string, found: readonly string[] = []): boolean {
  const [key = ''] = line.split(' ');
  return !dropped.includes(key) || found.some((other) => other.startsWith(`${key} `));
}

/** A server that knows the options, but not the key that shows them in their order. */
async function judgeUnknown(lab: TcLab, session: Session): Promise<void> {
  const member = await session.ask(getConf(PORT));
  if (member.frames[0]?.type !== Type.confValue) return;
  const virtual = await session.ask(getConf(GROUP));
  const judge = lab.on(
    `GETCONF “${PORT}”, GETCONF “${GROUP}”`,
    `${describeAnswer(member)}; ${describeAnswer(virtual)}`,
  );
  judge('TC-3.4-06', false, 'a virtual key with which the options of hidden services can be read');
}

/** A hidden service in the kit's own folder, whose port leads to nobody. */
function linesOfService(lab: TcLab, number: number): readonly string[] {
  return [
    `${GROUP_HEAD} ${join(lab.folder, `service-${number}`)}`,
    `HiddenServicePort ${number} 127.0.0.1:9`,
    `HiddenServicePort ${100 + number} 127.0.0.1:9`,
    'HiddenServiceNodes conformA',
    'HiddenServiceExcludeNodes conformB',
  ];
}

export const groupChecks: readonly TcCheck[] = [hiddenServices];
