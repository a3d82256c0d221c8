import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLocked } from '../../../../src-main/storage/file/open-locked.ts'
import { makeFile } from '../../../../src-main/storage/file/make-file.ts'
import { commitImage, type CommitFiles } from '../../../../src-main/storage/jobs/commit-image.ts'
import { createImage } from '../../../../src-main/storage/jobs/create-image.ts'
import { rebaseImage } from '../../../../src-main/storage/jobs/rebase-image.ts'
import { openImage, openLayer } from '../../../../src-main/storage/open-image.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { expectChain, makeChain, openNewest, type DiskChain } from '../../../support/disk-chain.ts'
import { expectSame } from '../../../support/disk-model.ts'
import { openFailing } from '../../../support/failing-file.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { addSnapshot } from '../../../support/qcow2-images.ts'
import { crashes, journalled, type Entry } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const KiB = 1024
const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const plain = { size: 256 * KiB, clusterSize: KiB }
const chosen = (path: string) => ({ path, format: null, folders: [] })

async function shown(path: string): Promise<Uint8Array> {
  const disk = await openImage({ path, format: 'qcow2', readOnly: true, folders: [join(path, '..')] })
  try {
    return await readBytes(disk, 0, disk.info.size)
  } finally {
    await disk.close()
  }
}

async function backingOf(path: string): Promise<unknown> {
  const layer = await openLayer({ path, format: 'qcow2', readOnly: true })
  await layer.close()
  return layer.backing
}

/** The system’s files, but that the write, or change of names, of this number fails, and all after it. */
function failing(at: number): CommitFiles & { count: number } {
  const step = <T>(run: () => Promise<T>): Promise<T> => {
    files.count++
    return files.count >= at ? Promise.reject(new AppError('no-space', 'The disk is full.')) : run()
  }
  const files: CommitFiles & { count: number } = {
    count: 0,
    open: (path, readOnly) => openFailing(path, readOnly, step),
    replace: (path, fill, replacing) => step(() => makeFile(path, fill, replacing)),
  }
  return files
}

describe('committing', () => {
  test.each(['raw', 'qcow2'])('the lower image (%s) has the disk, the overlay is empty and shows the same', async (kind) => {
    for (const [below, above] of [
      [200, 256],
      [256, 200],
      [256, 256],
    ] as const) {
      const folder = await tempFolder()
      const bottom = { ...plain, size: below * KiB }
      const layers = kind === 'raw' ? [{ raw: below * KiB }] : [plain, bottom]
      const chain = await makeChain(folder, [...layers, { ...plain, size: above * KiB }], 12, seeded(below + above))
      const top = chain.layers.at(-1)!.path
      const lower = chain.layers.at(-2)!
      const told: number[] = []
      const { bytes, into } = await commitImage(chosen(top), { ...quiet, onProgress: (done) => void told.push(done) })
      expect(bytes).toBeGreaterThan(0)
      expect(into).toBe(lower.path)
      expect(told.at(-1)).toBe(above * KiB)
      await expectChain(chain)
      const emptied = await openLayer({ path: top, format: 'qcow2', readOnly: true })
      expect(await emptied.extent(0, above * KiB)).toEqual({ length: above * KiB, state: 'unallocated' })
      expect(emptied.clusterSize).toBe(KiB)
      await emptied.close()
      const alone = await openNewest({ layers: chain.layers.slice(0, -1) })
      expectSame(await readBytes(alone, 0, Math.min(above, alone.info.size / KiB) * KiB), chain.model.subarray(0, alone.info.size), 0)
      await alone.close()
      expect(await commitImage(chosen(top), quiet)).toMatchObject({ bytes: 0 })
      await expectChain(chain)
    }
  })

  test('is refused where others rest on the lower image, where there is none, where something would be lost, or where one is in use', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [plain, plain], 8, seeded(3))
    const [lower, upper] = [chain.layers[0]!.path, chain.layers[1]!.path]
    const before = await Promise.all([lower, upper].map((path) => readFile(path, 'latin1')))
    const refused = async (path: string, code: string, words: string): Promise<void> => {
      await expect(commitImage(chosen(path), quiet)).rejects.toMatchObject({ code, message: expect.stringContaining(words) as string })
      expect(await Promise.all([lower, upper].map((one) => readFile(one, 'latin1')))).toEqual(before)
    }
    await refused(lower, 'invalid-input', 'rests on no other image')
    const branch = join(folder, 'branch.qcow2')
    await createImage({ path: branch, format: 'qcow2', size: null, backing: chosen(lower) })
    await refused(upper, 'invalid-input', 'branch.qcow2')
    await commitImage(chosen(branch), quiet).catch((error: AppError) => expect(error.message).toContain('1.img'))
    await rebaseImage({ image: chosen(branch), backing: null, unsafe: true }, quiet)
    for (const path of [lower, upper]) {
      const user = await openLayer({ path, format: 'qcow2', readOnly: true })
      await refused(upper, 'busy', path)
      await user.close()
    }
    for (const path of [lower, upper]) {
      const kept = await readFile(path)
      const file = memoryFile(kept)
      await addSnapshot(file, 'then')
      await writeFile(path, file.bytes())
      await expect(commitImage(chosen(upper), quiet)).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('“then”') as string,
      })
      await writeFile(path, kept)
    }
    await commitImage(chosen(upper), quiet)
    await expectChain(chain)
  })

  test('that fails at any write leaves the same disk, and can be done again', { timeout: 60_000 }, async () => {
    for (let at = 1; ; at++) {
      const chain = await makeChain(
        await tempFolder(),
        [{ raw: 64 * KiB }, { ...plain, size: 60 * KiB }, { ...plain, size: 64 * KiB }],
        6,
        seeded(9),
      )
      const top = chain.layers[2]!.path
      const files = failing(at)
      const failure = await commitImage(chosen(top), quiet, files).catch((error: unknown) => error)
      if (failure instanceof Error) {
        expect(failure).toMatchObject({ code: 'no-space' })
        await expectChain(chain, 'leaks')
        await commitImage(chosen(top), quiet)
      }
      await expectChain(chain, 'leaks')
      if (files.count < at) break
    }
  })

  test('that is cancelled leaves the same disk', async () => {
    const chain = await makeChain(await tempFolder(), [plain, plain], 10, seeded(4))
    const top = chain.layers[1]!.path
    const stop = new AbortController()
    const options = { signal: stop.signal, onProgress: () => stop.abort(AppError.cancelled()) }
    await expect(commitImage(chosen(top), options)).rejects.toMatchObject({ code: 'cancelled' })
    await expectChain(chain)
  })
})

test(
  'power that fails at any moment of a commit leaves the same disk, and an overlay is emptied only when the lower image has all',
  { timeout: 120_000 },
  async () => {
    const random = seeded(22)
    for (const below of [40, 64]) {
      const folder = await tempFolder()
      const small = { size: 64 * KiB, clusterSize: KiB }
      const chain = await makeChain(folder, [{ raw: 64 * KiB }, { ...small, size: below * KiB }, small], 8, random)
      const [lower, top] = [chain.layers[1]!.path, chain.layers[2]!.path]
      const images = { [lower]: await readFile(lower), [top]: await readFile(top) }
      const journals: Record<string, Entry[]> = { [lower]: [], [top]: [] }
      let emptied: Uint8Array | null = null
      let written = 0
      await commitImage(chosen(top), quiet, {
        async open(path, readOnly) {
          const { file, identity } = await openLocked(path, readOnly)
          const taped = journalled(images[path]!, journals[path]!)
          const own = {
            ...taped,
            path,
            get size() {
              return taped.size
            },
            close: () => file.close(),
          }
          return { file: own, identity }
        },
        async replace(_path, fill, replacing) {
          written = journals[lower]!.length
          const file = memoryFile()
          const result = await fill(file)
          emptied = file.bytes()
          await replacing?.release?.()
          return result
        },
      })
      expect(written).toBe(journals[lower]!.length)
      const upperJournal = journals[top]!.filter(({ kind }) => kind !== 'sync')
      expect(upperJournal).toEqual([])
      const left: DiskChain = { layers: chain.layers, model: chain.model }
      let last: Uint8Array | null = null
      for await (const { file } of crashes(images[lower]!, journals[lower]!, new Uint8Array(0), random, 3)) {
        last = file.bytes()
        await writeFile(lower, last)
        await writeFile(top, images[top]!)
        await expectChain(left, 'leaks')
        await commitImage(chosen(top), quiet)
        await expectChain(left, 'leaks')
      }
      await writeFile(lower, last!)
      await writeFile(top, emptied!)
      await expectChain(left, 'leaks')
    }
  },
)

describe('rebasing', () => {
  /** Two chains over one base, and the newest of the first. */
  async function family(
    seed: number,
    others: Parameters<typeof makeChain>[1] = [plain],
  ): Promise<{ chain: DiskChain; other: string; folder: string }> {
    const folder = await tempFolder()
    const random = seeded(seed)
    const chain = await makeChain(folder, [plain, plain, plain], 10, random)
    const away = await tempFolder()
    const second = await makeChain(away, others, 10, random)
    const other = join(folder, 'other.qcow2')
    await copyFile(second.layers.at(-1)!.path, other)
    return { chain, other, folder }
  }

  test.each([1, 2, 3, 4, 5, 6])('onto any other image, onto nothing, and back, it is the same disk (%i)', async (seed) => {
    const size = [100 * KiB, 256 * KiB, 300 * KiB][seed % 3]!
    const version = seed % 2 === 0 ? (2 as const) : (3 as const)
    const { chain, other } = await family(seed, [{ ...plain, size, version }])
    const top = chain.layers[2]!.path
    const told: [number, number][] = []
    const options = { ...quiet, onProgress: (...now: [number, number]) => void told.push(now) }
    const { bytes } = await rebaseImage({ image: chosen(top), backing: chosen(other), unsafe: false }, options)
    expect(bytes).toBeGreaterThan(0)
    expect(told.at(-1)).toEqual([256 * KiB, 256 * KiB])
    expectSame(await shown(top), chain.model, 0)
    expect(await backingOf(top)).toEqual({ path: 'other.qcow2', format: 'qcow2' })
    await rebaseImage({ image: chosen(top), backing: null, unsafe: false }, quiet)
    expectSame(await shown(top), chain.model, 0)
    expect(await backingOf(top)).toBeNull()
    await rebaseImage({ image: chosen(top), backing: chosen(chain.layers[0]!.path), unsafe: false }, quiet)
    expectSame(await shown(top), chain.model, 0)
    await expectChain({ ...chain, layers: [chain.layers[0]!, chain.layers[2]!] })
  })

  test('what both chains have from the same file is not copied', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [{ raw: 256 * KiB }, plain, plain], 0, seeded(1))
    const layer = await openLayer({ ...chain.layers[0]!, readOnly: false })
    await layer.write(0, noise(seeded(2), 256 * KiB))
    await layer.close()
    const middle = await openImage({ ...chain.layers[1]!, readOnly: false, folders: [folder] })
    await middle.write(10 * KiB, noise(seeded(3), 3 * KiB))
    await middle.close()
    chain.model = new Uint8Array(await shown(chain.layers[2]!.path))
    const image = chosen(chain.layers[2]!.path)
    expect(await rebaseImage({ image, backing: chosen(chain.layers[0]!.path), unsafe: false }, quiet)).toEqual({ bytes: 3 * KiB })
    await expectChain({ ...chain, layers: [chain.layers[0]!, chain.layers[2]!] })
    // Back onto the middle one: what the image has itself stays its own.
    expect(await rebaseImage({ image, backing: chosen(chain.layers[1]!.path), unsafe: false }, quiet)).toEqual({ bytes: 0 })
    await expectChain(chain)
  })

  test('unsafe changes the name alone', async () => {
    const { chain, other } = await family(7)
    const top = chain.layers[2]!.path
    const own = await (async () => {
      const layer = await openLayer({ path: top, format: 'qcow2', readOnly: true })
      const bytes = await readBytes(layer, 0, layer.info.size)
      await layer.close()
      return bytes
    })()
    expect(await rebaseImage({ image: chosen(top), backing: chosen(other), unsafe: true }, quiet)).toEqual({ bytes: 0 })
    expect(await backingOf(top)).toEqual({ path: 'other.qcow2', format: 'qcow2' })
    const layer = await openLayer({ path: top, format: 'qcow2', readOnly: true })
    expectSame(await readBytes(layer, 0, layer.info.size), own, 0)
    await layer.close()
  })

  test('is refused onto itself, with an internal snapshot, and while somebody has it or what it is to rest on', async () => {
    const { chain, other, folder } = await family(8)
    const [base, , top] = chain.layers.map(({ path }) => path) as [string, string, string]
    const files = await readdir(folder)
    const refused = (image: string, backing: string, code: string, words: string): Promise<void> =>
      expect(rebaseImage({ image: chosen(image), backing: chosen(backing), unsafe: false }, quiet)).rejects.toMatchObject({
        code,
        message: expect.stringContaining(words) as string,
      })
    await refused(top, top, 'invalid-input', 'rest on itself')
    await refused(base, top, 'invalid-input', 'rest on itself')
    const reader = await openLayer({ path: top, format: 'qcow2', readOnly: true })
    await refused(top, other, 'busy', top)
    await reader.close()
    const writer = await openLayer({ path: other, format: 'qcow2', readOnly: false })
    await refused(top, other, 'busy', other)
    await writer.close()
    const raw = join(folder, 'raw.img')
    await writeFile(raw, new Uint8Array(64 * KiB))
    await refused(raw, other, 'unsupported', 'Convert it to qcow2')
    const before = await readFile(top)
    const file = memoryFile(before)
    await addSnapshot(file, 'then')
    await writeFile(top, file.bytes())
    await refused(top, other, 'unsupported', '“then”')
    await writeFile(top, before)
    await expectChain(chain)
    expect((await readdir(folder)).sort()).toEqual([...files, 'raw.img'].sort())
  })

  test('that is cancelled rests on what it did', async () => {
    const { chain, other } = await family(9)
    const stop = new AbortController()
    const options = { signal: stop.signal, onProgress: () => stop.abort(AppError.cancelled()) }
    const image = chosen(chain.layers[2]!.path)
    await expect(rebaseImage({ image, backing: chosen(other), unsafe: false }, options)).rejects.toMatchObject({ code: 'cancelled' })
    await expectChain(chain)
  })

  test('power that fails at any moment leaves the same disk, over the old backing or the new one', { timeout: 120_000 }, async () => {
    const random = seeded(21)
    for (const version of [2, 3] as const) {
      const folder = await tempFolder()
      const small = { size: 64 * KiB, clusterSize: KiB, version }
      const chain = await makeChain(folder, [small, small], 8, random)
      const other = join(folder, 'other.qcow2')
      await copyFile((await makeChain(await tempFolder(), [small], 8, random)).layers[0]!.path, other)
      const top = chain.layers[1]!.path
      const image = await readFile(top)
      const journal: Entry[] = []
      await rebaseImage({ image: chosen(top), backing: chosen(other), unsafe: false }, quiet, async (path, readOnly) => {
        const { file, identity } = await openLocked(path, readOnly)
        const taped = journalled(image, journal)
        return {
          identity,
          file: {
            ...taped,
            path,
            get size() {
              return taped.size
            },
            close: () => file.close(),
          },
        }
      })
      const names = new Set<string>()
      for await (const { file } of crashes(image, journal, new Uint8Array(0), random, 3)) {
        const left = join(folder, 'left.qcow2')
        await writeFile(left, file.bytes())
        expectSame(await shown(left), chain.model, 0)
        const named = (await backingOf(left)) as { path: string }
        names.add(named.path)
        await rebaseImage({ image: chosen(left), backing: chosen(other), unsafe: false }, quiet)
        await expectChain(
          {
            layers: [
              { path: other, format: 'qcow2' },
              { path: left, format: 'qcow2' },
            ],
            model: chain.model,
          },
          'leaks',
        )
      }
      expect([...names].sort()).toEqual(['0.img', 'other.qcow2'])
    }
  })
})
