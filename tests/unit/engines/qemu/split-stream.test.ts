import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { StreamSplitter } from '../../../../src-main/engines/qemu/split-stream.ts'
import { readPages } from '../../../../src-main/files/pages/read-pages.ts'
import { PagesWriter, type SavedPages } from '../../../../src-main/files/pages/write-pages.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const PAGE = 4096
type Random = (below: number) => number

const be64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** A stream as QEMU 7.2 writes it: memory in sections, some bytes of devices in between and behind. @param pages null: zeroes */
function streamOf(pages: readonly (Uint8Array | null)[], random: Random): Buffer {
  const parts: Uint8Array[] = [Buffer.from('QEVM'), noise(random, 40)]
  let named = false
  for (const [at, page] of pages.entries()) {
    const flags = (page ? 0x08 : 0x02) | (named ? 0x20 : 0)
    parts.push(be64(at * PAGE + flags))
    if (!named) parts.push(Uint8Array.of(6), Buffer.from('pc.ram'))
    parts.push(page ?? Uint8Array.of(0))
    named = true
    // The section ends here and there, sometimes with devices behind it.
    if (random(50) === 0) {
      parts.push(be64(0x10), Uint8Array.of(0x7e, 0, 0, 0, 3))
      named = random(3) > 0
      parts.push(named ? Uint8Array.of(2, 0, 0, 0, 3) : noise(random, random(5000)))
    }
  }
  return Buffer.concat([...parts, be64(0x10), Uint8Array.of(0x7e, 0, 0, 0, 3), noise(random, 30_000)])
}

async function save(folder: string, stream: Buffer, random: Random): Promise<SavedPages> {
  const writer = await PagesWriter.open(folder)
  const splitter = new StreamSplitter(writer)
  for (let at = 0; at < stream.length;) {
    const piece = stream.subarray(at, at + 1 + random(200_000))
    await splitter.push(Buffer.from(piece))
    at += piece.length
  }
  await splitter.end()
  const saved = await writer.finish()
  await writer.close()
  return saved
}

async function load(folder: string, saved: SavedPages): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of readPages({ path: 'memory', folder, ...saved })) pieces.push(piece)
  return Buffer.concat(pieces)
}

const sizeOf = async (folder: string): Promise<number> =>
  (await Promise.all((await readdir(folder)).map((name) => stat(join(folder, name))))).reduce((sum, { size }) => sum + size, 0)

test('states come out as they went in, and of a machine that did little the next one takes little', async () => {
  const folder = join(await tempFolder(), 'pages')
  const random = seeded(3)
  const pages = Array.from({ length: 3000 }, () => (random(3) === 0 ? noise(random, PAGE) : null))
  const states: { stream: Buffer; saved: SavedPages }[] = []
  let first = 0
  for (let round = 0; round < 4; round++) {
    const stream = streamOf(pages, random)
    const saved = await save(folder, stream, random)
    states.push({ stream, saved })
    if (round === 0) first = await sizeOf(folder)
    // Devices' bytes are noise here, and stay as they are.
    expect(saved.recipe.length).toBeLessThan(250_000)
    for (let change = 0; change < 10; change++) pages[random(pages.length)] = random(2) === 0 ? noise(random, PAGE) : null
  }
  expect(first).toBeGreaterThan(900 * PAGE)
  expect(await sizeOf(folder)).toBeLessThan(first + 40 * PAGE)
  for (const { stream, saved } of states) expect((await load(folder, saved)).equals(stream)).toBe(true)
})

test('a recipe of an idle guest is small: most of its memory are zeroes', async () => {
  const folder = join(await tempFolder(), 'pages')
  const random = seeded(4)
  const stream = Buffer.concat(
    Array.from({ length: 100_000 }, (_, at) => [
      be64(at * PAGE + (at === 0 ? 0x02 : 0x22)),
      ...(at === 0 ? [Buffer.from('\x06pc.ram')] : []),
      Uint8Array.of(0),
    ]).flat(),
  )
  const saved = await save(folder, stream, random)
  expect(saved.recipe.length).toBeLessThan(100)
  expect((await load(folder, saved)).equals(stream)).toBe(true)
})

test('whatever is in a stream comes out again: mutations, cut ends, noise', async () => {
  const folder = join(await tempFolder(), 'pages')
  const random = seeded(5)
  for (let round = 0; round < 60; round++) {
    const stream = streamOf(
      Array.from({ length: 60 }, () => (random(2) === 0 ? noise(random, PAGE) : null)),
      random,
    )
    for (let change = 0; change < 20; change++) stream[random(stream.length)] = [0, 0x08, 0x22, 0x28, 0x10, random(256)][random(6)]!
    const cut = stream.subarray(0, random(stream.length))
    expect((await load(folder, await save(folder, cut, random))).equals(cut), `round ${round}`).toBe(true)
  }
  for (const length of [0, 1, 8, 9, 4104, 70_000]) {
    const bytes = Buffer.from(noise(random, length))
    expect((await load(folder, await save(folder, bytes, random))).equals(bytes)).toBe(true)
  }
})
