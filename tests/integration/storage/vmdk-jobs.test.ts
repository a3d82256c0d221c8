import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { checkImage } from '../../../src-main/storage/jobs/check-image.ts'
import { convertImage } from '../../../src-main/storage/jobs/convert-image.ts'
import { mergeLayers } from '../../../src-main/storage/jobs/merge-layers.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

describe.skipIf(WITHOUT_QEMU_IMG)('VMDK as all images are opened, converted and checked', () => {
  const job = { signal: new AbortController().signal, onProgress: () => {} }

  test('an appliance’s disk is converted to qcow2 and back, packed', async () => {
    const folder = await tempFolder()
    const path = (name: string) => join(folder, name)
    await qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path('disk.vmdk'), '3G')
    await qemuIo('vmdk', path('disk.vmdk'), 'write -P 3 1M 3M', 'write -P 4 2147000000 1M')
    const source = { path: path('disk.vmdk'), format: 'vmdk' } as const
    await convertImage(source, { path: path('disk.qcow2'), format: 'qcow2', replace: false, packed: false }, job)
    await qemuImg('compare', path('disk.vmdk'), path('disk.qcow2'))
    const again = { path: path('disk.qcow2'), format: 'qcow2' } as const
    await convertImage(again, { path: path('packed.vmdk'), format: 'vmdk', replace: false, packed: true }, job)
    await convertImage(again, { path: path('plain.vmdk'), format: 'vmdk', replace: false, packed: false }, job)
    for (const name of ['packed.vmdk', 'plain.vmdk']) {
      await qemuImg('compare', path('disk.vmdk'), path(name))
      expect(await checkImage({ path: path(name), format: null, folders: [] }, false, job)).toMatchObject({ corruptions: 0 })
      expect(await readFile(path(name), 'latin1')).toContain(`SPARSE "${name}"`)
    }
  })

  test('one below an overlay is merged into it where it is one file, and refused where it has parts', async () => {
    for (const [kind, works] of [
      ['monolithicSparse', true],
      ['twoGbMaxExtentSparse', false],
    ] as const) {
      const folder = await tempFolder()
      const [base, top] = [join(folder, 'base.vmdk'), join(folder, 'top.qcow2')]
      await qemuImg('create', '-q', '-f', 'vmdk', '-o', `subformat=${kind}`, base, '64M')
      await qemuIo('vmdk', base, 'write -P 3 1M 3M')
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.vmdk', '-F', 'vmdk', top)
      await qemuIo('qcow2', top, 'write -P 4 2M 1M')
      await qemuImg('convert', '-q', '-O', 'raw', top, join(folder, 'flat'))
      const before = (await readdir(folder)).sort()
      const merging = mergeLayers({ lower: { path: base, format: 'vmdk' }, upper: { path: top, format: 'qcow2' }, folders: [] }, job)
      if (works) await merging
      else
        await expect(merging).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('base-s001.vmdk') as string })
      await qemuImg('compare', '-q', '-f', 'raw', '-F', 'qcow2', join(folder, 'flat'), top)
      expect((await readdir(folder)).sort()).toEqual(works ? ['flat', 'top.qcow2'] : before)
    }
  })

  test('parts are taken from the image’s own folder, not through links', async () => {
    const folder = await tempFolder()
    const images = join(folder, 'images')
    await mkdir(images)
    await writeFile(join(folder, 'secret'), new Uint8Array(512))
    await symlink(join(folder, 'secret'), join(images, 'flat.bin'))
    const path = join(images, 'disk.vmdk')
    await writeFile(path, '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\nRW 1 FLAT "flat.bin" 0\n')
    await expect(openImage({ path, format: 'vmdk', readOnly: true })).rejects.toMatchObject({ code: 'denied' })
    await rm(join(images, 'flat.bin'))
    await expect(openImage({ path, format: 'vmdk', readOnly: true })).rejects.toMatchObject({ code: 'not-found' })
    await symlink('other.bin', join(images, 'flat.bin'))
    await writeFile(join(images, 'other.bin'), new Uint8Array(512).fill(6))
    const image = await openImage({ path, format: 'vmdk', readOnly: false })
    expect((await readBytes(image, 0, 1))[0]).toBe(6)
    await expect(openImage({ path, format: 'vmdk', readOnly: false })).rejects.toMatchObject({ code: 'busy' })
    await image.close()
  })
})
