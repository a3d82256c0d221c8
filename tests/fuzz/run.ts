/**
 * `npm run fuzz [-- MINUTES]`: feeds every parser mutated and made-up input, round after round with fresh seeds, until the minutes (10) are over.
 * FUZZ_SEED=N runs one round with that seed, to see a failure again; FUZZ_RUNS says how many inputs each test gets in a round.
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'

const MINUTES = 10
const RUNS = '1000'
/** Seeds are below: products with what the generator multiplies them by are exact. */
const SEEDS = 1_000_000

const root = path.resolve(import.meta.dirname, '../..')
const report = path.join(root, 'tests/.output/fuzz.json')

/** Of vitest's JSON report. */
interface Report {
  numPassedTests: number
  numFailedTests: number
  testResults: {
    name: string
    message: string
    status: string
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[]
  }[]
}

/** @returns whether nothing was found */
async function round(seed: number, runs: string): Promise<boolean> {
  await rm(report, { force: true })
  const from = performance.now()
  const args = ['run', '--config', 'tests/fuzz/vitest.config.ts', '--reporter=json', `--outputFile.json=${report}`]
  const child = spawn(process.execPath, [path.join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: root,
    env: { ...process.env, FUZZ_SEED: String(seed), FUZZ_RUNS: runs },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-10_000)))
  const [code] = (await once(child, 'close')) as [number | null]
  const text = await readFile(report, 'utf8').catch(() => null)
  const seconds = ((performance.now() - from) / 1000).toFixed(0)
  if (text === null) {
    console.log(`seed ${seed}: ended without a report (${seconds} s)\n${said}`)
    return false
  }
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(text) as Report
  console.log(`seed ${seed}: ${testResults.length} files, ${numPassedTests} tests passed, ${numFailedTests} failed (${seconds} s)`)
  for (const { name, message, status, assertionResults } of testResults) {
    if (status === 'failed' && assertionResults.length === 0) console.log(`\n✗ ${path.relative(root, name)}\n${message}`)
    for (const { fullName, failureMessages } of assertionResults.filter((one) => one.status === 'failed'))
      console.log(`\n✗ ${path.relative(root, name)}: ${fullName}\n${failureMessages.join('\n')}`)
  }
  if (code === 0) return true
  console.log(`\nTo see it again: FUZZ_SEED=${seed} FUZZ_RUNS=${runs} npm run fuzz\n${numFailedTests === 0 ? said : ''}`)
  return false
}

const minutes = Number(process.argv[2] ?? MINUTES)
if (!(minutes > 0)) {
  console.error('Say for how many minutes: npm run fuzz -- 30')
  process.exit(2)
}
const runs = process.env['FUZZ_RUNS'] ?? RUNS
const given = process.env['FUZZ_SEED']
const until = performance.now() + minutes * 60_000
const failing: number[] = []
let rounds = 0
await mkdir(path.dirname(report), { recursive: true })
do {
  const seed = given === undefined ? randomInt(1, SEEDS) : Number(given)
  rounds++
  if (!(await round(seed, runs))) failing.push(seed)
} while (given === undefined && performance.now() < until)
console.log(failing.length === 0 ? `${rounds} rounds, nothing found` : `${rounds} rounds, seeds that failed: ${failing.join(', ')}`)
process.exit(failing.length === 0 ? 0 : 1)
