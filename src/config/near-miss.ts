/** What a mistyped name may have meant. */

/**
 * The name that is nearest, letter case aside: at most two letters are missing, too many, wrong or in the
 * other order, or it is the only one that begins so.
 */
export function nearestName(text: string, names: readonly string[]): string | undefined {
  const given = text.toLowerCase();
  const allowed = given.length < 5 ? 1 : 2;
  const ranked = names
    .filter((name) => Math.abs(name.length - given.length) <= allowed)
    .map((name) => ({ name, distance: distance(given, name.toLowerCase()) }))
    .toSorted((one, other) => one.distance - other.distance);
  const [best] = ranked;
  if (best !== undefined && best.distance <= allowed) return best.name;
  const longer = names.filter((name) => name.toLowerCase().startsWith(given));
  return given.length >= 4 && longer.length === 1 ? longer[0] : undefined;
}

/** Edits from one text to the other; two neighbours that change places are one (Damerau and Levenshtein). */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      let least = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (isSame ? 0 : 1),
      );
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwapped && row > 1 && column > 1) least = Math.min(least, beforeLast[column - 2]! + 1);
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}
