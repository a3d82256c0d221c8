/** Chains of disk images in a folder, with what they show. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import { makeFile } from '../../src-main/storage/file/make-file.ts'
import { createQcow2, type CreateQcow2 } from '../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { checkImage } from '../../src-main/storage/jobs/check-image.ts'
import { openImage } from '../../src-main/storage/open-image.ts'
import type { DiskFormat } from '../../src-shared/model/disk-format.ts'
import { expectSame } from './disk-model.ts'
import { readBytes } from './read-bytes.ts'
import { noise } from './seeded.ts'

type Random = (below: number) => number

export interface ChainLayer {
  path: string
  format: DiskFormat
}

export interface DiskChain {
  /** The oldest first. */
  layers: ChainLayer[]
  /** What shows through the newest. */
  model: Uint8Array<ArrayBuffer>
}

export type LayerOptions = Omit<CreateQcow2, 'backing'>

/** @param layers the oldest first; `raw` (of that size) at the bottom only; @param writes into each layer */
export async function makeChain(
  folder: string,
  layers: readonly (LayerOptions | { raw: number })[],
  writes: number,
  random: Random,
): Promise<DiskChain> {
  const chain: DiskChain = { layers: [], model: new Uint8Array(0) }
  for (const [index, options] of layers.entries()) {
    const path = join(folder, `${index}.img`)
    const below = chain.layers.at(-1)
    const format = 'raw' in options ? 'raw' : 'qcow2'
    if ('raw' in options) await writeFile(path, new Uint8Array(options.raw))
    else {
      const backing = below ? { path: `${index - 1}.img`, format: below.format } : null
      await makeFile(path, (file) => createQcow2(file, { ...options, backing }))
    }
    chain.layers.push({ path, format })
    await writeNewest(chain, writes, random)
  }
  return chain
}

/** Writes, zeroes, discards and packs at random, with the model along. */
async function writeNewest(chain: DiskChain, writes: number, random: Random): Promise<void> {
  const { path, format } = chain.layers.at(-1)!
  const disk = await openImage({ path, format, readOnly: false, folders: [join(path, '..')] })
  const { size } = disk.info
  const model = new Uint8Array(size)
  model.set(chain.model.subarray(0, size))
  const set = async (offset: number, bytes: Uint8Array, work: Promise<void>): Promise<void> => {
    await work
    model.set(bytes, offset)
  }
  for (let count = 0; count < writes; count++) {
    const length = Math.min(size, 1 + random(Math.max(2, Math.min(size / 4, 3 * (disk.clusterSize ?? 4096)))))
    // Often at the end: there layers differ.
    const offset = random(4) === 0 ? size - length : random(size - length + 1)
    switch (random(6)) {
      case 0:
        await set(offset, new Uint8Array(length), disk.writeZeroes(offset, length))
        break
      case 1:
        await disk.discard(offset, length)
        model.set(await readBytes(disk, offset, length), offset)
        break
      case 2: {
        if (!disk.packed) break
        const start = offset - (offset % disk.packed.clusterSize)
        const cluster = new Uint8Array(Math.min(disk.packed.clusterSize, size - start)).fill(1 + random(255))
        await set(start, cluster, disk.packed.write(start, cluster))
        break
      }
      default: {
        const bytes = noise(random, length)
        await set(offset, bytes, disk.write(offset, bytes))
      }
    }
  }
  await disk.close()
  chain.model = model
}

export function openNewest({ layers }: Pick<DiskChain, 'layers'>): Promise<BlockDevice> {
  const { path, format } = layers.at(-1)!
  return openImage({ path, format, readOnly: true, folders: [join(path, '..')] })
}

/**
 * The newest layer shows the model, and no table of any layer is wrong.
 * @param state `leaks`: there may be room that nothing uses; `unclean`: counts may be wrong until somebody opens the image for writing
 */
export async function expectChain(chain: DiskChain, state: 'sound' | 'leaks' | 'unclean' = 'sound'): Promise<void> {
  const disk = await openNewest(chain)
  try {
    expectSame(await readBytes(disk, 0, disk.info.size), chain.model, 0)
  } finally {
    await disk.close()
  }
  if (state === 'unclean') return
  const quiet = { signal: new AbortController().signal, onProgress: () => {} }
  for (const { path, format } of chain.layers) {
    const found = await checkImage({ path, format, folders: [] }, false, quiet)
    if (found) expect(found, path).toMatchObject({ corruptions: 0, ...(state === 'leaks' ? {} : { leaks: 0, findings: [] }) })
  }
}
