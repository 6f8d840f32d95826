import type { ConfigStore } from '../../config/store.ts';
import type { Keyword } from '../../config/vocabulary.ts';
import type { ConfEntry } from '../../control/messages.ts';
import type { TorCommands } from '../../tor-control/commands.ts';
import type { TorSettings } from './tor-settings.ts';

/**
 * GETCONF (TC 3.4): our own options from our store, all others from Tor, in the order of the keys.
 *
 * @param control asked for only when a key needs Tor
 * @throws PosternError `ERR_CONFIG_KEY`, or what `control` and its commands throw
 */
export async function getConf(
  { store, settings }: { readonly store: ConfigStore; readonly settings: TorSettings },
  keys: readonly string[],
  control: () => TorCommands,
): Promise<readonly ConfEntry[]> {
  const { vocabulary } = store.current;
  store.get(keys); // an unknown key is an error before Tor is asked anything
  const keywords = keys.map((key) => vocabulary.find(key)!);
  const isOurs = ({ name }: Keyword): boolean => (vocabulary.read as ReadonlySet<string>).has(name);
  const ofTor = [
    ...new Set(
      keywords
        .filter((keyword) => keyword.kind !== 'member' && !isOurs(keyword))
        .map(({ name }) => name),
    ),
  ];
  // One command for each, all sent at once: the lines of a group do not bear its name.
  const asked = ofTor.length === 0 ? undefined : control();
  const answers = await Promise.all(ofTor.map((name) => asked!.getConf([name])));
  const found = new Map(
    answers.map((entries, index) => [
      ofTor[index]!,
      entries.flatMap(({ key, value }) =>
        value === undefined ? [] : [settings.fromTor({ key, value })],
      ),
    ]),
  );
  return keywords.flatMap((keyword): readonly ConfEntry[] => {
    if (keyword.kind === 'member') return [];
    return isOurs(keyword) ? store.get([keyword.name]) : found.get(keyword.name)!;
  });
}
