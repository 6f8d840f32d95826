/** The checkout as text, for the tests that read sources instead of running them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { packageRoot } from '../../scripts/paths.ts';

/** One file of the checkout. */
export interface SourceFile {
  /** Below the checkout, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** Every file below a folder of the checkout whose name ends as given, in a fixed order. */
export function sourceFiles(folder: string, ending: string): SourceFile[] {
  return readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readSource(`${folder}/${name.split(sep).join('/')}`));
}

/** One file of the checkout by its path. */
export function readSource(path: string): SourceFile {
  return { path, text: readFileSync(join(packageRoot, path), 'utf8') };
}
