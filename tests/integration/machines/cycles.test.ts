/**
 * Machines of both engines started, used and stopped again and again in one host: nothing is left of any. COPPICE_CYCLES says how often; the
 * figures of each are printed where it is set.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { setLeakTracker, type Disposable } from '../../../src-shared/base/disposable.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { FIRMWARE_FILES } from '../../../src-main/host/machines/running/firmware.ts'
import { echoBios } from '../../support/echo-bios.ts'
import { echoDisk } from '../../support/echo-disk.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { put } from './support/fake-files.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

const CYCLES = Number(process.env['COPPICE_CYCLES'] ?? 12)
/** Before the first look: what is made once and kept is there by then. */
const WARM_UP = 3
/** ms for one cycle on a busy computer. */
const CYCLE_LIMIT = 20_000
/** What one time has more than another: of JavaScript's objects after a collection, and of the whole process, whose allocator keeps what it had. */
const NOISE = { heap: 8 * MiB, process: 320 * MiB }

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

let runtime: string
let runtimeBefore: string | undefined
beforeEach(async () => {
  runtime = join(await tempFolder(), 'r')
  await mkdir(runtime, { mode: 0o700 })
  runtimeBefore = process.env['XDG_RUNTIME_DIR']
  process.env['XDG_RUNTIME_DIR'] = runtime
})
afterEach(() => {
  setLeakTracker(null)
  if (runtimeBefore === undefined) delete process.env['XDG_RUNTIME_DIR']
  else process.env['XDG_RUNTIME_DIR'] = runtimeBefore
})

interface Held {
  files: number
  threads: number
  processes: number
  folders: number
  disposables: number
  listeners: number
}

async function held(living: ReadonlyMap<Disposable, string>): Promise<Held> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return {
    files: links.filter((link) => link !== '').length,
    threads: (await readdir('/proc/self/task')).length,
    processes: execFileSync('ps', ['--ppid', String(process.pid), '-o', 'args='], { encoding: 'utf8' })
      .split('\n')
      .filter((args) => args !== '' && !args.startsWith('ps ')).length,
    folders: (await readdir(join(runtime, 'coppice')).catch(() => [])).length,
    disposables: living.size,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  }
}

/** Starts it, talks to it, looks at it, suspends it now and then, and ends it. */
async function cycle(host: TestHost, id: string, count: number): Promise<void> {
  await host.machines.start({ id })
  const console = await attach(host, id, 0)
  await console.until('A')
  const word = `cycle-${count}`
  await console.type(word)
  await console.until(word)
  const { stream } = await host.machines.display({ id })
  expect(Buffer.from((await stream.read())!).toString()).toBe('RFB 003.008\n')
  if (count % 3 === 0) {
    await host.done(host.machines.suspend({ id }))
    await host.machines.resume({ id })
  }
  if (count % 3 === 1) {
    await host.machines.pause({ id })
    await host.machines.resume({ id })
    await host.machines.reset({ id })
  }
  await host.machines.powerOff({ id })
  await console.ended.catch(() => {})
  stream.close()
}

test.runIf(process.platform === 'linux')(
  `${CYCLES} starts and stops of machines leave no file, thread, process, folder, object, listener or memory`,
  { timeout: (CYCLES + WARM_UP) * CYCLE_LIMIT },
  async () => {
    const living = new Map<Disposable, string>()
    setLeakTracker({
      opened: (each) => void living.set(each, new Error('opened here').stack ?? ''),
      closed: (each) => void living.delete(each),
    })
    const resources = await tempFolder()
    await put(join(resources, 'firmware', FIRMWARE_FILES.bios), echoBios())
    await put(join(resources, 'firmware', FIRMWARE_FILES.vgaBios), new Uint8Array(512))
    const path = await put(join(resources, 'echo.img'), echoDisk())
    const host = await testHost({ doubles: {}, resources })
    const engines = QEMU_PROGRAM ? (['embedded', 'qemu'] as const) : (['embedded'] as const)
    const ids: string[] = []
    for (const engine of engines) {
      const source = { kind: 'disk', path } as const
      const { result } = await host.done(host.machines.create({ name: engine, source, engine, memoryMiB: 32 }))
      ids.push(result!.id!)
    }
    const both = async (count: number): Promise<void> => void (await Promise.all(ids.map((id) => cycle(host, id, count))))

    for (let count = 0; count < WARM_UP; count++) await both(count)
    const before = await held(living)
    const memory = used()
    for (let count = 0; count < CYCLES; count++) {
      await both(count)
      if (process.env['COPPICE_CYCLES']) console.info(count + 1, JSON.stringify({ ...(await held(living)), ...used() }))
    }
    // Threads and sockets end a moment after what they served.
    await expect.poll(async () => exceeding(await held(living), before), { timeout: 10_000 }).toEqual({})
    const after = used()
    expect(after.heap - memory.heap).toBeLessThan(NOISE.heap)
    expect(after.process - memory.process).toBeLessThan(NOISE.process)
    await host.host.close()
    host.rpc.dispose()
    await expect.poll(() => [...living.values()]).toEqual([])
  },
)

/** Bytes, when what nobody refers to is gone. */
function used(): { heap: number; process: number } {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, process: rss }
}

/** What there is more of than before. */
function exceeding(now: Held, before: Held): Partial<Held> {
  return Object.fromEntries(Object.entries(now).filter(([name, count]) => count > before[name as keyof Held]))
}
