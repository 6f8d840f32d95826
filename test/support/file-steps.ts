/** What this program's rooms do to files, step by step: to be watched, or stopped at any of them. */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { devNull } from 'node:os';
import type { FileHandle } from 'node:fs/promises';

/** Called before each step; while its promise is pending, the step is not taken. */
export type BeforeStep = (step: string, args: readonly unknown[]) => Promise<void> | undefined;

type Method = (...args: unknown[]) => unknown;

const STEPS = ['mkdir', 'open', 'readFile', 'rename', 'rm', 'stat'] as const;
const HANDLE_STEPS = ['chmod', 'close', 'stat', 'sync', 'truncate', 'writeFile'] as const;

let before: BeforeStep | undefined;

/** Runs `work`, with `beforeStep` told of every step that anybody takes meanwhile. */
export async function watchFileSteps<T>(
  beforeStep: BeforeStep,
  work: () => Promise<T>,
): Promise<T> {
  await prepare();
  before = beforeStep;
  try {
    return await work();
  } finally {
    before = undefined;
  }
}

let prepared = false;

async function prepare(): Promise<void> {
  if (prepared) return;
  prepared = true;
  const handle = await fs.open(devNull);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const wrap = (target: object, name: string, label: string): void => {
    const methods = target as Record<string, Method>;
    const method = methods[name]!;
    methods[name] = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      await before?.(label, [this, ...args]);
      return method.apply(this, args);
    };
  };
  for (const name of STEPS) wrap(fs, name, name);
  for (const name of HANDLE_STEPS) wrap(prototype, name, `handle.${name}`);
  syncBuiltinESMExports();
}
