/** The files of the page: ours, and uPlot's as its package has them. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** A file as it is served. */
export interface Asset {
  readonly type: string;
  readonly body: Buffer;
}

/** By the name in the URL. Ours lie in the package's root, wherever this file has come to in the build. */
const places: Readonly<Record<string, readonly [type: string, url: () => string]>> = {
  '': ['text/html', () => ours('index.html')],
  'dashboard.css': ['text/css', () => ours('dashboard.css')],
  'dashboard.js': ['text/javascript', () => ours('dashboard.js')],
  'uPlot.css': ['text/css', () => import.meta.resolve('uplot/dist/uPlot.min.css')],
  'uPlot.js': ['text/javascript', () => import.meta.resolve('uplot/dist/uPlot.esm.js')],
};

function ours(name: string): string {
  return new URL(`web/${name}`, import.meta.resolve('postern/package.json')).href;
}

/** Reads them all: what is missing shows at the start. */
export async function readAssets(): Promise<ReadonlyMap<string, Asset>> {
  const assets = await Promise.all(
    Object.entries(places).map(async ([name, [type, url]]) => {
      const body = await readFile(fileURLToPath(url()));
      return [name, { type: `${type}; charset=utf-8`, body }] as const;
    }),
  );
  return new Map(assets);
}
