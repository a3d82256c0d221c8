/** Puts a memory state together again that `PagesWriter` kept. Everything that a recipe says is checked: it may come from anywhere. */
import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { MiB } from '../../../src-shared/base/units.ts'
import { corruptMemory } from '../memory-file.ts'
import { corruptPack, Pack, packPath, PAGE } from './pack.ts'
import { readRecipe, type Step } from './recipe.ts'

/** Bytes of a recipe that is not packed any more: of some 16 GiB of memory. */
const MAX_RECIPE = 256 * MiB
/** Bytes that are given at once. */
const PIECE = 1 * MiB
/** Pages of a pack that are read ahead, because the next ones that are needed are near by; of so many packs. */
const AHEAD = 64
const AHEAD_PACKS = 32

const HEAD = 8
const ZERO_ROW = HEAD + 1
const PAGE_ROW = HEAD + PAGE

const unpacked = promisify(inflate)

export interface KeptPages {
  /** Of the memory file that the rest is from, for sentences. */
  path: string
  /** Of the packs. */
  folder: string
  packs: readonly string[]
  recipe: Uint8Array
}

/**
 * @param path of the memory file
 * @throws AppError `corrupt`
 */
export async function* stepsOf(path: string, recipe: Uint8Array): AsyncGenerator<Step> {
  const bytes = await unpacked(recipe, { maxOutputLength: MAX_RECIPE }).catch((error: unknown) => {
    throw corruptMemory(path, 'what it is put together from cannot be unpacked', error)
  })
  const steps = readRecipe(bytes)
  for (;;) {
    let next: IteratorResult<Step>
    try {
      next = steps.next()
    } catch (error) {
      throw corruptMemory(path, `what it is put together from is not valid: ${(error as Error).message}`, error)
    }
    if (next.done) return
    yield next.value
  }
}

/**
 * The state's bytes, in order; each piece is valid until the next is asked for.
 * @throws AppError `corrupt`, of it or of a pack
 */
export async function* readPages({ path, folder, packs: ids, recipe }: KeptPages): AsyncGenerator<Uint8Array> {
  const packs = new Map<number, Pack>()
  const ahead = new Map<number, Ahead>()
  try {
    const of = async (place: number, first: number, count: number): Promise<AsyncGenerator<Uint8Array>> => {
      const id = ids[place]
      if (id === undefined) throw corruptMemory(path, 'it needs a pack of pages that it does not name')
      const pack = packs.get(place) ?? (await Pack.open(packPath(folder, id)))
      packs.set(place, pack)
      if (first + count > pack.pages) throw corruptPack(pack.path, `it has ${pack.pages} pages, and more are asked for`)
      return pagesOf(pack, { pack: place, first, count }, ahead)
    }
    for await (const step of stepsOf(path, recipe)) {
      if (step.kind === 'bytes') yield step.bytes
      else if (step.kind === 'zeroes') yield* zeroes(step.count)
      else if (step.kind === 'pages') yield* await of(step.pack, step.first, step.count)
      else if (!step.pages) yield* zeroRows(step.head, step.count)
      else yield* pageRows(step.head, await of(step.pages.pack, step.pages.first, step.count))
    }
  } finally {
    await Promise.all([...packs.values()].map((pack) => pack.close()))
  }
}

function* zeroes(pages: number): Generator<Uint8Array> {
  const nothing = new Uint8Array(Math.min(PIECE, pages * PAGE))
  for (let left = pages * PAGE; left > 0; left -= nothing.length) yield nothing.subarray(0, Math.min(left, nothing.length))
}

const ROWS = 1024

function* zeroRows(head: number, count: number): Generator<Uint8Array> {
  for (let row = 0; row < count;) {
    const bytes = Buffer.alloc(Math.min(ROWS, count - row) * ZERO_ROW)
    for (let at = 0; at < bytes.length; at += ZERO_ROW) bytes.writeBigUInt64BE(BigInt(head + row++ * PAGE), at)
    yield bytes
  }
}

async function* pageRows(head: number, pages: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let row = 0
  for await (const piece of pages) {
    const bytes = Buffer.allocUnsafe((piece.length / PAGE) * PAGE_ROW)
    for (let at = 0; at < piece.length / PAGE; at++) {
      bytes.writeBigUInt64BE(BigInt(head + row++ * PAGE), at * PAGE_ROW)
      bytes.set(piece.subarray(at * PAGE, (at + 1) * PAGE), at * PAGE_ROW + HEAD)
    }
    yield bytes
  }
}

interface Ahead {
  first: number
  bytes: Uint8Array
}

async function* pagesOf(
  pack: Pack,
  step: { pack: number; first: number; count: number },
  ahead: Map<number, Ahead>,
): AsyncGenerator<Uint8Array> {
  const end = step.first + step.count
  for (let page = step.first; page < end;) {
    const known = ahead.get(step.pack)
    if (known && page >= known.first && page < known.first + known.bytes.length / PAGE) {
      const piece = known.bytes.subarray((page - known.first) * PAGE, (end - known.first) * PAGE)
      yield piece
      page += piece.length / PAGE
      continue
    }
    const needed = Math.min(end - page, PIECE / PAGE)
    const wanted = Math.min(Math.max(needed, AHEAD), pack.pages - page)
    // Those ahead may be holes by now, because no state needs them.
    const bytes = await pack.read(page, wanted).catch(() => pack.read(page, needed))
    // The one that was read last stays longest.
    ahead.delete(step.pack)
    if (ahead.size === AHEAD_PACKS) ahead.delete(ahead.keys().next().value!)
    ahead.set(step.pack, { first: page, bytes })
  }
}
