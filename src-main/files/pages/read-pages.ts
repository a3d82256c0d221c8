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
    for await (const step of stepsOf(path, recipe)) {
      if (step.kind === 'bytes') yield step.bytes
      else if (step.kind === 'zeroes') yield* zeroes(step.count)
      else {
        const id = ids[step.pack]
        if (id === undefined) throw corruptMemory(path, 'it needs a pack of pages that it does not name')
        const pack = packs.get(step.pack) ?? (await Pack.open(packPath(folder, id)))
        packs.set(step.pack, pack)
        if (step.first + step.count > pack.pages) throw corruptPack(pack.path, `it has ${pack.pages} pages, and more are asked for`)
        yield* pagesOf(pack, step, ahead)
      }
    }
  } finally {
    await Promise.all([...packs.values()].map((pack) => pack.close()))
  }
}

function* zeroes(pages: number): Generator<Uint8Array> {
  const nothing = new Uint8Array(Math.min(PIECE, pages * PAGE))
  for (let left = pages * PAGE; left > 0; left -= nothing.length) yield nothing.subarray(0, Math.min(left, nothing.length))
}

interface Ahead {
  first: number
  bytes: Uint8Array
}

async function* pagesOf(pack: Pack, step: Extract<Step, { kind: 'pages' }>, ahead: Map<number, Ahead>): AsyncGenerator<Uint8Array> {
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
