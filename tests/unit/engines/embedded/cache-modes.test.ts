/** When a guest of the embedded engine is told that its data is written, by the disk's cache mode. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { openImage } from '../../../../src-main/engines/embedded/open-drive.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { rawDevice } from '../../../../src-main/storage/formats/raw/raw-device.ts'
import { unflushed } from '../../../../src-main/storage/unflushed.ts'
import type { Cache } from '../../../../src-shared/model/disk-bus.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'
import { MemoryDisk } from '../../../guest/support/memory-disk.ts'

async function write(cache: Cache | undefined): Promise<string[]> {
  const image = new MemoryDisk(new Uint8Array(8192))
  const blocks = image.client()
  onTestFinished(() => {
    blocks.dispose()
    image.dispose()
  })
  const disk = await openImage({ id: 'd', kind: 'disk', ...(cache && { cache }) }, blocks, new Counters())
  image.requests.length = 0
  await new Promise<void>((resolve) => disk.set(0, new Uint8Array(512).fill(1), resolve))
  return [...image.requests]
}

describe('a write is answered', () => {
  test('at once with write-back, and when it is on disk with write-through', async () => {
    expect(await write(undefined)).not.toContain('flush')
    expect(await write('writeback')).not.toContain('flush')
    expect(await write('writethrough')).toEqual(['write 0 512', 'flush'])
  })

  test('for nothing with unsafe: its flush reaches no disk, but what is written is there', async () => {
    let synced = 0
    const file = memoryFile(new Uint8Array(4096))
    const device = unflushed(rawDevice({ ...file, sync: () => Promise.resolve(void synced++) }))
    await device.write(0, new Uint8Array(512).fill(3))
    await device.flush()
    expect(synced).toBe(0)
    const bytes = new Uint8Array(1)
    await device.read(511, bytes)
    expect(bytes[0]).toBe(3)
    await device.close()
    expect(synced).toBe(1)
  })
})
