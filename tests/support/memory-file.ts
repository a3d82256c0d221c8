import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'

export interface MemoryFile extends ByteFile {
  /** What is in it now; valid until it changes. */
  bytes(): Uint8Array<ArrayBuffer>
}

/** A byte file in memory, for formats to be tried on. It keeps a copy of `content`. */
export function memoryFile(content: Uint8Array = new Uint8Array(0), path = 'memory.img', readOnly = false): MemoryFile {
  let size = content.length
  let room = new Uint8Array(content)
  const grow = (to: number): void => {
    if (to > room.length) {
      const larger = new Uint8Array(Math.max(to, room.length * 2))
      larger.set(room.subarray(0, size))
      room = larger
    }
    size = Math.max(size, to)
  }
  return {
    path,
    readOnly,
    get size() {
      return size
    },
    bytes: () => room.subarray(0, size),
    async read(offset, into) {
      const there = room.subarray(Math.min(offset, size), Math.min(offset + into.length, size))
      into.set(there)
      into.fill(0, there.length)
    },
    async write(offset, bytes) {
      grow(offset + bytes.length)
      room.set(bytes, offset)
    },
    async truncate(to) {
      if (to < size) room.fill(0, to, size)
      grow(to)
      size = to
    },
    async zero(offset, length) {
      room.fill(0, Math.min(offset, size), Math.min(offset + length, size))
    },
    async nextData(offset) {
      return offset < size ? { start: offset, end: size } : null
    },
    async sync() {},
    async close() {},
  }
}
