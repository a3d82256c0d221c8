/** Entries of a refcount block, which have 1 to 64 bits (qcow2.rst, "Host cluster management": below a byte, bit 0 is the least significant). Pure. */
export interface RefcountWidth {
  bits: number
  /** The highest count that an entry can hold, and that is used here. */
  max: number
  /** A count above 2^53 comes out as a number that is above it, too. */
  get(block: DataView, index: number): number
  set(block: DataView, index: number, count: number): void
}

/** @param bits 1, 2, 4, 8, 16, 32 or 64 */
export function refcountWidth(bits: number): RefcountWidth {
  switch (bits) {
    case 8:
      return { bits, max: 0xff, get: (block, index) => block.getUint8(index), set: (block, index, count) => block.setUint8(index, count) }
    case 16:
      return {
        bits,
        max: 0xffff,
        get: (block, index) => block.getUint16(index * 2),
        set: (block, index, count) => block.setUint16(index * 2, count),
      }
    case 32:
      return {
        bits,
        max: 0xffffffff,
        get: (block, index) => block.getUint32(index * 4),
        set: (block, index, count) => block.setUint32(index * 4, count),
      }
    case 64:
      return {
        bits,
        max: Number.MAX_SAFE_INTEGER,
        get: (block, index) => block.getUint32(index * 8) * 2 ** 32 + block.getUint32(index * 8 + 4),
        set(block, index, count) {
          block.setUint32(index * 8, Math.floor(count / 2 ** 32))
          block.setUint32(index * 8 + 4, count >>> 0)
        },
      }
    default:
      return partsOfBytes(bits)
  }
}

function partsOfBytes(bits: number): RefcountWidth {
  const perByte = 8 / bits
  const mask = 2 ** bits - 1
  return {
    bits,
    max: mask,
    get: (block, index) => (block.getUint8(Math.floor(index / perByte)) >> ((index % perByte) * bits)) & mask,
    set(block, index, count) {
      const at = Math.floor(index / perByte)
      const shift = (index % perByte) * bits
      block.setUint8(at, (block.getUint8(at) & ~(mask << shift)) | (count << shift))
    },
  }
}
