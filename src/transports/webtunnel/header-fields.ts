/** HTTP/1.1 header fields, as both ends need them (RFC 9110, section 5; RFC 9112, section 5). */

/** Values by names in lower case, in the order in which they came. */
export type HeaderFields = ReadonlyMap<string, readonly string[]>;

/**
 * The fields of a head, from behind its first line. Lines that are no field are passed over, as web servers
 * and clients do: nothing is made of them.
 */
export function parseHeaderFields(lines: readonly string[]): HeaderFields {
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (match === null) continue;
    const name = match[1]!.toLowerCase();
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [match[2]!]);
    else values.push(match[2]!);
  }
  return fields;
}

/** The length of a head with the empty line that ends it; undefined while that line is not there. */
export function headLength(text: string): number | undefined {
  // RFC 9112, section 2.2: a lone LF may end a line.
  const end = /\n\r?\n/.exec(text);
  return end === null ? undefined : end.index + end[0].length;
}

/** Whether one of the comma-separated words of a field is this one, in any case. */
export function hasToken(fields: HeaderFields, name: string, token: string): boolean {
  const words = (fields.get(name) ?? []).flatMap((value) => value.split(','));
  return words.some((word) => word.trim().toLowerCase() === token);
}
