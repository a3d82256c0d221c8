/**
 * What the end-to-end suite stands on: the product's own `coppice serve` on a fresh library, as a person would start it, and a page in a real
 * Chromium. One served host for each test; nothing is shared but the cache of appliances.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test as base, expect } from '@playwright/test'
import { Workstation } from './pages/workstation.ts'

const COPPICE = path.resolve(import.meta.dirname, '../../bin/coppice')
const START_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 30_000

export interface Served {
  url: string
  library: string
}

interface Fixtures {
  /** Arguments for `coppice serve` besides the library; set with `test.use`. */
  serveArguments: string[]
  /** What is done to the empty library before the host starts. (An object, as Playwright takes a bare function for a fixture.) */
  library: { prepare(folder: string): Promise<void> }
  served: Served
  workstation: Workstation
}

export const test = base.extend<Fixtures>({
  serveArguments: [[], { option: true }],
  library: [{ prepare: async () => {} }, { option: true }],

  served: async ({ serveArguments, library: { prepare } }, use) => {
    const library = await mkdtemp(path.join(tmpdir(), 'coppice-e2e-'))
    await prepare(library)
    const child = spawn(COPPICE, ['serve', '--port', '0', '--library', library, ...serveArguments], { stdio: ['ignore', 'pipe', 'pipe'] })
    const errors: string[] = []
    child.stderr.on('data', (chunk) => errors.push(String(chunk)))
    try {
      await use({ url: await address(child, errors), library })
    } finally {
      await stop(child)
      await rm(library, { recursive: true, force: true })
    }
  },

  workstation: async ({ page, served }, use, info) => {
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.stack ?? error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') faults.push(message.text())
    })
    const workstation = new Workstation(page)
    await page.goto(served.url)
    await use(workstation)
    if (info.status === info.expectedStatus) expect(faults, 'errors in the page’s console').toEqual([])
  },
})

export { expect }

async function address(child: ChildProcess, errors: string[]): Promise<string> {
  const lines = createInterface({ input: child.stdout! })
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS)
  for await (const line of lines) {
    const url = /https?:\/\/\S+/.exec(line)?.[0]
    if (!url) continue
    clearTimeout(timer)
    return url
  }
  throw new Error(`coppice serve gave no address.\n${errors.join('')}`)
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
  child.kill('SIGTERM')
  await once(child, 'exit')
  clearTimeout(timer)
}
