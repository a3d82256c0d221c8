/**
 * Suites: unit (pure, mirrors src-*), contract (one suite over every implementation), integration (real threads, sockets, files), guest (boots
 * real guests), long (guests that take minutes), component (parts of the window in a real Chromium).
 */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { NODE_FLAGS } from '../bin/setup/node-flags.mjs'
import { chromiumArgs, findChromium } from './support/chromium.ts'
import { tellingForks } from './support/telling-forks.ts'

const seconds = 1000
/** As the product runs (bin/setup/node-flags.mjs). */
const execArgv = NODE_FLAGS
/** Test files at once, more than the runner itself would take on two processors: most wait for timers, disks and other processes more than they compute. */
const AT_ONCE = { maxWorkers: Math.max(3, availableParallelism() - 1) }
/** A guest that boots takes a processor to itself; for the rest of the time it is waited for. */
const GUESTS_AT_ONCE = { maxWorkers: 2, sequence: { groupOrder: 1 } }

export default defineConfig({
  root: path.resolve(import.meta.dirname, '..'),
  test: {
    projects: [
      {
        test: {
          ...AT_ONCE,
          name: 'unit',
          environment: 'node',
          pool: tellingForks,
          execArgv,
          include: ['tests/unit/**/*.test.ts'],
          testTimeout: 60 * seconds,
        },
      },
      {
        test: {
          ...AT_ONCE,
          name: 'contract',
          environment: 'node',
          pool: tellingForks,
          execArgv,
          include: ['tests/contract/**/*.test.ts'],
          testTimeout: 60 * seconds,
        },
      },
      {
        test: {
          ...AT_ONCE,
          name: 'integration',
          environment: 'node',
          pool: tellingForks,
          execArgv,
          include: ['tests/integration/**/*.test.ts'],
          testTimeout: 60 * seconds,
          hookTimeout: 60 * seconds,
        },
      },
      {
        test: {
          ...GUESTS_AT_ONCE,
          name: 'guest',
          environment: 'node',
          pool: tellingForks,
          execArgv,
          include: ['tests/guest/*.test.ts'],
          testTimeout: 180 * seconds,
          hookTimeout: 300 * seconds,
        },
      },
      {
        test: {
          name: 'long',
          environment: 'node',
          pool: tellingForks,
          execArgv,
          include: ['tests/guest/long/*.test.ts'],
          testTimeout: 900 * seconds,
          hookTimeout: 300 * seconds,
          fileParallelism: false,
        },
      },
      {
        plugins: [svelte({ configFile: false })],
        // All packages of the window are prepared before the first test: one found later would reload the page under a test.
        optimizeDeps: { entries: ['src-renderer/**/*.{ts,svelte}', 'tests/component/**/*.{ts,svelte}'] },
        test: {
          name: 'component',
          sequence: { groupOrder: 2 },
          include: ['tests/component/**/*.test.ts'],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({ launchOptions: { executablePath: findChromium() ?? undefined, args: chromiumArgs } }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
})
