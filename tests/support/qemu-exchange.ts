/** One image, written by us and by qemu-io in turn, and compared by qemu-img after each turn. */
import { open as openFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import type { DiskImage, OpenImageOptions } from '../../src-main/storage/disk-image.ts'
import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { byteFile } from '../../src-main/storage/file/open-byte-file.ts'
import { actLikeModel, expectSame } from './disk-model.ts'
import { qemuImg, qemuIo } from './qemu-img.ts'
import { readBytes } from './read-bytes.ts'
import { seeded } from './seeded.ts'
import { tempFolder } from './temp-folder.ts'

/** Bytes: no multiple of any format's blocks. */
const SIZE = 37 * 1024 * 1024 + 5 * 512

export interface Exchange {
  /** qemu's name of it. */
  format: string
  /** Of `qemu-img create -o`, where qemu-img makes the image. */
  options?: string
  /** Whether qemu-img can check the format. */
  check?: boolean
  /** We make the image. */
  create?(file: ByteFile, choice: { size: number }): Promise<void>
  open(file: ByteFile, options: OpenImageOptions, folder: string): Promise<DiskImage>
  /** Bytes, where the format cannot have just any. */
  size?: number
  /** We only read it. */
  readOnly?: boolean
}

export async function diskFile(path: string, readOnly = false): Promise<ByteFile> {
  return byteFile(await openFile(path, readOnly ? 'r' : 'r+'), path, (await stat(path)).size, readOnly)
}

export async function exchangeWithQemu(exchange: Exchange): Promise<void> {
  const { format, options, open } = exchange
  const size = exchange.size ?? SIZE
  const folder = await tempFolder()
  const path = join(folder, `disk.${format}`)
  if (exchange.create) {
    await writeFile(path, '')
    const file = await diskFile(path)
    await exchange.create(file, { size })
    await file.close()
  } else await qemuImg('create', '-q', '-f', format, ...(options ? ['-o', options] : []), path, String(size))

  const openAgain = async (): Promise<BlockDevice> =>
    open(await diskFile(path, exchange.readOnly), { openBacking: () => Promise.resolve(null) }, folder)
  const model = new Uint8Array(size)
  const random = seeded(size)
  for (let turn = 0; turn < 2; turn++) {
    const commands: string[] = []
    for (let count = 0; count < 12; count++) {
      const length = 1 + random(random(2) ? 3_000_000 : 5000)
      const offset = random(size - length)
      const pattern = random(255) + 1
      const zero = random(4) === 0
      commands.push(zero ? `write -z ${offset} ${length}` : `write -P ${pattern} ${offset} ${length}`)
      model.fill(zero ? 0 : pattern, offset, offset + length)
    }
    await qemuIo(format, path, ...commands)
    const device = await openAgain()
    if (exchange.readOnly) {
      expectSame(await readBytes(device, 0, size), model, 0)
      await device.close()
    } else {
      expectSame(await readBytes(device, 0, size), model, 0)
      const reopen = async (old: BlockDevice): Promise<BlockDevice> => (await old.close(), openAgain())
      const last = await actLikeModel(device, model, { seed: turn + 1, steps: 25, longest: 1_500_000, reopen })
      await last.close()
    }
    await writeFile(join(folder, 'model.raw'), model)
    await qemuImg('compare', '-f', 'raw', '-F', format, join(folder, 'model.raw'), path)
    if (exchange.check) await qemuImg('check', '-q', '-f', format, path)
  }
}
