/** The histories of circuits, streams and OR connections, as EVENTs tell them (TC 3.7). */
import { type Change, Code, codeOf, decodeChange } from './frames.ts';
import type { TcLab } from './lab.ts';
import type { Session } from './session.ts';

/** The changes of each circuit or stream, in the order in which they were first heard of. */
export function byId(session: Session, code: number, suffix = ''): readonly (readonly Change[])[] {
  const found = new Map<number, Change[]>();
  for (const event of session.events.filter((each) => codeOf(each) === code)) {
    const change = decodeChange(event);
    if (change?.id === undefined || !change.text.endsWith(suffix)) continue;
    const changes = found.get(change.id) ?? [];
    found.set(change.id, [...changes, change]);
  }
  return [...found.values()];
}

export function judgeStreams(
  lab: TcLab,
  streams: readonly (readonly Change[])[],
  asked: number,
): void {
  const histories = streams.map((changes) => changes.map(({ status }) => status).join(''));
  const sent = `SETEVENTS 0x0002, then ${asked} connections one after the other, and their ends`;
  const came = `streams with the statuses ${histories.join(', ') || '(none)'}`;
  const judge = lab.on(sent, came);
  judge('TC-3.7-08 TC-3.7-07 TC-3.7-01', streams.length > 0, 'EVENTs of code 0x0002');
  // Tried on several circuits, a stream says so more than once.
  judge(
    'TC-3.7-08',
    histories.every((history) => /^[01]*2?[34]$/.test(history)),
    'sent connect (0), succeeded (2), and once at the end failed (3) or closed (4)',
  );
  const isApart = histories.length === asked;
  lab.judge('TC-3.7-09', isApart, {
    sent,
    came: `${histories.length} different stream IDs, with the statuses ${histories.join(', ')}`,
    expected: `${asked} different ones`,
  });
}

export function judgeCircuits(lab: TcLab, circuits: readonly (readonly Change[])[]): void {
  // What was launched before we listened began before.
  const whole = circuits.filter(([first]) => first!.status === 0);
  const sent = 'SETEVENTS 0x0001, then connections through SOCKS';
  if (whole.length === 0) {
    const reason = 'no circuit was launched for the connections';
    lab.pass('TC-3.7-03 TC-3.7-04 TC-3.7-05 TC-3.7-06', reason);
    return;
  }
  for (const changes of whole) {
    const history = changes.map(({ status }) => status).join('');
    const came = changes.map(({ status, text }) => `${status} “${text}”`).join(', ');
    const judge = lab.on(sent, came);
    // Once more launched is another circuit.
    judge(
      'TC-3.7-05',
      history.lastIndexOf('0') === 0 && !/[34]./.test(history),
      'one life for each ID: launched once, nothing after failed or closed',
    );
    judge(
      'TC-3.7-04',
      /^0(?:2*1)*2*[34]?$/.test(history),
      'launched (0), extended (2) for each hop, built (1) or failed (3), closed (4)',
    );
    let hops: readonly string[] = [];
    const isGrowing = changes.every(({ status, text }) => {
      const path = text === '' ? [] : text.split(',');
      const before = hops;
      if (status === 2) hops = path;
      if (status === 0) return path.length === 0;
      if (status !== 2) return path.join() === before.join();
      return path.length === before.length + 1 && path.slice(0, -1).join() === before.join();
    });
    judge(
      'TC-3.7-06',
      isGrowing,
      'an empty path, one hop more with each extension, and all that was built at the end',
    );
  }
}

export function judgeLinks(lab: TcLab, session: Session): void {
  const links = session.events.filter((event) => codeOf(event) === Code.orConnection);
  if (links.length === 0) {
    lab.pass('TC-3.7-10 TC-3.7-11', 'no OR connection was opened or closed for the connections');
    return;
  }
  const names = new Map<string, string>();
  for (const change of links.map(decodeChange)) {
    if (change !== undefined) {
      names.set(change.text, `${names.get(change.text) ?? ''}${change.status}`);
    }
  }
  for (const [name, history] of names) {
    lab.judge('TC-3.7-11', isPlausible(history), {
      sent: 'SETEVENTS 0x0003, then connections through SOCKS',
      came: `${name}: ${history}`,
      expected: 'launched (0), connected (1) or failed (2), closed (3)',
    });
  }
}

/** Several links to one name may take turns, and one may have been launched before we listened. */
function isPlausible(history: string): boolean {
  let pending = history.startsWith('0') ? 0 : 1;
  for (const status of history) {
    if (status === '0') pending += 1;
    else if (status !== '3') pending -= 1;
    if (pending < 0) return false;
  }
  return true;
}
