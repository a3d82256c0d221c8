/** Tar archives as others write them, hostile ones too. */
import { writeFile } from 'node:fs/promises'
import { concatBytes, utf8 } from '../../src-shared/base/bytes.ts'
import { tarEnd, tarHeader, tarPadding } from '../../src-main/archive/tar-writer.ts'
import { TAR_BLOCK } from '../../src-main/archive/tar.ts'

export interface TarFile {
  name: string
  data: Uint8Array | string
  /** A header’s type, where it is another than a file’s. */
  flag?: string
  /** What the header says, where that is another than what follows. */
  size?: number
}

export async function writeTar(path: string, files: readonly TarFile[]): Promise<void> {
  const parts = files.flatMap(({ name, data, flag, size }) => {
    const bytes = typeof data === 'string' ? utf8(data) : data
    const header = tarHeader({ name, type: 'file', size: size ?? bytes.length, mtime: 1_700_000_000 })
    return [flag === undefined ? header : withFlag(header, flag), bytes, tarPadding(bytes.length)]
  })
  await writeFile(path, concatBytes([...parts, tarEnd()]))
}

function withFlag(header: Uint8Array, flag: string): Uint8Array {
  const block = Uint8Array.from(header)
  const at = block.length - TAR_BLOCK
  block[at + 156] = flag.charCodeAt(0)
  block.fill(0x20, at + 148, at + 156)
  const sum = block.subarray(at).reduce((total, byte) => total + byte, 0)
  block.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), at + 148)
  return block
}
