import { chmod, mkdir, mkdtemp, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { libraryId, realLibraryPath, runtimeFolderFor } from '../../../src-main/app/local/runtime-folder.ts'
import { MAX_SOCKET_PATH } from '../../../src-main/process/private-folder.ts'

let folder: string
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'rf-')))
})
afterEach(() => rm(folder, { recursive: true }))

describe('realLibraryPath', () => {
  it('is the same through links, and before the library is made', async () => {
    const library = join(folder, 'library')
    await symlink(folder, join(folder, 'link'))
    expect(await realLibraryPath(library)).toBe(library)
    expect(await realLibraryPath(join(folder, 'link', 'library'))).toBe(library)
    await mkdir(library)
    expect(await realLibraryPath(join(folder, 'link', 'library'))).toBe(library)
    expect(await realLibraryPath(join(folder, 'none', '..', 'library', ''))).toBe(library)
  })
})

describe('libraryId', () => {
  it('is short, and does not tell case apart where paths do not', () => {
    expect(libraryId('/a', 'linux')).toMatch(/^[0-9a-f]{12}$/)
    expect(libraryId('/A', 'linux')).not.toBe(libraryId('/a', 'linux'))
    expect(libraryId('C:\\A', 'win32')).toBe(libraryId('c:\\a', 'win32'))
  })
})

describe.skipIf(process.platform === 'win32')('runtimeFolderFor', () => {
  it('is private and stays the same', async () => {
    const place = { env: { XDG_RUNTIME_DIR: folder } }
    const runtime = await runtimeFolderFor(join(folder, 'library'), place)
    expect(runtime).toBe(join(folder, 'coppice', libraryId(join(folder, 'library'))))
    for (const made of [runtime, join(folder, 'coppice')]) expect((await stat(made)).mode & 0o777).toBe(0o700)
    expect(await runtimeFolderFor(join(folder, 'library'), place)).toBe(runtime)
    expect(await runtimeFolderFor(join(folder, 'other'), place)).not.toBe(runtime)
  })

  it('goes to the temporary folder where the given one does not exist or makes socket paths too long', async () => {
    const base = join(folder, `coppice-${userInfo().uid}`)
    const long = join(folder, 'x'.repeat(MAX_SOCKET_PATH))
    await mkdir(long)
    for (const given of [join(folder, 'none'), long]) {
      const runtime = await runtimeFolderFor(folder, { env: { XDG_RUNTIME_DIR: given }, platform: 'freebsd', temporary: folder })
      expect(runtime).toBe(join(base, libraryId(folder)))
    }
  })

  it('passes over a folder that others can use', async () => {
    const base = join(folder, 'coppice')
    await mkdir(base)
    await chmod(base, 0o777)
    const runtime = await runtimeFolderFor(folder, { env: { XDG_RUNTIME_DIR: folder }, platform: 'freebsd', temporary: folder })
    expect(runtime).toBe(join(folder, `coppice-${userInfo().uid}`, libraryId(folder)))
  })

  it('passes over what is not a folder', async () => {
    await writeFile(join(folder, 'coppice'), '')
    const runtime = await runtimeFolderFor(folder, { env: { XDG_RUNTIME_DIR: folder }, platform: 'freebsd', temporary: folder })
    expect(runtime).toBe(join(folder, `coppice-${userInfo().uid}`, libraryId(folder)))
  })
})
