/** File systems that mke2fs makes, looked through; what their journals have is what e2fsck makes of it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { listExt } from '../../../src-main/storage/filesystems/ext/list-ext.ts'
import { volumeOf } from '../../../src-main/storage/filesystems/volume.ts'
import { compareFiles } from '../../../src-main/storage/jobs/compare-files.ts'
import { createImage } from '../../../src-main/storage/jobs/create-image.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { fuzzRuns, fuzzSeed } from '../../support/hostile-image.ts'
import { seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const TOOLS = ['/usr/sbin', '/sbin'].find((folder) => existsSync(join(folder, 'mke2fs')) && existsSync(join(folder, 'debugfs')))
const signal = new AbortController().signal
const run = promisify(execFile)
const tool = (name: string, ...args: string[]) => run(join(TOOLS!, name), args, { maxBuffer: 2 ** 26 })

async function tree(folder: string): Promise<string> {
  const root = join(folder, 'root')
  await mkdir(join(root, 'etc', 'deep', 'er'), { recursive: true })
  await mkdir(join(root, 'many'))
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0')
  await writeFile(join(root, 'etc', 'deep', 'er', 'größe'), new Uint8Array(300_000))
  await symlink('passwd', join(root, 'etc', 'link'))
  for (let i = 0; i < 1500; i++)
    await writeFile(join(root, 'many', `a file with a rather long name, of which there are many ${i}`), String(i))
  return root
}

async function sizesIn(root: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) found[`/${relative(root, path)}`] = (await stat(path)).size
    else if (entry.isSymbolicLink()) found[`/${relative(root, path)}`] = 6
  }
  return found
}

async function list(path: string): Promise<Record<string, number>> {
  const disk = await openImage({ path, format: 'raw', readOnly: true })
  try {
    const found = await listExt(volumeOf(disk, 0, disk.info.size), signal)
    expect(found).toMatchObject({ kind: 'ext', note: null })
    return Object.fromEntries([...found!.files].map(([name, { size }]) => [name, size]))
  } finally {
    await disk.close()
  }
}

async function made(folder: string, name: string, root: string, ...options: string[]): Promise<string> {
  const path = join(folder, name)
  const file = await open(path, 'wx')
  await file.truncate(64 * 2 ** 20)
  await file.close()
  await tool('mke2fs', '-q', '-F', '-d', root, ...options, path)
  return path
}

describe.skipIf(!TOOLS)('ext file systems', () => {
  test('of every kind: all files with their sizes', { timeout: 60_000 }, async () => {
    const folder = await tempFolder()
    const root = await tree(folder)
    const wanted = await sizesIn(root)
    const kinds = [
      ['-t', 'ext2', '-b', '1024'],
      ['-t', 'ext3', '-b', '1024', '-I', '128'],
      ['-t', 'ext4'],
      ['-t', 'ext4', '-b', '1024', '-O', '64bit,metadata_csum'],
      ['-t', 'ext4', '-O', '^extent,^64bit,^flex_bg'],
      ['-t', 'ext4', '-b', '4096', '-O', 'inline_data'],
    ]
    for (const [i, options] of kinds.entries()) {
      const found = await list(await made(folder, `${i}.img`, root, ...options))
      expect(found, options.join(' ')).toEqual(wanted)
    }
  })

  test('what was added, changed and removed, in an overlay', { timeout: 60_000 }, async () => {
    const folder = await tempFolder()
    const base = await made(folder, 'base.img', await tree(folder), '-t', 'ext4', '-L', 'system')
    const changed = join(folder, 'changed.img')
    await copyFile(base, changed)
    await writeFile(join(folder, 'new'), 'new content')
    await tool('debugfs', '-w', '-R', `write ${join(folder, 'new')} etc/new`, changed)
    await tool('debugfs', '-w', '-R', 'rm etc/passwd', changed)
    await tool('debugfs', '-w', '-R', 'rm etc/deep/er/größe', changed)
    await tool('debugfs', '-w', '-R', `write ${join(folder, 'new')} etc/deep/er/größe`, changed)
    const over = join(folder, 'over.qcow2')
    await createImage({ path: over, format: 'qcow2', size: null, backing: { path: base, format: 'raw', folders: [] } })
    const disk = await openImage({ path: over, format: 'qcow2', readOnly: false, folders: [folder] })
    const [old, next] = [await readFile(base), await readFile(changed)]
    for (let at = 0; at < old.length; at += 4096)
      if (!old.subarray(at, at + 4096).equals(next.subarray(at, at + 4096))) await disk.write(at, next.subarray(at, at + 4096))
    await disk.close()
    const image = (path: string) => ({ path, format: null, folders: [] })
    expect(await compareFiles({ before: image(base), after: image(over) }, signal)).toEqual([
      {
        ...{ partition: 0, kind: 'ext', label: 'system', note: null },
        added: [{ path: '/etc/new', before: null, after: 11 }],
        changed: [{ path: '/etc/deep/er/größe', before: 300_000, after: 11 }],
        removed: [{ path: '/etc/passwd', before: 10, after: null }],
        counts: { added: 1, changed: 1, removed: 1 },
      },
    ])
    expect(await compareFiles({ before: image(over), after: image(over) }, signal)).toEqual([])
    await expect(compareFiles({ before: image(base), after: image(over) }, AbortSignal.abort())).rejects.toMatchObject({
      code: 'cancelled',
    })
  })

  test('the newest changes are read from the journal', { timeout: 60_000 }, async () => {
    for (const [i, features] of ['64bit,metadata_csum', '^64bit,^metadata_csum'].entries()) {
      const folder = await tempFolder()
      const root = join(folder, 'root')
      await mkdir(root)
      await writeFile(join(root, 'old'), 'old')
      const path = await made(folder, `${i}.img`, root, '-t', 'ext4', '-b', '1024', '-O', features)
      const later = join(folder, 'later.img')
      await copyFile(path, later)
      await writeFile(join(folder, 'new'), 'newer')
      await tool('debugfs', '-w', '-R', `write ${join(folder, 'new')} fresh`, later)
      const [before, after] = [await readFile(path), await readFile(later)]
      const blocks: number[] = []
      for (let block = 0; block < before.length / 1024; block++)
        if (!before.subarray(block * 1024, (block + 1) * 1024).equals(after.subarray(block * 1024, (block + 1) * 1024))) blocks.push(block)
      // Its counts are in the superblock, which the journal’s own flag is in as well.
      const logged = blocks.filter((block) => block !== 1)
      const content = join(folder, 'content')
      await writeFile(content, Buffer.concat(logged.map((block) => after.subarray(block * 1024, (block + 1) * 1024))))
      const script = join(folder, 'script')
      await writeFile(script, `jo\njw -b ${logged.join(',')} ${content}\njc\n`)
      await tool('debugfs', '-w', '-f', script, path)
      expect(await list(path)).toEqual({ '/old': 3, '/fresh': 5 })
      const fixed = await list(path)
      await tool('e2fsck', '-fy', path).catch(() => {})
      expect(await list(path)).toEqual(fixed)
    }
  })

  test('damaged ones are read as far as they go, or refused', { timeout: 120_000 }, async () => {
    const folder = await tempFolder()
    const root = join(folder, 'root')
    await mkdir(join(root, 'a', 'b'), { recursive: true })
    for (let i = 0; i < 40; i++) await writeFile(join(root, 'a', `f${i}`), new Uint8Array(i * 100))
    const images = [
      await readFile(await made(folder, '4.img', root, '-t', 'ext4', '-b', '1024')),
      await readFile(await made(folder, '2.img', root, '-t', 'ext2', '-b', '1024')),
    ]
    const random = seeded(fuzzSeed(6))
    for (let round = 0; round < fuzzRuns(300); round++) {
      const changes = new Map<number, number>()
      const places = [() => 1024 + random(512), () => random(400 * 1024), () => 2048 + random(2048)]
      for (let change = 0; change < 5; change++) changes.set(places[random(3)]!(), random(256))
      const bytes = images[round % 2]!
      const read = async (offset: number, into: Uint8Array): Promise<void> => {
        into.set(bytes.subarray(offset, offset + into.length))
        for (const [at, value] of changes) if (at >= offset && at < offset + into.length) into[at - offset] = value
      }
      await listExt(volumeOf({ read }, 0, bytes.length), signal).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code === 'internal') throw error
      })
    }
  })
})
