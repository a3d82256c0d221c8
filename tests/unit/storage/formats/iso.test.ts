import { describe, expect, test } from 'vitest'
import { openIso, type IsoImage } from '../../../../src-main/storage/formats/iso/iso-image.ts'
import { isIso } from '../../../../src-main/storage/formats/iso/volume-descriptors.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { fuzzRuns, fuzzSeed } from '../../../support/hostile-image.ts'
import { bootCatalogue, both, buildIso, susp, type IsoChoice, type IsoNode } from '../../../support/iso-builder.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { noise, seeded } from '../../../support/seeded.ts'

const openBytes = (bytes: Uint8Array) => openIso(memoryFile(bytes, 'disc.iso', true))
const openBuilt = (choice: IsoChoice) => openBytes(buildIso(choice))
const px = (mode: number) => susp('PX', both(mode), both(1), both(0), both(0))

async function text(iso: IsoImage, path: string): Promise<string> {
  const entry = await iso.find(path)
  const bytes = new Uint8Array(entry.size)
  await iso.read(entry, 0, bytes)
  return Buffer.from(bytes).toString()
}

async function names(iso: IsoImage): Promise<string[]> {
  const found: string[] = []
  for await (const { path } of iso.walk()) found.push(path)
  return found.sort()
}

const TREE: IsoNode[] = [
  { name: 'README.TXT;1', longName: 'Read me first.txt', data: utf8('hello') },
  { name: 'EMPTY.;1', longName: 'empty' },
  {
    name: 'BOOT',
    longName: 'boot',
    children: [{ name: 'KERNEL.;1', longName: 'vmlinuz-6.1', data: noise(seeded(1), 5000) }],
  },
]

describe('ISO 9660', () => {
  test('names of the standard itself', async () => {
    const iso = await openBuilt({ root: TREE, label: 'A_DISC' })
    expect(iso).toMatchObject({ label: 'A_DISC', names: 'ISO 9660', udf: false, bootEntries: [] })
    expect(await names(iso)).toEqual(['BOOT', 'BOOT/KERNEL', 'EMPTY', 'README.TXT'])
    expect(await text(iso, '/README.TXT')).toBe('hello')
    expect(await iso.find('README.TXT')).toMatchObject({
      kind: 'file',
      size: 5,
      mode: null,
      modified: Date.UTC(2024, 1, 29, 11, 30, 15),
    })
    expect((await iso.find('')).kind).toBe('folder')
    const kernel = await iso.find('BOOT/KERNEL')
    const part = new Uint8Array(100)
    await iso.read(kernel, 3000, part)
    expect(part).toEqual(noise(seeded(1), 5000).subarray(3000, 3100))
    await iso.close()
  })

  test('Joliet’s names and label', async () => {
    const iso = await openBuilt({ root: TREE, joliet: true, jolietLabel: 'Größe' })
    expect(iso).toMatchObject({ label: 'Größe', names: 'Joliet' })
    expect(await names(iso)).toEqual(['Read me first.txt', 'boot', 'boot/vmlinuz-6.1', 'empty'])
  })

  test('Rock Ridge’s names, modes, links and times come before Joliet’s', async () => {
    const iso = await openBuilt({
      joliet: true,
      rockRidge: true,
      root: [
        {
          name: 'A.;1',
          longName: 'ä.txt',
          rockRidge: [px(0o100640), susp('TF', 2, new Uint8Array([100, 1, 2, 3, 4, 5, 0]))],
          data: utf8('x'),
        },
        { name: 'L1.;1', longName: 'l1', rockRidge: [px(0o120777), susp('SL', 0, 8, 0, 0, 3, utf8('usr'), 0, 3, utf8('lib'))] },
        {
          name: 'L2.;1',
          longName: 'l2',
          rockRidge: [px(0o120777), susp('SL', 1, 4, 0, 1, 2, utf8('lo')), susp('SL', 0, 0, 2, utf8('ng'))],
        },
        { name: 'TTY.;1', longName: 'tty', rockRidge: [px(0o020600)] },
        { name: 'Z.;1', longName: 'z', rockRidge: [px(0o100644), susp('ZF', utf8('pz'), 4, 15, both(9))], data: utf8('zz') },
      ],
    })
    expect(iso.names).toBe('Rock Ridge')
    const found = new Map((await iso.list(iso.root)).map((entry) => [entry.name, entry]))
    expect(found.get('ä.txt')).toMatchObject({ kind: 'file', mode: 0o640, modified: Date.UTC(2000, 0, 2, 3, 4, 5) })
    expect(found.get('l1')).toMatchObject({ kind: 'link', target: '/usr/lib' })
    expect(found.get('l2')).toMatchObject({ kind: 'link', target: '../long' })
    expect(found.get('tty')!.kind).toBe('other')
    await expect(iso.read(found.get('z')!, 0, new Uint8Array(1))).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('names that go on elsewhere, and names that are traps', async () => {
    const long = 'n'.repeat(200)
    const area = new Uint8Array(2048)
    area.set(susp('NM', 0, utf8('-end')))
    const root: IsoNode[] = [
      { name: 'AREA.;1', longName: 'area', data: area },
      { name: 'LONG.;1', longName: long.slice(0, 100), rockRidge: [susp('CE', both(36), both(0), both(2048))] },
      { name: 'UP.;1', longName: '..' },
      { name: 'OUT.;1', longName: '../../etc/passwd' },
    ]
    // The area is the first file that is placed, after the root's two sectors.
    root[1]!.rockRidge = [susp('CE', both(34), both(0), both(9))]
    const iso = await openBuilt({ rockRidge: true, root })
    expect(await names(iso)).toEqual(['.._.._etc_passwd', '_', 'area', `${long.slice(0, 100)}-end`])
  })

  test('a file of several parts', async () => {
    const iso = await openBuilt({
      root: [
        { name: 'BIG.;1', data: new Uint8Array(2048).fill(1), flags: 0x80 },
        { name: 'BIG.;1', data: new Uint8Array(100).fill(2) },
      ],
    })
    const [big] = await iso.list(iso.root)
    expect(big).toMatchObject({ size: 2148, parts: [{ length: 2048 }, { length: 100 }] })
    const bytes = new Uint8Array(4)
    await iso.read(big!, 2046, bytes)
    expect([...bytes]).toEqual([1, 1, 2, 2])
    await expect(iso.read(big!, 2146, bytes)).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('what can be booted', async () => {
    const catalogue = bootCatalogue(
      0,
      [0x88, 0, 0, 0, 0, 0, 4, 0, 40, 0, 0, 0],
      [0x90, 0xef, 1, 0],
      [0x88, 0, 0, 0, 0, 0, 0, 16, 50, 0, 0, 0],
      [0x91, 0, 2, 0],
      [0x88, 2, 0, 0, 0, 0, 1, 0, 60, 0, 0, 0],
      [0x44],
      [0x00, 4, 0, 0, 0, 0, 1, 0, 61, 0, 0, 0],
    )
    const iso = await openBuilt({ root: TREE, bootCatalogue: catalogue })
    expect(iso.bootEntries).toEqual([
      { platform: 'bios', emulation: 'none', at: 40 * 2048, length: 2048, isDefault: true },
      { platform: 'uefi', emulation: 'none', at: 50 * 2048, length: 4096 * 512, isDefault: false },
      { platform: 'bios', emulation: 'floppy-1.44M', at: 60 * 2048, length: 512, isDefault: false },
    ])
    catalogue[5] = 1 // the sum is wrong
    expect((await openBuilt({ root: TREE, bootCatalogue: catalogue })).bootEntries).toEqual([])
  })

  test('UDF beside it is told; UDF alone is refused', async () => {
    expect((await openBuilt({ root: TREE, udf: 'too' })).udf).toBe(true)
    await expect(openBuilt({ root: TREE, udf: 'alone' })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('UDF') as string,
    })
    await expect(openBytes(new Uint8Array(40_000))).rejects.toMatchObject({ code: 'corrupt' })
    await expect(openBytes(new Uint8Array(10))).rejects.toMatchObject({ code: 'corrupt' })
    expect(isIso(buildIso({ root: [] }))).toBe(true)
    expect(isIso(new Uint8Array(34 * 1024))).toBe(false)
  })

  test('says what is missing', async () => {
    const bytes = buildIso({ root: TREE })
    const iso = await openBytes(bytes.subarray(0, bytes.length - 2048))
    await expect(iso.find('BOOT/NOTHING')).rejects.toMatchObject({ code: 'not-found' })
    await expect(iso.find('README.TXT/X')).rejects.toMatchObject({ code: 'not-found' })
    await expect(text(iso, 'BOOT/KERNEL')).rejects.toMatchObject({ code: 'corrupt' })
    await expect(iso.list(await iso.find('README.TXT'))).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('a folder within itself ends', async () => {
    const bytes = buildIso({ root: [{ name: 'LOOP', children: [] }] })
    const iso = await openBytes(bytes)
    const loop = (await iso.list(iso.root))[0]!
    const fields = new DataView(bytes.buffer)
    const record = iso.root.parts[0]!.at + 34 + 34
    fields.setUint32(record + 2, iso.root.parts[0]!.at / 2048, true)
    const looped = await openBytes(bytes)
    expect(await names(looped)).toEqual(['LOOP'])
    expect(loop.depth).toBe(1)
    await expect(looped.find('LOOP/'.repeat(100))).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('deep') as string,
    })
  })

  test('survives any bytes', async () => {
    const runs = fuzzRuns(2500)
    const random = seeded(fuzzSeed(runs))
    const whole = buildIso({
      root: [
        ...TREE,
        {
          name: 'L.;1',
          longName: 'l',
          rockRidge: [px(0o120777), susp('SL', 0, 0, 3, utf8('usr')), susp('CE', both(34), both(0), both(64))],
        },
        { name: 'D', longName: 'd', children: TREE, rockRidge: [susp('CL', both(34))] },
      ],
      rockRidge: true,
      joliet: true,
      bootCatalogue: bootCatalogue(0, [0x88, 0, 0, 0, 0, 0, 4, 0, 40], [0x91, 0xef, 9, 0], [0x88]),
    })
    let refused = 0
    for (let round = 0; round < runs; round++) {
      const bytes = round % 20 === 0 ? whole.slice(0, random(whole.length)) : whole.slice()
      for (let change = 0; change <= random(6); change++) {
        const at = (random(3) === 0 ? 16 : 32) * 2048 + random(8) * 2048 + random(random(2) ? 300 : 2048)
        bytes[at] = random(2) ? random(256) : [0, 1, 0x7f, 0x80, 0xff][random(5)]!
      }
      try {
        const iso = await openBytes(bytes)
        let count = 0
        for await (const { entry } of iso.walk()) {
          expect(entry.name).not.toMatch(/[/\0]|^\.{0,2}$/)
          if (entry.kind === 'file' && entry.size > 0)
            await iso.read(entry, Math.max(0, entry.size - 10), new Uint8Array(Math.min(10, entry.size)))
          if (++count > 1000) throw new Error('This does not end.')
        }
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'internal') throw error
        refused++
      }
    }
    expect(refused).toBeGreaterThan(10)
  })
})
