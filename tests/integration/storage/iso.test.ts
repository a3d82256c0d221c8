/** Discs that other programs made: GRUB's rescue CD, and what xorriso and genisoimage make of a folder. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { openIso, type IsoEntry, type IsoImage } from '../../../src-main/storage/formats/iso/iso-image.ts'
import { grubIso } from '../../guest/support/grub-iso.ts'
import { expectSame } from '../../support/disk-model.ts'
import { diskFile } from '../../support/qemu-exchange.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const run = promisify(execFile)
const isThere = (program: string) => (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)))
const GRUB = await grubIso()

async function entries(iso: IsoImage): Promise<Map<string, IsoEntry>> {
  const found = new Map<string, IsoEntry>()
  for await (const { path, entry } of iso.walk()) found.set(path, entry)
  return found
}

async function content(iso: IsoImage, entry: IsoEntry): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.size)
  await iso.read(entry, 0, bytes)
  return bytes
}

test.skipIf('missing' in GRUB && !process.env['CI'])('GRUB’s rescue CD', async () => {
  if ('missing' in GRUB) throw new Error(GRUB.missing)
  const iso = await openIso(await diskFile(GRUB.path, true))
  expect(iso.names).toBe('Rock Ridge')
  const found = await entries(iso)
  const image = found.get('boot/grub/i386-pc/eltorito.img')
  expect(image?.kind).toBe('file')
  expect(iso.bootEntries).toContainEqual({ platform: 'bios', emulation: 'none', at: image!.parts[0]!.at, length: 2048, isDefault: true })
  const module = await content(iso, found.get('boot/grub/i386-pc/normal.mod')!)
  expect(Buffer.from(module.subarray(1, 4)).toString()).toBe('ELF')
  await iso.close()
})

/** A folder with what discs find hard: long names, links, depth, more than one sector of records. */
async function makeFolder(): Promise<{ folder: string; big: Uint8Array }> {
  const folder = join(await tempFolder(), 'files')
  const deep = join(folder, ...'abcdefghij'.split('').map((char) => `level ${char}`))
  await mkdir(deep, { recursive: true })
  const big = noise(seeded(4), 300_001)
  await writeFile(join(folder, 'big.bin'), big)
  await writeFile(join(deep, 'deep.txt'), 'deep')
  await writeFile(join(folder, `${'long name '.repeat(18)}end.txt`), 'long')
  await writeFile(join(folder, 'Ünïcode ☃.txt'), 'snow')
  await mkdir(join(folder, 'many'))
  for (let index = 0; index < 200; index++) await writeFile(join(folder, 'many', `file number ${index}.txt`), String(index))
  await symlink('../usr/./share//doc', join(folder, 'link'))
  await utimes(join(folder, 'big.bin'), 1_600_000_000, 1_600_000_000)
  return { folder, big }
}

describe.each([
  { program: 'xorriso', args: ['-as', 'mkisofs'] },
  { program: 'genisoimage', args: ['-quiet', '-input-charset', 'utf-8'] },
])('$program', ({ program, args }) => {
  const options = { timeout: 15_000 }

  test.skipIf(!isThere(program))('Rock Ridge', options, async () => {
    const { folder, big } = await makeFolder()
    const path = `${folder}.iso`
    await run(program, [...args, '-R', '-J', '-joliet-long', '-V', 'My_Disc', '-o', path, folder])
    const iso = await openIso(await diskFile(path, true))
    expect(iso).toMatchObject({ label: 'My_Disc', names: 'Rock Ridge', udf: false })
    const found = await entries(iso)
    expectSame(await content(iso, found.get('big.bin')!), big, 0)
    expect(found.get('big.bin')).toMatchObject({ modified: 1_600_000_000_000, mode: expect.any(Number) as number })
    expect(found.get(`${'long name '.repeat(18)}end.txt`)?.size).toBe(4)
    expect(found.get('Ünïcode ☃.txt')?.size).toBe(4)
    expect(found.get('link')).toMatchObject({ kind: 'link', target: '../usr/./share//doc' })
    expect(found.get('many/file number 199.txt')?.size).toBe(3)
    const deep = [...found].find(([name]) => name.endsWith('/deep.txt'))
    expect(Buffer.from(await content(iso, deep![1])).toString()).toBe('deep')
    expect((await iso.find('level a/level b/level c/level d/level e/level f/level g/level h/level i/level j/deep.txt')).size).toBe(4)
    await iso.close()
  })

  test.skipIf(!isThere(program))('Joliet, and booting', options, async () => {
    const { folder } = await makeFolder()
    await mkdir(join(folder, 'boot'))
    await writeFile(join(folder, 'boot', 'bios.img'), new Uint8Array(4096).fill(7))
    await writeFile(join(folder, 'boot', 'efi.img'), new Uint8Array(8192).fill(8))
    const path = `${folder}.iso`
    const boot = [
      '-b',
      'boot/bios.img',
      '-c',
      'boot/catalog',
      '-no-emul-boot',
      '-boot-load-size',
      '4',
      '-eltorito-alt-boot',
      '-e',
      'boot/efi.img',
      '-no-emul-boot',
    ]
    await run(program, [...args, '-J', '-joliet-long', '-V', 'JOLIET', ...boot, '-o', path, folder])
    const iso = await openIso(await diskFile(path, true))
    expect(iso.label).toBe('JOLIET')
    const bios = await iso.find('boot/bios.img')
    const efi = await iso.find('boot/efi.img')
    expect(iso.bootEntries).toMatchObject([
      { platform: 'bios', emulation: 'none', at: bios.parts[0]!.at, length: 2048, isDefault: true },
      { platform: 'uefi', emulation: 'none', at: efi.parts[0]!.at, isDefault: false },
    ])
    await iso.close()
  })
})
