/** Several devices, one after the other, as one. Sizes are in bytes. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { BlockDevice } from '../../block-device.ts'
import { requestGuard } from '../../request-guard.ts'

interface Part {
  device: BlockDevice
  start: number
}

/**
 * @param devices at least one, owned from now on, their sizes together `info.size`
 * @param name for sentences
 */
export function joinedDisk(devices: readonly BlockDevice[], info: BlockInfo, name: string): BlockDevice {
  const guard = requestGuard(info, name)
  const parts: Part[] = []
  let size = 0
  for (const device of devices) {
    parts.push({ device, start: size })
    size += device.info.size
  }
  /** The index of the part that has this byte. */
  const at = (offset: number): number => {
    let low = 0
    let high = parts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (parts[middle]!.start <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
  const each = async (
    offset: number,
    length: number,
    run: (device: BlockDevice, within: number, from: number, length: number) => Promise<void>,
  ): Promise<void> => {
    for (let from = 0, index = at(offset); from < length; index++) {
      const { device, start } = parts[index]!
      const within = offset + from - start
      const piece = Math.min(length - from, device.info.size - within)
      await run(device, within, from, piece)
      from += piece
    }
  }
  let closing: Promise<void> | null = null
  return {
    info,
    async read(offset, into) {
      guard.reading(offset, into.length)
      await each(offset, into.length, (device, within, from, length) => device.read(within, into.subarray(from, from + length)))
    },
    async write(offset, bytes) {
      guard.writing(offset, bytes.length)
      await each(offset, bytes.length, (device, within, from, length) => device.write(within, bytes.subarray(from, from + length)))
    },
    async writeZeroes(offset, length) {
      guard.writing(offset, length)
      await each(offset, length, (device, within, _from, piece) => device.writeZeroes(within, piece))
    },
    async discard(offset, length) {
      guard.writing(offset, length)
      await each(offset, length, (device, within, _from, piece) => device.discard(within, piece))
    },
    async flush() {
      guard.open()
      await Promise.all(devices.map((device) => device.flush()))
    },
    async extent(offset, length) {
      guard.reading(offset, length)
      if (length === 0) throw new AppError('invalid-input', 'An extent of no bytes was asked for.')
      const { device, start } = parts[at(offset)]!
      return device.extent(offset - start, Math.min(length, start + device.info.size - offset))
    },
    close() {
      guard.end()
      closing ??= Promise.allSettled(devices.map((device) => device.close())).then((results) => {
        const failed = results.find((result) => result.status === 'rejected')
        if (failed) throw failed.reason
      })
      return closing
    },
  }
}
