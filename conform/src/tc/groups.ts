/** Options that mean something together: those of hidden services (TC 3.3 and 3.4). */
import { join } from 'node:path';
import { confLines, type Frame, getConf, setConf, Type } from './frames.ts';
import { GROUP, GROUP_HEAD, type TcLab } from './lab.ts';
import { done, error, isSame, type TcCheck, values } from './check.ts';
import { describeAnswer, type Session } from './session.ts';

/** The group has two more in the document, which later Tors have dropped. */
const PORT = 'HiddenServicePort';
const dropped = ['HiddenServiceNodes', 'HiddenServiceExcludeNodes'];

const clauses = 'TC-3.3-06 TC-3.4-05 TC-3.4-06';

const hiddenServices: TcCheck = {
  clauses,
  title: 'the options of hidden services',
  async run(lab, findings) {
    const { group } = lab.facts;
    const session = await lab.open();
    if (group === 'unknown') {
      await judgeUnknown(session, (holds, came) =>
        findings.judge('TC-3.4-06', holds, {
          sent: `GETCONF “${PORT}”, GETCONF “${GROUP}”`,
          came,
          expected: 'a virtual key with which the options of hidden services can be read',
        }),
      );
      const reason = 'it has no options whose meaning hangs on others';
      findings.pass(clauses, 'not applicable', reason);
      return;
    }
    const members = [GROUP_HEAD, PORT];
    for (const key of dropped) {
      const answer = await session.ask(getConf(key));
      if (!error(0x0004).isMet(answer)) members.push(key);
    }
    for (const key of members) {
      await session.expect('TC-3.4-05', getConf(key), values());
    }
    if (group === 'used') {
      const reason = 'it has hidden services, which the check would take down for a moment';
      findings.pass('TC-3.3-06', 'not observable', reason);
      const lines = (await lab.linesOf(session, GROUP)) ?? [];
      findings.judge('TC-3.4-06', lines[0]!.startsWith(`${GROUP_HEAD} `), {
        sent: `GETCONF “${GROUP}”`,
        came: `${lines.length} lines, the first with ${lines[0]!.split(' ')[0]}`,
        expected: `lines of hidden services, each of which begins with ${GROUP_HEAD}`,
      });
      return;
    }
    await lab.borrow(session, GROUP);
    const serviceLines = (number: number): readonly string[] =>
      linesOfService(lab, number).filter((line) => members.includes(line.split(' ')[0]!));
    const two = [...serviceLines(1), ...serviceLines(2)];
    const set = await session.ask(setLines(two));
    if (!done.isMet(set)) {
      const reason = `it takes no hidden service: ${describeAnswer(set)}`;
      findings.pass('TC-3.3-06 TC-3.4-06', 'not observable', reason);
      return;
    }
    const shows = async (ids: string, sent: string, lines: readonly string[]): Promise<void> => {
      const answer = await session.ask(getConf(GROUP));
      const found = answer.frames[0] && confLines(answer.frames[0]);
      const expected = lines.filter((line) => isKept(line, found));
      findings.judge(ids, answer.frames.length === 1 && isSame(found, expected), {
        sent: `${sent}, then GETCONF “${GROUP}”`,
        came: found?.join(', ') ?? describeAnswer(answer),
        expected: expected.join(', ') || 'no line',
      });
    };
    await shows('TC-3.4-06', 'SETCONF of two hidden services', two);
    for (const key of members) {
      const when = 'with two hidden services';
      const request = getConf(key);
      await session.expect('TC-3.4-05', request, values(), when);
    }
    const third = serviceLines(3).slice(0, 2);
    await session.expect('TC-3.3-06', setLines(third), done);
    await shows('TC-3.3-06 TC-3.4-06', 'SETCONF of two hidden services, then of another', third);
    await session.expect('TC-3.3-06', setLines([PORT]), done);
    await shows('TC-3.3-06', `SETCONF of a hidden service, then of ${PORT} alone`, []);
    const virtual = setConf(`${GROUP} value\n`);
    await session.expect('TC-3.4-06', virtual, error(0x0005));
  },
};

/** An engine that has dropped an option may take it, and forget it. */
function isKept(line: string, found: readonly string[] = []): boolean {
  const [key = ''] = line.split(' ');
  return !dropped.includes(key) || found.some((other) => other.startsWith(`${key} `));
}

async function judgeUnknown(
  session: Session,
  judge: (holds: boolean, came: string) => void,
): Promise<void> {
  const member = await session.ask(getConf(PORT));
  if (member.frames[0]?.type !== Type.confValue) return;
  const virtual = await session.ask(getConf(GROUP));
  judge(false, `${describeAnswer(member)}; ${describeAnswer(virtual)}`);
}

function setLines(lines: readonly string[]): Frame {
  return setConf(lines.map((line) => `${line}\n`).join(''));
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
