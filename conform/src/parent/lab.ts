/** The checks of a parent, each in a run of its own. */
import { ExaminationError } from '../errors.ts';
import type { Role } from '../clauses.ts';
import type { Check, ExamineOptions } from '../examine.ts';
import { shown } from '../findings.ts';
import { type Allowance, PATIENCE_STARTS, QUIET_STARTS } from '../patience.ts';
import { ProgramLab, type Times } from '../program-lab.ts';
import { announce, type Conversation, conversations, converse, overlong } from './arguments.ts';
import { askedFor, perform, watch } from './performance.ts';
import type { Launch } from './recipes.ts';
import { type Script, scripts } from './scripts.ts';
import { ParentRun } from './run.ts';
import { judgeStop, type Manner, manners, stopClauses } from './stopping.ts';
import { judgeEnvironment } from './surroundings.ts';

/** What to examine, and how. */
export interface ParentOptions extends ExamineOptions, Times {
  /** The ways to start the parent; each is examined. */
  readonly launches: readonly Launch[];
  /** How long it may take to end a PT, on such a machine. */
  readonly stopPatienceMs?: number;
}

/** What a launch turned out to be. */
interface Facts {
  readonly launch: Launch;
  readonly role: Role;
  /** The transports that it asks for. */
  readonly names: readonly string[];
  /** Whether it uses a PT that starts well. */
  readonly isUsing: boolean;
  /** How long it is watched where it has to do nothing. */
  readonly quiet: Allowance;
  /** What is played to it, a start without a fault first. */
  readonly scripts: readonly [Script, ...Script[]];
}

/** Where parents are examined: it starts them, each time in a folder of its own. */
export class ParentLab extends ProgramLab<ParentRun> {
  /** Those that the launches so far have asked a PT for. */
  readonly roles: Set<Role> = new Set();
  readonly #options: ParentOptions;
  readonly #patience: Allowance;

  constructor(options: ParentOptions) {
    super(options.signal);
    this.#options = options;
    this.#patience = this.pace.allow(options.patienceMs ?? PATIENCE_MS, PATIENCE_STARTS);
  }

  /** Starts a parent once to see what it asks for, and says what else to do with it. */
  async checksOf(launch: Launch): Promise<readonly Check<ParentLab>[]> {
    const facts = await this.#look(launch);
    const performances = facts.scripts.map((script) =>
      checkOf(script.clauses, script.title, () => this.#play(facts, script)),
    );
    // Only what has to do with the upstream proxy differs with it.
    if (launch.upstream !== undefined) return performances;
    const stops = manners.map((manner) =>
      checkOf(stopClauses, `the end of a PT that ${manner}`, () => this.#stop(facts, manner)),
    );
    const talks = facts.role === 'client' ? [...conversations, overlong] : [];
    const texts = [...launch.template, ...Object.values(launch.files ?? {})];
    if (!texts.some((text) => text.includes('{args}'))) {
      const reason = 'the command has no {args}, a place for bridge line arguments';
      for (const { clauses } of talks) this.pass(clauses, reason);
      return [...stops, ...performances];
    }
    const talking = talks.map((talk) =>
      checkOf(`${talk.clauses} PT-3.5-07`, `arguments of ${talk.list.length} bytes`, () =>
        this.#talk(facts, talk),
      ),
    );
    return [...stops, ...performances, ...talking];
  }

  /** One start, which goes well. */
  async #look(launch: Launch): Promise<Facts> {
    await using run = await this.#open(launch, '');
    await run.started(this.#patience);
    if (run.env === undefined) {
      const words = run.lastWords === '' ? '' : `: ${run.lastWords}`;
      throw new ExaminationError('ERR_CONFORM_PROGRAM', `the command starts no PT${words}`);
    }
    judgeEnvironment(this, run, launch);
    const asked = askedFor(run.env);
    this.roles.add(asked.role);
    const played = scriptsOf(launch, asked.role);
    const startedMs = performance.now();
    perform(run, played[0]);
    if (asked.role === 'client') await run.conversation(this.#patience);
    const isUsing = run.conversations.length > 0;
    // Where it does not do something, it is watched for longer than it took to do it.
    const usedAfterMs = isUsing ? performance.now() - startedMs : 0;
    const { quietMs = QUIET_MS } = this.#options;
    const quiet = this.pace.allow(Math.max(quietMs, 2 * usedAfterMs), QUIET_STARTS);
    return { launch, ...asked, isUsing, quiet, scripts: played };
  }

  /** Ends the parent of a PT that has started well; again, when the machine was too busy to see how. */
  async #stop(facts: Facts, manner: Manner): Promise<void> {
    const { launch, role, quiet, scripts } = facts;
    const { stopPatienceMs = STOP_PATIENCE_MS } = this.#options;
    const patience = this.pace.allow(stopPatienceMs, PATIENCE_STARTS);
    let isSeen = false;
    for (let attempt = 0; attempt < STOP_ATTEMPTS && !isSeen; attempt += 1) {
      await this.#on(launch, '', stopClauses, async (run) => {
        perform(run, scripts[0]);
        await watch(run, {}, 1, role === 'client' ? this.#patience : quiet);
        isSeen = await judgeStop(this, run, manner, { patience, quiet });
      });
    }
    const reason = 'this machine is too busy to tell how long the PT was waited for';
    if (!isSeen) this.pass(stopClauses, reason);
  }

  /** Plays a script, and judges what the parent makes of it. */
  async #play(facts: Facts, script: Script): Promise<void> {
    const { launch, role, names, isUsing, quiet } = facts;
    const { clauses, expected, needsSeveral = false } = script;
    const why =
      needsSeveral && names.length === 1
        ? 'it asks for one transport at a time'
        : role === 'client' && expected === 'refused' && !isUsing
          ? 'it does not even use a PT that starts well, so that no refusal can be told'
          : undefined;
    if (why !== undefined) return this.pass(clauses, why);
    const isUse = role === 'client' && expected === 'accepted';
    const wanted = needsSeveral && script.says.includes('$REVERSED') ? names.length : 1;
    await this.#on(launch, '', clauses, async (run) => {
      const sent = perform(run, script);
      const time = isUse ? this.#patience : quiet;
      const { outcome, description } = await watch(run, script, wanted, time);
      if (role === 'server' && expected === 'refused' && outcome === 'idle') {
        this.pass(clauses, 'it kept the PT; what it made of the line cannot be seen');
        return;
      }
      const isAccepted = outcome === (role === 'client' ? 'used' : 'idle');
      const isRight = expected === 'either' || isAccepted === (expected === 'accepted');
      const holds = outcome !== 'crashed' && isRight;
      this.on(sent, description)(clauses, holds, expectations[expected]);
    });
  }

  async #talk(facts: Facts, conversation: Conversation): Promise<void> {
    const { launch, quiet } = facts;
    const { clauses, args } = conversation;
    if (conversation !== overlong) {
      await this.#on(launch, args, clauses, async (run) => {
        announce(run, conversation);
        await converse(this, run, conversation, { patience: this.#patience, quiet });
      });
      return;
    }
    // The parent may refuse the line before it starts anything.
    await using run = await this.#open(launch, args);
    await run.started(quiet);
    if (run.env !== undefined) announce(run, conversation);
    const wire = await run.conversation(quiet);
    const isTold = Buffer.isBuffer(await wire?.take(4, quiet));
    this.judge(clauses, !isTold, {
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
    act: (run: ParentRun) => Promise<void>,
  ): Promise<void> {
    await using run = await this.#open(launch, args);
    await run.started(this.#patience);
    if (run.env !== undefined) return await act(run);
    this.judge(clauses, false, {
      sent: `a start of the parent${args === '' ? '' : ` with a bridge line with ${shown(args)}`}`,
      came: `it started no PT, and said ${run.lastWords}`,
      expected: 'the start of its PT, as before',
    });
  }

  async #open(launch: Launch, args: string): Promise<ParentRun> {
    const { pace, guard } = this;
    const run = await ParentRun.open({ launch, args, folder: this.nextFolder(), pace, guard });
    this.runs.push(run);
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
function scriptsOf({ upstream }: Launch, role: Role): Facts['scripts'] {
  const [plain, ...others] = scripts.filter(
    (script) =>
      script.role === role && (script.needsUpstream === true) === (upstream !== undefined),
  );
  return [plain!, ...others];
}

/** How long a parent may take from its start to the use of a PT. */
const PATIENCE_MS = 10_000;

/** How long it is watched where it has to do nothing, at least. */
const QUIET_MS = 1500;

/** The steps of the stop ladder together. */
const STOP_PATIENCE_MS = 15_000;

/** How often a parent is ended until it is seen well. */
const STOP_ATTEMPTS = 5;
