/** Commit and rebase beside qemu-img, on the same images. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { commitImage } from '../../../src-main/storage/jobs/commit-image.ts'
import { rebaseImage } from '../../../src-main/storage/jobs/rebase-image.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const MiB = 1024 * 1024
const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const chosen = (path: string) => ({ path, format: null, folders: [] })
const OPTIONS = ['cluster_size=64k', 'cluster_size=4k,lazy_refcounts=on', 'compat=0.10,cluster_size=16k', 'cluster_size=512']

type Random = (below: number) => number

async function scribble(format: string, path: string, size: number, random: Random): Promise<void> {
  const commands = Array.from({ length: 8 }, () => {
    const length = 512 * (1 + random(Math.min(2000, Math.floor(size / 512 / 3))))
    const offset = 512 * random((size - length) / 512 + 1)
    return `${['write -z', 'discard', 'write -P 17', 'write -P 99'][random(4)]!} ${offset} ${length}`
  })
  await qemuIo(format, path, ...commands)
}

/** Two bases, an overlay of one, and an overlay of that: in two folders, for us and for qemu-img. */
async function families(seed: number) {
  const random = seeded(seed)
  const folder = await tempFolder()
  const [ours, theirs] = [join(folder, 'ours'), join(folder, 'theirs')]
  await mkdir(ours)
  await mkdir(theirs)
  const at = (name: string): string => join(ours, name)
  const kind = seed % 2 === 0 ? ('raw' as const) : ('qcow2' as const)
  const sizes = { base: (3 + random(4)) * MiB, other: (2 + random(6)) * MiB + 512 * random(9), top: (4 + random(5)) * MiB + 512 }
  for (const name of ['base', 'other'] as const) {
    await qemuImg('create', '-q', '-f', kind, at(name), String(sizes[name]))
    await scribble(kind, at(name), sizes[name], random)
  }
  const own = OPTIONS[seed % OPTIONS.length]!
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', own, '-b', 'base', '-F', kind, at('top'), String(sizes.top))
  await scribble('qcow2', at('top'), sizes.top, random)
  for (const name of ['base', 'other', 'top']) await copyFile(at(name), join(theirs, name))
  await qemuImg('convert', '-q', '-f', 'qcow2', '-O', 'raw', at('top'), join(folder, 'flat'))
  const sound = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      await qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', join(folder, 'flat'), at(name))
      await qemuImg('check', '-q', '-f', 'qcow2', at(name))
    }
  }
  return { kind, ours, theirs, sound }
}

describe.skipIf(WITHOUT_QEMU_IMG)('beside qemu-img', () => {
  test.each([1, 2, 3, 4, 5, 6])('a commit leaves the same two disks (%i)', async (seed) => {
    const { kind, ours, theirs, sound } = await families(seed)
    await commitImage(chosen(join(ours, 'top')), quiet)
    await qemuImg('commit', '-q', '-f', 'qcow2', join(theirs, 'top'))
    await sound('top')
    if (kind === 'qcow2') await qemuImg('check', '-q', '-f', 'qcow2', join(ours, 'base'))
    await qemuImg('compare', '-q', '-f', kind, '-F', kind, join(ours, 'base'), join(theirs, 'base'))
    const map = JSON.parse(await qemuImg('map', '--output=json', join(ours, 'top'))) as { depth: number; data: boolean }[]
    expect(map.every(({ depth, data }) => depth > 0 || !data)).toBe(true)
  })

  test.each([1, 2, 3, 4, 5, 6])('a rebase keeps the disk, onto another one, onto nothing, and by the name alone (%i)', async (seed) => {
    const { kind, ours, theirs, sound } = await families(seed)
    const [top, other] = [join(ours, 'top'), join(ours, 'other')]
    await rebaseImage({ image: chosen(top), backing: { ...chosen(other), format: kind }, unsafe: false }, quiet)
    await sound('top')
    expect(JSON.parse(await qemuImg('info', '--output=json', top))).toMatchObject({
      'backing-filename': 'other',
      'backing-filename-format': kind,
    })
    await rebaseImage({ image: chosen(top), backing: null, unsafe: false }, quiet)
    await sound('top')
    // The name alone: as qemu-img does with -u.
    const theirTop = join(theirs, 'top')
    await rebaseImage({ image: chosen(theirTop), backing: { ...chosen(join(theirs, 'other')), format: kind }, unsafe: true }, quiet)
    expect(JSON.parse(await qemuImg('info', '--output=json', theirTop))).toMatchObject({ 'backing-filename': 'other' })
    await qemuImg('rebase', '-u', '-f', 'qcow2', '-b', 'base', '-F', kind, theirTop)
    await qemuImg('compare', '-q', theirTop, top)
  })
})
