import { mkdtemp, readdir, realpath, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appHandlers } from '../../../src-main/app/local/app-service.ts'
import { claimLibrary, findHost, type Claim } from '../../../src-main/app/local/claim.ts'
import { connectLocal, ensureHost } from '../../../src-main/app/local/connect.ts'
import { listenLocal } from '../../../src-main/app/local/listen.ts'
import { runtimeFolderFor } from '../../../src-main/app/local/runtime-folder.ts'
import { app } from '../../../src-shared/api/app.ts'
import { system, type HostInfo } from '../../../src-shared/api/system.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../src-shared/rpc/server.ts'
import { memoryWirePair } from '../../../src-shared/rpc/wires/memory-wire.ts'

const VARIABLES = ['XDG_RUNTIME_DIR', 'COPPICE_STATE', 'COPPICE_CACHE', 'COPPICE_IDLE_MS'] as const

let folder: string
let library: string
const before = new Map<string, string | undefined>()
const closers: (() => Promise<void> | void)[] = []

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'co-')))
  library = join(folder, 'library')
  for (const name of VARIABLES) before.set(name, process.env[name])
  Object.assign(process.env, { XDG_RUNTIME_DIR: folder, COPPICE_STATE: join(folder, 'state'), COPPICE_CACHE: join(folder, 'cache') })
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  await rm(folder, { recursive: true })
})

/** A host of nothing but `system`. */
function smallHost(): { server: RpcServer } {
  const server = new RpcServer()
  server.register(system, {
    info: () => ({ version: 'test', library }) as HostInfo,
    doctor: () => ({ at: '', summary: '', checks: [] }),
    listFolder: ({ path }) => ({ path, parent: null, entries: [], truncated: false }),
    quit: () => {},
    quitting: new Emitter<{ reason: string }>().event,
  })
  return { server }
}

async function listen(): Promise<Claim> {
  const claim = await listenLocal(smallHost(), library)
  closers.push(() => claim.close())
  return claim
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('connectLocal', () => {
  it('says that none runs', async () => {
    await expect(connectLocal(library)).rejects.toMatchObject({ code: 'not-found', message: `No Coppice runs for the library ${library}.` })
  })

  it('connects to a host that started before and one that starts to serve later', async () => {
    const claim = await claimLibrary(library)
    closers.push(() => claim.close())
    const early = connectLocal(library)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await listenLocal(smallHost(), library, claim)
    const clients = [await early, await connectLocal(library)]
    for (const client of clients) expect(await client.service(system).info({})).toMatchObject({ version: 'test' })
    const gone = clients.map((client) => new Promise<void>((resolve) => client.onClose(resolve)))
    await claim.close()
    await Promise.all(gone)
  })

  it('counts its clients', async () => {
    const claim = await listen()
    const counts: number[] = []
    claim.onClientsChanged((count) => counts.push(count))
    const client = await connectLocal(library)
    expect(claim.clients).toBeGreaterThanOrEqual(1)
    client.dispose()
    await until(async () => claim.clients === 0)
    expect(counts.at(-1)).toBe(0)
  })

  it('refuses a host of another version, unless it is only to be ended', async () => {
    const claim = await listen()
    const file = join(await runtimeFolderFor(library), 'host-1.json')
    await writeFile(file, JSON.stringify({ ...claim.record, version: '0.0.9' }))
    await expect(connectLocal(library)).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringMatching(/^Coppice 0\.0\.9 runs for this library \(process \d+\), and this is .*“coppice quit”/) as string,
    })
    ;(await connectLocal(library, { anyVersion: true })).dispose()
  })
})

describe('a host that is ending', () => {
  it('is waited for, unless it is only to be ended', async () => {
    const claim = await listen()
    await claim.setEnding(true)
    ;(await connectLocal(library, { anyVersion: true })).dispose()
    const waiting = Promise.withResolvers<string>()
    const connecting = expect(connectLocal(library, { waiting: waiting.resolve })).rejects.toMatchObject({ code: 'not-found' })
    expect(await waiting.promise).toContain(`process ${process.pid}`)
    await claim.close()
    await connecting
  })
})

describe('ensureHost', () => {
  it('starts one host for many callers, which ends when nobody needs it', async () => {
    process.env['COPPICE_IDLE_MS'] = '300'
    const clients = await Promise.all([1, 2, 3].map(() => ensureHost(library, { start: true })))
    const infos = await Promise.all(clients.map((client) => client.service(system).info({})))
    for (const info of infos) expect(info).toMatchObject({ shell: 'headless', library })
    const pid = (await findHost(library))!.pid
    expect(pid).not.toBe(process.pid)
    expect((await readdir(await runtimeFolderFor(library))).filter((name) => name.endsWith('.log'))).toEqual([])
    for (const client of clients) client.dispose()
    // Looking for it on its socket would count as a client.
    await until(async () => !isRunning(pid))
    expect(await findHost(library)).toBeNull()
  })

  it('does not start one when it must not', async () => {
    await expect(ensureHost(library, { start: false })).rejects.toMatchObject({ code: 'not-found' })
    expect(await findHost(library)).toBeNull()
  })

  it('says why a host could not start', async () => {
    await writeFile(library, 'a file')
    await expect(ensureHost(library, { start: true })).rejects.toMatchObject({
      message: expect.stringContaining(library) as string,
    })
    expect(await findHost(library)).toBeNull()
  })
})

describe('app.serve', () => {
  async function window(): Promise<string> {
    const renderer = join(folder, 'renderer')
    await mkdir(renderer)
    await writeFile(join(renderer, 'index.html'), '<!doctype html><title>Coppice</title>')
    return renderer
  }

  function connectTo(server: RpcServer, kind: 'cli' | 'window'): RpcClient {
    const [near, far] = memoryWirePair()
    const attached = server.attach(far, { kind })
    const client = new RpcClient(near)
    closers.push(() => {
      client.dispose()
      attached.dispose()
    })
    return client
  }

  it('serves for as long as the caller stays', async () => {
    const { server } = smallHost()
    server.register(app, appHandlers(server, await window()))
    const client = connectTo(server, 'cli')
    const { opening, stream } = await client.service(app).serve({})
    expect(opening.warning).toBeNull()
    // The token is exchanged for a cookie.
    expect((await fetch(opening.url, { redirect: 'manual' })).status).toBe(303)
    stream.close()
    await until(() =>
      fetch(opening.url).then(
        () => false,
        () => true,
      ),
    )
    const again = await client.service(app).serve({})
    client.dispose()
    await until(() =>
      fetch(again.opening.url).then(
        () => false,
        () => true,
      ),
    )
  })

  it('says that a port is taken', async () => {
    const { server } = smallHost()
    server.register(app, appHandlers(server, await window()))
    const client = connectTo(server, 'cli')
    const { opening } = await client.service(app).serve({})
    await expect(client.service(app).serve({ port: opening.port })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(String(opening.port)) as string,
    })
  })

  it('is refused to windows', async () => {
    const { server } = smallHost()
    server.register(app, appHandlers(server, await window()))
    await expect(connectTo(server, 'window').service(app).serve({ listen: '0.0.0.0' })).rejects.toMatchObject({ code: 'denied' })
  })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
