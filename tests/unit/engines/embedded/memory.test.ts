import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { MemoryPlace } from '../../../../src-shared/threads/engine-thread.ts'
import { readMemory, writeMemory } from '../../../../src-main/engines/embedded/memory.ts'
import { encodeHeader } from '../../../../src-main/files/memory-file.ts'
import { memoryPlace } from '../../../support/memory-place.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const owner = { engineVersion: 'v86 1.2.3', machine: 'c272e1fb-bf75-43f0-96fe-225e76066123', memoryMiB: 64 }

/** As v86 makes them: a head, JSON that says where buffers lie, the buffers. */
function stateOf(...buffers: Uint8Array[]): ArrayBuffer {
  const infos: { offset: number; length: number }[] = []
  let offset = 0
  for (const { length } of buffers) {
    infos.push({ offset, length })
    offset = Math.ceil((offset + length) / 4) * 4
  }
  const json = new TextEncoder().encode(JSON.stringify({ buffer_infos: infos, state: [crypto.randomUUID()] }))
  const start = Math.ceil((16 + json.length) / 4) * 4
  const bytes = new Uint8Array(start + offset)
  new Int32Array(bytes.buffer, 0, 4).set([0x86768676, 6, bytes.length, json.length])
  bytes.set(json, 16)
  for (const [at, buffer] of buffers.entries()) bytes.set(buffer, start + infos[at]!.offset)
  return bytes.buffer
}

const sizeOf = async (path: string): Promise<number> => (await stat(path)).size
const random = seeded(1)
const memory = noise(random, 100 * 4096)
const state = stateOf(noise(random, 10), memory, new Uint8Array(20 * 4096), noise(random, 5000))

describe('a memory state', () => {
  test('comes back as it was saved, and the header says how long the file is', async () => {
    const path = join(await tempFolder(), 'memory')
    const header = await writeMemory(memoryPlace(path), owner, state, 1234.5)
    expect(header).toMatchObject({ format: 2, engine: 'embedded', ...owner, bytes: (await readFile(path)).length })
    expect(await readMemory(memoryPlace(path), owner)).toEqual({ state, clockMs: 1234.5 })
  })

  test.each([
    ['another machine', { ...owner, machine: 'other' }, 'belongs to another machine'],
    ['another memory size', { ...owner, memoryMiB: 128 }, '64 MiB of memory then and has 128 MiB now'],
    ['another engine version', { ...owner, engineVersion: 'v86 9' }, 'saved by v86 1.2.3, and this is v86 9'],
  ])('of %s is refused with the reason', async (_name, other, reason) => {
    const path = join(await tempFolder(), 'memory')
    await writeMemory(memoryPlace(path), owner, state, 0)
    await expect(readMemory(memoryPlace(path), other)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(reason) as string,
    })
  })

  test('that is cut short, changed, empty, missing or something else is refused', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'memory')
    const damage = async (change: () => Promise<void>): Promise<void> => {
      await writeMemory(memoryPlace(path), owner, state, 0)
      await change()
      await expect(readMemory(memoryPlace(path), owner)).rejects.toMatchObject({ code: 'corrupt' })
    }
    await damage(() => truncate(path, 700))
    await damage(() => truncate(path, 0))
    await damage(() => truncate(path, 10))
    await damage(async () => {
      const bytes = await readFile(path)
      bytes[bytes.length - 50]! ^= 1
      await writeFile(path, bytes)
    })
    await damage(() => writeFile(path, 'just a text file, longer than a header'))
    await damage(() => writeFile(path, encodeHeader({ format: 1 })))
    await damage(() => writeFile(path, 'COPPMEM1\u00ff\u00ff\u00ff\u007f'))
    await expect(readMemory(memoryPlace(join(folder, 'none')), owner)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('of a newer Coppice is named so', async () => {
    const path = join(await tempFolder(), 'memory')
    await writeFile(path, encodeHeader({ format: 3 }))
    await expect(readMemory(memoryPlace(path), owner)).rejects.toMatchObject({ code: 'newer-version' })
  })

  test('leaves nothing behind where it cannot be written, and an older one stays', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'memory')
    await writeMemory(memoryPlace(path), owner, state, 1)
    await expect(writeMemory(memoryPlace(join(folder, 'missing', 'memory')), owner, state, 2)).rejects.toMatchObject({ code: 'not-found' })
    expect((await readMemory(memoryPlace(path), owner)).clockMs).toBe(1)
    expect(await readdir(folder)).toEqual(['memory', 'pages'])
    expect(await readdir(join(folder, 'pages'))).toHaveLength(1)
  })

  test('of a machine whose memory hardly changed costs what changed; each is put together alone', async () => {
    const folder = await tempFolder()
    const place = (name: string): MemoryPlace => ({ path: join(folder, name), pages: join(folder, 'pages') })
    const first = stateOf(memory)
    const later = memory.slice()
    later.set(noise(random, 100), 50 * 4096)
    // What was zeroes before comes first now: everything else lies elsewhere.
    const second = stateOf(noise(random, 4096), later)
    await writeMemory(place('first'), owner, first.slice(), 1)
    const [pack] = await readdir(place('').pages)
    await writeMemory(place('second'), owner, second.slice(), 2)
    const sizes = await Promise.all(
      (await readdir(place('').pages)).map(async (name) => [name === pack, await sizeOf(join(place('').pages, name))]),
    )
    expect(Object.fromEntries(sizes)).toEqual({
      true: expect.closeTo(101 * 4096, -5) as number,
      false: expect.closeTo(3 * 4096, -4) as number,
    })
    expect((await stat(place('second').path)).size).toBeLessThan(1024)
    expect((await readMemory(place('first'), owner)).state).toEqual(first)
    expect((await readMemory(place('second'), owner)).state).toEqual(second)
  })

  test('of an earlier Coppice, which has all in one file, is read', async () => {
    const path = join(await tempFolder(), 'memory')
    const bytes = new Uint8Array(state)
    const header = { ...owner, format: 1, engine: 'embedded', savedAt: '', stateBytes: bytes.length, stateCrc32: crc32(bytes), clockMs: 5 }
    await writeFile(path, Buffer.concat([encodeHeader(header), bytes]))
    expect(await readMemory(memoryPlace(path), owner)).toEqual({ state, clockMs: 5 })
    await truncate(path, 5000)
    await expect(readMemory(memoryPlace(path), owner)).rejects.toMatchObject({ code: 'corrupt' })
  })
})
