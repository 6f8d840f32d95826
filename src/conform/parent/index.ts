/** `postern conform parent`: plays a PT, right and wrong, and watches what its parent does. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PosternError } from '../../errors.ts';
import { type Clause, readClauses } from '../clauses.ts';
import { type ClauseReport, Findings, reportClauses } from '../findings.ts';
import { inParallel } from '../parallel.ts';
import { announce, type Conversation, conversations, converse, overlong } from './arguments.ts';
import { askedFor, perform, watch } from './performance.ts';
import type { Launch } from './recipes.ts';
import { type Script, scripts } from './scripts.ts';
import { Stage, strayVariables } from './stage.ts';
import { judgeStop, manners, stopClauses } from './stopping.ts';
import { judgeEnvironment } from './surroundings.ts';

/** What to examine, and how. */
export interface ParentOptions {
  /** The ways to start the parent; each is examined. */
  readonly launches: readonly Launch[];
  readonly only?: readonly string[];
  /** How long the parent may take for what it has to do. */
  readonly patienceMs?: number;
  /** How long it may take to end a PT. */
  readonly stopPatienceMs?: number;
  readonly signal: AbortSignal;
  /** Ends as soon as every clause that was asked for is broken. */
  readonly bail?: boolean;
  readonly onProgress?: (done: number, total: number, title: string) => void;
}

/** The clauses that bind a parent, and those of a PT that say what a parent may expect of it. */
export function parentClauses(): readonly Clause[] {
  const played = new Set(scripts.flatMap((script) => script.clauses.split(' ')));
  return readClauses('pt-clauses.json').filter(({ id, who }) => who === 'parent' || played.has(id));
}

/** One thing to do with one launch. */
interface Task {
  readonly clauses: string;
  readonly title: string;
  readonly run: () => Promise<void>;
}

/**
 * Examines a parent. Everything that it starts is gone when the promise settles.
 *
 * @throws PosternError `ERR_CONFORM_PROGRAM` when a command starts no PT; `signal.reason`
 */
export async function examineParent(options: ParentOptions): Promise<readonly ClauseReport[]> {
  const { launches, only, onProgress = () => {} } = options;
  const clauses = parentClauses().filter(({ id }) => only === undefined || only.includes(id));
  const selected = new Set(clauses.map(({ id }) => id));
  const examination = new Examination(options);
  try {
    const tasks: Task[] = [];
    for (const launch of launches) {
      onProgress(0, 0, 'looking for what it asks of a PT');
      tasks.push(...(await examination.tasksOf(launch)));
    }
    const chosen = tasks.filter((task) => task.clauses.split(' ').some((id) => selected.has(id)));
    let done = 0;
    await inParallel(chosen, JOBS, async (task) => {
      options.signal.throwIfAborted();
      if (options.bail === true && isAllBroken(clauses, examination.findings)) return;
      await task.run();
      done += 1;
      onProgress(done, chosen.length, task.title);
    });
    const { findings } = examination;
    for (const [ids, verdict, reason] of unjudged) findings.pass(ids, verdict, reason);
    for (const role of ['client', 'server']) {
      if (examination.roles.has(role)) continue;
      const ids = clauses.map(({ id }) => id).filter((id) => clausesOfRole(role).has(id));
      const reason = `this command launches no ${role}`;
      if (ids.length > 0) findings.pass(ids.join(' '), 'not applicable', reason);
    }
    return reportClauses(clauses, findings.list);
  } finally {
    await examination.close();
  }
}

function isAllBroken(clauses: readonly Clause[], findings: Findings): boolean {
  return reportClauses(clauses, findings.list).every(({ verdict }) => verdict === 'broken');
}

/** The stages of all launches, and what was found on them. */
class Examination {
  readonly findings = new Findings();
  readonly roles = new Set<string>();
  readonly #options: ParentOptions;
  readonly #root: string = mkdtempSync(join(tmpdir(), `postern-conform-${process.pid}-`));
  readonly #stages = new Set<Stage>();
  #count = 0;

  constructor(options: ParentOptions) {
    this.#options = options;
  }

  /** Starts a parent once to see what it asks for, and says what else to do with it. */
  async tasksOf(launch: Launch): Promise<readonly Task[]> {
    const { patienceMs = PATIENCE_MS, stopPatienceMs = STOP_PATIENCE_MS } = this.#options;
    const stage = await this.#open(launch, '');
    await stage.until(() => stage.env !== undefined || stage.exit !== undefined, patienceMs);
    if (stage.env === undefined) {
      const output = stage.output.trim().split('\n').slice(-3).join(' / ');
      throw new PosternError('ERR_CONFORM_PROGRAM', `the command starts no PT: ${output}`);
    }
    judgeEnvironment(stage, launch, this.findings);
    const { role, names } = askedFor(stage.env);
    this.roles.add(role);
    const startedMs = Date.now();
    perform(
      stage,
      scripts.find((script) => script.role === role)!,
    );
    const { outcome } = await watch(stage, {}, 1, role === 'client' ? patienceMs : SERVER_QUIET_MS);
    await this.#end(stage);
    // Nobody is waited for much longer than this parent took when all was well.
    const quietMs =
      role === 'client' && outcome === 'used'
        ? Math.min(Math.max(MINIMAL_QUIET_MS, 3 * (Date.now() - startedMs)), patienceMs)
        : SERVER_QUIET_MS;

    const own = scripts.filter(
      (script) => script.role === role && (script.needsSeveral !== true || names.length > 1),
    );
    const tasks = own.map((script): Task => ({
      clauses: script.clauses,
      title: script.title,
      run: () => this.#perform(launch, script, names.length, quietMs),
    }));
    const hasArgs = [...launch.template, ...Object.values(launch.files ?? {})].some((text) =>
      text.includes('{args}'),
    );
    if (role === 'client' && hasArgs) {
      tasks.push(
        ...[...conversations, overlong].map((conversation) =>
          this.#talk(launch, conversation, quietMs),
        ),
      );
    }
    for (const manner of manners) {
      tasks.unshift({
        clauses: stopClauses,
        title: `the end of a PT that ${manner}`,
        run: () =>
          this.#on(launch, '', async (on) => {
            perform(
              on,
              scripts.find((script) => script.role === role)!,
            );
            await watch(on, {}, 1, quietMs);
            await judgeStop(on, manner, stopPatienceMs, this.findings);
          }),
      });
    }
    return tasks;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#stages].map((stage) => this.#end(stage)));
    await rm(this.#root, { recursive: true, force: true });
  }

  async #perform(launch: Launch, script: Script, names: number, quietMs: number): Promise<void> {
    await this.#on(launch, '', async (stage) => {
      const sent = perform(stage, script);
      const wanted = script.needsSeveral === true && script.says.includes('$REVERSED') ? names : 1;
      const { outcome, description } = await watch(stage, script, wanted, quietMs);
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

  #talk(launch: Launch, conversation: Conversation, quietMs: number): Task {
    const { clauses, args } = conversation;
    return {
      clauses: `${clauses} PT-3.5-07`,
      title: `arguments of ${conversation.list.length} bytes`,
      run: async () => {
        if (conversation !== overlong) {
          await this.#on(launch, args, async (stage) => {
            announce(stage, conversation);
            await converse(stage, conversation, quietMs, this.findings);
          });
          return;
        }
        // The parent may refuse the line before it starts anything.
        const stage = await this.#open(launch, args);
        await stage.until(() => stage.env !== undefined || stage.exit !== undefined, quietMs);
        if (stage.env !== undefined) announce(stage, conversation);
        const wire = await stage.socks.accept(quietMs);
        const bytes = await wire?.take(4, quietMs);
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
  async #on(launch: Launch, args: string, act: (stage: Stage) => Promise<void>): Promise<void> {
    const stage = await this.#open(launch, args);
    try {
      await stage.until(() => stage.env !== undefined, this.#options.patienceMs ?? PATIENCE_MS);
      if (stage.env !== undefined) await act(stage);
    } finally {
      await this.#end(stage);
    }
  }

  async #open(launch: Launch, args: string): Promise<Stage> {
    this.#options.signal.throwIfAborted();
    this.#count += 1;
    const stage = await Stage.open({
      launch,
      args,
      folder: join(this.#root, String(this.#count)),
      variables: strayVariables,
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

/** The clauses that only one role can show. */
function clausesOfRole(role: string): ReadonlySet<string> {
  const section = role === 'client' ? /^PT-3\.(?:2\.2|3\.2|5)-/ : /^PT-3\.(?:2\.3|3\.3)-/;
  return new Set(
    parentClauses()
      .map(({ id }) => id)
      .filter((id) => section.test(id)),
  );
}

const unjudged = [
  [
    'PT-3.2.2-08 PT-3.2.3-11 PT-3.2.3-15 PT-3.2.3-07 PT-3.3.1-11 PT-3.3.3-07',
    'not applicable',
    'it permits, and asks nothing',
  ],
  ['PT-3.2-02', 'not applicable', 'it says that a prefix is only a name'],
  ['PT-3.3.3-09', 'not observable', 'what a parent makes known to clients is its own affair'],
] as const;

/** How long a parent may take from its start to the use of a PT. */
const PATIENCE_MS = 10_000;

/** How long it is watched where it has to do nothing, at least. */
const MINIMAL_QUIET_MS = 1500;

/** A server's parent does nothing with its PT when all is well. */
const SERVER_QUIET_MS = 1500;

/** The steps of the stop ladder together. */
const STOP_PATIENCE_MS = 15_000;

/** Parents at a time. */
const JOBS = 4;
