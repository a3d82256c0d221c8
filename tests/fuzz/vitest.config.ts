/** All unit tests that make up their input or change it at random, with the seed and the number of rounds that the environment says. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { defineConfig } from 'vitest/config'

const root = path.resolve(import.meta.dirname, '../..')
/** What such a test imports. */
const AT_RANDOM = /from '(fast-check|.*\/(hostile-image|qcow2-fuzz)\.ts)'/
const MINUTE = 60_000

const include = readdirSync(path.join(root, 'tests/unit'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => path.join('tests/unit', file).replaceAll(path.sep, '/'))
  .filter((file) => AT_RANDOM.test(readFileSync(path.join(root, file), 'utf8')))

export default defineConfig({
  root,
  test: { name: 'fuzz', environment: 'node', include, setupFiles: ['tests/fuzz/setup.ts'], testTimeout: 10 * MINUTE },
})
