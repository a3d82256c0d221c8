/**
 * Length of the Zstandard frame that `bytes` begin with (RFC 8878, section 3.1.1): header, blocks, checksum. Pure.
 * @returns bytes; null where no frame begins here, or where it is cut off
 */
export function zstdFrameLength(bytes: Uint8Array): number | null {
  if (bytes.length < 5) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== 0xfd2fb528) return null
  const descriptor = bytes[4]!
  const singleSegment = (descriptor & 0x20) !== 0
  const contentSizeFlag = descriptor >> 6
  const contentSizeBytes = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 2 ** contentSizeFlag
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3]!
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes
  for (let last = false; !last;) {
    if (at + 3 > bytes.length) return null
    const header = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)
    last = (header & 1) !== 0
    const runLength = ((header >> 1) & 3) === 1 // the block is one byte, repeated
    at += 3 + (runLength ? 1 : header >> 3)
  }
  if ((descriptor & 4) !== 0) at += 4
  return at <= bytes.length ? at : null
}
