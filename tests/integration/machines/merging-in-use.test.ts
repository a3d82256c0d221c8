/** Snapshots deleted while a real QEMU's guest writes to its disk: bytes, files, and everything else that is wanted of the machine in between. */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { expectSame } from '../../support/disk-model.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { seeded } from '../../support/seeded.ts'
import { WRITABLE_SECTORS, writingDisk } from '../../support/writing-disk.ts'
import type { HostOrder } from './support/host-child.ts'
import { killedHost } from './support/killed-host.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

let folder: string
let runtimeBefore: string | undefined

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'q-')))
  await mkdir(join(folder, 'r'), { mode: 0o700 })
  await writeFile(join(folder, 'disk.img'), writingDisk())
  runtimeBefore = process.env['XDG_RUNTIME_DIR']
  process.env['XDG_RUNTIME_DIR'] = join(folder, 'r')
})
afterEach(async () => {
  for (const pid of ours()) process.kill(pid, 'SIGKILL')
  if (runtimeBefore === undefined) delete process.env['XDG_RUNTIME_DIR']
  else process.env['XDG_RUNTIME_DIR'] = runtimeBefore
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Processes of the test's machines. */
function ours(): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 }).split('\n')
  return lines.flatMap((line) => {
    const [, pid, args] = /^\s*(\d+) (.*)$/.exec(line) ?? []
    return args?.includes(folder) && /^\S*qemu-system/.test(args) ? [Number(pid)] : []
  })
}

/** A machine whose guest writes what it is told to. */
class Guest {
  readonly host: TestHost
  readonly id: string
  /** What its disk has now. */
  model = writingDisk()
  #console: Awaited<ReturnType<typeof attach>> | null = null
  #written = 0

  private constructor(host: TestHost, id: string) {
    this.host = host
    this.id = id
  }

  static async make(host: TestHost): Promise<Guest> {
    const source = { kind: 'disk', path: join(folder, 'disk.img') } as const
    const { result } = await host.done(host.machines.create({ name: 'web-1', source, engine: 'qemu', memoryMiB: 16 }))
    return new Guest(host, result!.id!)
  }

  /** The same machine by another host. */
  by(host: TestHost): Guest {
    const guest = new Guest(host, this.id)
    guest.model = this.model
    return guest
  }

  get snapshots() {
    return this.host.rpc.service(snapshots)
  }

  async start(): Promise<void> {
    await this.host.machines.start({ id: this.id })
    await this.attach()
    await expect.poll(() => this.#console!.text().at(-1)).toBe('A')
  }

  /** Its serial port, as it is from now on. */
  async attach(): Promise<void> {
    const console = await attach(this.host, this.id)
    // What it printed in earlier lives comes first.
    const { start, end } = console.opening
    await expect.poll(() => console.text().length).toBeGreaterThanOrEqual(end - start)
    this.#console = console
    this.#written = console.text().split('k').length - 1
  }

  /** Resolves when it has written them. */
  async write(sectors: readonly number[], value: number): Promise<void> {
    for (const sector of sectors) {
      await this.#console!.stream.write(Uint8Array.of(sector & 0xff, sector >> 8, value))
      this.#written++
      await this.#printed(this.#written)
      this.model.fill(value, sector * 512, (sector + 1) * 512)
    }
  }

  async #printed(count: number): Promise<void> {
    while (this.#console!.text().split('k').length <= count) await sleep(1)
  }

  async take(label: string): Promise<string> {
    return (await this.host.done(this.snapshots.take({ machine: this.id, label, memory: false }))).result!.id!
  }

  delete(snapshot: string): Promise<unknown> {
    return this.host.done(this.snapshots.delete({ machine: this.id, snapshot, subtree: false }))
  }

  async folder(): Promise<string> {
    return (await this.host.machines.get({ id: this.id })).bundle
  }

  async images(): Promise<string[]> {
    return (await readdir(join(await this.folder(), 'disks'))).filter((name) => !name.startsWith('.'))
  }

  /** What is on a disk of it, which nobody writes; the present one by default. */
  async expectDisk(wanted = this.model, snapshot: string | null = null): Promise<void> {
    const bundle = await this.folder()
    const file = snapshot === null ? 'machine.json' : join('snapshots', snapshot, 'snapshot.json')
    const json = JSON.parse(await readFile(join(bundle, file), 'utf8')) as { config?: object }
    const { drives } = (json.config ?? json) as { drives: { path: string; format: 'qcow2' | 'raw' }[] }
    const { path, format } = drives[0]!
    if (format === 'qcow2') await qemuImg('check', join(bundle, path))
    const image = await openImage({ path: join(bundle, path), format, readOnly: true, folders: [join(bundle, 'disks')] })
    const got = await readBytes(image, 0, wanted.length)
    await image.close()
    expectSame(got, wanted, 0)
  }
}

/** While a snapshot is being taken out of the tree, which is a moment, others are refused. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (asAppError(error).code !== 'busy') throw error
      await sleep(5)
    }
  }
}

const some = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => ((from + at * 397) % (WRITABLE_SECTORS - 1)) + 1)

describe.skipIf(!QEMU_PROGRAM || WITHOUT_QEMU_IMG || process.platform !== 'linux')('deleting snapshots of a guest that runs', () => {
  const open = (): Promise<TestHost> => testHost({ doubles: {}, library: join(folder, 'library'), cacheFolder: join(folder, 'cache') })

  test('one in the middle, the newest, the first, and beside a branch: it goes on, and its files are merged', async () => {
    const guest = await Guest.make(await open())
    const { id, host } = guest
    await guest.start()
    await guest.write(some(1, 30), 1)
    const first = await guest.take('first')
    await guest.write(some(5, 30), 2)
    const second = await guest.take('second')
    await guest.write(some(9, 30), 3)
    const third = await guest.take('third')
    const atThird = guest.model.slice()
    await guest.write(some(70, 30), 4)
    const { startedAt } = await host.machines.get({ id })
    expect(await guest.images()).toHaveLength(4)
    const [merged] = await Promise.all([guest.delete(second), guest.write(some(200, 30), 5)])
    expect(merged).toMatchObject({ state: 'done' })
    expect(await guest.images()).toHaveLength(3)
    await guest.delete(first)
    expect(await guest.images()).toHaveLength(2)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running', startedAt, lastError: null })
    await guest.write(some(333, 20), 6)
    // A branch: what the two rest on stays as long as both are there.
    await host.done(guest.snapshots.restore({ machine: id, snapshot: third, keep: 'kept' }))
    await guest.expectDisk(atThird)
    guest.model = atThird.slice()
    await guest.start()
    await guest.write(some(400, 20), 7)
    await guest.delete(third)
    expect(await guest.images()).toHaveLength(3)
    const { snapshots: left } = await guest.snapshots.tree({ machine: id })
    await guest.write(some(500, 20), 8)
    await guest.delete(left[0]!.id)
    expect(await guest.images()).toHaveLength(1)
    expect(await readdir(join(await guest.folder(), 'snapshots'))).toEqual([])
    await guest.write(some(600, 20), 9)
    await host.machines.powerOff({ id })
    await guest.expectDisk()
    await guest.start()
    await host.machines.powerOff({ id })
  })

  test('what a linked clone has, too, stays as it is', async () => {
    const guest = await Guest.make(await open())
    const { id, host } = guest
    await guest.start()
    await guest.write(some(1, 20), 1)
    const first = await guest.take('first')
    await guest.write(some(5, 20), 2)
    const second = await guest.take('second')
    const atSecond = guest.model.slice()
    await guest.write(some(9, 20), 3)
    const clone = (await host.done(guest.snapshots.clone({ machine: id, snapshot: second, name: 'clone' }))).result!.id!
    const files = await guest.images()
    const disks = join((await host.machines.get({ id: clone })).bundle, 'disks')
    const bytes = async (): Promise<Buffer> =>
      Buffer.concat(await Promise.all((await readdir(disks)).map((name) => readFile(join(disks, name)))))
    const before = await bytes()
    await guest.delete(first)
    await guest.delete(second)
    await guest.write(some(44, 20), 4)
    expect(await guest.images()).toEqual(files)
    expectSame(await bytes(), before, 0)
    await host.machines.powerOff({ id })
    await guest.expectDisk()
    const other = guest.by(host)
    Object.assign(other, { id: clone })
    await other.expectDisk(atSecond)
  })

  test('everything else goes before, and the disks are merged all the same', async () => {
    const guest = await Guest.make(await open())
    const { id, host } = guest
    await guest.start()
    const random = seeded(20_261_121)
    const labels = new Map<string, Uint8Array>()
    for (let round = 0; round < 4; round++) {
      for (let at = 0; at < 3; at++) {
        await guest.write(some(random(60_000), 12), 1 + random(250))
        const snapshot = await guest.take(`${round}-${at}`)
        labels.set(snapshot, guest.model.slice())
      }
      const gone = [...labels.keys()].filter(() => random(3) > 0)
      const deleting = gone.map((snapshot) => guest.delete(snapshot))
      for (const snapshot of gone) labels.delete(snapshot)
      await sleep(random(60))
      if (round === 0) {
        await insist(() => host.machines.pause({ id }))
        await insist(() => host.machines.resume({ id }))
      } else if (round === 1) labels.set(await guest.take('between'), guest.model.slice())
      else if (round === 2) {
        await host.done(insist(() => host.machines.suspend({ id })))
        await insist(() => host.machines.resume({ id }))
        await guest.attach()
      } else {
        await host.machines.powerOff({ id })
        await Promise.all(deleting)
        await guest.start()
      }
      await guest.write(some(random(60_000), 12), 1 + random(250))
      await Promise.all(deleting)
    }
    await expect.poll(() => guest.images(), { timeout: 20_000 }).toHaveLength(labels.size + 1)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running', lastError: null })
    await host.machines.powerOff({ id })
    await guest.expectDisk()
    for (const [snapshot, wanted] of labels) await guest.expectDisk(wanted, snapshot)
  })

  test('a host that is killed meanwhile: the guest runs on, and the next one merges', { timeout: 120_000 }, async () => {
    const first = await open()
    let guest = await Guest.make(first)
    await guest.start()
    await guest.write(some(1, 60), 1)
    const ids = [await guest.take('one')]
    await guest.write(some(1000, 60), 2)
    ids.push(await guest.take('two'))
    const atTwo = guest.model.slice()
    await guest.write(some(2000, 60), 3)
    await first.machines.powerOff({ id: guest.id })
    await first.host.close()
    const order: HostOrder = {
      ...{ library: join(folder, 'library'), cacheFolder: join(folder, 'cache'), machine: guest.id, running: true, real: true },
      work: { kind: 'delete', snapshot: ids[0]!, subtree: false },
    }
    await mkdir(order.cacheFolder, { recursive: true })
    await killedHost(order, 30)
    expect(ours()).toHaveLength(1)
    guest = guest.by(await open())
    await expect.poll(async () => (await guest.host.machines.get({ id: guest.id })).state, { timeout: 20_000 }).toBe('running')
    // It may have been killed before anything was deleted.
    const { snapshots: left } = await guest.snapshots.tree({ machine: guest.id })
    if (left.length === 2) await guest.delete(ids[0]!)
    await expect.poll(() => guest.images(), { timeout: 20_000 }).toHaveLength(2)
    await guest.host.machines.powerOff({ id: guest.id })
    await guest.expectDisk()
    await guest.expectDisk(atTwo, ids[1]!)
  })
})

test('on the embedded engine, among everything else: what is left is what it was', async () => {
  const host = await testHost()
  const service = host.rpc.service(snapshots)
  const id = await host.make('web-1', '', { newDiskBytes: 8 * MiB })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  const bundle = (await host.machines.get({ id })).bundle
  const images = async (): Promise<string[]> => (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.'))
  const take = async (label: string): Promise<string> => (await host.done(service.take({ machine: id, label, memory: false }))).result!.id!
  const write = async (value: number): Promise<void> => {
    await host.machines.type({ id, text: `write ${value}\nread\n` })
    await console.until(`<${value}>`)
  }
  const console = await attach(host, id)
  const ids: string[] = []
  for (const value of [1, 2, 3, 4, 5]) {
    await write(value)
    ids.push(await take(`${value}`))
  }
  const deleting = [ids[1]!, ids[2]!, ids[4]!].map((snapshot) => host.done(service.delete({ machine: id, snapshot, subtree: false })))
  await write(6)
  await insist(() => host.machines.pause({ id }))
  await insist(() => host.machines.resume({ id }))
  await write(7)
  const last = await take('last')
  await write(8)
  await Promise.all(deleting)
  await expect.poll(images, { timeout: 20_000 }).toHaveLength(4)
  await host.machines.powerOff({ id })
  const first = async (): Promise<number> => {
    const { path } = (await host.machines.get({ id })).config!.drives[0]!
    const image = await openImage({ path: join(bundle, path!), format: 'qcow2', readOnly: true, folders: [join(bundle, 'disks')] })
    const [byte] = await readBytes(image, 0, 1)
    await image.close()
    return byte!
  }
  expect(await first()).toBe(8)
  for (const [at, snapshot] of [last, ids[3]!, ids[0]!].entries()) {
    await host.done(service.restore({ machine: id, snapshot, keep: null }))
    expect(await first()).toBe([7, 4, 1][at])
  }
})
