/** What the faulty PT keeps on disk, and what it notes where it should not. */
import { chmodSync, mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { has } from './fault.ts';

export function stateFile(name: string): string {
  const folder = env['TOR_PT_STATE_LOCATION']!;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (has('open-state')) chmodSync(folder, 0o755);
  return join(folder, name);
}

export function note(text: string, place: 'stderr' | 'file'): void {
  if (place === 'stderr') writeSync(2, `${text}\n`);
  else writeFileSync(stateFile('log'), text, { flag: 'a' });
}
