/** The layers of the source tree, as in "how the code is laid out". tests/integration/layers.test.ts shows that each rule catches what it is for. */
const only = (name, comment, from, allowed) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: '^src-', pathNot: allowed },
})

const PARTS = ['process', 'files', 'archive', 'engines', 'storage', 'network', 'appliance']
/** What a part may import beside src-shared and itself. */
const BASES = {
  appliance: 'appliance|archive',
  storage: 'storage|process|files|archive',
  engines: 'engines|process|files',
  network: 'network|files',
}

module.exports = {
  forbidden: [
    only('shared-stands-alone', 'src-shared imports nothing of ours', '^src-shared/', '^src-shared/'),
    {
      name: 'shared-runs-everywhere',
      comment: 'src-shared has no Node, no DOM, no packages but zod',
      severity: 'error',
      from: { path: '^src-shared/' },
      to: { dependencyTypesNot: ['local', 'type-only'], pathNot: '(^|/)zod/' },
    },
    only('renderer-knows-shared', 'src-renderer imports src-shared', '^src-renderer/', '^src-(renderer|shared)/'),
    {
      name: 'renderer-has-no-node',
      comment: 'the window is sandboxed',
      severity: 'error',
      from: { path: '^src-renderer/' },
      to: { dependencyTypes: ['core'] },
    },
    ...PARTS.map((part) =>
      only(
        `${part}-stands-apart`,
        'engines, storage, network and appliance import src-shared, never each other or the host',
        `^src-main/${part}/`,
        `^src-(shared|main/(${BASES[part] ?? part}))/`,
      ),
    ),
    only(
      'host-knows-contracts',
      'the host imports src-shared, where threads are, who runs and how files are written',
      '^src-main/host/',
      '^src-(shared|main/(host|process|files))/|^src-main/threads/thread-url\\.ts$',
    ),
    only(
      'threads-are-entries',
      'a thread serves one part',
      '^src-main/threads/',
      '^src-shared/|^src-main/(threads|archive|engines|storage|network|appliance)/',
    ),
    {
      name: 'app-is-on-top',
      comment: 'nothing below imports the app',
      severity: 'error',
      from: { path: '^src-', pathNot: '^src-main/app/' },
      to: { path: '^src-main/app/' },
    },
    {
      name: 'electron-has-one-home',
      comment: 'the host runs in plain Node',
      severity: 'error',
      from: { path: '^src-', pathNot: '^src-main/app/electron/' },
      to: { path: '(^|/)electron(/|$)', pathNot: '^src-' },
    },
    {
      name: 'electron-stays-in-its-home',
      comment: 'only the entry and its parts know the desktop shell',
      severity: 'error',
      from: { path: '^src-', pathNot: '^src-main/app/electron/' },
      to: { path: '^src-main/app/electron/' },
    },
    {
      name: 'v86-has-one-home',
      comment: 'the embedded engine will be replaced by one of our own',
      severity: 'error',
      from: { path: '^src-', pathNot: '^src-main/engines/embedded/' },
      to: { path: '(^|/)v86(/|$)', pathNot: '^src-' },
    },
    {
      name: 'koffi-has-two-homes',
      comment: 'calls of the system beside what Node gives are few, and in two places',
      severity: 'error',
      from: { path: '^src-', pathNot: '^src-main/(storage/file/holes|network/link/tap)/' },
      to: { path: '(^|/)koffi(/|$)', pathNot: '^src-' },
    },
    {
      name: 'sources-know-no-tests',
      comment: 'tests import sources, not the other way',
      severity: 'error',
      from: { path: '^src-' },
      to: { path: '^tests/' },
    },
    {
      name: 'no-cycles',
      comment: 'read one file after the other',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'everything-resolves', comment: 'a path that leads nowhere', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src-renderer/.*\\.(css|svg)$' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.svelte', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'svelte', 'default'],
    },
  },
}
