import { expect } from 'vitest'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { expectSame } from './disk-model.ts'
import { memoryFile } from './memory-file.ts'
import { expectOldOrNew, type PowerLossOptions } from './power-loss.ts'
import { readBytes } from './read-bytes.ts'
import { noise, seeded } from './seeded.ts'

/** A disk that is full at every write, once: the write (or flush) that fails says so, all else is as it was asked for, then and after opening again. */
export async function surviveFullDisk(options: PowerLossOptions): Promise<void> {
  for (let failing = 1; ; failing++) {
    const random = seeded(options.seed)
    let count = 0
    const full = (): void => {
      if (++count === failing) throw new AppError('no-space', 'The disk is full.')
    }
    const content = memoryFile(options.image)
    const device = await options.open({
      ...content,
      get size() {
        return content.size
      },
      async write(offset, bytes) {
        full()
        await content.write(offset, bytes)
      },
      async zero(offset, length) {
        full()
        await content.zero(offset, length)
      },
      async truncate(size) {
        full()
        await content.truncate(size)
      },
    })
    const disk = await readBytes(device, 0, device.info.size)
    let refused = 0
    const orRefused = async (work: Promise<void>): Promise<boolean> => {
      const error: unknown = await work.then(
        () => null,
        (reason: unknown) => reason,
      )
      if (error === null) return true
      expect(error).toMatchObject({ code: 'no-space' })
      refused++
      return false
    }
    for (let step = 0; step < options.writes; step++) {
      const length = 1 + random(options.longest)
      const offset = random(disk.length - length)
      const bytes = noise(random, length)
      if (await orRefused(device.write(offset, bytes))) disk.set(bytes, offset)
      else {
        const found = await readBytes(device, 0, disk.length)
        expectOldOrNew(found, disk, [{ kind: 'asked', offset, bytes }])
        disk.set(found)
      }
      if (random(3) === 0) await orRefused(device.flush())
    }
    expectSame(await readBytes(device, 0, disk.length), disk, 0)
    // Who closes is told too, and nothing can be done but to open it again.
    const lost = !(await orRefused(device.close()))
    if (!lost) {
      const again = await options.open(content)
      expectSame(await readBytes(again, 0, disk.length), disk, 0)
      await again.close()
    }
    expect(refused).toBe(count >= failing ? 1 : 0)
    if (count < failing) return
  }
}
