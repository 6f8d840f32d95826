/**
 * Rows of cells, in columns as wide as their widest cell. No byte of what a server said reaches the
 * terminal as a command.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  widths: readonly number[] = [],
): string {
  const clean = rows.map((row) => row.map((cell) => cell.replace(/\p{Cc}+/gu, ' ')));
  const widthOf = (column: number): number =>
    Math.max(widths[column] ?? 0, ...clean.map((row) => row[column]?.length ?? 0));
  return clean
    .map((row) => row.map((cell, column) => cell.padEnd(widthOf(column))).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}
