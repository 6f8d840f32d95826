/**
 * Part of `npm run build`: the command in few files, for `bin/postern`.
 *
 * A parent starts it again and again, and to find, read and compile a file for every module took half of a
 * start. What a verb alone needs stays in files of its own, which are loaded with it. Nothing is renamed, so
 * that a stack can be read; here, with `NODE_OPTIONS=--enable-source-maps`, it names the sources.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { buildRoot, packageRoot } from './paths.ts';

const outdir = join(buildRoot, 'command');
rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: packageRoot,
  entryPoints: { postern: 'src/cli/main.ts' },
  outdir,
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
});
