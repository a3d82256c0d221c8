/** CRC-32C (Castagnoli; RFC 3720, B.4): polynomial 0x1edc6f41, bits reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** @param skipAt offset of four bytes that count as zeroes: the place of the checksum itself */
export function crc32c(bytes: Uint8Array, skipAt = -4): number {
  let value = 0xffff_ffff
  for (let at = 0; at < bytes.length; at++) {
    const byte = at >= skipAt && at < skipAt + 4 ? 0 : bytes[at]!
    value = TABLE[(value ^ byte) & 0xff]! ^ (value >>> 8)
  }
  return ~value >>> 0
}
