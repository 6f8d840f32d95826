/** The screen of `postern top`, as lines that fit a terminal of a given size. */
import type { AddressMapping } from '../../control/messages.ts';
import type { BandwidthSample, ViewModel } from '../../view/model.ts';
import { formatSeconds } from '../ctl/status.ts';

/** What can be looked at, in the order of the keys 1 to 6. */
export const pages = ['overview', 'links', 'circuits', 'streams', 'log', 'mappings'] as const;
type Page = (typeof pages)[number];

/** What the user has chosen. */
export interface Choices {
  readonly page: Page;
  /** Only rows with this text in them. */
  readonly filter: string;
  readonly isPaused: boolean;
  /** How many rows have been scrolled over. */
  readonly scroll: number;
  /** What is being asked or typed, shown in place of the keys; undefined to show the keys. */
  readonly prompt: string | undefined;
}

/** What is shown. */
export interface Shown {
  readonly model: ViewModel;
  readonly mappings: readonly AddressMapping[];
  readonly problem: string | undefined;
  readonly place: string;
}

/** A terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
  readonly hasColor: boolean;
}

const KEYS = '1-6 page  / filter  p pause  s signal  arrows scroll  q quit';

/** Exactly `size.rows` lines, none wider than the terminal. */
export function renderScreen(shown: Shown, choices: Choices, size: Size): readonly string[] {
  const { model, problem } = shown;
  const { page, filter, isPaused, scroll, prompt } = choices;
  const paint = size.hasColor ? colors : plain;
  const head = [
    headline(shown, isPaused),
    pages
      .map((name, index) => `${index + 1} ${name === page ? name.toUpperCase() : name}`)
      .join('  '),
  ];
  const foot = prompt ?? (filter === '' ? KEYS : `filter: ${filter}  (/ changes it)  ${KEYS}`);
  const room = Math.max(1, size.rows - 4);
  const rows = rowsOf(page, shown, size.columns, room);
  const matching =
    filter === '' ? rows : rows.filter((row) => row.toLowerCase().includes(filter.toLowerCase()));
  const top = Math.min(scroll, Math.max(0, matching.length - room));
  const body =
    page === 'log' && scroll === 0 ? matching.slice(-room) : matching.slice(top, top + room);
  const fit = (line: string): string => cut(line, size.columns);
  return [
    problem === undefined ? paint.head(fit(head[0]!)) : paint.problem(fit(head[0]!)),
    paint.tabs(fit(head[1]!)),
    ...Array.from({ length: room }, (_, index) =>
      fit(body[index] ?? (index === 0 && body.length === 0 ? emptyText(page, model, filter) : '')),
    ),
    '',
    paint.tabs(fit(foot)),
  ].slice(0, size.rows);
}

function headline({ model, problem, place }: Shown, isPaused: boolean): string {
  const { process, bridge } = model;
  const what = process === undefined ? 'postern' : `postern ${process.version} (${process.engine})`;
  const state =
    problem === undefined
      ? `${model.links.size} links  ${model.circuits.size} circuits  ${model.streams.size} streams` +
        (bridge === undefined ? '' : `  bridge: ${bridge.links} links`)
      : `no connection: ${problem}; trying again`;
  return `${isPaused ? 'PAUSED  ' : ''}${what}  ${state}  at ${place}`;
}

function emptyText(page: Page, model: ViewModel, filter: string): string {
  if (filter !== '') return 'nothing fits the filter';
  return page === 'streams' && model.circuits.size === 0 ? 'no streams' : `no ${page}`;
}

function rowsOf(
  page: Page,
  { model, mappings }: Shown,
  columns: number,
  room: number,
): readonly string[] {
  switch (page) {
    case 'overview':
      return overview(model, columns, room);
    case 'links':
      return [...model.links].map(([name, status]) => `${pad(name, 42)} ${status}`);
    case 'circuits':
      return [...model.circuits].map(
        ([id, { status, path }]) => `${pad(String(id), 8)} ${pad(status, 12)} ${path.join(' > ')}`,
      );
    case 'streams':
      return [...model.streams].map(
        ([id, { status, target, circuit }]) =>
          `${pad(String(id), 8)} ${pad(status, 12)} ${pad(target, 40)} ${circuit === undefined ? '' : `circuit ${circuit}`}`,
      );
    case 'log':
      return model.log.map(({ epochMs, message }) => `${timeOf(epochMs)} ${message}`);
    case 'mappings':
      return mappings.map(
        ({ original, replacement }) => `${pad(original.host, 40)} > ${replacement.host}`,
      );
  }
}

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** Two graphs of bandwidth, as high as there is room, and how much is open. */
function overview(model: ViewModel, columns: number, room: number): readonly string[] {
  const width = Math.max(10, columns - 2);
  const samples = model.bandwidth.slice(-width);
  const height = Math.max(1, Math.min(8, Math.floor((room - 5) / 2)));
  const graph = (name: string, of: (sample: BandwidthSample) => number): readonly string[] => {
    const values = samples.map(of);
    const most = Math.max(1, ...values);
    const rows = Array.from({ length: height }, (_, row) =>
      values
        .map((value) => cellOf(value / most, height - 1 - row, height))
        .join('')
        .padStart(width),
    );
    return [`${name} ${formatRate(values.at(-1) ?? 0)}, at most ${formatRate(most)}`, ...rows];
  };
  const { process } = model;
  return [
    ...graph('read   ', ({ read }) => read),
    ...graph('written', ({ written }) => written),
    '',
    ...(process === undefined
      ? []
      : [`had run for ${formatSeconds(process.seconds)} when this view began`]),
  ];
}

/** One cell of a bar: how much of the row, counted from the ground, the share fills. */
function cellOf(share: number, row: number, height: number): string {
  const eighths = Math.round(share * height * BARS.length) - row * BARS.length;
  if (eighths <= 0) return row === 0 && share > 0 ? BARS[0]! : ' ';
  return BARS[Math.min(eighths, BARS.length) - 1]!;
}

/** Bytes a second, for people. */
function formatRate(bytes: number): string {
  if (bytes < 1000) return `${bytes} B/s`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB/s`;
  return `${(bytes / 1e6).toFixed(1)} MB/s`;
}

function timeOf(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 8);
}

function pad(text: string, width: number): string {
  return cut(text, width).padEnd(width);
}

/** No byte of what a daemon says reaches the terminal as a command. */
function cut(text: string, width: number): string {
  const characters = Array.from(text.replace(/\p{Cc}+/gu, ' '));
  return characters.length <= width
    ? characters.join('')
    : `${characters.slice(0, width - 1).join('')}…`;
}

type Painter = Readonly<Record<'head' | 'tabs' | 'problem', (line: string) => string>>;

const plain: Painter = { head: (line) => line, tabs: (line) => line, problem: (line) => line };
const colors: Painter = {
  head: (line) => `\x1b[1m${line}\x1b[0m`,
  tabs: (line) => `\x1b[36m${line}\x1b[0m`,
  problem: (line) => `\x1b[1;31m${line}\x1b[0m`,
};
