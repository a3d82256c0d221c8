import { execFile } from 'node:child_process'
import { copyFile, link, mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises'
import { readFileSync, watch } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { lockFileOf } from '../../../src-main/storage/lock/image-lock.ts'
import { processStart } from '../../../src-main/process/process-start.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { tempFolder } from '../../support/temp-folder.ts'

async function image(bytes = 1024): Promise<string> {
  const path = join(await tempFolder(), 'disk.img')
  await writeFile(path, new Uint8Array(bytes))
  return path
}
const writable = (path: string) => openImage({ path, format: 'raw', readOnly: false })
const readable = (path: string) => openImage({ path, format: 'raw', readOnly: true })
const busy = { code: 'busy' }

describe('openImage', () => {
  test('refuses what is no image, each in a sentence with the path', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'folder'))
    await writeFile(join(folder, 'empty'), '')
    for (const [path, code] of [
      [join(folder, 'none'), 'not-found'],
      [join(folder, 'folder'), 'invalid-input'],
      [join(folder, 'empty'), 'corrupt'],
      ['/dev/null', 'invalid-input'],
    ] as const)
      for (const readOnly of [true, false])
        await expect(openImage({ path, format: 'raw', readOnly })).rejects.toMatchObject({
          code,
          message: expect.stringContaining(path) as string,
        })
    expect((await readdir(folder)).sort()).toEqual(['empty', 'folder'])
  })

  test.skipIf(process.platform === 'win32')('refuses a named pipe at once', async () => {
    const path = join(await tempFolder(), 'pipe')
    await promisify(execFile)('mkfifo', [path])
    await expect(readable(path)).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('one writer, or many readers; free again when closed', async () => {
    const path = await image()
    const writer = await writable(path)
    await expect(writable(path)).rejects.toMatchObject({ ...busy, message: expect.stringContaining(path) as string })
    await expect(readable(path)).rejects.toMatchObject(busy)
    await writer.close()
    const readers = [await readable(path), await readable(path)]
    await expect(writable(path)).rejects.toMatchObject(busy)
    await readers[0]!.close()
    await expect(writable(path)).rejects.toMatchObject(busy)
    await readers[1]!.close()
    await (await writable(path)).close()
    expect(await readdir(join(path, '..'))).toEqual(['disk.img'])
  })

  test('two openers at once: one gets it', async () => {
    const path = await image()
    const results = await Promise.allSettled([writable(path), writable(path), writable(path)])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    for (const result of results) if (result.status === 'fulfilled') await result.value.close()
  })

  test('links and other spellings are the same image', async () => {
    const path = await image()
    const folder = join(path, '..')
    await symlink(path, join(folder, 'soft'))
    await link(path, join(folder, 'hard'))
    const writer = await writable(join(folder, 'soft'))
    await expect(writable(join(folder, 'hard'))).rejects.toMatchObject(busy)
    await expect(writable(join(folder, '.', 'disk.img'))).rejects.toMatchObject(busy)
    expect(await lockFileOf(join(folder, 'soft'))).toBe(await lockFileOf(path))
    await writer.close()
  })
})

test('a lock has all its content from when it has its name', async () => {
  const path = await image()
  const folder = join(path, '..')
  const lock = basename(await lockFileOf(path))
  const seen: string[] = []
  const watcher = watch(folder, (_, name) => {
    if (name !== lock) return
    try {
      seen.push(readFileSync(join(folder, lock), 'utf8'))
    } catch {
      // it is gone again
    }
  })
  for (let i = 0; i < 50; i++) await (await writable(path)).close()
  watcher.close()
  for (const text of seen) expect(JSON.parse(text)).toMatchObject({ pid: process.pid })
  const writer = await writable(path)
  expect((await readdir(folder)).sort()).toEqual([lock, 'disk.img'].sort())
  expect(JSON.parse(await readFile(join(folder, lock), 'utf8'))).toMatchObject({ pid: process.pid })
  await writer.close()
})

describe('stale locks', () => {
  /** The lock of a writer of this process, as it would stand there after a crash, changed. */
  async function leftLock(path: string, change: (owner: Record<string, unknown>) => void): Promise<string> {
    const writer = await writable(path)
    const file = await lockFileOf(path)
    const owner = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
    await writer.close()
    change(owner)
    await writeFile(file, JSON.stringify(owner))
    return file
  }
  const opens = async (path: string): Promise<void> => (await writable(path)).close()

  test('of a process that is gone', async () => {
    const path = await image()
    const child = promisify(execFile)(process.execPath, ['-e', ''])
    const pid = child.child.pid
    await child
    await leftLock(path, (owner) => Object.assign(owner, { pid }))
    await opens(path)
    expect(await readdir(join(path, '..'))).toEqual(['disk.img'])
  })

  test('of a process whose id was used again', async () => {
    const path = await image()
    await leftLock(path, (owner) => Object.assign(owner, { pid: process.ppid, start: 'another time' }))
    await opens(path)
  })

  test('of a thread of this process that died', async () => {
    const path = await image()
    await leftLock(path, (owner) => Object.assign(owner, { thread: 987_654 }))
    await opens(path)
  })

  test('that was copied along with its bundle', async () => {
    const path = await image()
    const writer = await writable(path)
    const copy = await image()
    await copyFile(await lockFileOf(path), await lockFileOf(copy))
    await opens(copy)
    await writer.close()
  })

  test('of a process that lives is respected', async () => {
    const path = await image()
    const start = await processStart(process.ppid)
    await leftLock(path, (owner) => Object.assign(owner, { pid: process.ppid, start }))
    await expect(opens(path)).rejects.toMatchObject({ ...busy, message: expect.stringContaining(`process ${process.ppid}`) as string })
    await expect(readable(path)).rejects.toMatchObject(busy)
  })

  test('of another computer is respected, and the sentence says how to get rid of it', async () => {
    const path = await image()
    const file = await leftLock(path, (owner) => Object.assign(owner, { host: 'elsewhere' }))
    await expect(opens(path)).rejects.toMatchObject({ ...busy, message: expect.stringContaining(file) as string })
  })

  test('half written: respected while young, taken over when old', async () => {
    const path = await image()
    const file = await lockFileOf(path)
    await writeFile(file, '{"pid":')
    await expect(opens(path)).rejects.toMatchObject(busy)
    await utimes(file, 1000, 1000)
    await opens(path)
  })

  test('many takers of one stale lock: one gets it', async () => {
    const path = await image()
    await leftLock(path, (owner) => Object.assign(owner, { thread: 987_654 }))
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => writable(path)))
    const won = results.filter((result) => result.status === 'fulfilled')
    expect(won).toHaveLength(1)
    await won[0]!.value.close()
  })
})
