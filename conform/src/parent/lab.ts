/** The checks of a parent, each in a run of its own. */
import { join } from 'node:path';
import { ExaminationError } from '../errors.ts';
import type { Role } from '../clauses.ts';
import type { Check, Lab } from '../examine.ts';
import { type Findings, shown } from '../findings.ts';
import { Guard } from '../guard.ts';
import { type Allowance, Pace, PATIENCE_STARTS, QUIET_STARTS } from '../patience.ts';
import { announce, type Conversation, conversations, converse, overlong } from './arguments.ts';
import { askedFor, perform, watch } from './performance.ts';
import type { Launch } from './recipes.ts';
import { type Script, scripts } from './scripts.ts';
import { ParentRun, strayVariables } from './run.ts';
import { judgeStop, type Manner, manners, stopClauses } from './stopping.ts';
import { judgeEnvironment } from './surroundings.ts';

/** How long to wait, and until when. */
export interface ParentLabOptions {
  /** How long the parent may take for what it has to do, on a machine that keeps up. */
  readonly patienceMs?: number;
  /** How long it is watched where it has to do nothing, on such a machine. */
  readonly quietMs?: number;
  /** How long it may take to end a PT, on such a machine. */
  readonly stopPatienceMs?: number;
  readonly signal: AbortSignal;
}

/** Where parents are examined: it starts them, each time in a folder of its own. */
export class ParentLab implements Lab {
  /** Those that the launches so far have asked a PT for. */
  readonly roles: Set<Role> = new Set();
  readonly #options: ParentLabOptions;
  readonly #runs = new Set<ParentRun>();
  readonly #guard: Guard = new Guard();
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pace: Pace;
  readonly #patience: Allowance;
  #count = 0;

  constructor(options: ParentLabOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#closed.signal]);
    this.#pace = new Pace(this.#signal);
    this.#patience = this.#pace.allow(options.patienceMs ?? PATIENCE_MS, PATIENCE_STARTS);
  }

  /** Starts a parent once to see what it asks for, and says what else to do with it. */
  async checksOf(launch: Launch, findings: Findings): Promise<readonly Check<ParentLab>[]> {
    const { role, names, usedAfterMs } = await this.#look(launch, findings);
    // Where it does not do something, it is watched for longer than it took to do it.
    const { quietMs = QUIET_MS } = this.#options;
    const quiet = this.#pace.allow(Math.max(quietMs, 2 * (usedAfterMs ?? 0)), QUIET_STARTS);
    const performances = scriptsOf(launch, role).map((script) =>
      checkOf(script.clauses, script.title, async (_, findings) => {
        const why =
          script.needsSeveral === true && names.length === 1
            ? 'it asks for one transport at a time'
            : role === 'client' && script.expected === 'refused' && usedAfterMs === undefined
              ? 'it does not even use a PT that starts well, so that no refusal can be told'
              : undefined;
        if (why !== undefined) findings.pass(script.clauses, 'not observable', why);
        else await this.#perform(launch, script, names.length, quiet, findings);
      }),
    );
    // Only what has to do with the upstream proxy differs with it.
    if (launch.upstream !== undefined) return performances;
    const stops = manners.map((manner) =>
      checkOf(stopClauses, `the end of a PT that ${manner}`, (_, findings) =>
        this.#stop(launch, manner, scriptsOf(launch, role)[0]!, quiet, findings),
      ),
    );
    const talks = role === 'client' ? [...conversations, overlong] : [];
    const texts = [...launch.template, ...Object.values(launch.files ?? {})];
    if (!texts.some((text) => text.includes('{args}'))) {
      const reason = 'the command has no {args}, a place for bridge line arguments';
      for (const { clauses } of talks) findings.pass(clauses, 'not observable', reason);
      return [...stops, ...performances];
    }
    const talking = talks.map((talk) =>
      checkOf(
        `${talk.clauses} PT-3.5-07`,
        `arguments of ${talk.list.length} bytes`,
        (_, findings) => this.#talk(launch, talk, quiet, findings),
      ),
    );
    return [...stops, ...performances, ...talking];
  }

  async close(): Promise<void> {
    this.#closed.abort(new ExaminationError('ERR_CONFORM_PROGRAM', 'the examination is over'));
    await Promise.all([...this.#runs].map((run) => run.close()));
    await this.#guard.close();
  }

  /** One start, which goes well. */
  async #look(
    launch: Launch,
    findings: Findings,
  ): Promise<{
    readonly role: Role;
    readonly names: readonly string[];
    /** How long it took to use the PT; undefined when it did not. */
    readonly usedAfterMs: number | undefined;
  }> {
    await using run = await this.#open(launch, '');
    await run.started(this.#patience);
    if (run.env === undefined) {
      const words = run.lastWords === '' ? '' : `: ${run.lastWords}`;
      throw new ExaminationError('ERR_CONFORM_PROGRAM', `the command starts no PT${words}`);
    }
    judgeEnvironment(run, launch, findings);
    const asked = askedFor(run.env);
    this.roles.add(asked.role);
    const startedMs = performance.now();
    perform(run, scriptsOf(launch, asked.role)[0]!);
    const isUsed = (): boolean => run.conversations.length > 0;
    if (asked.role === 'client') {
      await run.until(() => isUsed() || run.exit !== undefined, this.#patience);
    }
    return { ...asked, usedAfterMs: isUsed() ? performance.now() - startedMs : undefined };
  }

  /** Ends the parent of a PT that has started well; again, when the machine was too busy to see how. */
  async #stop(
    launch: Launch,
    manner: Manner,
    plain: Script,
    quiet: Allowance,
    findings: Findings,
  ): Promise<void> {
    const { stopPatienceMs = STOP_PATIENCE_MS } = this.#options;
    const patience = this.#pace.allow(stopPatienceMs, PATIENCE_STARTS);
    let isSeen = false;
    for (let attempt = 0; attempt < STOP_ATTEMPTS && !isSeen; attempt += 1) {
      await this.#on(launch, '', stopClauses, findings, async (run) => {
        perform(run, plain);
        await watch(run, {}, 1, plain.role === 'client' ? this.#patience : quiet);
        isSeen = await judgeStop(run, manner, { patience, quiet }, findings);
      });
    }
    const reason = 'this machine is too busy to tell how long the PT was waited for';
    if (!isSeen) findings.pass(stopClauses, 'not observable', reason);
  }

  async #perform(
    launch: Launch,
    script: Script,
    names: number,
    quiet: Allowance,
    findings: Findings,
  ): Promise<void> {
    const { role, clauses, expected } = script;
    const isUse = role === 'client' && expected === 'accepted';
    const wanted = script.needsSeveral === true && script.says.includes('$REVERSED') ? names : 1;
    await this.#on(launch, '', clauses, findings, async (run) => {
      const sent = perform(run, script);
      const time = isUse ? this.#patience : quiet;
      const { outcome, description } = await watch(run, script, wanted, time);
      if (role === 'server' && expected === 'refused' && outcome === 'idle') {
        const reason = 'it kept the PT; what it made of the line cannot be seen';
        findings.pass(clauses, 'not observable', reason);
        return;
      }
      const isAccepted = outcome === (role === 'client' ? 'used' : 'idle');
      const isRight = expected === 'either' || isAccepted === (expected === 'accepted');
      const holds = outcome !== 'crashed' && isRight;
      findings.on(sent, description)(clauses, holds, expectations[expected]);
    });
  }

  async #talk(
    launch: Launch,
    conversation: Conversation,
    quiet: Allowance,
    findings: Findings,
  ): Promise<void> {
    const { clauses, args } = conversation;
    if (conversation !== overlong) {
      await this.#on(launch, args, clauses, findings, async (run) => {
        announce(run, conversation);
        await converse(run, conversation, { patience: this.#patience, quiet }, findings);
      });
      return;
    }
    // The parent may refuse the line before it starts anything.
    await using run = await this.#open(launch, args);
    await run.started(quiet);
    if (run.env !== undefined) announce(run, conversation);
    const wire = await run.conversation(quiet);
    const isTold = Buffer.isBuffer(await wire?.take(4, quiet));
    findings.judge(clauses, !isTold, {
      sent: 'a bridge line whose argument list has 511 bytes',
      came: isTold ? 'a connection through the PT' : 'nothing to the PT',
      expected: 'an error before anything is sent',
    });
  }

  /** Does something on a run in which the PT has been started. */
  async #on(
    launch: Launch,
    args: string,
    clauses: string,
    findings: Findings,
    act: (run: ParentRun) => Promise<void>,
  ): Promise<void> {
    await using run = await this.#open(launch, args);
    await run.started(this.#patience);
    if (run.env !== undefined) {
      await act(run);
      return;
    }
    findings.judge(clauses, false, {
      sent: `a start of the parent${args === '' ? '' : ` with a bridge line with ${shown(args)}`}`,
      came: `it started no PT, and said ${run.lastWords}`,
      expected: 'the start of its PT, as before',
    });
  }

  async #open(launch: Launch, args: string): Promise<ParentRun> {
    this.#signal.throwIfAborted();
    this.#count += 1;
    const run = await ParentRun.open({
      launch,
      args,
      folder: join(this.#guard.folder, String(this.#count)),
      variables: strayVariables,
      pace: this.#pace,
      guard: this.#guard,
    });
    this.#runs.add(run);
    return run;
  }
}

function checkOf(clauses: string, title: string, run: Check<ParentLab>['run']): Check<ParentLab> {
  return { clauses, title, run };
}

const expectations = {
  accepted: 'a parent that takes the PT as started',
  refused: 'a parent that does not use it',
  either: 'a parent that lives through it',
} as const;

/** What is played to a launch, a start without a fault first. */
function scriptsOf({ upstream }: Launch, role: Role): readonly Script[] {
  return scripts.filter(
    (script) =>
      script.role === role && (script.needsUpstream === true) === (upstream !== undefined),
  );
}

/** How long a parent may take from its start to the use of a PT. */
const PATIENCE_MS = 10_000;

/** How long it is watched where it has to do nothing, at least. */
const QUIET_MS = 1500;

/** The steps of the stop ladder together. */
const STOP_PATIENCE_MS = 15_000;

/** How often a parent is ended until it is seen well. */
const STOP_ATTEMPTS = 5;
