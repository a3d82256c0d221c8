import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readMemory, writeMemory } from '../../../../src-main/engines/embedded/memory.ts'
import { encodeHeader } from '../../../../src-main/engines/memory-file.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const owner = { engineVersion: 'v86 1.2.3', machine: 'c272e1fb-bf75-43f0-96fe-225e76066123', memoryMiB: 64 }
const state = new Uint8Array(100_000).map((_, at) => at).buffer

describe('a memory state', () => {
  test('comes back as it was saved, and the header says how long the file is', async () => {
    const path = join(await tempFolder(), 'memory')
    const header = await writeMemory(path, owner, state, 1234.5)
    expect(header).toMatchObject({ format: 1, engine: 'embedded', ...owner, bytes: (await readFile(path)).length })
    expect(await readMemory(path, owner)).toEqual({ state, clockMs: 1234.5 })
  })

  test.each([
    ['another machine', { ...owner, machine: 'other' }, 'belongs to another machine'],
    ['another memory size', { ...owner, memoryMiB: 128 }, '64 MiB of memory then and has 128 MiB now'],
    ['another engine version', { ...owner, engineVersion: 'v86 9' }, 'saved by v86 1.2.3, and this is v86 9'],
  ])('of %s is refused with the reason', async (_name, other, reason) => {
    const path = join(await tempFolder(), 'memory')
    await writeMemory(path, owner, state, 0)
    await expect(readMemory(path, other)).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining(reason) as string })
  })

  test('that is cut short, changed, empty, missing or something else is refused', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'memory')
    const damage = async (change: () => Promise<void>): Promise<void> => {
      await writeMemory(path, owner, state, 0)
      await change()
      await expect(readMemory(path, owner)).rejects.toMatchObject({ code: 'corrupt' })
    }
    await damage(() => truncate(path, 5000))
    await damage(() => truncate(path, 0))
    await damage(() => truncate(path, 10))
    await damage(async () => {
      const bytes = await readFile(path)
      bytes[50_000]! ^= 1
      await writeFile(path, bytes)
    })
    await damage(() => writeFile(path, 'just a text file, longer than a header'))
    await damage(() => writeFile(path, encodeHeader({ format: 1 })))
    await damage(() => writeFile(path, 'COPPMEM1\u00ff\u00ff\u00ff\u007f'))
    await expect(readMemory(join(folder, 'none'), owner)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('of a newer Coppice is named so', async () => {
    const path = join(await tempFolder(), 'memory')
    await writeFile(path, encodeHeader({ format: 2 }))
    await expect(readMemory(path, owner)).rejects.toMatchObject({ code: 'newer-version' })
  })

  test('leaves nothing behind where it cannot be written, and an older one stays', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'memory')
    await writeMemory(path, owner, state, 1)
    await expect(writeMemory(join(folder, 'missing', 'memory'), owner, state, 2)).rejects.toMatchObject({ code: 'not-found' })
    expect((await readMemory(path, owner)).clockMs).toBe(1)
    expect(await readdir(folder)).toEqual(['memory'])
  })
})
