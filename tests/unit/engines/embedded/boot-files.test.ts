import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bootOrder } from '../../../../src-main/engines/embedded/build-machine.ts'
import { checkKernel, readFirmware, readKernelBoot } from '../../../../src-main/engines/embedded/boot-files.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const MiB = 1024 * 1024

/** A header as the boot protocol 2.15 has it, and nothing behind it. */
function kernel(length = 64 * 1024): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  bytes[0x1f1] = 27
  view.setUint16(0x1fe, 0xaa55, true)
  bytes.set(new TextEncoder().encode('HdrS'), 0x202)
  view.setUint16(0x206, 0x020f, true)
  bytes[0x211] = 1
  view.setUint32(0x238, 2047, true)
  return bytes
}

describe('a kernel', () => {
  test('with a boot header is taken', () => {
    expect(() => checkKernel(kernel(), '/vmlinuz', 'quiet')).not.toThrow()
  })

  test.each([
    ['tiny', new Uint8Array(100), 'has only 100 bytes'],
    ['something else', new Uint8Array(100_000), 'HdrS'],
    ['cut short in its set-up code', kernel(2048), 'ends inside'],
    ['ancient', kernel().with(0x206, 0).with(0x207, 2), 'too old'],
  ])('that is %s is refused with its name and a reason', (_name, bytes, reason) => {
    expect(() => checkKernel(bytes, '/boot/k', '')).toThrow(reason)
    expect(() => checkKernel(bytes, '/boot/k', '')).toThrow('/boot/k')
  })

  test('takes no longer command line than it says', () => {
    expect(() => checkKernel(kernel(), '/k', 'x'.repeat(2048))).toThrow('2048 characters')
  })

  test('of 0 bytes, missing, or needing more memory than there is, gives a sentence', async () => {
    const folder = await tempFolder()
    const [empty, good, initrd] = ['empty', 'good', 'initrd'].map((name) => join(folder, name)) as [string, string, string]
    await writeFile(empty, '')
    await writeFile(good, kernel(64 * 1024 + 1))
    await writeFile(initrd, new Uint8Array(4 * MiB))
    const boot = (path: string, withInitrd: string | null, memory: number): Promise<unknown> =>
      readKernelBoot({ kernel: path, initrd: withInitrd, cmdline: '' }, memory)
    await expect(boot(empty, null, 128 * MiB)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('is empty') as string,
    })
    await expect(boot(join(folder, 'none'), null, 128 * MiB)).rejects.toMatchObject({ code: 'not-found' })
    await expect(boot(good, initrd, 64 * MiB)).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('100 MiB') as string,
    })
    const loaded = (await boot(good, initrd, 128 * MiB)) as { kernel: ArrayBuffer }
    expect(loaded.kernel.byteLength % 4).toBe(0)
  })
})

test('a BIOS of an impossible size is refused', async () => {
  const path = join(await tempFolder(), 'bios')
  await writeFile(path, new Uint8Array(1000))
  await expect(readFirmware({ bios: path, vgaBios: path })).rejects.toMatchObject({ code: 'corrupt' })
})

test('the boot order is written as SeaBIOS reads it: the first device in the lowest nibble', () => {
  expect(bootOrder(['cdrom', 'disk', 'floppy'])).toBe(0x123)
  expect(bootOrder(['disk'])).toBe(0x2)
})
