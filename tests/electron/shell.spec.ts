import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { _electron, expect, test, type ElectronApplication, type Page } from '@playwright/test'

const ROOT = path.resolve(import.meta.dirname, '../..')

function binary(): string | null {
  const package_ = path.join(ROOT, 'node_modules/electron')
  const named = path.join(package_, 'path.txt')
  if (!existsSync(named)) return null
  const file = path.join(package_, 'dist', readFileSync(named, 'utf8').trim())
  return existsSync(file) ? file : null
}

const executablePath = binary()
const hasDisplay = process.platform !== 'linux' || Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY'])

test.skip(executablePath === null, 'Electron’s binary is not here; to fetch it: npx install-electron')
test.skip(!hasDisplay, 'There is no display here.')

let folder: string
let application: ElectronApplication
let page: Page
let launchArguments: string[]
let env: Record<string, string>

test.beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'coppice-electron-'))
  const runtime = path.join(folder, 'run')
  await mkdir(runtime, { mode: 0o700 })
  env = { ...(process.env as Record<string, string>), COPPICE_CACHE: path.join(folder, 'cache'), COPPICE_STATE: path.join(folder, 'state') }
  env['XDG_RUNTIME_DIR'] = runtime
  const asRoot = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  launchArguments = [...asRoot, ROOT, '--library', path.join(folder, 'library')]
  application = await _electron.launch({ executablePath: executablePath!, args: launchArguments, env })
  page = await application.firstWindow()
})

test.afterEach(async () => {
  await application.close()
  await rm(folder, { recursive: true, force: true })
})

test('shows the window of our scheme, connected to the host', async () => {
  expect(page.url()).toBe('coppice://app/')
  await expect(page.getByRole('button', { name: /Coppice Linux/ }).first()).toBeVisible()
})

test('the page has no Node and no Electron', async () => {
  const found = await page.evaluate(() =>
    ['require', 'process', 'module', 'Buffer', 'electron', 'ipcRenderer'].filter((name) => name in globalThis),
  )
  expect(found).toEqual([])
})

test('the page cannot navigate, open windows or load from elsewhere', async () => {
  expect(await page.evaluate(() => window.open('coppice://app/') === null)).toBe(true)
  await page.evaluate(() => (location.href = 'https://example.org/'))
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)))
  expect(page.url()).toBe('coppice://app/')
  expect(application.windows()).toHaveLength(1)
  const fetched = await page.evaluate(() =>
    fetch('https://example.org/').then(
      () => 'loaded',
      () => 'refused',
    ),
  )
  expect(fetched).toBe('refused')
})

test('no code is made from text', async () => {
  const result = await page.evaluate(() => {
    const script = document.createElement('script')
    script.textContent = 'window.injected = true'
    document.head.append(script)
    return 'injected' in window
  })
  expect(result).toBe(false)
})

test('a second start shows the first window and ends', async () => {
  const second = spawn(executablePath!, launchArguments, { env, stdio: 'ignore' })
  const [code] = (await once(second, 'exit')) as [number]
  expect(code).toBe(0)
  expect(application.windows()).toHaveLength(1)
})
