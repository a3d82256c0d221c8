import { describe, expect, test } from 'vitest'
import { EntryTable } from '../../../../../src-main/storage/formats/blocks/entry-table.ts'
import type { ByteFile } from '../../../../../src-main/storage/file/byte-file.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { jitteryFile } from '../../../../support/jittery-file.ts'
import { memoryFile } from '../../../../support/memory-file.ts'
import { seeded } from '../../../../support/seeded.ts'

/** Pages of 4 entries, of which every third is not there, in two copies; few are kept. */
function tableOver(file: ByteFile, count: number) {
  return new EntryTable(file, {
    count,
    pageEntries: 4,
    entryBytes: 4,
    copies: (page) => (page % 3 === 2 ? [] : [page * 16, 10_000 + page * 16]),
    absent: 7,
    cacheBytes: 64,
    decode: (page, at) => page.getUint32(at, true),
    encode: (page, at, value) => page.setUint32(at, value, true),
  })
}

describe('a table of entries', () => {
  test('is read a page at a time, and again after it was forgotten', async () => {
    const file = memoryFile(new Uint8Array(20_000))
    await file.write(0, new Uint8Array([5]))
    let reads = 0
    const counted = { ...file, read: (offset: number, into: Uint8Array) => (reads++, file.read(offset, into)) }
    const table = tableOver(counted, 400)
    expect(table.peek(0)).toBeUndefined()
    expect(await Promise.all([table.get(0), table.get(1), table.get(3)])).toEqual([5, 0, 0])
    expect(reads).toBe(1)
    expect(table.peek(0)).toBe(5)
    expect(await table.get(8)).toBe(7)
    for (let index = 0; index < 400; index++) await table.get(index)
    expect(table.peek(0)).toBeUndefined()
    expect(await table.get(0)).toBe(5)
  })

  test('changes are seen at once, written when they are taken, into both copies', async () => {
    const file = memoryFile(new Uint8Array(20_000))
    const table = tableOver(file, 100)
    table.set(1, 11)
    table.set(50, 12)
    expect([table.peek(1), await table.get(50), table.changes]).toEqual([11, 12, 2])
    table.take()
    table.set(1, 13)
    expect(table.changes).toBe(1)
    await table.write()
    const fields = new DataView(file.bytes().buffer)
    expect([4, 10_004, 200, 10_200].map((at) => fields.getUint32(at, true))).toEqual([11, 11, 12, 12])
    expect(table.peek(1)).toBe(13)
    table.take()
    await table.write()
    expect(new DataView(file.bytes().buffer).getUint32(4, true)).toBe(13)
  })

  test('what could not be written is only changed again', async () => {
    const file = memoryFile(new Uint8Array(20_000))
    let full = true
    const table = tableOver(
      {
        ...file,
        async write(offset, bytes) {
          if (full) throw new AppError('no-space', 'The disk is full.')
          await file.write(offset, bytes)
        },
      },
      100,
    )
    table.set(1, 11)
    table.set(2, 12)
    table.take()
    table.set(2, 22)
    await expect(table.write()).rejects.toMatchObject({ code: 'no-space' })
    table.putBack()
    expect([table.peek(1), table.peek(2), table.changes]).toEqual([11, 22, 2])
    full = false
    table.take()
    await table.write()
    const again = tableOver(file, 100)
    expect([await again.get(1), await again.get(2)]).toEqual([11, 22])
  })

  test.each([1, 2, 3])('readers see what was last set while pages are written, read and forgotten (%d)', async (seed) => {
    const random = seeded(seed)
    const table = tableOver(jitteryFile(memoryFile(new Uint8Array(20_000)), seed), 400)
    const model = new Map<number, number>()
    let writing: Promise<void> | null = null
    for (let round = 0; round < 400; round++) {
      const reads = Array.from({ length: 3 }, () => random(400)).filter((index) => Math.floor(index / 4) % 3 !== 2)
      const got = reads.map((index) => table.get(index))
      const index = random(400)
      if (Math.floor(index / 4) % 3 !== 2 && !reads.includes(index)) {
        table.set(index, round + 1)
        model.set(index, round + 1)
      }
      if (!writing && random(4) === 0) {
        table.take()
        writing = table.write().finally(() => (writing = null))
      }
      expect(await Promise.all(got)).toEqual(reads.map((one) => model.get(one) ?? 0))
    }
    await writing
  })
})
