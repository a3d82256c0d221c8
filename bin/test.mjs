#!/usr/bin/env node
/**
 * `npm test`: sets up what is missing, then runs every check there is, cheap ones first, and sums them up in one line.
 *   npm test -- NAME …    only these sections: static, build, unit, contract, integration, component, guest, e2e, electron, long
 * The section long (guests that take minutes) runs only where it is named.
 * Each static check and the build count as one; the suites count their tests. A suite that cannot run here is counted as one skipped, with its reason;
 * one that leaves processes behind has failed once more. Downloads, logs and reports stay in the checkout.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { build } from './setup/build.mjs'
import { ensureChromium } from './setup/chromium.mjs'
import { electronBinary } from './setup/electron.mjs'
import { drive, root, setUp } from './setup/index.mjs'
import { endLeftovers, MARK } from './setup/leftovers.mjs'
import { ensureNetworkTools } from './setup/network-tools.mjs'
import { ensureQemu } from './setup/qemu.mjs'
import { run, say } from './setup/say.mjs'

const OUTPUT = path.join(root, 'tests/.output')
/** Downloads for Coppice Linux and its firmware, shared by the suites and kept for the next run. */
const CACHE = path.join(root, '.cache')
/** What Node made of the sources: hundreds of processes and threads of the tests run the same ones. */
const COMPILED = path.join(OUTPUT, 'compiled')
const bin = (name) => path.join(root, 'node_modules', name)

/** Run by Node: what each check is called, and its program with arguments. */
const STATIC_CHECKS = {
  'type check': [bin('typescript/bin/tsc'), '-p', 'tsconfig.json'],
  'type check, shared': [bin('typescript/bin/tsc'), '-p', 'tsconfig.shared.json'],
  'type check, window': [
    bin('svelte-check/bin/svelte-check'),
    '--tsconfig',
    'tsconfig.renderer.json',
    '--fail-on-warnings',
    '--output',
    'human',
  ],
  layers: [
    bin('dependency-cruiser/bin/dependency-cruise.mjs'),
    '--config',
    '.dependency-cruiser.cjs',
    'src-shared',
    'src-main',
    'src-renderer',
  ],
  formatting: [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  lint: [bin('eslint/bin/eslint.js'), '--config', 'tests/lint/eslint.config.js', '--max-warnings', '0', '.'],
}
/** A suite that takes longer hangs: it is ended and counted as failed. */
const SUITE_LIMIT_MS = 20 * 60 * 1000
/** Checks that run at the same time. */
const AT_ONCE = 2

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** What failed, told again at the end: of a long run often only the end is kept. */
const failures = []
/** What failed at first and passed by itself. */
const unsteady = []

function heading(title) {
  process.stdout.write(`\n── ${title} ${'─'.repeat(Math.max(0, 90 - title.length))}\n`)
}

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`

/** @returns {Promise<Count>} */
async function staticChecks(node, env) {
  const waiting = Object.entries(STATIC_CHECKS)
  const count = { passed: 0, failed: 0, skipped: 0 }
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, args] = next
      const started = Date.now()
      const result = await run(node, args, { cwd: root, env })
      count[result.ok ? 'passed' : 'failed'] += 1
      if (!result.ok) failures.push(name)
      process.stdout.write(`${result.ok ? '✓' : '✗'} ${name} (${seconds(started)})\n${result.ok ? '' : `${result.output.trimEnd()}\n`}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return count
}

/** @returns {Promise<Count>} */
async function buildCheck() {
  try {
    await build(root)
    return { passed: 1, failed: 0, skipped: 0 }
  } catch (error) {
    process.stdout.write(`${error.message}\n`)
    failures.push('build')
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

/** A run that failed without a failed test (a file that cannot be loaded, an unhandled error, a run without end) is one failure. */
function settle(name, count, result) {
  if (result.timedOut) process.stdout.write(`ended after ${SUITE_LIMIT_MS / 60_000} minutes: something in it hangs\n`)
  if (result.ok || count.failed > 0) return count
  failures.push(`${name}, as a whole`)
  return { ...count, failed: 1 }
}

/** @returns {Promise<Count>} */
async function vitest(project, node, env) {
  const first = await vitestRun(project, [], node, env)
  const shaky = first.files.filter((file) => file.trouble.length > 0)
  if (first.result.ok || shaky.length === 0) return settle(project, sum(first.files), first.result)
  // Real guests, on a computer that may do anything else meanwhile: what fails once and then passes is told, and mended when it is seen again.
  const paths = shaky.map(({ name }) => name)
  process.stdout.write(`once more: ${paths.join(', ')}\n`)
  const second = await vitestRun(project, paths, node, env)
  const still = second.files.flatMap(({ trouble }) => trouble)
  failures.push(...still)
  for (const once of shaky.flatMap(({ trouble }) => trouble)) if (!still.includes(once)) unsteady.push(once)
  const steady = first.files.filter(({ trouble }) => trouble.length === 0)
  return settle(project, sum([...steady, ...second.files]), second.result)
}

/** @typedef {Count & { name: string, trouble: string[] }} FileCount what became of a file's tests; `trouble`: those that failed or did not end */

/** @returns {Promise<{ result: { ok: boolean, timedOut: boolean }, files: FileCount[] }>} */
async function vitestRun(project, files, node, env) {
  const report = path.join(OUTPUT, `${project}.json`)
  rmSync(report, { force: true })
  const args = [
    bin('vitest/vitest.mjs'),
    'run',
    '--config',
    'tests/vitest.config.ts',
    '--root',
    '.',
    '--project',
    project,
    '--passWithNoTests',
    ...files,
  ]
  const result = await run(node, [...args, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], {
    cwd: root,
    env,
    show: true,
    limitMs: SUITE_LIMIT_MS,
  })
  return { result, files: (readReport(report)?.testResults ?? []).map(fileCount) }
}

/** @returns {FileCount} */
function fileCount({ name, status, assertionResults }) {
  const file = path.relative(root, name)
  const by = (...states) => assertionResults.filter((test) => states.includes(test.status))
  // Pending: its process ended before it did.
  const bad = by('failed', 'pending')
  const trouble = bad.map(({ fullName }) => `${file}: ${fullName}`)
  if (status === 'failed' && bad.length === 0) trouble.push(`${file}, as a whole`)
  return { name: file, trouble, passed: by('passed').length, failed: trouble.length, skipped: by('skipped', 'todo').length }
}

/** @returns {Count} */
function sum(files) {
  const count = { passed: 0, failed: 0, skipped: 0 }
  for (const file of files) add(count, file)
  return count
}

/** @returns {Promise<Count>} */
async function playwright(name, node, env) {
  const report = path.join(OUTPUT, `${name}.json`)
  rmSync(report, { force: true })
  const args = [bin('@playwright/test/cli.js'), 'test', '--config', `tests/${name}/playwright.config.ts`, '--reporter=list,json']
  const result = await run(node, args, {
    cwd: root,
    env: { ...env, PLAYWRIGHT_JSON_OUTPUT_FILE: report },
    show: true,
    limitMs: SUITE_LIMIT_MS,
  })
  const { stats, suites = [] } = readReport(report) ?? {}
  const { expected = 0, unexpected = 0, flaky = 0, skipped = 0 } = stats ?? {}
  failures.push(...suites.flatMap(failedSpecs))
  return settle(name, { passed: expected + flaky, failed: unexpected, skipped }, result)
}

/** @returns {string[]} of a suite in Playwright's report */
function failedSpecs({ suites = [], specs = [] }) {
  return [...specs.flatMap(({ ok, file, title }) => (ok ? [] : [`${file}: ${title}`])), ...suites.flatMap(failedSpecs)]
}

/** @returns {Count} */
function skip(reason) {
  process.stdout.write(`skipped: ${reason}\n`)
  return { passed: 0, failed: 0, skipped: 1 }
}

/** Ends what a section left behind. @returns {Promise<Count>} */
async function noLeftovers(mark) {
  const left = await endLeftovers(mark)
  for (const { pid, command } of left) process.stdout.write(`✗ left running, and ended now: process ${pid}, ${command.slice(0, 200)}\n`)
  if (left.length > 0) failures.push(`${left.length} processes were left running`)
  return { passed: 0, failed: left.length > 0 ? 1 : 0, skipped: 0 }
}

function add(total, count) {
  for (const key of Object.keys(total)) total[key] += count[key]
}

/** A checkout that cannot be set up has failed its one check: whoever reads the last line learns so. */
async function setUpOrFail() {
  try {
    return await setUp({ built: false })
  } catch (error) {
    process.stdout.write(`${error.message}\n0 passed, 1 failed, 0 skipped\n`)
    return null
  }
}

drive(async () => {
  const setup = await setUpOrFail()
  if (!setup) return 1
  const { node } = setup
  const mark = randomUUID()
  const env = {
    ...setup.env,
    COPPICE_CACHE: process.env.COPPICE_CACHE || CACHE,
    COPPICE_STATE: process.env.COPPICE_STATE || path.join(OUTPUT, 'state'),
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || COMPILED,
    [MARK]: mark,
  }
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])
    process.once(signal, () => void endLeftovers(mark, 0).then(() => process.exit(code)))
  mkdirSync(OUTPUT, { recursive: true })
  const chromium = await ensureChromium('for the tests of the window')
  await ensureQemu()
  await ensureNetworkTools()
  const inBrowser = (suite) => () => (chromium ? suite() : skip('no Chromium, Chrome or Edge is installed here'))
  const sections = {
    static: () => staticChecks(node, env),
    build: buildCheck,
    unit: () => vitest('unit', node, env),
    contract: () => vitest('contract', node, env),
    integration: () => vitest('integration', node, env),
    component: inBrowser(() => vitest('component', node, env)),
    guest: () => vitest('guest', node, env),
    long: () => vitest('long', node, env),
    e2e: inBrowser(() => playwright('e2e', node, env)),
    electron: () =>
      electronBinary(root) ? playwright('electron', node, env) : skip('Electron’s binary is not here; to fetch it: npx install-electron'),
  }
  const asked = process.argv.slice(2)
  const unknown = asked.find((name) => !(name in sections))
  if (unknown !== undefined) {
    say(`There is no section “${unknown}”. There are: ${Object.keys(sections).join(', ')}.`)
    return 2
  }
  const total = { passed: 0, failed: 0, skipped: 0 }
  const started = Date.now()
  for (const [name, section] of Object.entries(sections)) {
    if (asked.length > 0 ? !asked.includes(name) : name === 'long') continue
    heading(name)
    const began = Date.now()
    const count = await section()
    add(count, await noLeftovers(mark))
    process.stdout.write(`${name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (${seconds(began)})\n`)
    add(total, count)
  }
  heading(`all, in ${seconds(started)}`)
  for (const once of unsteady) process.stdout.write(`~ failed once, then passed: ${once}\n`)
  for (const failure of failures) process.stdout.write(`✗ ${failure}\n`)
  process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`)
  return total.failed === 0 ? 0 : 1
})
