import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Holdings } from '../support/probed-process.ts';
import type { Cleanup } from '../support/pt-programs.ts';
import { Dice } from './dice.ts';
import { type Attacked, targets } from './targets.ts';

/** For how long a target is attacked: what is reached first. */
export interface FuzzOptions {
  readonly seed: string;
  readonly ms?: number;
  readonly messages?: number;
}

/** What an attack came to. */
export interface FuzzReport {
  readonly connections: number;
  readonly messages: number;
  /** How many ordinary clients were served meanwhile. */
  readonly served: number;
  readonly before: Holdings;
  readonly after: Holdings;
}

/**
 * Attacks one target, eight connections at a time, and serves an ordinary client over and over beside them.
 *
 * @throws Error when the program ends, does not serve, or keeps what it should have let go
 */
export async function fuzz(t: Cleanup, name: string, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, ms = Infinity, messages: maxMessages = Infinity } = options;
  const target = await targets[name]!(t);
  await attack(
    target,
    `${seed}/${name}/warm-up`,
    (done) => done.connections >= WARM_UP_CONNECTIONS,
  );
  const before = await target.process.holdings();
  const endMs = performance.now() + ms;
  const done = await attack(
    target,
    `${seed}/${name}`,
    ({ messages }) => messages >= maxMessages || performance.now() >= endMs,
  );
  return { ...done, before, after: await target.process.comesBackTo(before, SLACK_BYTES) };
}

interface Done {
  connections: number;
  messages: number;
  served: number;
}

async function attack(
  target: Attacked,
  seed: string,
  isEnough: (done: Done) => boolean,
): Promise<Done> {
  const done: Done = { connections: 0, messages: 0, served: 0 };
  let isOver = false;
  let sinceServed = 0;
  const good = new EventEmitter();
  const attackers = Array.from({ length: CONNECTIONS_AT_A_TIME }, async (_, index) => {
    const dice = new Dice(`${seed}/${index}`);
    while (!isOver && !isEnough(done)) {
      // A program that gets no processor accepts nobody, and that would be no fault of its own.
      if (sinceServed >= CONNECTIONS_PER_GOOD_CLIENT) await once(good, 'served');
      if (target.relent === undefined) sinceServed += 1;
      const messages = await target.attack(dice);
      done.messages += messages;
      done.connections += 1;
    }
  });
  const server = async (): Promise<void> => {
    while (!isOver && target.relent === undefined) {
      await serve(target);
      done.served += 1;
      sinceServed = 0;
      good.emit('served');
      await delay(SERVE_EVERY_MS);
    }
  };
  try {
    const serving = server();
    await Promise.race([
      Promise.all(attackers),
      endOf(target),
      serving.then(() => Promise.all(attackers)),
    ]);
    isOver = true;
    await serving;
    await target.relent?.();
    await serve(target);
  } catch (error) {
    // That it has ended says more than what its end broke.
    target.process.assertAlive();
    throw error;
  } finally {
    isOver = true;
  }
  return done;
}

/** @throws Error when the program ends */
async function endOf({ process }: Attacked): Promise<never> {
  await process.ended;
  process.assertAlive();
  throw new Error('unreachable');
}

async function serve(target: Attacked): Promise<void> {
  const patience = new AbortController();
  try {
    await Promise.race([
      target.serveOne(),
      delay(PATIENCE_MS, undefined, { signal: patience.signal }).then(() => {
        throw new Error('an ordinary client waits without end');
      }),
    ]);
  } finally {
    patience.abort();
  }
}

const CONNECTIONS_AT_A_TIME = 8;
const WARM_UP_CONNECTIONS = 150;
const CONNECTIONS_PER_GOOD_CLIENT = 100;
const SERVE_EVERY_MS = 100;
const PATIENCE_MS = 30_000;
/** What code that has become hot, and buffers that are kept for the next, may take. */
const SLACK_BYTES = 8 * 1024 * 1024;
