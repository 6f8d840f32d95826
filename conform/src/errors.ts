/** Why a program cannot be examined at all: no verdict, and nothing that the clauses ask for. */
const remedies = {
  /** It does not start, or shows nothing to examine. */
  ERR_CONFORM_PROGRAM:
    'Run it by hand once, in an empty folder as the kit does (files need absolute paths), and name its transports with --transports.',
  /** The control server is not reached, or does not let one in. */
  ERR_CONFORM_SERVER:
    'Try `postern ctl` with the same address and the same --cookie or --password-file.',
} as const;

/** No examination took place. `code` is stable, and `remedy` says what to do about it. */
export class ExaminationError extends Error {
  override readonly name: string = 'ExaminationError';
  readonly code: keyof typeof remedies;
  readonly remedy: string;

  constructor(code: keyof typeof remedies, message: string) {
    super(message);
    this.code = code;
    this.remedy = remedies[code];
  }
}

/** A command line that cannot be followed; the message says which part of it and why. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
