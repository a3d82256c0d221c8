import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { crc32 } from 'node:zlib'
import { readMemory, writeMemory } from '../../../src-main/engines/embedded/memory.ts'
import { roomOf } from '../../../src-main/files/room.ts'
import { freePages } from '../../../src-main/storage/jobs/free-pages.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const PAGE = 4096
const owner = { engineVersion: 'v86 1', machine: 'c272e1fb-bf75-43f0-96fe-225e76066123', memoryMiB: 64 }

/** A state as v86 makes it, with one buffer. */
function stateOf(memory: Uint8Array): ArrayBuffer {
  const json = new TextEncoder().encode(JSON.stringify({ buffer_infos: [{ offset: 0, length: memory.length }], state: [crc32(memory)] }))
  const start = Math.ceil((16 + json.length) / 4) * 4
  const bytes = new Uint8Array(start + memory.length)
  new Int32Array(bytes.buffer, 0, 4).set([0x86768676, 6, bytes.length, json.length])
  bytes.set(json, 16)
  bytes.set(memory, start)
  return bytes.buffer
}

test('what a deleted state alone needed is given back, and the others are as they were, in any order', async () => {
  const folder = await tempFolder()
  const pages = join(folder, 'pages')
  const random = seeded(5)
  const now = noise(random, 5000 * PAGE)
  const states = new Map<string, Uint8Array>()
  for (let n = 0; n < 6; n++) {
    const path = join(folder, `memory${n}`)
    await writeMemory({ path, pages }, owner, stateOf(now), 0)
    states.set(path, now.slice())
    now.set(noise(random, 900 * PAGE), random(4000) * PAGE)
  }
  const room = async (): Promise<number> => {
    const names = await readdir(pages)
    return (await Promise.all(names.map(async (name) => roomOf(await stat(join(pages, name)))))).reduce((sum, one) => sum + one, 0)
  }
  const all = [...states.keys()]
  await freePages(pages, all)
  while (states.size > 0) {
    const gone = [...states.keys()][random(states.size)]!
    await rm(gone)
    states.delete(gone)
    await freePages(pages, all)
    const needed = new Set(
      [...states.values()].flatMap((state) =>
        Array.from({ length: 5000 }, (_, page) => crc32(state.subarray(page * PAGE, (page + 1) * PAGE))),
      ),
    )
    // Whole groups of packed pages, and what file systems round up.
    expect(await room()).toBeLessThan((needed.size + 2000) * PAGE)
    for (const [path, state] of states)
      expect(crc32(new Uint8Array((await readMemory({ path, pages }, owner)).state))).toBe(crc32(new Uint8Array(stateOf(state))))
  }
  expect(await readdir(pages)).toEqual([])
})

test('where one of them cannot be read nothing is given back, and the log says so', async () => {
  const folder = await tempFolder()
  const pages = join(folder, 'pages')
  await writeMemory({ path: join(folder, 'a'), pages }, owner, stateOf(noise(seeded(6), 50 * PAGE)), 0)
  const files = async (): Promise<Buffer[]> => Promise.all((await readdir(pages)).map((name) => readFile(join(pages, name))))
  const before = await files()
  await rm(join(folder, 'a'))
  await writeFile(join(folder, 'b'), 'something else')
  const told = vi.spyOn(console, 'error').mockImplementation(() => {})
  await freePages(pages, [join(folder, 'a'), join(folder, 'b')])
  expect(told.mock.calls[0]![0]).toContain('stay')
  expect(await files()).toEqual(before)
  await (await open(join(folder, 'b'), 'w')).close()
  await freePages(pages, [join(folder, 'b')])
  expect(await files()).toEqual(before)
  told.mockRestore()
})

test('pages that are given back lie next to some that are needed: those are read', async () => {
  const folder = await tempFolder()
  const pages = join(folder, 'pages')
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  const first = noise(seeded(8), 400 * PAGE)
  const second = new Uint8Array(first.length)
  for (const page of [0, 3, 200, 399]) second.set(first.subarray(page * PAGE, (page + 1) * PAGE), page * PAGE)
  await writeMemory({ path: a, pages }, owner, stateOf(first), 0)
  await writeMemory({ path: b, pages }, owner, stateOf(second), 0)
  await rm(a)
  await freePages(pages, [a, b])
  expect(crc32(new Uint8Array((await readMemory({ path: b, pages }, owner)).state))).toBe(crc32(new Uint8Array(stateOf(second))))
})
