import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import type { FilePart, PackMember } from '../../../src-shared/threads/storage-thread.ts'
import { tarEnd, tarHeader, tarPadding } from '../../../src-main/archive/tar-writer.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { packArchive } from '../../../src-main/storage/package/pack-archive.ts'
import { digestPart, listArchive, readPart } from '../../../src-main/storage/package/read-package.ts'
import { lookAtImage, takeImage } from '../../../src-main/storage/package/take-image.ts'
import { unpackArchive } from '../../../src-main/storage/package/unpack-archive.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { makeVhd } from '../../support/vhd-chain.ts'
import { makeVdi } from '../../support/vdi-chain.ts'

const MiB = 1024 * 1024
const never = new AbortController().signal
const job = { signal: never, onProgress: () => {} }
const whole = (path: string): FilePart => ({ path, range: null })
const alone = (part: FilePart, folders: string[] = []) => ({ layers: [part], format: null, folders })

async function tarOf(path: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  const parts = files.flatMap(([name, data]) => [
    tarHeader({ name, type: 'file', size: data.length, mtime: 1 }),
    data,
    tarPadding(data.length),
  ])
  await writeFile(path, concatBytes([...parts, tarEnd()]))
}

async function partOf(path: string, name: string): Promise<FilePart> {
  const { offset, size } = (await listArchive(path, never)).find((member) => member.name === name)!
  return { path, range: { name, offset, length: size } }
}

describe.skipIf(WITHOUT_QEMU_IMG)('images of machines from elsewhere', () => {
  test.each([
    ['vmdk', 'subformat=streamOptimized'],
    ['vmdk', 'subformat=monolithicSparse'],
    ['vdi', ''],
    ['vpc', 'subformat=dynamic,force_size=on'],
    ['vhdx', ''],
    ['qcow2', 'compression_type=zlib'],
    ['raw', ''],
  ])('are taken out of the middle of an archive: %s %s', async (format, options) => {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await qemuImg('create', '-q', path('a.raw'), '40M')
    await qemuIo('raw', path('a.raw'), 'write -P 7 1M 3M', 'write -P 9 39M 1M')
    await qemuImg('convert', '-O', format, ...(options === '' ? [] : ['-o', options]), path('a.raw'), path('disk'))
    await tarOf(path('a.ova'), [
      ['a.ovf', utf8('<Envelope/>')],
      ['disk', await readFile(path('disk'))],
      ['b', new Uint8Array(1000).fill(1)],
    ])
    const image = alone(await partOf(path('a.ova'), 'disk'))
    expect(await lookAtImage(image)).toEqual({ format: format === 'vpc' ? 'vhd' : format, size: 40 * MiB })
    await takeImage(image, { path: path('b.qcow2'), format: 'qcow2' }, job)
    await qemuImg('check', '-q', path('b.qcow2'))
    await qemuImg('compare', '-q', path('a.raw'), path('b.qcow2'))
  })

  test('are VMDKs of several files and snapshots, in their own folder', async () => {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path('disk.vmdk'), '3G')
    await qemuIo('vmdk', path('disk.vmdk'), 'write -P 3 1M 3M')
    await qemuImg('create', '-q', '-f', 'vmdk', '-F', 'vmdk', '-b', path('disk.vmdk'), path('disk-000001.vmdk'))
    await qemuIo('vmdk', path('disk-000001.vmdk'), 'write -P 4 2M 1M')
    await takeImage(alone(whole(path('disk-000001.vmdk')), [folder]), { path: path('b.qcow2'), format: 'qcow2' }, job)
    await qemuImg('compare', '-q', path('disk-000001.vmdk'), path('b.qcow2'))
    await expect(lookAtImage(alone(whole(path('disk-000001.vmdk'))))).rejects.toMatchObject({ code: 'denied' })
    // Said by somebody else, it is the same.
    const chain = { layers: [whole(path('disk-000001.vmdk')), whole(path('disk.vmdk'))], format: null, folders: [] }
    await takeImage(chain, { path: path('c.qcow2'), format: 'qcow2' }, job)
    await qemuImg('compare', '-q', path('c.qcow2'), path('b.qcow2'))
    await qemuIo('vmdk', path('disk.vmdk'), 'write -P 5 0 64k')
    const { layers } = chain
    await qemuImg('create', '-q', '-f', 'vmdk', path('other.vmdk'), '3G')
    await expect(lookAtImage({ ...chain, layers: [layers[0]!, whole(path('other.vmdk'))] })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('was changed since') as string,
    })
  })

  test('bring nothing of this computer along that is not theirs', async () => {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await writeFile(path('secret'), new Uint8Array(512).fill(1))
    const flat = utf8('# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\nRW 1 FLAT "secret" 0\n')
    await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', path('secret'), path('over.qcow2'))
    await tarOf(path('a.ova'), [
      ['flat.vmdk', flat],
      ['over.qcow2', await readFile(path('over.qcow2'))],
    ])
    for (const name of ['flat.vmdk', 'over.qcow2'])
      await expect(lookAtImage(alone(await partOf(path('a.ova'), name), [folder]))).rejects.toMatchObject({ code: 'unsupported' })
    await expect(lookAtImage(alone(whole(path('over.qcow2'))))).rejects.toMatchObject({ code: 'denied' })
  })
})

describe('VDIs that rest on one another', () => {
  test('are read through all layers in the order that is said, and by that alone', async () => {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    const random = seeded(7)
    const expected = new Uint8Array(6 * MiB)
    let parent: Parameters<typeof makeVdi>[2] = null
    const devices = []
    for (const name of ['base.vdi', 'one.vdi', 'two.vdi']) {
      const device = await makeVdi(path(name), 6 * MiB, parent)
      for (let count = 0; count < 3; count++) {
        const bytes = noise(random, 1 + random(300_000))
        const offset = random(expected.length - bytes.length)
        await device.write(offset, bytes)
        expected.set(bytes, offset)
      }
      if (name === 'two.vdi') {
        await device.writeZeroes(2 * MiB, MiB)
        expected.fill(0, 2 * MiB, 3 * MiB)
      }
      await device.flush()
      devices.push(device)
      parent = { path: path(name), device }
    }
    await devices.at(-1)!.close()
    const layers = ['two.vdi', 'one.vdi', 'base.vdi'].map((name) => whole(path(name)))
    const image = { layers, format: null, folders: [] }
    expect(await lookAtImage(image)).toEqual({ format: 'vdi', size: 6 * MiB })
    await takeImage(image, { path: path('all.qcow2'), format: 'qcow2' }, job)
    const taken = await openImage({ path: path('all.qcow2'), format: 'qcow2', readOnly: true })
    expect(Buffer.compare(await readBytes(taken, 0, expected.length), expected)).toBe(0)
    await taken.close()
    await expect(lookAtImage({ ...image, layers: [layers[0]!, layers[2]!] })).rejects.toMatchObject({ code: 'corrupt' })
    await (await makeVdi(path('other.vdi'), 6 * MiB, null)).close()
    await expect(lookAtImage({ ...image, layers: [layers[2]!, whole(path('other.vdi'))] })).rejects.toMatchObject({
      message: expect.stringContaining('rests on nothing') as string,
    })
    await expect(lookAtImage({ ...image, layers: [layers[0]!, layers[1]!] })).rejects.toMatchObject({ code: 'unsupported' })
    await expect(lookAtImage({ ...image, layers: [layers[0]!, ...layers] })).rejects.toMatchObject({ code: 'corrupt' })
    await expect(openImage({ path: path('one.vdi'), format: 'vdi', readOnly: true })).rejects.toMatchObject({ code: 'unsupported' })
  })
})

test('VHDs that rest on one another are read through by the sector', async () => {
  const folder = await tempFolder()
  const path = (name: string): string => join(folder, name)
  const size = 6 * MiB
  const random = seeded(9)
  const expected = new Uint8Array(size)
  const names = ['base.vhd', 'one.vhd', 'two.vhd']
  for (const [at, name] of names.entries()) {
    const own = [0, 2 * MiB, 4 * MiB].map((block) => {
      const sectors = 1 + random(at === 0 ? 4000 : 60)
      return { offset: block + 512 * random(4096 - sectors), bytes: noise(random, 512 * sectors) }
    })
    await makeVhd(path(name), size, at === 0 ? null : path(names[at - 1]!), own)
    for (const { offset, bytes } of own) expected.set(bytes, offset)
  }
  const image = { layers: names.toReversed().map((name) => whole(path(name))), format: null, folders: [] }
  await takeImage(image, { path: path('all.qcow2'), format: 'qcow2' }, job)
  const taken = await openImage({ path: path('all.qcow2'), format: 'qcow2', readOnly: true })
  expect(Buffer.compare(await readBytes(taken, 0, size), expected)).toBe(0)
  await taken.close()
  await expect(lookAtImage({ ...image, layers: [image.layers[0]!, image.layers[2]!] })).rejects.toMatchObject({ code: 'corrupt' })
  await expect(openImage({ path: path('one.vhd'), format: 'vhd', readOnly: true })).rejects.toMatchObject({ code: 'unsupported' })
})

describe('archives that are written', () => {
  async function sample(): Promise<{ folder: string; path: (name: string) => string; members: PackMember[] }> {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await writeFile(path('notes'), 'hello')
    await writeFile(path('big'), new Uint8Array(2 * MiB).fill(3))
    await truncate(path('big'), 40 * MiB)
    const disk = await makeVdi(path('disk.vdi'), 5 * MiB, null)
    await disk.write(MiB, noise(seeded(1), 100_000))
    await disk.close()
    const members: PackMember[] = [
      {
        kind: 'text',
        name: 'a.ovf',
        text: '<a size="@one@" other="@two@"/>\n',
        values: { '@one@': { tell: 'size', of: 'disk.vmdk' }, '@two@': { tell: 'size', of: 'notes' } },
      },
      {
        kind: 'text',
        name: 'a.mf',
        text: 'SHA256(a.ovf)= @d1@\nSHA256(disk.vmdk)= @d2@\n',
        values: { '@d1@': { tell: 'digest', of: 'a.ovf' }, '@d2@': { tell: 'digest', of: 'disk.vmdk' } },
      },
      { kind: 'disk', name: 'disk.vmdk', image: { path: path('disk.vdi'), format: 'vdi', folders: [] } },
      { kind: 'file', name: 'notes', path: path('notes') },
      { kind: 'file', name: `${'d'.repeat(140)}/${'x'.repeat(120)}`, path: path('big') },
    ]
    return { folder, path, members }
  }

  test('are what other programs read, with texts that tell of what came later', async () => {
    const { folder, path, members } = await sample()
    const told: number[] = []
    await packArchive(path('a.ova'), members, false, { signal: never, onProgress: (done, total) => told.push(done / total) })
    expect(told.at(-1)).toBe(1)
    await mkdir(path('out'))
    await promisify(execFile)('tar', ['xf', path('a.ova'), '-C', path('out')])
    const disk = await readFile(path('out/disk.vmdk'))
    const ovf = await readFile(path('out/a.ovf'), 'utf8')
    expect(ovf.trimEnd()).toBe(`<a size="${disk.length}" other="5"/>`)
    const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
    expect(await readFile(path('out/a.mf'), 'utf8')).toBe(`SHA256(a.ovf)= ${digest(utf8(ovf))}\nSHA256(disk.vmdk)= ${digest(disk)}\n`)
    expect((await readFile(path(`out/${members.at(-1)!.name}`))).equals(await readFile(path('big')))).toBe(true)
    if (!WITHOUT_QEMU_IMG) await qemuImg('compare', '-q', path('disk.vdi'), path('out/disk.vmdk'))
    // What is a hole stays one.
    expect((await stat(path('a.ova'))).blocks * 512).toBeLessThan(10 * MiB)
    expect(await digestPart(await partOf(path('a.ova'), 'disk.vmdk'), 'sha256', job)).toBe(digest(disk))
    expect(utf8('hello')).toEqual(await readPart(await partOf(path('a.ova'), 'notes'), 5))
    await expect(readPart(await partOf(path('a.ova'), 'notes'), 4)).rejects.toMatchObject({ code: 'unsupported' })
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([])
  })

  test('leave what was there, and nothing else, when they fail or are cancelled', async () => {
    const { folder, path, members } = await sample()
    await writeFile(path('a.ova'), 'old')
    const before = await readdir(folder)
    await expect(packArchive(path('a.ova'), members, false, job)).rejects.toMatchObject({ code: 'already-exists' })
    const gone: PackMember = { kind: 'file', name: 'gone', path: path('gone') }
    await expect(packArchive(path('a.ova'), [...members, gone], true, job)).rejects.toMatchObject({ code: 'not-found' })
    const ending = new AbortController()
    const cancelled = { signal: ending.signal, onProgress: (done: number) => (done > 0 ? ending.abort(new Error('enough')) : undefined) }
    await expect(packArchive(path('a.ova'), members, true, cancelled)).rejects.toThrow()
    expect(await readFile(path('a.ova'), 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(before)
    await packArchive(path('a.ova'), members, true, job)
    expect((await listArchive(path('a.ova'), never)).map(({ name }) => name)).toEqual(members.map(({ name }) => name))
  })

  test('are unpacked into files with the same holes and times', async () => {
    const { path, members } = await sample()
    await packArchive(path('a.coppice'), members.slice(3), false, job)
    const list = await listArchive(path('a.coppice'), never)
    const files = list.map(({ name, offset, size, modified }, at) => ({ name, offset, length: size, modified, to: path(`new/${at}/file`) }))
    for (const { to } of files) await mkdir(join(to, '..'), { recursive: true })
    await unpackArchive(path('a.coppice'), files, job)
    expect(await readFile(path('new/0/file'), 'utf8')).toBe('hello')
    expect((await readFile(path('new/1/file'))).equals(await readFile(path('big')))).toBe(true)
    const stats = await stat(path('new/1/file'))
    expect(stats.blocks * 512).toBeLessThan(4 * MiB)
    expect(stats.mtimeMs / 1000).toBe(list[1]!.modified)
    await expect(unpackArchive(path('a.coppice'), files, job)).rejects.toMatchObject({ code: 'already-exists' })
    await truncate(path('a.coppice'), 2 * MiB)
    await expect(unpackArchive(path('a.coppice'), [{ ...files[1]!, to: path('other') }], job)).rejects.toMatchObject({ code: 'corrupt' })
    await expect(listArchive(path('a.coppice'), never)).rejects.toMatchObject({ code: 'corrupt' })
  })
})
