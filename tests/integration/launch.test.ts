/** `npm start` after its set-up: the launcher as a person starts it, with a script in the browser's place. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ensureBuilt, ROOT } from '../support/built.ts'

const BUILD_LIMIT_MS = 120_000

let folder: string
let env: NodeJS.ProcessEnv
let running: ChildProcess[]

beforeAll(ensureBuilt, BUILD_LIMIT_MS)

beforeEach(async () => {
  running = []
  folder = await mkdtemp(path.join(tmpdir(), 'coppice-launch-'))
  await mkdir(path.join(folder, 'run'), { mode: 0o700 })
  env = {
    PATH: '/nowhere',
    HOME: folder,
    XDG_RUNTIME_DIR: path.join(folder, 'run'),
    COPPICE_CACHE: path.join(folder, 'cache'),
    COPPICE_STATE: path.join(folder, 'state'),
  }
})

afterEach(async () => {
  for (const child of running) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

interface Launched {
  child: ChildProcess
  out: () => string
  err: () => string
  ended: Promise<number | null>
}

function launch(args: string[], more: NodeJS.ProcessEnv = {}): Launched {
  const all = [path.join(ROOT, 'out/main/start.js'), '--library', path.join(folder, 'library'), ...args]
  const child = spawn(process.execPath, all, { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.push(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk) => (out += chunk))
  child.stderr.on('data', (chunk) => (err += chunk))
  return { child, out: () => out, err: () => err, ended: once(child, 'close').then(([code]) => code as number | null) }
}

async function address(launched: Launched): Promise<string> {
  await expect.poll(() => /http:\/\/\S+/.exec(launched.out())?.[0] ?? launched.err(), { timeout: 20_000 }).toMatch(/^http:/)
  return /http:\/\/\S+/.exec(launched.out())![0]
}

/** A browser that notes its arguments, then does what `rest` says. */
async function fakeBrowser(rest: string): Promise<string> {
  const file = path.join(folder, 'browser')
  await writeFile(file, `#!/bin/sh\nfor a in "$@"; do echo "$a"; done > '${folder}/arguments'\n${rest}\n`)
  await chmod(file, 0o755)
  return file
}

test('serves when asked to, opens the page, and ends when told', async () => {
  const launched = launch(['--serve'])
  const url = await address(launched)
  expect((await fetch(url, { redirect: 'manual' })).status).toBe(303)
  launched.child.kill('SIGTERM')
  expect(await launched.ended).toBe(0)
  expect(launched.err()).toBe('')
})

test('without a display, or without a browser, serves and says why', async () => {
  const blind = launch([])
  await address(blind)
  expect(blind.err()).toContain('There is no display here')
  blind.child.kill('SIGTERM')
  await blind.ended
  const bare = launch([], { DISPLAY: ':99' })
  await address(bare)
  expect(bare.err()).toContain('Neither Electron nor Chromium, Chrome or Edge is installed')
  bare.child.kill('SIGTERM')
  await bare.ended
})

test('opens a browser’s window with a profile of its own, and ends with it', async () => {
  const launched = launch([], { DISPLAY: ':99', COPPICE_CHROMIUM: await fakeBrowser('exit 0') })
  expect(await launched.ended).toBe(0)
  const args = (await readFile(path.join(folder, 'arguments'), 'utf8')).split('\n')
  expect(args[0]).toMatch(/^--app=http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/)
  expect(args.some((arg) => arg.startsWith(`--user-data-dir=${folder}/cache/browser/`))).toBe(true)
  expect(launched.out()).toBe('')
})

test('a browser that fails leaves the address', async () => {
  const launched = launch([], { DISPLAY: ':99', COPPICE_CHROMIUM: await fakeBrowser('exit 1') })
  const url = await address(launched)
  expect(launched.err()).toContain('The browser did not open the window.')
  expect((await fetch(url, { redirect: 'manual' })).status).toBe(303)
  launched.child.kill('SIGTERM')
  expect(await launched.ended).toBe(0)
})

test('a second start shows the same host, and takes only its own window along when it ends', async () => {
  const first = launch(['--serve'])
  const firstUrl = await address(first)
  const second = launch(['--serve'])
  const secondUrl = await address(second)
  expect(new URL(secondUrl).port).not.toBe(new URL(firstUrl).port)
  second.child.kill('SIGTERM')
  expect(await second.ended).toBe(0)
  expect((await fetch(firstUrl, { redirect: 'manual' })).status).toBe(303)
  const third = launch(['--serve'])
  await address(third)
  first.child.kill('SIGTERM')
  expect(await first.ended).toBe(0)
  expect(await third.ended).toBe(0)
})

test('wrong usage, and a port in use, are one sentence each', async () => {
  const wrong = launch(['--port', 'x'])
  expect(await wrong.ended).toBe(2)
  expect(wrong.err()).toMatch(/^coppice: “x” is not a port.*Usage: npm start/)

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const refused = launch(['--serve', '--port', String(port)])
  expect(await refused.ended).toBe(1)
  expect(refused.err()).toBe(`coppice: Another program uses port ${port} on 127.0.0.1. Choose another port, or 0 for any free one.\n`)
  taken.close()
})
