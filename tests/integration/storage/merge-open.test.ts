/** Layers of a disk that is served become one while it is read and written: real files, and plain bytes to compare with. */
import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { backingOf } from '../../../src-main/storage/chain/rests-on.ts'
import { GoingOn } from '../../../src-main/storage/going-on.ts'
import { createAbove, createImage } from '../../../src-main/storage/jobs/create-image.ts'
import { mergeOpen } from '../../../src-main/storage/jobs/merge-open.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { StorageService } from '../../../src-main/storage/storage-service.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { expectSame } from '../../support/disk-model.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const SIZE = 96 * MiB
const NOTHING = { signal: new AbortController().signal, onProgress: () => {} }

/** l0 <- l1 <- l2 <- l3, with much in each; l3 is served. */
async function chain() {
  const folder = await tempFolder()
  const path = (layer: number): string => join(folder, `l${layer}.qcow2`)
  const model = new Uint8Array(SIZE)
  const states: Uint8Array[] = []
  const random = seeded(20_261_121)
  const choice = (layer: number) => ({ path: path(layer), format: 'qcow2' as const, folders: [folder] })
  for (let layer = 0; layer < 4; layer++) {
    await createImage({ path: path(layer), format: 'qcow2', size: SIZE, backing: layer === 0 ? null : choice(layer - 1) })
    const image = await openImage({ ...choice(layer), readOnly: false })
    for (let piece = 0; piece < (layer === 3 ? 40 : 24); piece++) {
      const bytes = noise(random, MiB)
      const offset = random(SIZE - MiB)
      await image.write(offset, bytes)
      model.set(bytes, offset)
    }
    const hole = random(SIZE - 4 * MiB)
    await image.writeZeroes(hole, 3 * MiB)
    model.fill(0, hole, hole + 3 * MiB)
    await image.close()
    states.push(model.slice())
  }
  const open = () => openImage({ ...choice(3), readOnly: false })
  const device = new GoingOn(await open())
  onTestFinished(() => device.close())
  const layers = (lower: number, upper: number) => ({
    lower: { path: path(lower), format: 'qcow2' as const },
    upper: { path: path(upper), format: 'qcow2' as const },
  })
  return { folder, path, choice, model, states, random, device, open, layers }
}
type Chain = Awaited<ReturnType<typeof chain>>

/** A guest that never rests, and is told nothing wrong. @returns how often it was answered */
async function use({ device, model, random }: Chain, until: () => boolean): Promise<number> {
  let answered = 0
  for (; !until(); answered++) {
    const length = 1 + random(200_000)
    const offset = random(SIZE - length)
    if (random(2) === 0) {
      const bytes = noise(random, length)
      await device.write(offset, bytes)
      model.set(bytes, offset)
    } else {
      const into = new Uint8Array(length)
      await device.read(offset, into)
      expectSame(into, model.subarray(offset, offset + length), offset)
    }
    if (random(8) === 0) await device.flush()
  }
  return answered
}

async function during(it: Chain, work: Promise<unknown>): Promise<number> {
  let over = false
  const ended = work.finally(() => (over = true))
  const [answered] = await Promise.all([use(it, () => over), ended])
  return answered
}

async function expectDisk({ choice }: Chain, layer: number, wanted: Uint8Array): Promise<void> {
  const image = await openImage({ ...choice(layer), readOnly: true })
  expectSame(await readBytes(image, 0, SIZE), wanted, 0)
  await image.close()
  if (!WITHOUT_QEMU_IMG) await qemuImg('check', choice(layer).path)
}

test('frozen ones, the first, and the one that is written: the guest goes on, and every state is what it was', async () => {
  const it = await chain()
  const { device, open, layers, folder, path, model } = it
  const told: number[] = []
  const options = { ...NOTHING, onProgress: (done: number) => told.push(done) }
  const answered = await during(it, mergeOpen(device, open, layers(1, 2), options))
  expect(answered).toBeGreaterThan(0)
  expect(told.at(-1)).toBe(SIZE)
  expect(await backingOf(path(2), 'qcow2')).toEqual({ path: 'l0.qcow2', format: 'qcow2' })
  await during(it, mergeOpen(device, open, layers(2, 3), NOTHING))
  await during(it, mergeOpen(device, open, layers(0, 3), NOTHING))
  await device.close()
  expect(await readdir(folder)).toEqual(['l3.qcow2'])
  await expectDisk(it, 3, model)
})

test('a frozen one keeps its state, also where little was written into it', async () => {
  const it = await chain()
  const { device, open, layers, path, folder, choice, model, states } = it
  // One more, of a snapshot that was just taken.
  await createAbove(path(4), choice(3), SIZE)
  const next = () => openImage({ ...choice(4), readOnly: false })
  await device.goOn(next, open)
  await device.write(5, Uint8Array.of(1, 2, 3))
  model.set([1, 2, 3], 5)
  await during(it, mergeOpen(device, next, layers(0, 1), NOTHING))
  await during(it, mergeOpen(device, next, layers(3, 4), NOTHING))
  await device.close()
  expect((await readdir(folder)).sort()).toEqual(['l1.qcow2', 'l2.qcow2', 'l4.qcow2'])
  await expectDisk(it, 1, states[1]!)
  await expectDisk(it, 2, states[2]!)
  await expectDisk(it, 4, model)
})

test('cancelled, and closed in the middle of it: the same disk, and it goes on from there', async () => {
  const it = await chain()
  const { device, open, layers, path, model } = it
  const stop = new AbortController()
  const cancelled = mergeOpen(device, open, layers(2, 3), { signal: stop.signal, onProgress: (done) => done > 0 && stop.abort() })
  await during(it, expect(cancelled).rejects.toMatchObject({ code: 'cancelled' }))
  await access(path(2))
  const closed = mergeOpen(device, open, layers(2, 3), NOTHING).catch((error: unknown) => error)
  await device.close()
  expect(await closed).toMatchObject({ code: 'disconnected' })
  await expectDisk(it, 3, model)
  const again = new GoingOn(await open())
  await mergeOpen(again, open, layers(2, 3), NOTHING)
  await again.close()
  await expectDisk(it, 3, model)
})

test('who looks at the disk while it is closed for a moment is waited for', async () => {
  const it = await chain()
  const { device, open, layers, choice, model } = it
  let reader: Awaited<ReturnType<typeof openImage>> | null = null
  const looked = async (): ReturnType<typeof open> => {
    // It got in between, and leaves soon.
    if (!reader) {
      reader = await openImage({ ...choice(3), readOnly: true })
      setTimeout(() => void reader!.close(), 60)
    }
    return open()
  }
  await during(it, mergeOpen(device, looked, layers(2, 3), NOTHING))
  await device.close()
  await expectDisk(it, 3, model)
})

test('an image that another program is about to write is nobody’s to open; who has it open is not disturbed', async () => {
  const folder = await tempFolder()
  const path = join(folder, 'a.qcow2')
  await createImage({ path, format: 'qcow2', size: MiB, backing: null })
  const { handlers } = new StorageService()
  const context = { signal: NOTHING.signal } as Parameters<typeof handlers.hold>[1]
  const inspect = (inUse: boolean) => handlers.inspect({ path, format: 'qcow2', folders: [], inUse }, context)
  await handlers.hold({ handle: 'h', path }, context)
  await expect(inspect(false)).rejects.toMatchObject({ code: 'busy' })
  expect(await inspect(true)).toMatchObject({ size: MiB })
  await handlers.close({ handle: 'h' }, context)
  const reader = await openImage({ path, format: 'qcow2', readOnly: true })
  await expect(handlers.hold({ handle: 'h', path }, context)).rejects.toMatchObject({ code: 'busy' })
  await reader.close()
  await handlers.hold({ handle: 'h', path }, context)
  await handlers.close({ handle: 'h' }, context)
})
