import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { lockBundle } from '../../../../src-main/host/library/bundle-lock.ts'
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
})
