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

/** The file, but for some calls. */
export function altered(file: MemoryFile, changes: Partial<ByteFile>): ByteFile {
  return Object.setPrototypeOf({ ...changes }, file) as ByteFile
}

const CLUSTER_BITS = 20
const L1_ENTRIES = 36
const L1_OFFSET = 40
const SNAPSHOT_COUNT = 60
const SNAPSHOTS_OFFSET = 64

/** Changes fields of the header, by byte offset. */
export function patchHeader(file: MemoryFile, change: (fields: DataView) => void): void {
  const bytes = file.bytes()
  change(new DataView(bytes.buffer, bytes.byteOffset, 512))
}

/** Makes an internal snapshot of an image that is closed, as QEMU does: its own L1 table, and counts and flags that tell of it. */
export async function addSnapshot(file: MemoryFile, name: string): Promise<void> {
  const fields = new DataView(file.bytes().buffer)
  const clusterSize = 2 ** fields.getUint32(CLUSTER_BITS)
  const count = fields.getUint32(SNAPSHOT_COUNT)
  if (count > 0) throw new Error('one snapshot is enough')
  const entries = fields.getUint32(L1_ENTRIES)
  const l1 = file.bytes().slice(Number(fields.getBigUint64(L1_OFFSET)), Number(fields.getBigUint64(L1_OFFSET)) + entries * 8)
  const l1At = Math.ceil(file.size / clusterSize) * clusterSize
  const listAt = l1At + Math.ceil(l1.length / clusterSize) * clusterSize
  const entry = new Uint8Array(56 + 8 + Math.ceil(name.length / 8) * 8)
  const view = new DataView(entry.buffer)
  view.setBigUint64(0, BigInt(l1At))
  view.setUint32(8, entries)
  view.setUint16(12, 1)
  view.setUint16(14, name.length)
  view.setUint32(16, 1_700_000_000)
  view.setUint32(36, 16)
  view.setBigUint64(48, fields.getBigUint64(24))
  entry.set(new TextEncoder().encode(`1${name}`), 56)
  await file.write(l1At, l1)
  await file.write(listAt, entry)
  await file.truncate(listAt + clusterSize)
  patchHeader(file, (head) => {
    head.setUint32(SNAPSHOT_COUNT, 1)
    head.setBigUint64(SNAPSHOTS_OFFSET, BigInt(listAt))
  })
  const { corruptions, repairedCorruptions } = await checkQcow2(file, { repair: true })
  expect(corruptions).toBeGreaterThan(0)
  expect(repairedCorruptions).toBe(corruptions)
}

/** The disk as it was when the first snapshot was made, for reading. */
export async function openSnapshot(file: MemoryFile, below: Uint8Array | null = null): Promise<Qcow2Image> {
  const { l1Offset, l1Entries } = (await openOver(copyOf(file))).snapshots[0]!
  const then = copyOf(file)
  patchHeader(then, (head) => {
    head.setUint32(L1_ENTRIES, l1Entries)
    head.setBigUint64(L1_OFFSET, BigInt(l1Offset))
  })
  return openOver(altered(then, { readOnly: true }), below)
}

export function copyOf(file: MemoryFile): MemoryFile {
  return memoryFile(file.bytes(), file.path)
}
