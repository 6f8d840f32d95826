/** What there is to do with a parent, and the doing of it, each time on a stage of its own. */
import { join } from 'node:path';
import { ExaminationError } from '../errors.ts';
import { Findings, shown } from '../findings.ts';
import type { Role } from '../lab.ts';
import { Guard } from '../guard.ts';
import { type Allowance, Pace, PATIENCE_STARTS, QUIET_STARTS } from '../patience.ts';
import { announce, type Conversation, conversations, converse, overlong } from './arguments.ts';
import { askedFor, perform, watch } from './performance.ts';
import type { Launch } from './recipes.ts';
import { type Script, scripts } from './scripts.ts';
import { Stage, strayVariables } from './stage.ts';
import { judgeStop, type Manner, manners, stopClauses } from './stopping.ts';
import { judgeEnvironment } from './surroundings.ts';

/** How long to wait, and until when. */
export interface ExaminationOptions {
  /** How long the parent may take for what it has to do, on a machine that keeps up. */
  readonly patienceMs?: number;
  /** How long it is watched where it has to do nothing, on such a machine. */
  readonly quietMs?: number;
  /** How long it may take to end a PT, on such a machine. */
  readonly stopPatienceMs?: number;
  readonly signal: AbortSignal;
}

/** One thing to do with one launch. */
export interface Task {
  readonly clauses: string;
  readonly title: string;
  readonly run: () => Promise<void>;
}

/** The stages of all launches, and what was found on them. */
export class Examination {
  readonly findings: Findings = new Findings();
  readonly roles: Set<string> = new Set();
  readonly #options: ExaminationOptions;
  readonly #stages = new Set<Stage>();
  readonly #guard: Guard = new Guard();
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #pace: Pace;
  readonly #patience: Allowance;
  #count = 0;

  constructor(options: ExaminationOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#closed.signal]);
    this.#pace = new Pace(this.#signal);
    this.#patience = this.#pace.allow(options.patienceMs ?? PATIENCE_MS, PATIENCE_STARTS);
  }

  /** Starts a parent once to see what it asks for, and says what else to do with it. */
  async tasksOf(launch: Launch): Promise<readonly Task[]> {
    const stage = await this.#open(launch, '');
    await stage.until(() => stage.env !== undefined || stage.exit !== undefined, this.#patience);
    if (stage.env === undefined) {
      const words = stage.lastWords === '' ? '' : `: ${stage.lastWords}`;
      throw new ExaminationError('ERR_CONFORM_PROGRAM', `the command starts no PT${words}`);
    }
    judgeEnvironment(stage, launch, this.findings);
    const { role, names } = askedFor(stage.env);
    this.roles.add(role);
    const startedMs = performance.now();
    perform(stage, plainScript(launch, role));
    const isUsed = (): boolean => stage.conversations.length > 0 || stage.exit !== undefined;
    if (role === 'client') await stage.until(isUsed, this.#patience);
    const uses = stage.conversations.length > 0;
    const usedAfterMs = stage.exit === undefined ? performance.now() - startedMs : 0;
    await this.#end(stage);
    // Where it does not do something, it is watched for longer than it took to do it.
    const { quietMs = QUIET_MS } = this.#options;
    const quiet = this.#pace.allow(Math.max(quietMs, 2 * usedAfterMs), QUIET_STARTS);

    const own = scripts.filter(
      (script) =>
        script.role === role && (script.needsUpstream === true) === (launch.upstream !== undefined),
    );
    const tasks = own.map((script): Task => ({
      clauses: script.clauses,
      title: script.title,
      run: async () => {
        if (role === 'client' && script.expected === 'refused' && !uses) {
          const reason =
            'it does not even use a PT that starts well, so that no refusal can be told';
          this.findings.pass(script.clauses, 'not observable', reason);
          return;
        }
        await this.#perform(launch, script, names.length, quiet);
      },
    }));
    // Only what has to do with the upstream proxy differs with it.
    if (launch.upstream !== undefined) return tasks;
    const hasArgs = [...launch.template, ...Object.values(launch.files ?? {})].some((text) =>
      text.includes('{args}'),
    );
    if (role === 'client' && hasArgs) {
      tasks.push(
        ...[...conversations, overlong].map((conversation) =>
          this.#talk(launch, conversation, quiet),
        ),
      );
    }
    if (role === 'client' && !hasArgs) {
      const reason = 'the command has no {args}, a place for bridge line arguments';
      for (const { clauses } of [...conversations, overlong]) {
        this.findings.pass(clauses, 'not observable', reason);
      }
    }
    for (const manner of manners) {
      tasks.unshift({
        clauses: stopClauses,
        title: `the end of a PT that ${manner}`,
        run: () => this.#stop(launch, manner, plainScript(launch, role), quiet),
      });
    }
    return tasks;
  }

  async close(): Promise<void> {
    this.#closed.abort(new ExaminationError('ERR_CONFORM_PROGRAM', 'the examination is over'));
    await Promise.all([...this.#stages].map((stage) => this.#end(stage)));
    await this.#guard.close();
  }

  /** Ends the parent of a PT that has started well; again, when the machine was too busy to see how. */
  async #stop(launch: Launch, manner: Manner, plain: Script, quiet: Allowance): Promise<void> {
    const { stopPatienceMs = STOP_PATIENCE_MS } = this.#options;
    const patience = this.#pace.allow(stopPatienceMs, PATIENCE_STARTS);
    let isSeen = false;
    for (let attempt = 0; attempt < STOP_ATTEMPTS && !isSeen; attempt += 1) {
      await this.#on(launch, '', stopClauses, async (stage) => {
        perform(stage, plain);
        await watch(stage, {}, 1, plain.role === 'client' ? this.#patience : quiet);
        isSeen = await judgeStop(stage, manner, { patience, quiet }, this.findings);
      });
    }
    const reason = 'this machine is too busy to tell how long the PT was waited for';
    if (!isSeen) this.findings.pass(stopClauses, 'not observable', reason);
  }

  async #perform(launch: Launch, script: Script, names: number, quiet: Allowance): Promise<void> {
    if (script.needsSeveral === true && names === 1) {
      const reason = 'it asks for one transport at a time';
      this.findings.pass(script.clauses, 'not observable', reason);
      return;
    }
    const isUse = script.role === 'client' && script.expected === 'accepted';
    await this.#on(launch, '', script.clauses, async (stage) => {
      const sent = perform(stage, script);
      const wanted = script.needsSeveral === true && script.says.includes('$REVERSED') ? names : 1;
      const { outcome, description } = await watch(
        stage,
        script,
        wanted,
        isUse ? this.#patience : quiet,
      );
      const evidence = {
        sent,
        came: description,
        expected: expectations[script.expected],
      };
      if (script.role === 'server' && script.expected === 'refused' && outcome === 'idle') {
        const reason = 'it kept the PT; what it made of the line cannot be seen';
        this.findings.pass(script.clauses, 'not observable', reason);
        return;
      }
      const isAccepted = script.role === 'client' ? outcome === 'used' : outcome === 'idle';
      const isRight =
        script.expected === 'either' || isAccepted === (script.expected === 'accepted');
      const holds = outcome !== 'crashed' && isRight;
      this.findings.judge(script.clauses, holds, evidence);
    });
  }

  #talk(launch: Launch, conversation: Conversation, quiet: Allowance): Task {
    const { clauses, args } = conversation;
    return {
      clauses: `${clauses} PT-3.5-07`,
      title: `arguments of ${conversation.list.length} bytes`,
      run: async () => {
        if (conversation !== overlong) {
          const times = { patience: this.#patience, quiet };
          await this.#on(launch, args, clauses, async (stage) => {
            announce(stage, conversation);
            await converse(stage, conversation, times, this.findings);
          });
          return;
        }
        // The parent may refuse the line before it starts anything.
        const stage = await this.#open(launch, args);
        await stage.until(() => stage.env !== undefined || stage.exit !== undefined, quiet);
        if (stage.env !== undefined) announce(stage, conversation);
        const wire = await stage.conversation(quiet);
        const bytes = await wire?.take(4, quiet);
        this.findings.judge(clauses, !Buffer.isBuffer(bytes), {
          sent: 'a bridge line whose argument list has 511 bytes',
          came: Buffer.isBuffer(bytes) ? 'a connection through the PT' : 'nothing to the PT',
          expected: 'an error before anything is sent',
        });
        await this.#end(stage);
      },
    };
  }

  /** Does something on a stage on which the PT has been started. */
  async #on(
    launch: Launch,
    args: string,
    clauses: string,
    act: (stage: Stage) => Promise<void>,
  ): Promise<void> {
    const stage = await this.#open(launch, args);
    try {
      await stage.until(() => stage.env !== undefined || stage.exit !== undefined, this.#patience);
      if (stage.env === undefined) {
        this.findings.judge(clauses, false, {
          sent: `a start of the parent${args === '' ? '' : ` with a bridge line with ${shown(args)}`}`,
          came: `it started no PT, and said ${stage.lastWords}`,
          expected: 'the start of its PT, as before',
        });
      } else {
        await act(stage);
      }
    } finally {
      await this.#end(stage);
    }
  }

  async #open(launch: Launch, args: string): Promise<Stage> {
    this.#signal.throwIfAborted();
    this.#count += 1;
    const stage = await Stage.open({
      launch,
      args,
      folder: join(this.#guard.folder, String(this.#count)),
      variables: strayVariables,
      pace: this.#pace,
      guard: this.#guard,
    });
    this.#stages.add(stage);
    return stage;
  }

  async #end(stage: Stage): Promise<void> {
    await stage.close();
    this.#stages.delete(stage);
  }
}

const expectations = {
  accepted: 'a parent that takes the PT as started',
  refused: 'a parent that does not use it',
  either: 'a parent that lives through it',
} as const;

/** The script of a start without a fault. */
function plainScript({ upstream }: Launch, role: Role): Script {
  return scripts.find(
    (script) =>
      script.role === role && (script.needsUpstream === true) === (upstream !== undefined),
  )!;
}

/** How long a parent may take from its start to the use of a PT. */
const PATIENCE_MS = 10_000;

/** How long it is watched where it has to do nothing, at least. */
const QUIET_MS = 1500;

/** The steps of the stop ladder together. */
const STOP_PATIENCE_MS = 15_000;

/** How often a parent is ended until it is seen well. */
const STOP_ATTEMPTS = 5;
