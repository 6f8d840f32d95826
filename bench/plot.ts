/** Bars side by side, as SVG: what a table of figures does not show at a glance. */

/** A group of bars, one for each series that has a value. */
export interface Group {
  readonly label: string;
  /** By series. */
  readonly values: Readonly<Record<string, number>>;
}

const WIDTH = 760;
const LABELS_WIDTH = 120;
const NUMBERS_WIDTH = 90;
const BAR_HEIGHT = 15;
const GROUP_GAP = 14;
const HEAD_HEIGHT = 62;
/** Told apart by people who do not see red or green, too (Okabe and Ito's colours). */
const COLORS = ['#0072b2', '#e69f00', '#cc79a7', '#999999'];

/** Draws groups of bars; `series` gives the order, and the first colour is ours. */
export function drawBars(
  title: string,
  unit: string,
  groups: readonly Group[],
  series: readonly string[],
): string {
  const most = Math.max(...groups.flatMap(({ values }) => Object.values(values)));
  const scale = (WIDTH - LABELS_WIDTH - NUMBERS_WIDTH) / most;
  const shapes: string[] = [text(16, 24, title, 'font-size="16" font-weight="bold"')];
  for (const [index, name] of series.entries()) {
    const x = LABELS_WIDTH + index * 150;
    shapes.push(rectangle(x, 38, 12, 12, COLORS[index]!), text(x + 18, 48, name));
  }
  let y = HEAD_HEIGHT;
  for (const { label, values } of groups) {
    const bars = series.filter((name) => name in values);
    const middle = y + (bars.length * BAR_HEIGHT) / 2 + 4;
    shapes.push(text(LABELS_WIDTH - 10, middle, label, 'text-anchor="end" font-weight="bold"'));
    for (const name of bars) {
      const value = values[name]!;
      const width = Math.max(1, value * scale);
      const color = COLORS[series.indexOf(name)]!;
      shapes.push(
        rectangle(LABELS_WIDTH, y, width, BAR_HEIGHT - 2, color),
        text(LABELS_WIDTH + width + 6, y + 11, `${value.toPrecision(3)} ${unit}`),
      );
      y += BAR_HEIGHT;
    }
    y += GROUP_GAP;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<title>${escape(title)}</title>
${rectangle(0, 0, WIDTH, y, '#ffffff')}
${shapes.join('\n')}
</svg>
`;
}

function rectangle(x: number, y: number, width: number, height: number, color: string): string {
  return `<rect x="${x}" y="${y}" width="${width.toFixed(1)}" height="${height}" fill="${color}"/>`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
