/** CRC-64 as in the .xz format (ECMA-182 polynomial, reflected), four bytes at a time. */

// The reflected polynomial 0xC96C5795D7870F42, as two 32-bit halves.
const POLY_LOW = 0xd7870f42 | 0
const POLY_HIGH = 0xc96c5795 | 0

/** TABLES_LOW[k << 8 | b]: the low half of the CRC of byte b followed by k zero bytes; TABLES_HIGH its high half. */
const TABLES_LOW = new Int32Array(4 * 256)
const TABLES_HIGH = new Int32Array(4 * 256)
for (let byte = 0; byte < 256; byte++) {
  let low = byte
  let high = 0
  for (let bit = 0; bit < 8; bit++) {
    const carry = low & 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (carry) {
      low ^= POLY_LOW
      high ^= POLY_HIGH
    }
  }
  TABLES_LOW[byte] = low
  TABLES_HIGH[byte] = high
}
for (let entry = 256; entry < 4 * 256; entry++) {
  const low = TABLES_LOW[entry - 256]!
  const high = TABLES_HIGH[entry - 256]!
  TABLES_LOW[entry] = ((low >>> 8) | (high << 24)) ^ TABLES_LOW[low & 0xff]!
  TABLES_HIGH[entry] = (high >>> 8) ^ TABLES_HIGH[low & 0xff]!
}

export class Crc64 {
  #low = -1
  #high = -1

  update(bytes: Uint8Array): void {
    let low = this.#low
    let high = this.#high
    const length = bytes.length
    let at = 0
    for (; at + 4 <= length; at += 4) {
      const b0 = 768 + ((low ^ bytes[at]!) & 0xff)
      const b1 = 512 + (((low >>> 8) ^ bytes[at + 1]!) & 0xff)
      const b2 = 256 + (((low >>> 16) ^ bytes[at + 2]!) & 0xff)
      const b3 = ((low >>> 24) ^ bytes[at + 3]!) & 0xff
      low = high ^ TABLES_LOW[b0]! ^ TABLES_LOW[b1]! ^ TABLES_LOW[b2]! ^ TABLES_LOW[b3]!
      high = TABLES_HIGH[b0]! ^ TABLES_HIGH[b1]! ^ TABLES_HIGH[b2]! ^ TABLES_HIGH[b3]!
    }
    for (; at < length; at++) {
      const b = (low ^ bytes[at]!) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ TABLES_LOW[b]!
      high = (high >>> 8) ^ TABLES_HIGH[b]!
    }
    this.#low = low
    this.#high = high
  }

  /** The 8 bytes of the value, low byte first, as .xz stores it. */
  digest(): Uint8Array {
    const bytes = new Uint8Array(8)
    const view = new DataView(bytes.buffer)
    view.setInt32(0, ~this.#low, true)
    view.setInt32(4, ~this.#high, true)
    return bytes
  }
}
