/** Files of the system on which operations fail. */
import { openLocked, type LockedFile } from '../../src-main/storage/file/open-locked.ts'

/** Opens as the product does; whatever writes goes through `step`, which may fail instead. */
export async function openFailing(path: string, readOnly: boolean, step: <T>(run: () => Promise<T>) => Promise<T>): Promise<LockedFile> {
  const { file, identity } = await openLocked(path, readOnly)
  const faulty = {
    ...file,
    get size() {
      return file.size
    },
    write: (offset: number, bytes: Uint8Array) => step(() => file.write(offset, bytes)),
    zero: (offset: number, length: number) => step(() => file.zero(offset, length)),
    truncate: (to: number) => step(() => file.truncate(to)),
    sync: () => step(() => file.sync()),
  }
  return { file: faulty, identity }
}
