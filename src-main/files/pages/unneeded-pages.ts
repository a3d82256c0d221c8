/** Which parts of packs no memory state needs, told by their recipes. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { corruptMemory, readExactly, readHeader } from '../memory-file.ts'
import { packsHeader } from './memory-packs.ts'
import { Pack, packPath, type ByteRun } from './pack.ts'
import { stepsOf } from './read-pages.ts'

/**
 * @param memories every memory file of the machine; those that are not there need nothing
 * @returns of each pack that one of them needs: where no page of it is needed; bytes
 * @throws AppError where a memory file or a pack cannot be read: what it needs is not known then
 */
export async function unneededRuns(folder: string, memories: readonly string[]): Promise<Map<string, ByteRun[]>> {
  const packs = new Map<string, { pack: Pack; needed: Uint8Array }>()
  try {
    for (const path of memories) await note(path, folder, packs)
    return new Map([...packs.values()].map(({ pack, needed }) => [pack.path, pack.runsOf((page) => needed[page] === 0)]))
  } finally {
    await Promise.all([...packs.values()].map(({ pack }) => pack.close()))
  }
}

async function note(path: string, folder: string, packs: Map<string, { pack: Pack; needed: Uint8Array }>): Promise<void> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw asAppError(error, `Reading “${path}”`)
  })
  if (!file) return
  try {
    const {
      header: { packs: ids },
      start,
    } = await readHeader(file, path, packsHeader)
    if (ids.length === 0) return
    for (const id of ids) {
      if (packs.has(id)) continue
      const pack = await Pack.open(packPath(folder, id))
      packs.set(id, { pack, needed: new Uint8Array(pack.pages) })
    }
    const { size } = await file.stat()
    for await (const step of stepsOf(path, await readExactly(file, start, size - start))) {
      const run = step.kind === 'pages' ? step : step.kind === 'rows' ? step.pages : null
      if (!run || step.kind === 'bytes') continue
      const needed = packs.get(ids[run.pack] ?? '')?.needed
      if (!needed || run.first + step.count > needed.length) throw corruptMemory(path, 'it needs pages that are not there')
      needed.fill(1, run.first, run.first + step.count)
    }
  } finally {
    await file.close()
  }
}
