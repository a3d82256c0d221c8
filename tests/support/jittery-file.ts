import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { seeded } from './seeded.ts'

/** A file whose operations take place some time between call and answer, in any order: as a system's do on several threads. */
export function jitteryFile(file: ByteFile, seed: number): ByteFile {
  const random = seeded(seed)
  const later = async <T>(run: () => Promise<T>): Promise<T> => {
    for (let ticks = random(4); ticks > 0; ticks--) await new Promise((resolve) => setImmediate(resolve))
    const result = await run()
    for (let ticks = random(3); ticks > 0; ticks--) await new Promise((resolve) => setImmediate(resolve))
    return result
  }
  return {
    path: file.path,
    readOnly: file.readOnly,
    get size() {
      return file.size
    },
    read: (offset, into) => later(() => file.read(offset, into)),
    write: (offset, bytes) => later(() => file.write(offset, bytes)),
    truncate: (size) => later(() => file.truncate(size)),
    zero: (offset, length) => later(() => file.zero(offset, length)),
    nextData: (offset) => later(() => file.nextData(offset)),
    sync: () => later(() => file.sync()),
    close: () => file.close(),
  }
}
