import { ipToBytes } from './address.ts';

const mark = '[scrubbed]';

/**
 * Replaces every IPv4 and IPv6 address in a text, with its brackets, zone and port, by `[scrubbed]`.
 * Times (12:34:56), MAC addresses and C++ names stay. When in doubt it scrubs: a version of four numbers
 * (0.4.9.11) looks like an address and goes.
 */
export function scrubAddresses(text: string): string {
  return text
    .replace(/[0-9a-fA-F:.]+/g, scrubIpv6)
    .replace(/\[\[scrubbed\](?:%[\w.-]+)?\]/g, mark)
    .replace(/\[scrubbed\](?:%[\w.-]+)?:[0-9]{1,5}(?![0-9:])/g, mark)
    .replace(/\[scrubbed\]%[\w.-]+/g, mark)
    .replace(
      /(?<![0-9]|[0-9]\.)((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9]|\.[0-9])(?::[0-9]{1,5}(?![0-9]))?/g,
      (match, address: string) => (isIpv4Like(address) ? mark : match),
    );
}

/** Leading zeros are no reason to keep an address: other programs write them. */
function isIpv4Like(address: string): boolean {
  return address.split('.').every((field) => Number(field) <= 255);
}

/** Scrubs the address in a run of hexadecimal digits, colons and dots, if there is one. */
function scrubIpv6(run: string, offset: number, text: string): string {
  if (run.indexOf(':') === run.lastIndexOf(':')) return run; // an address has two colons at least
  let start = 0;
  let end = run.length;
  // A group that touches a word is part of the word: std::deque, addr:2001:db8::1.
  if (isWord(text[offset - 1])) start = run.indexOf(':');
  if (isWord(text[offset + run.length])) end = run.lastIndexOf(':') + 1;
  if (end <= start) return run;
  // Punctuation around it: "from ::1: refused", "to 2001:db8::1."
  if (run[start] === ':' && run[start + 1] !== ':') start += 1;
  while (run[end - 1] === '.') end -= 1;
  if (run[end - 1] === ':' && run[end - 2] !== ':') end -= 1;
  for (const [from, to] of candidates(run, start, end)) {
    const address = run.slice(from, to);
    if (!address.includes(':') || ipToBytes(address) === undefined) continue;
    // C++ again: in "a::g" and "std::b", what looks like a short address goes on as a word.
    const goesOn =
      (address.startsWith('::') && isWord(text[offset + from - 1])) ||
      (address.endsWith('::') && isWord(text[offset + to]));
    if (goesOn && address.split(':').length === 3) continue;
    return run.slice(0, from) + mark + run.slice(to);
  }
  return run;
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /\w/.test(character);
}

/** The whole, then without its last group (a port without brackets), then without its first. */
function candidates(
  run: string,
  start: number,
  end: number,
): readonly (readonly [number, number])[] {
  const last = run.lastIndexOf(':', end - 1);
  const second = run.indexOf(':', start) + 1;
  return [
    [start, end],
    [start, last],
    [second, end],
    [second, last],
  ];
}
