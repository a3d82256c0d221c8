/** A device of whose content nobody would miss anything: flushes do nothing until it is closed. */
import type { ServedDevice } from './serve-ring.ts'

export function unflushed(device: ServedDevice): ServedDevice {
  return {
    info: device.info,
    read: (offset, into) => device.read(offset, into),
    write: (offset, bytes) => device.write(offset, bytes),
    flush: () => Promise.resolve(),
    close: () => device.close(),
  }
}
