/** The Nodes that .ci/nodes pins. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './paths.ts';

/** One version of Node. */
export interface NodeLine {
  readonly major: number;
  /** Like `20.19.0`. */
  readonly version: string;
  /** The directory of its `node`, for PATH. */
  readonly folder: string;
  /** Its `node`. */
  readonly path: string;
}

const { engines } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  engines: { node: string };
};
const [, floor = '', oldestMajor = ''] = /((\d+)\.\d+)/.exec(engines.node) ?? [];

/** The oldest Node that Postern runs on, like `20.19`. */
export const oldestNode: string = floor;

const folder = join(packageRoot, '.ci', 'nodes');
const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};

/** Oldest first. */
const pinned: readonly NodeLine[] = Object.entries(dependencies)
  .map(([name, specifier]) => {
    const version = specifier.split('@').at(-1)!;
    const bin = join(folder, 'node_modules', name, 'bin');
    return { major: Number.parseInt(version), version, folder: bin, path: join(bin, 'node') };
  })
  .sort((one, other) => one.major - other.major);

/** Those on which Postern runs, and everything is tried. */
export const lines: readonly NodeLine[] = pinned.filter(
  ({ major }) => major >= Number(oldestMajor),
);
/** Those that are too old, and have to be told so. */
export const oldLines: readonly NodeLine[] = pinned.filter(
  ({ major }) => major < Number(oldestMajor),
);
