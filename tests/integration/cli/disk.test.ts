/** `coppice disk` as a process of its own with a real host; qemu-img judges the files. */
import { mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { coppice, type Ran } from '../../support/coppice.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

let folder: string
let images: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cli-disk-')))
  images = join(folder, 'images')
  await mkdir(images)
  await mkdir(join(folder, 'library'))
  env = {
    COPPICE_LIBRARY: join(folder, 'library'),
    XDG_RUNTIME_DIR: folder,
    COPPICE_STATE: join(folder, 'state'),
    COPPICE_CACHE: join(folder, 'cache'),
  }
  // The host's own folder is another one than that of the commands below.
  await coppice(['list'], { env, cwd: folder })
})
afterAll(async () => {
  await coppice(['quit', '--force'], { env })
  await rm(folder, { recursive: true })
})

function disk(...args: string[]): Promise<Ran> {
  return coppice(['disk', ...args], { env, cwd: images })
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const ran = await disk(...args, '--json')
  expect(ran).toMatchObject({ code: 0, stderr: '' })
  return JSON.parse(ran.stdout) as Record<string, unknown>
}

describe.skipIf(WITHOUT_QEMU_IMG)('coppice disk', () => {
  it('makes images, by their name’s ending or as it is told', async () => {
    const path = join(images, 'base.img')
    expect(await disk('create', 'base.img', '--size', '64M')).toEqual({ code: 0, stdout: `${path}: raw, 64 MiB, takes 0 B\n`, stderr: '' })
    await disk('create', 'top.qcow2', '--backing', 'base.img', '--backing-format', 'raw', '--cluster-size', '4K')
    const judged = JSON.parse(await qemuImg('info', '--output=json', join(images, 'top.qcow2'))) as Record<string, unknown>
    expect(judged).toMatchObject({ 'virtual-size': 64 * 2 ** 20, 'cluster-size': 4096, 'backing-filename': 'base.img' })
    expect(await disk('create', 'x.qcow2')).toMatchObject({ code: 2, stderr: 'coppice: Say how large the disk is: --size SIZE.\n' })
    expect(await disk('create', 'x.qcow2', '--size', '1G', '--cluster-size', '3K')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'coppice: --cluster-size: The cluster size 3072 is not a power of two from 512 to 2097152.\n',
    })
  })

  it('shows an image and what it rests on', async () => {
    const { stdout } = await disk('info', 'top.qcow2')
    expect(stdout).toMatch(/^format +qcow2$/m)
    expect(stdout).toMatch(/^disk size +64 MiB \(67108864 bytes\)$/m)
    expect(stdout).toMatch(/^rests on +base\.img$/m)
    expect(stdout).toMatch(/^FORMAT +DISK +TAKEN +LAYER\nqcow2 .*top\.qcow2\nraw +64 MiB +0 B {2}.*base\.img\n$/m)
    const info = await json('info', 'top.qcow2')
    expect(Object.keys(info).sort()).toEqual(
      ['path', 'format', 'size', 'fileBytes', 'storedBytes', 'details', 'backing', 'layers', 'problem'].sort(),
    )
    expect(info).toMatchObject({ size: 67108864, problem: null, layers: [{ format: 'raw', storedBytes: 0 }] })
  })

  it('opens only folders that it was told of', async () => {
    await mkdir(join(images, 'far'))
    const made = await disk('create', 'far/f.qcow2', '--backing', 'base.img')
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('outside of the folders') as string })
    expect(await disk('convert', 'far/f.qcow2', 'no.img')).toMatchObject({ code: 1 })
    expect(await json('info', 'far/f.qcow2', '--backing-folder', 'far', '--backing-folder', '.')).toMatchObject({ problem: null })
    expect(await disk('info', 'top.qcow2', '--backing-folder', '')).toMatchObject({ code: 2 })
  })

  it('converts, and replaces nothing unasked', async () => {
    await qemuIo('qcow2', join(images, 'top.qcow2'), 'write -P 7 1M 2M')
    const path = join(images, 'flat.img')
    const says = 'Writing the format raw, as the file’s name says.\n'
    expect(await disk('convert', 'top.qcow2', 'flat.img')).toEqual({ code: 0, stdout: `${path}: raw, 64 MiB, takes 2 MiB\n`, stderr: says })
    expect(await qemuImg('compare', join(images, 'top.qcow2'), path)).toContain('identical')
    expect(await disk('convert', 'top.qcow2', 'flat.img')).toEqual({
      code: 1,
      stdout: '',
      stderr: `${says}coppice: There already is something at “${path}”. Replace it by --force.\n`,
    })
    const packed = await json('convert', 'flat.img', 'flat.img', '--format', 'qcow2', '--packed', '--force')
    expect(packed).toMatchObject({ path, format: 'qcow2', size: 67108864 })
    expect((await readFile(path)).subarray(0, 3).toString()).toBe('QFI')
    expect(await disk('convert', 'top.qcow2', 'flat.bin')).toMatchObject({ code: 2, stderr: expect.stringContaining('--format') as string })
  })

  it('resizes, and cuts nothing off unasked', async () => {
    expect(await disk('resize', 'base.img', '+32M')).toMatchObject({ stdout: `${join(images, 'base.img')}: 96 MiB, was 64 MiB\n` })
    expect(await disk('resize', 'base.img', '16M')).toMatchObject({ code: 1, stderr: expect.stringContaining('Add --shrink') as string })
    expect(await json('resize', 'base.img', '16M', '--shrink')).toMatchObject({ size: 16 * 2 ** 20, format: 'raw' })
    expect((await stat(join(images, 'base.img'))).size).toBe(16 * 2 ** 20)
    expect(await disk('resize', 'base.img', 'big')).toMatchObject({ code: 2 })
  })

  it('compacts', async () => {
    await qemuImg('create', '-f', 'qcow2', join(images, 'c.qcow2'), '64M')
    await qemuIo('qcow2', join(images, 'c.qcow2'), 'write -P 1 0 8M', 'write -P 0 0 7M')
    const { before, after } = await json('compact', 'c.qcow2')
    expect(Number(before) - Number(after)).toBeGreaterThan(6 * 2 ** 20)
    expect(await disk('compact', 'c.qcow2')).toMatchObject({ stdout: expect.stringContaining('nothing to give back, takes 1.') as string })
  })

  it('commits and rebases, and refuses what somebody needs', async () => {
    const [top, base, second] = ['o.qcow2', 'b.qcow2', 's.qcow2'].map((name) => join(images, name)) as [string, string, string]
    for (const name of ['b.qcow2', 's.qcow2']) await disk('create', name, '--size', '64M')
    await disk('create', 'o.qcow2', '--backing', 'b.qcow2')
    await qemuIo('qcow2', top, 'write -P 5 1M 2M')
    await qemuImg('convert', '-O', 'raw', top, join(images, 'before.img'))
    const same = async (): Promise<unknown> => expect(await qemuImg('compare', join(images, 'before.img'), top)).toContain('identical')
    expect(await disk('rebase', 'o.qcow2', '--backing', 's.qcow2')).toMatchObject({ stdout: `${top}: rests on ${second}\n`, code: 0 })
    await same()
    expect(await json('commit', 'o.qcow2')).toEqual({ path: top, into: second, copied: 2 * 2 ** 20 })
    await same()
    expect(await json('rebase', 'o.qcow2', '--backing', 'b.qcow2')).toEqual({ path: top, backing: base, copied: 2 * 2 ** 20 })
    await same()
    expect(await disk('rebase', 'o.qcow2', '--alone')).toMatchObject({ stdout: `${top}: rests on nothing\n`, code: 0 })
    await same()
    expect(await disk('commit', 'o.qcow2')).toMatchObject({ code: 1, stderr: expect.stringContaining('rests on no other image') as string })
    expect(await disk('rebase', 'o.qcow2')).toMatchObject({ code: 2 })
    expect(await disk('rebase', 'o.qcow2', '--alone', '--backing', 'b.qcow2')).toMatchObject({ code: 2 })
  })

  it('checks and repairs, and its exit code says what is wrong still', async () => {
    const path = join(images, 'c.qcow2')
    expect(await json('check', 'c.qcow2')).toEqual({
      ...{ path, checked: true, findings: [] },
      ...{ corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0 },
    })
    const sound = await readFile(path)
    // A cluster that is counted and that nothing uses (qcow2 specification, "Host cluster management").
    const counts = Number(sound.readBigUInt64BE(Number(sound.readBigUInt64BE(48))))
    const leaky = Buffer.concat([sound, Buffer.alloc(65536)])
    leaky.writeUInt16BE(1, counts + 2 * Math.ceil(sound.length / 65536))
    await writeFile(path, leaky)
    const leak = await disk('check', 'c.qcow2')
    expect(leak).toMatchObject({ code: 3, stderr: expect.stringContaining('--repair') as string })
    expect(leak.stdout).toContain(`${path}: 1 leaked cluster\n`)
    expect(await disk('check', 'c.qcow2', '--repair')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${path}: 1 leaked cluster repaired\n`) as string,
    })
    // And one that is used and not counted.
    const corrupt = Buffer.from(sound)
    corrupt.writeUInt16BE(0, counts + 2 * (Math.ceil(sound.length / 65536) - 1))
    await writeFile(path, corrupt)
    expect(await disk('check', 'c.qcow2')).toMatchObject({ code: 4 })
    expect(await disk('check', 'c.qcow2', '--repair')).toMatchObject({ code: 0 })
    expect(await qemuImg('check', path)).toContain('No errors')
    expect(await disk('check', 'missing.qcow2')).toMatchObject({ code: 1 })
  })
})
