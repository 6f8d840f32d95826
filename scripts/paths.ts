import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the build that this very file belongs to: `dist`, or a private one. */
export const buildRoot: string = dirname(dirname(fileURLToPath(import.meta.url)));

/** The checkout: the nearest folder above with a package.json. */
export const packageRoot: string = findPackageRoot(buildRoot);

function findPackageRoot(from: string): string {
  if (existsSync(join(from, 'package.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error(`no package.json above ${buildRoot}`);
  return findPackageRoot(parent);
}
