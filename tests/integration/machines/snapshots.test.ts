/** Snapshots of machines that are off, suspended and running: what is on disk when, and what the guest finds when it goes back. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { askGuest } from './support/ask-guest.ts'
import { ownDisk } from './support/first-byte.ts'
import { testHost, type TestHost } from './support/test-host.ts'

type Snapshots = Client<typeof snapshots>

async function hostWith(options: Parameters<typeof testHost>[0] = {}): Promise<TestHost & { snapshots: Snapshots }> {
  const host = await testHost(options)
  return Object.assign(host, { snapshots: host.rpc.service(snapshots) })
}

/** Runs with a disk, and has this in mind and on its disk. */
async function running(host: TestHost, mind: string, block: number): Promise<string> {
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  await put(host, id, mind, block)
  return id
}

async function put(host: TestHost, id: string, mind: string, block: number): Promise<void> {
  await host.machines.type({ id, text: `set ${mind}\nwrite ${block}\n` })
  expect(await askGuest(host, id)).toBe(`${mind} ${block}`)
}

const take = async (host: TestHost & { snapshots: Snapshots }, machine: string, label: string, more = {}): Promise<string> =>
  (await host.done(host.snapshots.take({ machine, label, ...more }))).result!.id!
const restore = (host: TestHost & { snapshots: Snapshots }, machine: string, snapshot: string, keep: string | null = null) =>
  host.done(host.snapshots.restore({ machine, snapshot, keep }))

describe('a snapshot', () => {
  test('of a machine that is off is gone back to, and the disk is as it was', async () => {
    const host = await hostWith()
    const id = await running(host, 'first', 1)
    await host.machines.powerOff({ id })
    const first = await take(host, id, 'clean', { note: 'before the change' })
    const { config, bundle } = await host.machines.get({ id })
    expect(config!.drives[0]!.path).toMatch(/^disks\/disk0\.[0-9a-f]{8}\.qcow2$/)
    expect(await host.snapshots.tree({ machine: id })).toMatchObject({
      current: first,
      obstacles: [],
      snapshots: [{ id: first, parent: null, label: 'clean', note: 'before the change', running: false, picture: false, pinned: false }],
    })
    await host.machines.start({ id })
    expect(await askGuest(host, id)).toBe(' 1')
    await put(host, id, 'second', 2)
    await host.machines.powerOff({ id })
    await restore(host, id, first)
    await host.machines.start({ id })
    expect(await askGuest(host, id)).toBe(' 1')
    // What was after it is gone, and nothing else.
    expect(await readdir(join(bundle, 'disks'))).toHaveLength(2 + 1) // frozen, current, and the lock of the latter
  })

  test('of a machine that runs has its memory: going back, it goes on from there; what was kept first is gone back to as well', async () => {
    const host = await hostWith()
    const id = await running(host, 'first', 1)
    const first = await take(host, id, 'one')
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
    expect(await askGuest(host, id)).toBe('first 1')
    await put(host, id, 'second', 2)
    await restore(host, id, first, 'where I was')
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running', lastError: null })
    expect(await askGuest(host, id)).toBe('first 1')
    const { snapshots: all, current } = await host.snapshots.tree({ machine: id })
    expect(all).toMatchObject([
      { label: 'one', parent: null, running: true },
      { label: 'where I was', parent: first, running: true },
    ])
    expect(current).toBe(first)
    await put(host, id, 'third', 3)
    await restore(host, id, all[1]!.id)
    expect(await askGuest(host, id)).toBe('second 2')
    await restore(host, id, first)
    expect(await askGuest(host, id)).toBe('first 1')
  })

  test('without memory of a machine that runs starts afresh; a paused machine stays paused', async () => {
    const host = await hostWith()
    const id = await running(host, 'first', 1)
    await host.machines.pause({ id })
    const first = await take(host, id, 'disks only', { memory: false })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'paused' })
    await restore(host, id, first)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'off' })
    await host.machines.start({ id })
    expect(await askGuest(host, id)).toBe(' 1')
  })

  test('of a suspended machine leaves it suspended, and it goes on', async () => {
    const host = await hostWith()
    const id = await running(host, 'first', 1)
    await host.done(host.machines.suspend({ id }))
    const first = await take(host, id, 'asleep')
    expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended' })
    await host.machines.resume({ id })
    expect(await askGuest(host, id)).toBe('first 1')
    await put(host, id, 'second', 2)
    await restore(host, id, first)
    expect(await askGuest(host, id)).toBe('first 1')
  })

  test('is named, noted and pinned; hardware goes back with it, and names stay', async () => {
    const host = await hostWith()
    const id = await host.make('web-1', '', { newDiskBytes: MiB, memoryMiB: 128 })
    const first = await take(host, id, 'small')
    await host.snapshots.update({ machine: id, snapshot: first, label: 'smaller', note: 'n', pinned: true })
    expect((await host.snapshots.tree({ machine: id })).snapshots).toMatchObject([{ label: 'smaller', note: 'n', pinned: true }])
    await host.machines.update({ id, patch: { memoryMiB: 256, notes: 'mine', name: 'other' } })
    await restore(host, id, first)
    expect((await host.machines.get({ id })).config).toMatchObject({ memoryMiB: 128, notes: 'mine', name: 'other' })
    await expect(host.snapshots.update({ machine: id, snapshot: first, label: ' ' })).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(restore(host, id, id)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('cannot be taken of a machine whose disk lies elsewhere, which is said before', async () => {
    const host = await hostWith()
    const other = await host.make('donor', '', { newDiskBytes: MiB })
    const path = join((await host.machines.get({ id: other })).bundle, 'disks/disk0.qcow2')
    const id = await host.make('web-1')
    await host.machines.update({ id, patch: { drives: [{ id: 'data', kind: 'disk', path }] } })
    expect((await host.snapshots.tree({ machine: id })).obstacles).toEqual([
      expect.stringContaining('lies outside of the machine’s folder'),
    ])
    await expect(take(host, id, 'no')).rejects.toMatchObject({ code: 'invalid-input' })
    expect((await host.snapshots.tree({ machine: id })).snapshots).toEqual([])
  })
})

async function write(host: TestHost, id: string, value: number, at: number): Promise<void> {
  const image = await ownDisk(host, id, false)
  await image.write(at, new Uint8Array(512).fill(value))
  await image.close()
}

async function content(host: TestHost, id: string): Promise<string> {
  const image = await ownDisk(host, id, true)
  const values: number[] = []
  for (let block = 0; block < BLOCKS; block++) values.push((await readBytes(image, block * STRIDE, 1))[0]!)
  await image.close()
  return values.join(' ')
}

const BLOCKS = 16
const STRIDE = MiB / BLOCKS

test('a frozen disk is nobody’s to write: neither added again nor started with', async () => {
  const host = await hostWith()
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  const frozen = (await host.machines.get({ id })).config!.drives[0]!
  await take(host, id, 'first')
  const refused = { details: { fields: [{ path: 'drives.0.path', message: expect.stringContaining('belongs to a snapshot') as string }] } }
  await expect(host.machines.update({ id, patch: { drives: [frozen] } })).rejects.toMatchObject(refused)
  await host.machines.update({ id, patch: { drives: [{ ...frozen, readOnly: true }] } })
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
})

test('a duplicate has the present state alone, in a file of its own', async () => {
  const host = await hostWith()
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  await write(host, id, 1, 0)
  await take(host, id, 'first')
  await write(host, id, 2, STRIDE)
  const copy = (await host.done(host.machines.duplicate({ id, name: 'copy' }))).result!.id!
  expect(await content(host, copy)).toBe(await content(host, id))
  expect(await host.snapshots.tree({ machine: copy })).toMatchObject({ current: null, snapshots: [] })
  const { bundle } = await host.machines.get({ id: copy })
  expect(await readdir(join(bundle, 'disks'))).toHaveLength(1)
})

describe('deleting', () => {
  test('merges what later states need into them, and gives back the rest', async () => {
    const host = await hostWith()
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    const { bundle } = await host.machines.get({ id })
    const files = async (): Promise<number> => (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.')).length
    await write(host, id, 1, 0)
    const first = await take(host, id, 'first')
    await write(host, id, 2, STRIDE)
    const second = await take(host, id, 'second')
    await write(host, id, 3, 2 * STRIDE)
    const now = await content(host, id)
    expect(await files()).toBe(3)
    await host.done(host.snapshots.delete({ machine: id, snapshot: first, subtree: false }))
    expect(await host.snapshots.tree({ machine: id })).toMatchObject({ current: second, snapshots: [{ id: second, parent: null }] })
    expect(await files()).toBe(2)
    expect(await content(host, id)).toBe(now)
    await restore(host, id, second)
    expect(await content(host, id)).toBe(`1 2${' 0'.repeat(BLOCKS - 2)}`)
    await host.done(host.snapshots.delete({ machine: id, snapshot: second, subtree: false }))
    expect(await host.snapshots.tree({ machine: id })).toMatchObject({ current: null, snapshots: [] })
    expect(await files()).toBe(1)
    expect(await content(host, id)).toBe(`1 2${' 0'.repeat(BLOCKS - 2)}`)
    expect(await readdir(join(bundle, 'snapshots'))).toEqual([])
  })

  test('with everything that came from it; not the machine’s own state', async () => {
    const host = await hostWith()
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    const root = await take(host, id, 'root')
    await write(host, id, 1, 0)
    const branch = await take(host, id, 'branch')
    await write(host, id, 2, 0)
    await take(host, id, 'leaf')
    await expect(host.done(host.snapshots.delete({ machine: id, snapshot: branch, subtree: true }))).rejects.toMatchObject({
      message: expect.stringContaining('is at a state that came from this snapshot') as string,
    })
    await restore(host, id, root)
    await host.done(host.snapshots.delete({ machine: id, snapshot: branch, subtree: true }))
    expect((await host.snapshots.tree({ machine: id })).snapshots).toMatchObject([{ label: 'root' }])
    expect(await content(host, id)).toBe(`0${' 0'.repeat(BLOCKS - 1)}`)
  })

  test('of a machine that runs: its disks are merged, and it goes on', async () => {
    const host = await hostWith()
    const id = await running(host, 'first', 1)
    const first = await take(host, id, 'first')
    await put(host, id, 'second', 2)
    await host.done(host.snapshots.delete({ machine: id, snapshot: first, subtree: false }))
    expect(await host.snapshots.tree({ machine: id })).toMatchObject({ current: null, snapshots: [] })
    const { bundle, config } = await host.machines.get({ id })
    expect((await readdir(join(bundle, 'disks'))).filter((name) => name.endsWith('.qcow2'))).toEqual([
      config!.drives[0]!.path!.replace('disks/', ''),
    ])
    expect(await readdir(join(bundle, 'snapshots'))).toEqual([])
    expect(await askGuest(host, id)).toBe('second 2')
    await host.machines.powerOff({ id })
    expect((await host.tasks.list({})).filter(({ title }) => title.startsWith('Merging disks'))).toEqual([])
    await host.machines.start({ id })
    expect(await askGuest(host, id)).toBe(' 2')
  })

  test('anything, anywhere in a tree, changes no other state: random trees against a model', { timeout: 240_000 }, async () => {
    const host = await hostWith()
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    const { bundle } = await host.machines.get({ id })
    let seed = 20_261_121
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
      return (seed >>> 8) % below
    }
    /** What each snapshot has, by id. */
    const model = new Map<string, { content: string; parent: string | null }>()
    let current: string | null = null
    let now = await content(host, id)
    for (let round = 0; round < 70; round++) {
      const ids = [...model.keys()]
      const dice = random(10)
      if (dice < 5 || ids.length === 0) {
        await write(host, id, 1 + random(255), random(BLOCKS) * STRIDE)
        now = await content(host, id)
        const taken = await take(host, id, `s${round}`)
        model.set(taken, { content: now, parent: current })
        current = taken
      } else if (dice < 8) {
        current = ids[random(ids.length)]!
        await restore(host, id, current)
        now = model.get(current)!.content
      } else {
        const gone = ids[random(ids.length)]!
        const { parent } = model.get(gone)!
        await host.done(host.snapshots.delete({ machine: id, snapshot: gone, subtree: false }))
        for (const other of model.values()) if (other.parent === gone) other.parent = parent
        if (current === gone) current = parent
        model.delete(gone)
      }
      expect(await content(host, id), `round ${round}`).toBe(now)
    }
    const tree = await host.snapshots.tree({ machine: id })
    expect(tree.current).toBe(current)
    expect(Object.fromEntries(tree.snapshots.map((one) => [one.id, one.parent]))).toEqual(
      Object.fromEntries([...model].map(([one, { parent }]) => [one, parent])),
    )
    for (const [one, state] of model) {
      await restore(host, id, one)
      expect(await content(host, id)).toBe(state.content)
    }
    // Nothing is left over: one file each at most, and one where several go on from a state that is gone.
    const files = (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.'))
    expect(files.length).toBeLessThanOrEqual(2 * model.size + 1)
    if (WITHOUT_QEMU_IMG) return
    for (const file of files) expect(await qemuImg('check', join(bundle, 'disks', file))).toContain('No errors were found')
  })
})
