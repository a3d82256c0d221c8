/** Disk images beside QEMU's own tools on the same files. Everything lies in a temporary folder that is removed. */
import { mkdtemp, open, rm } from 'node:fs/promises'
import { randomFillSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GiB, MiB } from '../../../src-shared/base/units.ts'
import type { Figure } from '../figure.ts'
import { benchStorage } from '../support/bench-storage.ts'
import { chainFigures } from './storage-chain.ts'
import { convertFigures } from './storage-convert.ts'
import { createFigures } from './storage-create.ts'
import { requestFigures } from './storage-requests.ts'

/** The sparse disk has one of so many MiB. */
const SPARSE = 16

/** @param size bytes of the disks, whole MiB */
export async function storageFigures(size = GiB): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cb-'))
  const storage = benchStorage()
  const bench = { folder, size, random: path.join(folder, 'random.raw'), sparse: path.join(folder, 'sparse.raw'), storage: storage.service }
  try {
    await makeRandom(bench.random, size)
    await makeSparse(bench.sparse, size)
    return [
      ...(await convertFigures(bench)),
      ...(await requestFigures(bench)),
      ...(await createFigures(bench)),
      ...(await chainFigures(bench)),
    ]
  } finally {
    await storage.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeRandom(file: string, size: number): Promise<void> {
  const handle = await open(file, 'w')
  try {
    for (let at = 0; at < size; at += MiB) await handle.write(randomFillSync(new Uint8Array(MiB)), 0, MiB, at)
  } finally {
    await handle.close()
  }
}

async function makeSparse(file: string, size: number): Promise<void> {
  const handle = await open(file, 'w')
  try {
    await handle.truncate(size)
    for (let at = 0; at < size; at += SPARSE * MiB) await handle.write(randomFillSync(new Uint8Array(MiB)), 0, MiB, at)
  } finally {
    await handle.close()
  }
}
