/** A folder in memory. */
import type { Folder } from '../../src/transports/contract.ts';

/** @param files contents by their paths, such as `sub/index.html`; one that ends in a slash is an empty folder */
export function memoryFolder(
  files: Readonly<Record<string, string>>,
): Folder & { readonly reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    async find(path) {
      const name = path.join('/');
      const content = files[name];
      if (content === 'forbidden') return 'forbidden';
      if (content !== undefined) return { size: content.length, modifiedMs: 1_700_000_000_500 };
      const isFolder = Object.keys(files).some((file) =>
        file.startsWith(name === '' ? '' : `${name}/`),
      );
      return isFolder ? 'folder' : undefined;
    },
    async read(path, position, byteCount) {
      const name = path.join('/');
      reads.push(`${name} ${position} ${byteCount}`);
      return Buffer.from(files[name]!.slice(position, position + byteCount));
    },
  };
}
