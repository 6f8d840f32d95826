/** What `doctor` found. */

/** One thing that was looked at. */
export interface Finding {
  /** `note`: it works, and could be better. */
  readonly level: 'ok' | 'note' | 'problem';
  /** One sentence. */
  readonly text: string;
  /** The command, or the torrc line, that mends it. */
  readonly mend?: string;
}

/** It is fine. */
export function ok(text: string): Finding {
  return { level: 'ok', text };
}

/** It works, and could be better. */
export function note(text: string, mend?: string): Finding {
  return { level: 'note', text, ...(mend !== undefined && { mend }) };
}

/** It does not work, or will not for long. */
export function problem(text: string, mend?: string): Finding {
  return { level: 'problem', text, ...(mend !== undefined && { mend }) };
}

const labels: Readonly<Record<Finding['level'], string>> = {
  ok: 'ok     ',
  note: 'note   ',
  problem: 'PROBLEM',
};

/** A finding in lines for a person. */
export function formatFinding({ level, text, mend }: Finding): string {
  const more =
    mend === undefined ? '' : `\n         Mend it: ${mend.replaceAll('\n', '\n         ')}`;
  return `${labels[level]}  ${text}${more}\n`;
}
