/** The layer rules, each shown a file that breaks it: a rule that catches nothing would go unnoticed. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { ESLint } from 'eslint'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** Files of a small tree; what each imports is what is wrong with it, or nothing. */
const TREE: Record<string, string> = {
  'src-shared/base/value.ts': 'export const value = 1',
  'src-shared/upward.ts': "export * from '../src-main/host/host.ts'",
  'src-shared/with-node.ts': "export { join } from 'node:path'",
  'src-renderer/reaches-main.ts': "export * from '../src-main/host/host.ts'",
  'src-renderer/with-node.ts': "export { join } from 'node:path'",
  'src-renderer/fine.ts': "export * from '../src-shared/base/value.ts'",
  'src-main/host/host.ts':
    "export * from '../../src-shared/base/value.ts'\nexport * from '../threads/thread-url.ts'\nexport * from '../files/write.ts'",
  'src-main/host/reaches-engine.ts': "export * from '../engines/engine.ts'",
  'src-main/host/reaches-entry.ts': "export * from '../threads/storage.thread.ts'",
  'src-main/threads/thread-url.ts': 'export const threadUrl = 1',
  'src-main/threads/storage.thread.ts': "export * from '../storage/disk.ts'",
  'src-main/threads/bad.thread.ts': "export * from '../host/host.ts'",
  'src-main/engines/engine.ts': "export * from '../../src-shared/base/value.ts'\nexport * from '../files/write.ts'",
  'src-main/engines/reaches-storage.ts': "export * from '../storage/disk.ts'",
  'src-main/process/start.ts': 'export const start = 1',
  'src-main/process/reaches-host.ts': "export * from '../host/host.ts'",
  'src-main/files/write.ts': 'export const write = 1',
  'src-main/files/reaches-process.ts': "export * from '../process/start.ts'",
  'src-main/storage/disk.ts': "export * from '../process/start.ts'\nexport * from '../files/write.ts'\nexport * from '../archive/tar.ts'",
  'src-main/appliance/reaches-process.ts': "export * from '../process/start.ts'",
  'src-main/storage/reaches-host.ts': "export * from '../host/host.ts'",
  'src-main/network/keeps.ts': "export * from '../files/write.ts'",
  'src-main/network/reaches-storage.ts': "export * from '../storage/disk.ts'",
  'src-main/archive/tar.ts': 'export const tar = 1',
  'src-main/archive/reaches-appliance.ts': "export * from '../appliance/build.ts'",
  'src-main/appliance/build.ts': "export * from '../archive/tar.ts'",
  'src-main/appliance/reaches-host.ts': "export * from '../host/host.ts'",
  'src-main/app/cli/main.ts': "export * from '../../host/host.ts'",
  'src-main/app/electron/main.ts': "export * from 'electron'",
  'src-main/app/cli/with-electron.ts': "export * from 'electron'",
  'src-main/app/serve/reaches-shell.ts': "export * from '../electron/main.ts'",
  'src-main/host/reaches-app.ts': "export * from '../app/cli/main.ts'",
  'src-main/engines/embedded/emulator.ts': "export * from 'v86'",
  'src-main/engines/with-v86.ts': "export * from 'v86'",
  'src-main/storage/file/holes/calls.ts': "export * from 'koffi'",
  'src-main/network/link/tap/calls.ts': "export * from 'koffi'",
  'src-main/storage/with-koffi.ts': "export * from 'koffi'",
  'src-main/host/knows-test.ts': "export * from '../../tests/double.ts'",
  'src-main/host/circle-a.ts': "export { b } from './circle-b.ts'\nexport const a = 1",
  'src-main/host/circle-b.ts': "export { a } from './circle-a.ts'\nexport const b = 1",
  'src-main/host/lost.ts': "export * from './nowhere.ts'",
  'tests/double.ts': 'export const double = 1',
  'node_modules/electron/index.js': 'module.exports = {}',
  'node_modules/electron/package.json': '{"name":"electron","version":"1.0.0"}',
  'node_modules/v86/index.js': 'module.exports = {}',
  'node_modules/v86/package.json': '{"name":"v86","version":"1.0.0"}',
  'node_modules/koffi/index.js': 'module.exports = {}',
  'node_modules/koffi/package.json': '{"name":"koffi","version":"1.0.0"}',
  'package.json': '{"name":"tree","type":"module","dependencies":{"electron":"1.0.0","v86":"1.0.0","koffi":"1.0.0"}}',
  'tsconfig.json': '{"compilerOptions":{"allowImportingTsExtensions":true,"moduleResolution":"bundler","module":"ESNext","noEmit":true}}',
}

/** File and the rules that it breaks. A circle is reported once, at its first file. */
const BROKEN: Record<string, string[]> = {
  'src-shared/upward.ts': ['shared-stands-alone'],
  'src-shared/with-node.ts': ['shared-runs-everywhere'],
  'src-renderer/reaches-main.ts': ['renderer-knows-shared'],
  'src-renderer/with-node.ts': ['renderer-has-no-node'],
  'src-main/host/reaches-engine.ts': ['host-knows-contracts'],
  'src-main/host/reaches-entry.ts': ['host-knows-contracts'],
  'src-main/threads/bad.thread.ts': ['threads-are-entries'],
  'src-main/engines/reaches-storage.ts': ['engines-stands-apart'],
  'src-main/appliance/reaches-process.ts': ['appliance-stands-apart'],
  'src-main/process/reaches-host.ts': ['process-stands-apart'],
  'src-main/files/reaches-process.ts': ['files-stands-apart'],
  'src-main/storage/reaches-host.ts': ['storage-stands-apart'],
  'src-main/network/reaches-storage.ts': ['network-stands-apart'],
  'src-main/archive/reaches-appliance.ts': ['archive-stands-apart'],
  'src-main/appliance/reaches-host.ts': ['appliance-stands-apart'],
  'src-main/app/cli/with-electron.ts': ['electron-has-one-home'],
  'src-main/app/serve/reaches-shell.ts': ['electron-stays-in-its-home'],
  'src-main/host/reaches-app.ts': ['app-is-on-top', 'host-knows-contracts'],
  'src-main/engines/with-v86.ts': ['v86-has-one-home'],
  'src-main/storage/with-koffi.ts': ['koffi-has-two-homes'],
  'src-main/host/knows-test.ts': ['sources-know-no-tests'],
  'src-main/host/circle-a.ts': ['no-cycles'],
  'src-main/host/lost.ts': ['everything-resolves'],
}

interface CruiseResult {
  summary: { violations: { from: string; rule: { name: string } }[] }
}

let folder: string
let found: Map<string, Set<string>>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), 'coppice-layers-')))
  for (const [file, text] of Object.entries(TREE)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true })
    await writeFile(path.join(folder, file), `${text}\n`)
  }
  const cli = path.join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const args = [
    cli,
    '--config',
    path.join(ROOT, '.dependency-cruiser.cjs'),
    '--output-type',
    'json',
    'src-shared',
    'src-main',
    'src-renderer',
  ]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, maxBuffer: 16 * 1024 * 1024 })
  found = new Map()
  for (const { from, rule } of (JSON.parse(stdout) as CruiseResult).summary.violations)
    found.set(from, (found.get(from) ?? new Set()).add(rule.name))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test('every broken layer is found, and nothing else', () => {
  const named = Object.fromEntries([...found].map(([file, rules]) => [file, [...rules].sort()]))
  expect(named).toEqual(BROKEN)
})

test('src-shared may not use what only Node or only a window has', async () => {
  const eslint = new ESLint({ cwd: ROOT, overrideConfigFile: path.join(ROOT, 'tests/lint/eslint.config.js') })
  const text = 'export const here = [process.pid, window.name, Buffer.alloc(1)]\n'
  const [result] = await eslint.lintText(text, { filePath: path.join(ROOT, 'src-shared/base/ids.ts') })
  const names = result!.messages
    .filter(({ ruleId }) => ruleId === 'no-restricted-globals')
    .map(({ message }) => /'(\w+)'/.exec(message)?.[1])
  expect(names).toEqual(['process', 'window', 'Buffer'])
})
