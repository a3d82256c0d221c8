import { readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { encodeHeader } from '../../../../src-main/files/memory-file.ts'
import { deleteUnneeded, packRooms, packsOf } from '../../../../src-main/files/pages/memory-packs.ts'
import { PAGE, packPath, pageOffset } from '../../../../src-main/files/pages/pack.ts'
import { readPages, type KeptPages } from '../../../../src-main/files/pages/read-pages.ts'
import { readRecipe, RecipeWriter, type Step } from '../../../../src-main/files/pages/recipe.ts'
import { unneededRuns } from '../../../../src-main/files/pages/unneeded-pages.ts'
import { PagesWriter, type SavedPages } from '../../../../src-main/files/pages/write-pages.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

/** Whole pages; `odd` bytes in front and behind. */
async function save(folder: string, pages: Uint8Array, odd = new Uint8Array(0)): Promise<SavedPages> {
  const writer = await PagesWriter.open(folder)
  try {
    writer.literal(odd)
    await writer.pages(pages)
    writer.literal(odd)
    return await writer.finish()
  } finally {
    await writer.close()
  }
}

async function load(kept: Omit<KeptPages, 'path'>): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of readPages({ ...kept, path: 'memory' })) pieces.push(piece.slice())
  return Buffer.concat(pieces)
}

const bytesOf = async (folder: string): Promise<number> => [...(await packRooms(folder)).values()].reduce((sum, room) => sum + room, 0)

describe('states of one machine', () => {
  test(
    'share what is the same in them, wherever it lies, and are each put together as they were: random changes',
    { timeout: 30_000 },
    async () => {
      const folder = join(await tempFolder(), 'pages')
      const random = seeded(7)
      const now = noise(random, 700 * PAGE)
      const states: { bytes: Buffer; saved: SavedPages }[] = []
      for (let round = 0; round < 12; round++) {
        const odd = noise(random, random(9000))
        const saved = await save(folder, now, odd)
        states.push({ bytes: Buffer.concat([odd, now, odd]), saved })
        for (let change = 0; change < 30; change++) {
          const [from, to] = [random(690), random(690)]
          const what = random(3)
          if (what === 0) now.set(noise(random, 3), to * PAGE + random(4000))
          if (what === 1) now.fill(0, to * PAGE, (to + 1 + random(3)) * PAGE)
          if (what === 2) now.copyWithin(to * PAGE, from * PAGE, (from + 5) * PAGE)
        }
      }
      for (const { bytes, saved } of states) expect((await load({ folder, ...saved })).equals(bytes)).toBe(true)
      expect(await bytesOf(folder)).toBeLessThan((700 + 12 * 40) * PAGE)
      expect((await readdir(folder)).filter((name) => !name.endsWith('.pages'))).toEqual([])
    },
  )

  test('that is the same again costs nothing, and one of zeroes neither', async () => {
    const folder = join(await tempFolder(), 'pages')
    const bytes = noise(seeded(1), 10 * PAGE)
    const first = await save(folder, bytes)
    const second = await save(folder, bytes)
    expect(second.packs).toEqual(first.packs)
    expect((await save(folder, new Uint8Array(300 * PAGE))).packs).toEqual([])
    expect(await readdir(folder)).toHaveLength(1)
  })

  test.each([
    ['few', false],
    ['many', true],
  ])('a page that is not what its mark says is not used: %s', async (_name, many) => {
    const folder = join(await tempFolder(), 'pages')
    const bytes = noise(seeded(2), (many ? 4100 : 10) * PAGE)
    const { packs } = await save(folder, bytes)
    const path = packPath(folder, packs[0]!)
    const pack = await readFile(path)
    // Packed: within the only group. As they are: two pages.
    if (many) pack.fill(0, pageOffset(3), pageOffset(5))
    else pack.fill(0, PAGE + 500, PAGE + 600)
    await writeFile(path, pack)
    const second = await save(folder, bytes)
    expect(second.packs).toHaveLength(2)
    expect((await load({ folder, ...second })).equals(bytes)).toBe(true)
  })

  test('packs that are damaged, of something else, or links are left alone', async () => {
    const folder = join(await tempFolder(), 'pages')
    const bytes = noise(seeded(3), 3 * PAGE)
    const [pack] = (await save(folder, bytes)).packs
    const elsewhere = join(await tempFolder(), 'pack')
    await writeFile(elsewhere, await readFile(packPath(folder, pack!)))
    await writeFile(packPath(folder, pack!), 'no pack')
    await symlink(elsewhere, packPath(folder, crypto.randomUUID()))
    await writeFile(join(folder, 'notes.txt'), 'mine')
    const { packs } = await save(folder, bytes)
    expect(packs).toHaveLength(1)
    expect(packs).not.toContain(pack)
  })

  test('one whose writing failed or ended leaves nothing', async () => {
    const folder = join(await tempFolder(), 'pages')
    const writer = await PagesWriter.open(folder)
    await writer.pages(noise(seeded(4), 5 * PAGE))
    await writer.close()
    expect(await readdir(folder)).toEqual([])
    const other = await PagesWriter.open(folder)
    await other.pages(noise(seeded(4), 5 * PAGE))
    await other.finish()
    await other.abandon()
    await other.close()
    expect(await readdir(folder)).toEqual([])
  })
})

describe('what cannot be put together is refused', () => {
  const id = '7c6b3a52-1f0e-4f3e-9b57-0d3b7f6e2a10'
  const recipe = (make: (recipe: RecipeWriter) => void): Uint8Array => {
    const writer = new RecipeWriter()
    make(writer)
    return deflateSync(writer.end())
  }
  const refused = (kept: Omit<KeptPages, 'path'>, why: string): Promise<void> =>
    expect(load(kept)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining(why) as string })

  test('a recipe of other bytes, cut off, or with more than is there', async () => {
    const folder = join(await tempFolder(), 'pages')
    const { packs, recipe: whole } = await save(folder, noise(seeded(5), 4 * PAGE))
    const wrong = (bytes: number[]): Uint8Array => deflateSync(Uint8Array.from(bytes))
    await refused({ folder, packs, recipe: noise(seeded(6), 500) }, 'cannot be unpacked')
    await refused({ folder, packs, recipe: whole.subarray(0, whole.length - 1) }, 'cannot be unpacked')
    await refused({ folder, packs, recipe: wrong([0x07, 0xff]) }, 'cut off')
    await refused({ folder, packs, recipe: wrong([0x01]) }, 'is empty')
    await refused({ folder, packs, recipe: wrong([0x28, 1, 2]) }, 'ends too early')
    await refused({ folder, packs, recipe: wrong(new Array<number>(20).fill(0xff)) }, 'too large')
    await refused({ folder, packs, recipe: wrong([0x80]) }, 'cut off')
    await refused({ folder, packs, recipe: recipe((one) => one.page(1, 0)) }, 'does not name')
    await refused({ folder, packs, recipe: recipe((one) => one.page(0, 4)) }, 'it has 4 pages')
    await refused({ folder, packs: [id], recipe: recipe((one) => one.page(0, 0)) }, 'it is not there')
  })

  test('a pack that is cut off, longer, of something else, or a link', async () => {
    const folder = join(await tempFolder(), 'pages')
    const kept = { folder, ...(await save(folder, noise(seeded(5), 4 * PAGE))) }
    const path = packPath(folder, kept.packs[0]!)
    const whole = await readFile(path)
    for (const length of [0, 5, PAGE, whole.length - 1, whole.length + 1]) {
      await truncate(path, length)
      await refused(kept, 'is damaged')
      await writeFile(path, whole)
    }
    const other = async (change: (pack: Buffer) => void, why: string): Promise<void> => {
      const pack = Buffer.from(whole)
      change(pack)
      await writeFile(path, pack)
      await refused(kept, why)
    }
    const table = whole.length - 4 * 16 - 4
    await other((pack) => pack.fill(0x55, PAGE, PAGE + 100), 'cannot be unpacked')
    await other((pack) => pack.writeUInt32LE(pack.readUInt32LE(table) + 1, table), 'is damaged')
    await other((pack) => pack.writeUInt32LE(2, 16), 'is damaged')
    await other((pack) => pack.writeUInt32LE(0, 16), 'is damaged')
    await other((pack) => pack.writeUInt32LE(0xffffffff, 12), 'is damaged')
    await writeFile(path, whole.fill(0x20, 0, 8))
    await refused(kept, 'does not begin like one')
    const newer = whole.fill('COPPPAGE\x02', 0, 9)
    await writeFile(path, newer)
    await expect(load(kept)).rejects.toMatchObject({ code: 'newer-version' })
    await rm(path)
    await symlink(join(folder, '..'), path)
    await expect(load(kept)).rejects.toThrow()
  })

  test('any recipe ends in a state or a refusal: mutations', async () => {
    const folder = join(await tempFolder(), 'pages')
    const random = seeded(9)
    const writer = new RecipeWriter()
    for (let step = 0; step < 20; step++) {
      writer.page(0, random(4))
      writer.literal(noise(random, 1 + random(20)))
      writer.zeroPage()
    }
    const good = writer.end()
    const steps: Step[] = [...readRecipe(good)]
    expect(steps).toHaveLength(60)
    for (let round = 0; round < 2000; round++) {
      const bad = good.slice(0, 1 + random(good.length))
      for (let change = 0; change < 3; change++) bad[random(bad.length)] = random(256)
      try {
        for (const step of readRecipe(bad)) expect(step.kind === 'bytes' ? step.bytes.length : step.count).toBeGreaterThan(0)
      } catch (error) {
        expect((error as Error).message).toMatch(/^(a number|a step|it ends)/)
      }
    }
    await expect(stat(folder)).rejects.toThrow()
  })
})

describe('what nobody needs', () => {
  const memory = (packs: string[]): Uint8Array => encodeHeader({ format: 2, packs })

  test('is deleted: packs and what crashes left; other files stay', async () => {
    const top = await tempFolder()
    const folder = join(top, 'pages')
    const random = seeded(11)
    const first = await save(folder, noise(random, 3 * PAGE))
    const second = await save(folder, noise(random, 3 * PAGE))
    await writeFile(join(folder, '.x.pages.12345678.coppice-tmp'), '')
    await writeFile(join(folder, 'notes.txt'), 'mine')
    const paths = [join(top, 'a'), join(top, 'b'), join(top, 'missing')]
    await writeFile(paths[0]!, memory(first.packs))
    await writeFile(paths[1]!, memory(second.packs))
    expect(await packsOf(paths[0]!)).toEqual(first.packs)
    await deleteUnneeded(folder, paths)
    expect(await packRooms(folder)).toHaveProperty('size', 2)
    await rm(paths[0]!)
    await deleteUnneeded(folder, paths)
    expect((await readdir(folder)).sort()).toEqual([`${second.packs[0]}.pages`, 'notes.txt'].sort())
  })

  test('is not known where a memory file cannot be read: nothing is deleted', async () => {
    const top = await tempFolder()
    const folder = join(top, 'pages')
    await save(folder, noise(seeded(12), PAGE))
    await writeFile(join(top, 'memory'), 'something')
    await expect(deleteUnneeded(folder, [join(top, 'memory')])).rejects.toMatchObject({ code: 'corrupt' })
    await writeFile(join(top, 'memory'), memory(['../../../etc/passwd']))
    await expect(deleteUnneeded(folder, [join(top, 'memory')])).rejects.toMatchObject({ code: 'corrupt' })
    expect(await readdir(folder)).toHaveLength(1)
  })
})

describe('where no page is needed', () => {
  const keep = async (path: string, { packs, recipe }: SavedPages): Promise<void> =>
    writeFile(path, Buffer.concat([encodeHeader({ format: 2, packs }), recipe]))

  test.each([
    ['as they are', 4200],
    ['packed', 200],
  ])('is told of packs that others need, and what is left is read as before: %s', async (_name, count) => {
    const top = await tempFolder()
    const folder = join(top, 'pages')
    const random = seeded(21)
    const first = noise(random, count * PAGE)
    const second = Buffer.from(first)
    // Of the first 100 pages it has others.
    second.set(noise(random, 100 * PAGE))
    const [a, b] = [await save(folder, first), await save(folder, second)]
    const paths = [join(top, 'a'), join(top, 'b')]
    await keep(paths[0]!, a)
    await keep(paths[1]!, b)
    const pack = packPath(folder, a.packs[0]!)
    expect((await unneededRuns(folder, [...paths, join(top, 'none')])).get(pack)).toEqual([])
    await rm(paths[0]!)
    const runs = await unneededRuns(folder, paths)
    const [run, ...others] = runs.get(pack)!
    expect(others).toEqual([])
    // Whole groups of 16 alone, where they are packed.
    if (count > 4096) expect(run).toEqual({ start: pageOffset(0), end: pageOffset(100) })
    else expect(run!.end - run!.start).toBeGreaterThan(95 * PAGE)
    const bytes = await readFile(pack)
    await writeFile(pack, bytes.fill(0, run!.start, run!.end))
    expect((await load({ folder, ...b })).equals(second)).toBe(true)
    // The holes' pages are found by their marks, and not used.
    const again = await save(folder, first)
    expect((await load({ folder, ...again })).equals(first)).toBe(true)
  })

  test('is not told where something cannot be read', async () => {
    const top = await tempFolder()
    const folder = join(top, 'pages')
    const saved = await save(folder, noise(seeded(22), 20 * PAGE))
    const path = join(top, 'memory')
    for (const wrong of [
      { ...saved, packs: [crypto.randomUUID()] },
      { ...saved, recipe: saved.recipe.subarray(3) },
      { ...saved, packs: [] },
    ]) {
      await keep(path, wrong)
      if (wrong.packs.length === 0) expect(await unneededRuns(folder, [path])).toEqual(new Map())
      else await expect(unneededRuns(folder, [path])).rejects.toMatchObject({ code: 'corrupt' })
    }
  })
})
