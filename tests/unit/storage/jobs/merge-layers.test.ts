import { access, chmod, copyFile, mkdir, readdir, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { mergeLayers, type MergeFiles } from '../../../../src-main/storage/jobs/merge-layers.ts'
import { markMerged } from '../../../../src-main/storage/jobs/merge-mark.ts'
import { openImage, openLayer } from '../../../../src-main/storage/open-image.ts'
import { StorageService } from '../../../../src-main/storage/storage-service.ts'
import { syncFolder, takeName } from '../../../../src-main/files/write-file-atomic.ts'
import { expectChain, makeChain, openNewest, type DiskChain } from '../../../support/disk-chain.ts'
import { openFailing } from '../../../support/failing-file.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { addSnapshot } from '../../../support/qcow2-images.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const KiB = 1024
const quiet = { signal: new AbortController().signal, onProgress: () => {} }

/** Writes into the layer at `index` of a chain: `[offset, length]` each. */
async function fill(chain: DiskChain, index: number, ...ranges: [offset: number, length: number][]): Promise<void> {
  const { path, format } = chain.layers[index]!
  const disk = await openImage({ path, format, readOnly: false, folders: [join(path, '..')] })
  for (const [offset, length] of ranges) await disk.write(offset, noise(seeded(offset + index + 1), length))
  await disk.close()
  const newest = await openNewest(chain)
  chain.model = await readBytes(newest, 0, newest.info.size)
  await newest.close()
}

async function mergeAt(chain: DiskChain, index: number): Promise<{ bytes: number }> {
  const result = await mergeLayers({ lower: chain.layers[index]!, upper: chain.layers[index + 1]!, folders: [] }, quiet)
  chain.layers.splice(index, 1)
  await expectChain(chain)
  return result
}

const size = 1024 * KiB
const clusterSize = 4 * KiB
const plain = { size, clusterSize }

describe('merging two layers', () => {
  test('copies up what the upper one lacks, and where that is less copies down what it has', async () => {
    for (const [lower, upper, inode, bytes] of [
      [64 * KiB, 128 * KiB, 'upper', 64 * KiB],
      [256 * KiB, 64 * KiB, 'lower', 64 * KiB],
    ] as const) {
      const folder = await tempFolder()
      const chain = await makeChain(folder, [plain, plain], 0, seeded(1))
      await fill(chain, 0, [512 * KiB, lower])
      await fill(chain, 1, [0, upper])
      await chmod(chain.layers[1]!.path, 0o640)
      const inodes = { lower: (await stat(chain.layers[0]!.path)).ino, upper: (await stat(chain.layers[1]!.path)).ino }
      expect(await mergeAt(chain, 0)).toEqual({ bytes })
      const merged = await stat(chain.layers[0]!.path)
      expect(merged.ino).toBe(inodes[inode])
      if (process.platform !== 'win32') expect(merged.mode & 0o777).toBe(0o640)
      expect(await readdir(folder)).toEqual(['1.img'])
    }
  })

  test('what is hidden is not copied, and the result rests on what the lower one rested on', async () => {
    const chain = await makeChain(await tempFolder(), [{ raw: size }, plain, plain], 0, seeded(1))
    await fill(chain, 0, [0, size])
    await fill(chain, 1, [0, 256 * KiB])
    await fill(chain, 2, [0, 252 * KiB])
    expect(await mergeAt(chain, 1)).toEqual({ bytes: 4 * KiB })
    const layer = await openLayer({ ...chain.layers[1]!, readOnly: true })
    expect(layer.backing).toEqual({ path: '0.img', format: 'raw' })
    await layer.close()
    expect(await mergeAt(chain, 0)).toEqual({ bytes: size - 256 * KiB })
    const alone = await openLayer({ ...chain.layers[0]!, readOnly: true })
    expect(alone.backing).toBeNull()
    await alone.close()
  })

  test.each([2, 3] as const)('what was zeroes past the end of a smaller layer stays so, version %i', async (version) => {
    const chain = await makeChain(
      await tempFolder(),
      [plain, { size: 10 * 512, clusterSize, version }, { ...plain, version }],
      0,
      seeded(1),
    )
    const bottom = await openLayer({ ...chain.layers[0]!, readOnly: false })
    await bottom.write(0, noise(seeded(3), size / 2))
    await bottom.close()
    chain.model.set(noise(seeded(3), 10 * 512))
    await expectChain(chain)
    await mergeAt(chain, 1)
  })

  test('tells how far it is, in bytes of the disk', async () => {
    const chain = await makeChain(await tempFolder(), [plain, plain], 20, seeded(5))
    const service = new StorageService()
    const told: [string, number, number][] = []
    service.handlers.progress((it) => told.push([it.job, it.done, it.total]))
    const [lower, upper] = [chain.layers[0]!, chain.layers[1]!]
    const context = { signal: new AbortController().signal } as Parameters<typeof service.handlers.merge>[1]
    await service.handlers.merge({ job: 'j', lower, upper, folders: [] }, context)
    expect(told.at(-1)).toEqual(['j', size, size])
    expect(told.every(([job, done, total]) => job === 'j' && done <= total)).toBe(true)
  })

  test('is done when it was done before', async () => {
    const chain = await makeChain(await tempFolder(), [plain, plain, plain], 20, seeded(5))
    const choice = { lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] }
    await mergeLayers(choice, quiet)
    expect(await mergeLayers(choice, quiet)).toEqual({ bytes: 0 })
    chain.layers.splice(1, 1)
    await expectChain(chain)
  })

  test('what a merge left over is deleted only where it says so itself, and nothing rests on it', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [plain, plain, plain], 20, seeded(5))
    const [lower, upper] = [chain.layers[1]!, chain.layers[2]!]
    const choice = { lower, upper, folders: [] }
    await copyFile(lower.path, join(folder, 'kept'))
    await mergeLayers(choice, quiet)
    // A branch of the same chain looks as what is left over does.
    await rename(join(folder, 'kept'), lower.path)
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({ code: 'invalid-input' })
    await markMerged(lower.path, upper.path)
    const user = await openLayer({ path: lower.path, format: 'qcow2', readOnly: true })
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({ code: 'busy' })
    await user.close()
    const other = join(folder, 'other')
    await copyFile(upper.path, other)
    const branch = await openLayer({ path: other, format: 'qcow2', readOnly: false })
    await branch.setBacking!({ path: '1.img', format: 'qcow2' })
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('other') as string,
    })
    await branch.setBacking!(null)
    await branch.close()
    expect(await mergeLayers(choice, quiet)).toEqual({ bytes: 0 })
    expect((await readdir(folder)).sort()).toEqual(['0.img', '2.img', 'other'])
  })
})

describe('merging is refused', () => {
  const refusal = async (chain: DiskChain, lower: number, upper: number, code: string, path?: string): Promise<void> => {
    const choice = { lower: chain.layers[lower]!, upper: chain.layers[upper]!, folders: [] }
    if (path !== undefined) choice.lower = { ...choice.lower, path }
    const contents = async (): Promise<string[]> => Promise.all(chain.layers.map((layer) => readFile(layer.path, 'latin1')))
    const before = await contents()
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({ code })
    expect(await contents()).toEqual(before)
  }

  test('where the two are not neighbours, are of another format, in another folder, in use, or not there', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [plain, plain, plain], 10, seeded(5))
    await refusal(chain, 0, 2, 'invalid-input')
    await refusal(chain, 2, 1, 'invalid-input')
    await refusal(chain, 1, 1, 'invalid-input')
    await refusal({ ...chain, layers: [{ ...chain.layers[0]!, format: 'raw' }, chain.layers[1]!] }, 0, 1, 'invalid-input')
    await mkdir(join(folder, 'elsewhere'))
    await copyFile(chain.layers[0]!.path, join(folder, 'elsewhere', '0.img'))
    await refusal(chain, 0, 1, 'invalid-input', join(folder, 'elsewhere', '0.img'))
    for (const index of [0, 1]) {
      const user = await openLayer({ ...chain.layers[index]!, readOnly: true })
      await refusal(chain, 0, 1, 'busy')
      await user.close()
    }
    await rename(chain.layers[0]!.path, join(folder, 'hidden'))
    await expect(mergeLayers({ lower: chain.layers[0]!, upper: chain.layers[1]!, folders: [] }, quiet)).rejects.toMatchObject({
      code: 'not-found',
    })
    await rename(join(folder, 'hidden'), chain.layers[0]!.path)
    await expectChain(chain)
  })

  test.skipIf(process.platform === 'win32')('not where a name is a link to the right file', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [plain, plain], 10, seeded(5))
    await symlink('0.img', join(folder, 'link'))
    await mergeLayers({ lower: { path: join(folder, 'link'), format: 'qcow2' }, upper: chain.layers[1]!, folders: [] }, quiet)
    await expect(access(chain.layers[0]!.path)).rejects.toMatchObject({ code: 'ENOENT' })
    await expectChain({ ...chain, layers: [chain.layers[1]!] })
  })

  test('where what the lower one rests on lies elsewhere, unless that folder is named', async () => {
    const [folder, elsewhere] = [await tempFolder(), await tempFolder()]
    const chain = await makeChain(folder, [plain, plain, plain], 10, seeded(5))
    const base = join(elsewhere, 'base.img')
    await rename(chain.layers[0]!.path, base)
    const layer = await openLayer({ ...chain.layers[1]!, readOnly: false })
    await layer.setBacking!({ path: base, format: 'qcow2' })
    await layer.close()
    const choice = { lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] as string[] }
    await expect(mergeLayers(choice, quiet)).rejects.toMatchObject({ code: 'denied' })
    await mergeLayers({ ...choice, folders: [elsewhere] }, quiet)
    const merged = await openImage({ ...chain.layers[2]!, readOnly: true, folders: [elsewhere] })
    expect(merged.backing).toEqual({ path: base, format: 'qcow2' })
    const bytes = Buffer.alloc(size)
    await merged.read(0, bytes)
    expect(bytes.equals(chain.model)).toBe(true)
    await merged.close()
  })
})

/** The system’s files, but that the operation of this number fails, and (`dead`) all after it. */
function failing(at: number, dead: boolean): MergeFiles & { count: number } {
  const step = <T>(run: () => Promise<T>): Promise<T> => {
    files.count++
    if (files.count === at || (dead && files.count > at)) return Promise.reject(new AppError('no-space', 'The disk is full.'))
    return run()
  }
  const files: MergeFiles & { count: number } = {
    count: 0,
    open: (path, readOnly) => openFailing(path, readOnly, step),
    takeName: (from, to) => step(() => takeName(from, to)),
    remove: (path) =>
      step(async () => {
        await unlink(path)
        await syncFolder(join(path, '..'))
      }),
  }
  return files
}

describe('a merge that is cut short leaves the same disk, and can be done again', () => {
  /** Pulled up, and pushed down. */
  const ways = [
    { name: 'pull', below: 1, above: 3 },
    { name: 'push', below: 4, above: 1 },
  ]
  const prepared = async (folder: string, below: number, above: number): Promise<DiskChain> => {
    const sized = { size: 64 * KiB, clusterSize: KiB, lazyRefcounts: below === 1 }
    const chain = await makeChain(folder, [sized, { ...sized, size: 60 * KiB }, sized], 6, seeded(9))
    // Ever another cluster, so that there are many writes.
    for (const [index, count] of [
      [1, below],
      [2, above],
    ] as const)
      await fill(chain, index, ...Array.from({ length: count * 4 }, (_, i): [number, number] => [(index + 2 * i) * KiB + 100, 700]))
    return chain
  }

  test.each(ways)('by a failure of any write: $name', { timeout: 60_000 }, async ({ below, above }) => {
    for (const dead of [false, true]) {
      for (let at = 1; ; at++) {
        const chain = await prepared(await tempFolder(), below, above)
        const choice = { lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] }
        const files = failing(at, dead)
        const failure = await mergeLayers(choice, quiet, files).then(
          () => null,
          (error: unknown) => error,
        )
        if (failure) {
          expect(failure).toMatchObject({ code: 'no-space' })
          // Lazy counts are right again when somebody writes the image.
          await expectChain({ ...chain, layers: [chain.layers[2]!] }, below === 1 ? 'unclean' : 'leaks')
          await mergeLayers(choice, quiet)
        }
        chain.layers.splice(1, 1)
        await expectChain(chain, 'leaks')
        if (files.count < at) break
      }
    }
  })

  test.each(ways)('by a cancel: $name', { timeout: 60_000 }, async ({ below, above }) => {
    for (let at = 1; ; at++) {
      const chain = await prepared(await tempFolder(), below, above)
      const choice = { lower: chain.layers[1]!, upper: chain.layers[2]!, folders: [] }
      const stop = new AbortController()
      const files = failing(0, false)
      const open = files.open
      files.open = async (path, readOnly) => {
        const { file, identity } = await open(path, readOnly)
        const write = (offset: number, bytes: Uint8Array): Promise<void> => {
          if (files.count + 1 === at) stop.abort()
          return file.write(offset, bytes)
        }
        return {
          file: {
            ...file,
            get size() {
              return file.size
            },
            write,
          },
          identity,
        }
      }
      const result = await mergeLayers(choice, { ...quiet, signal: stop.signal }, files).catch((error: unknown) => error)
      if (result instanceof Error) {
        expect(result).toMatchObject({ code: 'cancelled' })
        await expectChain(chain)
        await mergeLayers(choice, quiet)
      }
      chain.layers.splice(1, 1)
      await expectChain(chain)
      if (files.count < at) break
    }
  })
})

test('internal snapshots are not lost', async () => {
  const chain = await makeChain(await tempFolder(), [plain, plain], 5, seeded(5))
  for (const { path } of chain.layers) {
    const before = await readFile(path)
    const file = memoryFile(before)
    await addSnapshot(file, 'then')
    await writeFile(path, file.bytes())
    await expect(mergeLayers({ lower: chain.layers[0]!, upper: chain.layers[1]!, folders: [] }, quiet)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('“then”') as string,
    })
    await writeFile(path, before)
  }
  await mergeAt(chain, 0)
})
