/** What TypeDoc reads and writes: a page for each subpath that package.json exports. */
import { readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const entryPoints = Object.values(exports)
  .filter((target) => target.endsWith('.js'))
  .map((target) => new URL(target.replace('./dist/', '').replace(/js$/, 'ts'), root).pathname);

export default {
  name: 'postern',
  entryPoints,
  tsconfig: new URL('tsconfig.json', import.meta.url).pathname,
  plugin: ['typedoc-plugin-markdown'],
  router: 'module',
  out: new URL('docs/api', root).pathname,
  readme: 'none',
  disableSources: true,
  excludeExternals: true,
  excludePrivate: true,
  excludeInternal: true,
  hideBreadcrumbs: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  propertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  enumMembersFormat: 'table',
  // What is exported and not documented fails the run.
  requiredToBeDocumented: ['Class', 'Interface', 'TypeAlias', 'Function', 'Variable', 'Method'],
  validation: { notDocumented: true, notExported: false, invalidLink: true },
  treatValidationWarningsAsErrors: true,
};
