/** Tor's complaints about a configuration, as errors of ours. */
import { placeOf } from '../../config/include.ts';
import type { TorrcPiece } from '../../config/torrc.ts';
import { PosternError } from '../../errors.ts';
import { TorRefusal } from '../../tor-control/messages.ts';

/** A Tor that does not start with its torrc. */
export class TorrcRefusal extends PosternError {
  /** @param complaint Tor's own words */
  constructor(complaint: string) {
    super('ERR_CONFIG_VALUE', complaint);
  }
}

/**
 * Which of Tor's complaints during its start is the reason why it does not run; undefined when none is.
 */
export function reasonIn(complaints: readonly string[]): string | undefined {
  const told = complaints.filter((text) => !isEmptyPhrase(text));
  const last = told.at(-1);
  const unexplained = /^(.*?)\.? See logs for details\.?$/.exec(last ?? '')?.[1];
  const detail = told.at(-2);
  return unexplained === undefined || detail === undefined ? last : `${unexplained}: ${detail}`;
}

/** Tor's last lines when it gives up say only that; the ones before say why. */
function isEmptyPhrase(complaint: string): boolean {
  return /^(?:Reading config failed|set_options\(\): Bug|Error loading rendezvous service keys|.*Failed to bind one of the listener ports)/.test(
    complaint,
  );
}

/**
 * An error about configuration lines as the user is to read it: Tor's complaint, with the line that it
 * is about when its words tell; any other error as it is.
 *
 * @param lines what Tor was given, as the user wrote them
 * @param error what came of it, perhaps as the cause of another error
 */
export function explainRefusal(lines: readonly TorrcPiece[], error: unknown): unknown {
  const complaint = complaintOf(error);
  if (complaint === undefined) return lossOf(error) ?? error;
  const isUnknown = /^(?:Unknown option|Unrecognized configuration key)/.test(complaint);
  return new PosternError(
    isUnknown ? 'ERR_CONFIG_KEY' : 'ERR_CONFIG_VALUE',
    blameLine(lines, complaint),
  );
}

function complaintOf(error: unknown): string | undefined {
  if (error instanceof TorRefusal) return withoutPreamble(error.text);
  if (error instanceof TorrcRefusal) return withoutPreamble(error.message);
  return error instanceof PosternError ? complaintOf(error.cause) : undefined;
}

/** Failures of a Tor that did not get as far as reading the lines: the lines may be right. */
function lossOf(error: unknown): PosternError | undefined {
  const cause = error instanceof PosternError ? error.cause : undefined;
  const isLoss = cause instanceof PosternError && cause.code.startsWith('ERR_TOR_');
  return isLoss && cause.retry === 'later' ? cause : undefined;
}

function blameLine(lines: readonly TorrcPiece[], complaint: string): string {
  const said = complaint.toLowerCase();
  const settings = lines.flatMap((piece) =>
    piece.setting === undefined ? [] : [{ place: placeOf(piece), ...piece.setting }],
  );
  // In a change of one line it is that line, whatever the words are; a torrc of one line is `Engine tor`.
  const isOnly = settings.length === 1 && settings[0]!.key.toLowerCase() !== 'engine';
  const named = settings.filter(({ key }) => isWordIn(said, key.toLowerCase()));
  // Of several lines of one option it is the one whose value Tor repeats; a path or an address is enough.
  const blamed =
    named.find(({ value }) => value !== '' && said.includes(value.toLowerCase())) ??
    named.at(-1) ??
    settings.find(({ value }) => /.[/:]./.test(value) && said.includes(value.toLowerCase())) ??
    (isOnly ? settings[0] : undefined);
  return blamed === undefined ? complaint : `${blamed.key} (${blamed.place}): ${complaint}`;
}

function isWordIn(text: string, word: string): boolean {
  const start = text.indexOf(word);
  const isEdge = (character: string | undefined): boolean => !/[a-z0-9_]/.test(character ?? ' ');
  return start !== -1 && isEdge(text[start - 1]) && isEdge(text[start + word.length]);
}

/** What stands before Tor’s own words about an option. */
function withoutPreamble(complaint: string): string {
  return complaint.replace(
    /^(?:Unacceptable option value: |Invalid config file: |Failed to parse\/validate config: |Transition not allowed: |Unrecognized option: )+/,
    '',
  );
}
