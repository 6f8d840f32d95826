import { PosternError } from '../errors.ts';

/** The specification versions that both our sides speak, best first. */
export const supportedVersions: readonly string[] = ['1'];

/**
 * Whether `text` can be a version: printable ASCII, no whitespace, no comma, not empty
 * (PT 3.2.1).
 */
export function isVersion(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

/**
 * The versions of `TOR_PT_MANAGED_TRANSPORT_VER`: `1,1a,2b,this_is_a_valid_ver` (PT 3.2.1).
 *
 * @throws PosternError `ERR_PT_VERSION` for an ill-formed or empty item
 */
export function parseVersionList(text: string): readonly string[] {
  const versions = text.split(',');
  checkVersions(versions);
  return versions;
}

/**
 * The inverse of `parseVersionList`.
 *
 * @throws PosternError `ERR_PT_VERSION` for an empty list or an ill-formed version
 */
export function formatVersionList(versions: readonly string[]): string {
  if (versions.length === 0) throw new PosternError('ERR_PT_VERSION', 'no version is offered');
  checkVersions(versions);
  return versions.join(',');
}

/** The version to use out of those offered, compared as whole strings; undefined when none fits. */
export function negotiateVersion(offered: readonly string[]): string | undefined {
  return supportedVersions.find((version) => offered.includes(version));
}

function checkVersions(versions: readonly string[]): void {
  const bad = versions.findIndex((version) => !isVersion(version));
  if (bad === -1) return;
  throw new PosternError(
    'ERR_PT_VERSION',
    versions[bad] === ''
      ? `version ${bad + 1} of the list is empty`
      : `version ${bad + 1} of the list is not printable ASCII without spaces and commas`,
  );
}
