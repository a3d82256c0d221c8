/** Qcow2 images in memory. */
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { rawDevice } from '../../src-main/storage/formats/raw/raw-device.ts'
import { checkQcow2 } from '../../src-main/storage/formats/qcow2/check/check.ts'
import { createQcow2, type CreateQcow2 } from '../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { openQcow2 } from '../../src-main/storage/formats/qcow2/open-qcow2.ts'
import type { Qcow2Image } from '../../src-main/storage/formats/qcow2/qcow2-image.ts'
import { memoryFile, type MemoryFile } from './memory-file.ts'
import { noise, seeded } from './seeded.ts'

export const BACKING = { path: 'below.raw', format: 'raw' } as const

export async function newQcow2(options: CreateQcow2): Promise<MemoryFile> {
  const file = memoryFile()
  await createQcow2(file, options)
  return file
}

/** @param below what the backing has; without it, an image opens alone */
export function openOver(file: ByteFile, below: Uint8Array | null = null): Promise<Qcow2Image> {
  const backing = below && rawDevice(memoryFile(below, 'below.raw', true))
  return openQcow2(file, { openBacking: () => Promise.resolve<BlockDevice | null>(backing) })
}

/** Same bytes each time, with some zeroes. */
export function belowBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = noise(seeded(size), size)
  bytes.fill(0, Math.floor(size / 3), Math.floor(size / 2))
  return bytes
}

/** @param leaks whether there may be any */
export async function expectSound(file: ByteFile, leaks = false): Promise<void> {
  const found = await checkQcow2(file, { repair: false })
  expect(found).toMatchObject({ corruptions: 0, ...(leaks ? {} : { leaks: 0, findings: [] }) })
}
