/** docs/BENCHMARKS.md: a section for each program of the benchmark, written by it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../scripts/paths.ts';
import { secretboxBackend } from '../src/crypto/secretbox.ts';
import { peers, type Program } from './programs.ts';

/** Puts a section in the place of the one with the same title, or at the end. */
export function writeSection(title: string, body: string): void {
  const path = join(packageRoot, 'docs', 'BENCHMARKS.md');
  const old = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const sections = old.split(/^(?=## )/m).slice(1);
  const mine = `## ${title}\n\n${body}`;
  const place = sections.findIndex((section) => section.startsWith(`## ${title}\n`));
  const others = sections.map((section) => `${section.trimEnd()}\n`);
  const next = place === -1 ? [...others, mine] : others.with(place, mine);
  writeFileSync(path, [HEAD, ...next].join('\n'));
}

/** Puts a picture beside the page. */
export function writePlot(name: string, svg: string): void {
  const folder = join(packageRoot, 'docs', 'benchmarks');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.svg`), svg);
}

/** Where and with what something was measured, beside which programs. */
export function environment(
  compared: readonly Program[] = peers,
): Readonly<Record<string, string>> {
  return {
    node: process.version,
    boxes: secretboxBackend,
    peers: compared.map(({ version }) => version).join(', '),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}`,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The same as a list. */
export function environmentList(compared: readonly Program[] = peers): string {
  return Object.entries(environment(compared))
    .map(([name, value]) => `- ${name}: ${value}\n`)
    .join('');
}

const HEAD = `# Benchmarks

Postern beside Debian's obfs4proxy, lyrebird and webtunnel, on loopback, in turns; the operating system says what each
process has used. Made by

\`\`\`sh
scripts/debian-peers.sh  # lyrebird and webtunnel, which Debian's stable release has not
npm run bench -- --write
npm run bench -- --attack --write
npm run bench -- --webtunnel --write
\`\`\`
`;
