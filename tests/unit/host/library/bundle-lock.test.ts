import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lockBundle, removeStaleLock } from '../../../../src-main/host/library/bundle-lock.ts'
import { ownStart } from '../../../../src-main/process/process-start.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const path = async (): Promise<string> => join(await tempFolder(), 'lock')

describe('the lock of a bundle', () => {
  test('is had once, also within one process, and can be had again after', async () => {
    const at = await path()
    const lock = await lockBundle(at, '“a”')
    await expect(lockBundle(at, '“a”')).rejects.toMatchObject({
      code: 'busy',
      message: `“a” is in use by another Coppice (process ${process.pid}). End it there first.`,
    })
    await lock.release(at)
    await lock.release(at)
    await (await lockBundle(at, '“a”')).release(at)
  })

  test('of many who want it, one gets it', async () => {
    const at = await path()
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockBundle(at, '“a”')))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('is never seen before it is whole', async () => {
    const at = await path()
    const seen = new Set<string>()
    let over = false
    const looking = (async () => {
      while (!over) seen.add(await readFile(at, 'utf8').catch(() => '{}'))
    })()
    for (let i = 0; i < 100; i++) {
      const lock = await lockBundle(at, '“a”')
      await lock.noteRunning(at)
      await lock.release(at)
    }
    over = true
    await looking
    for (const text of seen) expect(() => JSON.parse(text) as unknown).not.toThrow()
    expect(await readdir(join(at, '..'))).toEqual([])
  })

  test('of a living process is respected, and taken over when that is dead', async () => {
    const at = await path()
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    onTestFinished(() => void other.kill())
    await writeFile(at, JSON.stringify({ pid: other.pid, start: 'unknown', host: hostname(), token: 'x' }))
    await expect(lockBundle(at, '“a”')).rejects.toMatchObject({ code: 'busy' })
    other.kill()
    await once(other, 'exit')
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => lockBundle(at, '“a”')))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(JSON.parse(await readFile(at, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() })
    expect(await readdir(join(at, '..'))).toEqual(['lock'])
  })

  test.runIf(process.platform === 'linux')(
    'of a number that another process has now is stale; so is one of before the last boot',
    async () => {
      for (const start of ['an earlier boot:1', `${(await ownStart()).split(':')[0]}:1`]) {
        const at = await path()
        await writeFile(at, JSON.stringify({ pid: process.pid, start, host: hostname(), token: 'x' }))
        await (await lockBundle(at, '“a”')).release(at)
      }
    },
  )

  test('of another computer is respected, with what to do', async () => {
    const at = await path()
    await writeFile(at, JSON.stringify({ pid: 1, start: 'unknown', host: 'elsewhere', token: 'x' }))
    await expect(lockBundle(at, '“a”')).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining(`delete the file “${at}”`) as string,
    })
  })

  test('that is no lock counts for a moment, and then no more', async () => {
    const at = await path()
    await writeFile(at, '{"pid":')
    await expect(lockBundle(at, '“a”')).rejects.toMatchObject({ code: 'busy' })
    await utimes(at, new Date(0), new Date(0))
    await (await lockBundle(at, '“a”')).release(at)
  })

  test('moves with its bundle, and is not taken from a later owner', async () => {
    const at = await path()
    const lock = await lockBundle(at, '“a”')
    await rename(at, `${at}-moved`)
    const other = await lockBundle(at, '“a”')
    await lock.release(at)
    await expect(readFile(at, 'utf8')).resolves.toContain('pid')
    await lock.release(`${at}-moved`)
    await expect(readFile(`${at}-moved`, 'utf8')).rejects.toThrow()
    await other.release(at)
  })

  describe('tells whether a guest ran by it when its process ended', () => {
    /** As if its process were gone. */
    const orphan = async (at: string): Promise<void> => {
      const owner = JSON.parse(await readFile(at, 'utf8')) as object
      await writeFile(at, JSON.stringify({ ...owner, start: 'then' }))
    }

    test('not from the beginning, but from the moment that was noted, and only once', async () => {
      const at = await path()
      await lockBundle(at, '“a”')
      await orphan(at)
      expect(await removeStaleLock(at)).toBe(false)
      const lock = await lockBundle(at, '“a”')
      await lock.noteRunning(at)
      await lock.noteRunning(at)
      await expect(lockBundle(at, '“a”')).rejects.toMatchObject({ code: 'busy' })
      await orphan(at)
      expect(await removeStaleLock(at)).toBe(true)
      expect(await removeStaleLock(at)).toBe(false)
      expect(await readdir(join(at, '..'))).toEqual([])
    })

    test('whoever takes it over keeps that until it is released', async () => {
      const at = await path()
      await (await lockBundle(at, '“a”')).noteRunning(at)
      await orphan(at)
      await lockBundle(at, '“a”')
      await orphan(at)
      const third = await lockBundle(at, '“a”')
      await third.noteRunning(at)
      await orphan(at)
      expect(await removeStaleLock(at)).toBe(true)
      await (await lockBundle(at, '“a”')).release(at)
      await lockBundle(at, '“a”')
      await orphan(at)
      expect(await removeStaleLock(at)).toBe(false)
    })

    test('one that was not written whole had not come so far', async () => {
      const at = await path()
      await writeFile(at, '')
      expect(await removeStaleLock(at)).toBe(false)
      await utimes(at, new Date(0), new Date(0))
      expect(await removeStaleLock(at)).toBe(false)
      await expect(readFile(at)).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('and the lock of another is never written over, nor one that was released brought back', async () => {
      const at = await path()
      const lock = await lockBundle(at, '“a”')
      const other = JSON.stringify({ pid: process.pid, start: 'unknown', host: hostname(), token: 'x', atRest: true })
      await writeFile(at, other)
      await expect(lock.noteRunning(at)).rejects.toMatchObject({ code: 'busy' })
      expect(await readFile(at, 'utf8')).toBe(other)
      await unlink(at)
      // One that was deleted by hand is there again.
      await lock.noteRunning(at)
      await Promise.all([lock.noteRunning(at), lock.release(at), lock.noteRunning(at)])
      await lock.noteRunning(at)
      expect(await readdir(join(at, '..'))).toEqual([])
    })

    test('it cannot be noted where the bundle is gone', async () => {
      const at = await path()
      const lock = await lockBundle(at, '“a”')
      await rm(join(at, '..'), { recursive: true })
      await expect(lock.noteRunning(at)).rejects.toMatchObject({ code: 'not-found' })
    })
  })
})
