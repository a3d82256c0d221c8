import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimLibrary, findHost, type Claim } from '../../../src-main/app/local/claim.ts'
import { runtimeFolderFor } from '../../../src-main/app/local/runtime-folder.ts'

const CHILD = fileURLToPath(new URL('./claim-child.ts', import.meta.url))

let folder: string
let library: string
let runtimeBefore: string | undefined
const claims: Claim[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cl-'))
  library = join(folder, 'library')
  runtimeBefore = process.env['XDG_RUNTIME_DIR']
  process.env['XDG_RUNTIME_DIR'] = folder
})
afterEach(async () => {
  for (const claim of claims.splice(0)) await claim.close()
  if (runtimeBefore === undefined) delete process.env['XDG_RUNTIME_DIR']
  else process.env['XDG_RUNTIME_DIR'] = runtimeBefore
  await rm(folder, { recursive: true })
})

async function claim(): Promise<Claim> {
  const made = await claimLibrary(library)
  claims.push(made)
  return made
}

describe('claimLibrary', () => {
  it('is found while it lives and not after', async () => {
    expect(await findHost(library)).toBeNull()
    const held = await claim()
    expect(await findHost(library)).toEqual(held.record)
    expect(held.record).toMatchObject({ pid: process.pid, version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string })
    await held.close()
    expect(await findHost(library)).toBeNull()
    expect((await readdir(await runtimeFolderFor(library))).filter((name) => name.endsWith('.sock'))).toEqual([])
  })

  it('keeps its files from other users', async () => {
    const held = await claim()
    const runtime = await runtimeFolderFor(library)
    expect((await stat(runtime)).mode & 0o777).toBe(0o700)
    expect((await stat(join(runtime, 'host-1.json'))).mode & 0o777).toBe(0o600)
    expect((await stat(held.record.socket!)).mode & 0o777).toBe(0o600)
  })

  it('refuses a second host and says which process has the library', async () => {
    await claim()
    await expect(claim()).rejects.toMatchObject({
      code: 'already-exists',
      message: expect.stringContaining(`process ${process.pid}`) as string,
    })
    expect((await readdir(await runtimeFolderFor(library))).filter((name) => name.endsWith('.sock'))).toHaveLength(1)
  })

  it('holds where another environment has its sockets elsewhere', async () => {
    const held = await claim()
    process.env['XDG_RUNTIME_DIR'] = join(folder, 'other')
    await mkdir(join(folder, 'other'), { mode: 0o700 })
    expect(await findHost(library)).toEqual(held.record)
    await expect(claim()).rejects.toMatchObject({ code: 'already-exists' })
    await held.close()
    expect(await findHost(library)).toBeNull()
    const second = await claim()
    expect(dirname(second.record.socket!)).toBe(await runtimeFolderFor(library))
    process.env['XDG_RUNTIME_DIR'] = folder
    expect(await findHost(library)).toEqual(second.record)
  })

  it('believes no folder that a library names but for itself, and of its own user', async () => {
    const held = await claim()
    const other = join(folder, 'other')
    await mkdir(other)
    await writeFile(join(other, '.host'), `${await runtimeFolderFor(library)}\n`)
    expect(await findHost(other)).toBeNull()
    await held.close()
    const open = join(folder, 'open', basename(await runtimeFolderFor(library)))
    await mkdir(open, { recursive: true, mode: 0o755 })
    await writeFile(join(open, 'host-1.json'), JSON.stringify({ ...held.record, socket: join(open, 'host.sock') }))
    const server = createServer().listen(join(open, 'host.sock'))
    await once(server, 'listening')
    await writeFile(join(library, '.host'), open)
    expect(await findHost(library)).toBeNull()
    server.close()
    for (const nonsense of ['', 'relative/path', '\0', 'x'.repeat(100_000)]) {
      await writeFile(join(library, '.host'), nonsense)
      expect(await findHost(library)).toBeNull()
    }
    await claim()
  })

  it('can be had again after a close, any number of times, without leaving files', async () => {
    for (let round = 0; round < 5; round++) await (await claim()).close()
    const runtime = await runtimeFolderFor(library)
    expect(await readdir(runtime)).toEqual(['host-5.json'])
    expect(JSON.parse(await readFile(join(runtime, 'host-5.json'), 'utf8'))).toMatchObject({ socket: null })
  })

  it('overtakes a host that was killed, and removes what it left', async () => {
    const child = fork(CHILD, [library], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    expect((await once(child, 'message'))[0]).toMatchObject({ won: true })
    expect(await findHost(library)).toMatchObject({ pid: child.pid })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await findHost(library)).toBeNull()
    const held = await claim()
    expect(await findHost(library)).toMatchObject({ pid: process.pid })
    expect((await readdir(await runtimeFolderFor(library))).sort()).toEqual(['host-2.json', held.record.socket!.split('/').at(-1)!].sort())
  })

  it('waits for a host that is ending, and says so', async () => {
    const held = await claim()
    await held.setEnding(true)
    expect(await findHost(library)).toEqual({ ...held.record, ending: true })
    const said: string[] = []
    const others = [claimLibrary(library, (sentence) => said.push(sentence)), claimLibrary(library)].map((one) =>
      one.then(
        (won) => claims.push(won) > 0,
        () => false,
      ),
    )
    await expect.poll(() => said).toEqual([`Coppice (process ${process.pid}) is ending, and suspends its machines first. Waiting for it.`])
    expect(await Promise.race([...others, Promise.resolve('waits')])).toBe('waits')
    await held.close()
    expect((await Promise.all(others)).sort()).toEqual([false, true])
  })

  it('waits no more for one that stays after all', async () => {
    const held = await claim()
    await held.setEnding(true)
    const refused = expect(claim()).rejects.toMatchObject({ code: 'already-exists' })
    await held.setEnding(false)
    await refused
  })

  it('overtakes one that is killed while it is ending', async () => {
    const child = fork(CHILD, [library, 'ending'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    expect((await once(child, 'message'))[0]).toMatchObject({ won: true })
    expect(await findHost(library)).toMatchObject({ ending: true })
    const waiting = Promise.withResolvers<string>()
    const claiming = claimLibrary(library, waiting.resolve)
    await waiting.promise
    child.kill('SIGKILL')
    claims.push(await claiming)
  })

  it('takes a claim file that a power cut emptied for a closed one', async () => {
    const runtime = await runtimeFolderFor(library)
    await writeFile(join(runtime, 'host-7.json'), '')
    await claim()
    expect(await findHost(library)).toMatchObject({ pid: process.pid })
  })

  it('lets exactly one of many win, over a dead host too', async () => {
    for (let round = 0; round < 3; round++) {
      const contenders = Array.from({ length: 12 }, () => claimLibrary(library))
      const results = await Promise.allSettled(contenders)
      const won = results.filter((result) => result.status === 'fulfilled')
      const lost = results.filter((result) => result.status === 'rejected')
      expect(won).toHaveLength(1)
      for (const result of lost) expect(result.reason).toMatchObject({ code: 'already-exists' })
      expect(await findHost(library)).toEqual(won[0]!.value.record)
      await won[0]!.value.close()
    }
  })

  it('lets exactly one of several processes win when the last host was killed', async () => {
    const start = (): { child: ReturnType<typeof fork>; answer: Promise<{ won: boolean }> } => {
      const child = fork(CHILD, [library], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
      return { child, answer: once(child, 'message').then(([message]) => message as { won: boolean }) }
    }
    const first = start()
    await first.answer
    first.child.kill('SIGKILL')
    await once(first.child, 'exit')
    const contenders = Array.from({ length: 4 }, start)
    const answers = await Promise.all(contenders.map(({ answer }) => answer))
    try {
      expect(answers.filter(({ won }) => won)).toHaveLength(1)
    } finally {
      for (const { child } of contenders) child.kill('SIGKILL')
      const running = contenders.filter(({ child }) => child.exitCode === null && child.signalCode === null)
      await Promise.all(running.map(({ child }) => once(child, 'exit')))
    }
  })

  it('tells when its socket was taken away', async () => {
    const held = await claim()
    const lost = new Promise<void>((resolve) => held.onLost(resolve))
    await rm(await runtimeFolderFor(library), { recursive: true })
    await lost
    await held.close()
  })
})
