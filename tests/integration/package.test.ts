/**
 * The packaged application, checked offline: electron-builder's configuration and file list with an empty shell in Electron's place, then the packed
 * host for real: Electron's binary as Node is nothing but Node, so Node stands in for it.
 */
import { once } from 'node:events'
import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import type { Service } from '../../src-shared/rpc/service.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { applianceThread } from '../../src-shared/threads/appliance-thread.ts'
import { engineThread } from '../../src-shared/threads/engine-thread.ts'
import { FRAME_RING_BYTES } from '../../src-shared/threads/frame-ring.ts'
import { networkThread } from '../../src-shared/threads/network-thread.ts'
import { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { writeDurably } from '../../src-main/appliance/files.ts'
import { readOverlay, recipeKey } from '../../src-main/appliance/recipe.ts'
import { ensureBuilt, ROOT } from '../support/built.ts'

const run = promisify(execFile)
const PACKING_LIMIT_MS = 180_000

let folder: string
let application: string
let files: string[]

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'coppice-package-'))
  await ensureBuilt()
  const shell = path.join(folder, 'electron')
  await mkdir(path.join(shell, 'resources'), { recursive: true })
  await mkdir(path.join(shell, 'locales'))
  await writeFile(path.join(shell, 'electron'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`)
  await chmod(path.join(shell, 'electron'), 0o755)
  for (const file of ['version', 'LICENSE', 'LICENSES.chromium.html', 'locales/en-US.pak']) await writeFile(path.join(shell, file), '')
  const builder = path.join(ROOT, 'node_modules/electron-builder/cli.js')
  const options = [
    '--linux',
    'dir',
    '--config',
    'resources/electron-builder.yml',
    `-c.electronDist=${shell}`,
    `-c.directories.output=${folder}/dist`,
  ]
  await run(process.execPath, [builder, ...options], { cwd: ROOT })
  application = path.join(folder, 'dist/linux-unpacked')
  const entries = await readdir(application, { recursive: true, withFileTypes: true })
  files = entries.filter((entry) => entry.isFile()).map((entry) => path.relative(application, path.join(entry.parentPath, entry.name)))
}, PACKING_LIMIT_MS)

afterAll(() => rm(folder, { recursive: true, force: true }))

const inside = (...parts: string[]): string => path.join(application, 'resources/app.asar.unpacked', ...parts)

describe('the file list', () => {
  test('has all that runs', async () => {
    const built = (await readdir(path.join(ROOT, 'out'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.map') && entry.name !== 'build.json')
      .map((entry) => path.join('resources/app.asar.unpacked', path.relative(ROOT, path.join(entry.parentPath, entry.name))))
    expect(files).toEqual(expect.arrayContaining(built))
    expect(files).toEqual(
      expect.arrayContaining([
        'coppice-workstation',
        'resources/app.asar',
        'resources/LICENSE',
        'resources/bin/coppice',
        'resources/guest/coppice-linux/init',
        'resources/icons/coppice-512.png',
        'resources/app.asar.unpacked/package.json',
        'resources/app.asar.unpacked/node_modules/v86/build/libv86.mjs',
        'resources/app.asar.unpacked/node_modules/v86/build/v86.wasm',
        'resources/app.asar.unpacked/node_modules/node-pty/package.json',
        `resources/app.asar.unpacked/node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`,
        'resources/app.asar.unpacked/node_modules/koffi/LICENSE.txt',
      ]),
    )
  })

  test('has nothing else: no sources, no tests, no packages but three, with the binaries of this system', () => {
    const packages = new Set(
      files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter((name) => name !== undefined),
    )
    expect([...packages].sort()).toEqual([`@koromix/koffi-linux-${process.arch}`, 'koffi', 'node-pty', 'v86'])
    expect(files.filter((file) => file.endsWith('/koffi.node'))).toHaveLength(1)
    expect(files.filter((file) => /\.(ts|map|md|svelte|cc|hh|h|pdb)$/.test(file))).toEqual([])
    expect(files.filter((file) => /(^|\/)(src-\w+|tests|bin\/setup|\.git)\//.test(file))).toEqual([])
  })

  test('carries the firmware where the checkout has it', async () => {
    const here = await readdir(path.join(ROOT, 'resources/firmware')).catch(() => [])
    expect(files).toEqual(expect.arrayContaining(here.map((name) => `resources/firmware/${name}`)))
  })

  test('the window’s page needs no inline script and no other origin', async () => {
    const page = await readFile(inside('out/renderer/index.html'), 'utf8')
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)[^>]*>/)
    expect(page).not.toMatch(/\son\w+=|(src|href)="(https?:)?\/\//)
  })

  test('the preload script is a sandboxed one: it requires electron alone', async () => {
    const preload = await readFile(inside('out/preload/preload.cjs'), 'utf8')
    expect([...preload.matchAll(/require\(["'`]([^"'`]+)["'`]\)/g)].map((match) => match[1])).toEqual(['electron'])
  })
})

describe('the packed host', () => {
  let library: string
  let env: NodeJS.ProcessEnv
  let command: string

  beforeAll(async () => {
    library = path.join(folder, 'library')
    const runtime = path.join(folder, 'run')
    await mkdir(runtime, { mode: 0o700 })
    env = { ...process.env, XDG_RUNTIME_DIR: runtime, COPPICE_STATE: path.join(folder, 'state'), COPPICE_CACHE: path.join(folder, 'cache') }
    command = path.join(application, 'resources/bin/coppice')
  })

  test('answers the command line', async () => {
    try {
      const listed = await run(command, ['list', '--json', '--library', library], { env })
      expect(JSON.parse(listed.stdout)).toEqual([])
      const doctor = await run(command, ['doctor', '--json', '--library', library], { env })
      expect(JSON.parse(doctor.stdout)).toMatchObject({ checks: expect.any(Array) })
    } finally {
      await run(command, ['quit', '--library', library], { env })
    }
  })

  test('makes Coppice Linux with the files of its own that were packed', async () => {
    // An appliance of the checkout's recipe is in the cache: only who finds the same files uses it, and nothing is fetched.
    const appliance = path.join(folder, 'cache/appliances/packed')
    await mkdir(appliance, { recursive: true })
    const arch = 'i386'
    const manifest = {
      ...{ format: 1, arch, kernelVersion: '6.1', cmdline: 'console=ttyS0', packages: [], builtAt: '2026-11-21T00:00:00.000Z' },
      recipe: recipeKey(arch, await readOverlay(path.join(ROOT, 'resources'))),
      kernel: await writeDurably(appliance, 'kernel', 'kernel'),
      initrd: await writeDurably(appliance, 'initrd.img', 'initrd'),
    }
    await writeDurably(appliance, 'manifest.json', JSON.stringify(manifest))
    try {
      const offline = { ...env, PATH: '/nowhere' }
      const node = path.join(application, 'coppice-workstation')
      const created = await run(node, [inside('out/main/cli.js'), 'create', 'a', '--sample', '--json', '--library', library], {
        env: { ...offline, ELECTRON_RUN_AS_NODE: '1' },
      })
      const { bundle } = JSON.parse(created.stdout) as { bundle: string }
      expect(await readFile(path.join(bundle, 'boot/kernel'), 'utf8')).toBe('kernel')
    } finally {
      await run(command, ['quit', '--library', library], { env })
    }
  })

  test('serves its window', async () => {
    const child = spawn(command, ['serve', '--port', '0', '--library', library], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    try {
      let url: string | undefined
      for await (const line of createInterface({ input: child.stdout })) if ((url = /http:\/\/\S+/.exec(line)?.[0])) break
      const exchange = await fetch(url!, { redirect: 'manual' })
      const cookie = exchange.headers.getSetCookie()[0]!.split(';', 1)[0]!
      const page = await fetch(new URL('/', url), { headers: { cookie } })
      expect(page.status).toBe(200)
      expect(await page.text()).toBe(await readFile(inside('out/renderer/index.html'), 'utf8'))
    } finally {
      child.kill('SIGTERM')
      await ended
    }
  })
})

describe('threads', () => {
  /** What each thread must do to show that it lives: a cheap call, and what it must give or refuse. */
  const PROBES: Record<string, (client: RpcClient) => Promise<void>> = {
    embedded: async (client) => expect(await client.service(engineThread).describe({})).toMatchObject({ engine: 'embedded' }),
    qemu: async (client) => expect(await client.service(engineThread).describe({})).toMatchObject({ engine: 'qemu' }),
    storage: async (client) => {
      const storage = client.service(storageThread)
      expect(await storage.close({ handle: 'none' })).toBeUndefined()
      // A copy counts what is stored alone: so the native library was packed, found and loaded.
      const from = path.join(folder, 'hole.img')
      await writeFile(from, '')
      await truncate(from, 2 ** 30)
      const stored: number[] = []
      storage.progress(({ total }) => stored.push(total))
      expect(await storage.copy({ job: 'probe', from, to: path.join(folder, 'copy.img') })).toEqual({ bytes: 2 ** 30 })
      await expect.poll(() => stored).toEqual([0])
    },
    network: async (client) => expect(await client.service(networkThread).state({})).toEqual({ networks: [], ports: [] }),
    appliance: async (client) =>
      expect(client.service(applianceThread).firmware({ job: 'probe', cacheFolder: '' })).rejects.toMatchObject({ code: 'invalid-input' }),
  }
  const built = (name: string): string => inside('out/main', `${name}.thread.js`)

  test('every one that was built has a probe', async () => {
    const names = (await readdir(inside('out/main')))
      .filter((file) => file.endsWith('.thread.js'))
      .map((file) => file.slice(0, -'.thread.js'.length))
    expect(names.sort()).toEqual([...Object.keys(PROBES), 'memory', 'tap'].sort())
  })

  test('memory, which serves nothing, writes one state and ends', async () => {
    const json = new TextEncoder().encode('{"buffer_infos":[]}')
    const state = new ArrayBuffer(16 + json.length)
    new Uint8Array(state).set(json, 16)
    new DataView(state).setInt32(12, json.length, true)
    const place = { path: path.join(folder, 'memory'), pages: path.join(folder, 'pages') }
    const owner = { engineVersion: 'v86 1', machine: crypto.randomUUID(), memoryMiB: 16 }
    const worker = new Worker(pathToFileURL(built('memory')), { workerData: { place, owner, state, clockMs: 0 }, transferList: [state] })
    const ended = once(worker, 'exit')
    expect(await once(worker, 'message')).toEqual([{ header: expect.objectContaining({ ...owner, format: 2 }) as unknown }])
    expect(await ended).toEqual([0])
  })

  test.runIf(process.platform === 'linux')('tap, which serves nothing, waits for frames of a device until it is woken', async () => {
    // No device here: what is woken from the start reads nothing. The call that waits was packed, found and loaded.
    const awake = path.join(folder, 'awake')
    await writeFile(awake, 'x')
    const file = await open(awake)
    const workerData = { fd: file.fd, waker: file.fd, ring: new SharedArrayBuffer(FRAME_RING_BYTES) }
    const worker = new Worker(pathToFileURL(built('tap')), { workerData })
    expect(await once(worker, 'exit')).toEqual([0])
    await file.close()
  })

  test.each(Object.keys(PROBES))('%s runs from its built file and answers', async (name) => {
    const worker = new Worker(pathToFileURL(built(name)))
    try {
      const client = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
      await PROBES[name]!(client)
      const nonsense = client.service({ name: 'nonsense', members: storageThread.members } satisfies Service) as {
        close(input: object): Promise<unknown>
      }
      await expect(nonsense.close({ handle: 'x' })).rejects.toMatchObject({ code: 'unsupported' })
    } finally {
      await worker.terminate()
    }
  })
})
