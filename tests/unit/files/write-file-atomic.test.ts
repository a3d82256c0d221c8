import { existsSync } from 'node:fs'
import * as real from 'node:fs/promises'
import { chmod, lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { isTemporary, replaceFile, writeFileAtomic } from '../../../src-main/files/write-file-atomic.ts'
import type { AppError } from '../../../src-shared/errors/app-error.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** Every call that the writer makes of the file system, in order; the one named by `failAt` throws, and after a crash all that follow. */
const faults = vi.hoisted(() => ({ calls: [] as string[], failAt: -1, code: 'EIO', crashed: false, isCrash: false }))

vi.mock('node:fs/promises', async (load) => {
  const original = await load<typeof real>()
  const step = (name: string): void => {
    const at = faults.calls.push(name) - 1
    if (at === faults.failAt && faults.isCrash) faults.crashed = true
    if (faults.crashed || at === faults.failAt) throw Object.assign(new Error(`${faults.code}: injected at ${name}`), { code: faults.code })
  }
  const wrapHandle = (handle: real.FileHandle): real.FileHandle =>
    new Proxy(handle, {
      get(target, key) {
        const value = Reflect.get(target, key, target) as unknown
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          // A write that fails has written a part before.
          if (key === 'writeFile' && faults.failAt === faults.calls.length)
            await target.write(Buffer.from(args[0] as string).subarray(0, 3))
          if (key === 'close') await target.close()
          step(`handle.${String(key)}`)
          return key === 'close' ? undefined : (value as (...args: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  return {
    ...original,
    open: async (...args: Parameters<typeof real.open>) => {
      step('open')
      return wrapHandle(await original.open(...args))
    },
    rename: async (...args: Parameters<typeof real.rename>) => {
      step('rename')
      return original.rename(...args)
    },
    unlink: async (...args: Parameters<typeof real.unlink>) => {
      step('unlink')
      return original.unlink(...args)
    },
  }
})

beforeEach(() => Object.assign(faults, { calls: [], failAt: -1, code: 'EIO', crashed: false, isCrash: false }))

const STEPS = ['open', 'handle.chmod', 'handle.writeFile', 'handle.sync', 'handle.close', 'rename', 'open', 'handle.sync', 'handle.close']

describe('writeFileAtomic', () => {
  test('forces the content, renames, then forces the folder', async () => {
    const path = join(await tempFolder(), 'a.json')
    await real.writeFile(path, 'old')
    await writeFileAtomic(path, 'new')
    expect(faults.calls).toEqual(STEPS)
    expect(await readFile(path, 'utf8')).toBe('new')
  })

  for (const [at, name] of STEPS.entries()) {
    for (const isCrash of [false, true]) {
      test(`${isCrash ? 'a crash' : 'an error'} at step ${at} (${name}) leaves the old or the new content`, async () => {
        const folder = await tempFolder()
        const path = join(folder, 'a.json')
        await real.writeFile(path, 'the old content')
        Object.assign(faults, { failAt: at, isCrash })
        const error = await writeFileAtomic(path, 'the new content').then(
          () => null,
          (thrown: AppError) => thrown,
        )
        const renamed = at > STEPS.indexOf('rename')
        expect(await readFile(path, 'utf8')).toBe(renamed ? 'the new content' : 'the old content')
        expect(error?.code ?? null).toBe(renamed ? null : 'io')
        const others = (await readdir(folder)).filter((entry) => entry !== 'a.json')
        if (isCrash) expect(others.every(isTemporary)).toBe(true)
        else expect(others).toEqual([])
      })
    }
  }

  test('a full disk is told as such and the old content stays', async () => {
    const path = join(await tempFolder(), 'a.json')
    await real.writeFile(path, 'old')
    Object.assign(faults, { failAt: 2, code: 'ENOSPC' })
    await expect(writeFileAtomic(path, 'new')).rejects.toMatchObject({ code: 'no-space', message: expect.stringContaining(path) as string })
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  test('a new file is private, an existing one keeps its mode', async () => {
    const folder = await tempFolder()
    await writeFileAtomic(join(folder, 'new'), 'x')
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o600)
    await writeFile(join(folder, 'old'), '')
    await chmod(join(folder, 'old'), 0o644)
    await writeFileAtomic(join(folder, 'old'), 'x')
    expect((await stat(join(folder, 'old'))).mode & 0o777).toBe(0o644)
  })

  test('replaces a symbolic link instead of writing through it', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'precious'), 'precious')
    await symlink(join(folder, 'precious'), join(folder, 'link'))
    await writeFileAtomic(join(folder, 'link'), 'x')
    expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('precious')
    expect((await lstat(join(folder, 'link'))).isSymbolicLink()).toBe(false)
  })

  test('many writers at once leave one whole content', async () => {
    const folder = await tempFolder()
    const contents = Array.from({ length: 20 }, (_, at) => String(at).repeat(10_000))
    await Promise.all(contents.map((content) => writeFileAtomic(join(folder, 'a'), content)))
    expect(contents).toContain(await readFile(join(folder, 'a'), 'utf8'))
    expect(await readdir(folder)).toEqual(['a'])
  })

  test('a missing folder is told with its path', async () => {
    const path = join(await tempFolder(), 'missing', 'a')
    await expect(writeFileAtomic(path, 'x')).rejects.toMatchObject({ code: 'not-found', message: expect.stringContaining(path) as string })
  })

  test('on Windows a target that is held for a moment is tried again', async () => {
    const path = join(await tempFolder(), 'a')
    vi.spyOn(process, 'platform', 'get').mockReturnValue('win32')
    Object.assign(faults, { failAt: 4, code: 'EBUSY' })
    await writeFileAtomic(path, 'x')
    vi.restoreAllMocks()
    expect(faults.calls).toEqual(['open', 'handle.writeFile', 'handle.sync', 'handle.close', 'rename', 'rename'])
    expect(await readFile(path, 'utf8')).toBe('x')
  })
})

describe('replaceFile', () => {
  test('a file appears as what its writer made of it', async () => {
    const folder = await tempFolder()
    await replaceFile(join(folder, 'a'), async (file) => {
      await file.write(Buffer.from('world'), 0, 5, 6)
      expect(await readdir(folder)).not.toContain('a')
      await file.write(Buffer.from('hello,'), 0, 6, 0)
    })
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('hello,world')
  })

  test('where its writer fails the old one stays, and nothing else', async () => {
    const folder = await tempFolder()
    await real.writeFile(join(folder, 'a'), 'old')
    const failing = replaceFile(join(folder, 'a'), async (file) => {
      await file.write(Buffer.from('new'))
      throw new Error('no more')
    })
    await expect(failing).rejects.toThrow('no more')
    expect(await readFile(join(folder, 'a'), 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['a'])
  })

  // A device that is always full: Linux has one.
  test.skipIf(!existsSync('/dev/full'))('what the system says of it reaches the caller as it is', async () => {
    const folder = await tempFolder()
    await expect(replaceFile(join(folder, 'a'), () => writeFile('/dev/full', 'x'))).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await readdir(folder)).toEqual([])
  })
})
