/**
 * The x86 filter of .xz files, undone (The .xz File Format, section 5.3.2; the transformation itself is defined by the LZMA SDK's Bra86).
 *
 * Packing made the relative targets of CALL (e8) and JMP (e9) absolute, so that equal targets look alike wherever they are called from. Only
 * targets whose highest byte is 00 or ff are taken for such, and an opcode within the four bytes of another one is doubtful: `#mask` remembers,
 * for the last three bytes, which of them looked like an opcode and were not changed.
 */

/** Bytes of an instruction: opcode and target. */
const INSTRUCTION = 5
/** By mask: whether an instruction may follow there, and which byte of its target the nearest opcode before it covers. */
const ALLOWED = [true, true, true, false, true, false, false, false]
const COVERED = [0, 1, 2, 2, 3, 3, 3, 3]

export class X86Filter {
  #onOutput: (bytes: Uint8Array) => void
  /** What could not be decided yet: fewer bytes than an instruction has. */
  #rest = new Uint8Array(0)
  /** Where `#rest` begins in the whole output. */
  #position = 0
  #mask = 0

  /** @param onOutput gets bytes that are valid during the call only */
  constructor(onOutput: (bytes: Uint8Array) => void) {
    this.#onOutput = onOutput
  }

  push(bytes: Uint8Array): void {
    const data = new Uint8Array(this.#rest.length + bytes.length)
    data.set(this.#rest)
    data.set(bytes, this.#rest.length)
    const done = this.#convert(data)
    this.#position += done
    this.#rest = data.subarray(done)
    this.#onOutput(data.subarray(0, done))
  }

  /** The last bytes are no whole instruction and stay as they are. */
  end(): void {
    this.#onOutput(this.#rest)
  }

  /** @returns how many of the bytes are final */
  #convert(data: Uint8Array): number {
    let mask = this.#mask
    // Where the last doubtful opcode was, counted so that the mask's lowest bit is the byte before `at`.
    let last = -1
    let at = 0
    const end = data.length - INSTRUCTION + 1
    for (;;) {
      while (at < end && (data[at]! & 0xfe) !== 0xe8) at++
      if (at >= end) break
      const distance = at - last
      mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7
      last = at
      const doubtful = mask !== 0 && (!ALLOWED[mask] || isSign(data[at + 4 - COVERED[mask]!]!))
      if (doubtful || !isSign(data[at + 4]!)) {
        mask = ((mask << 1) & 7) | 1
        at++
        continue
      }
      putTarget(data, at + 1, relative(target(data, at + 1), this.#position + at + INSTRUCTION, mask))
      at += INSTRUCTION
    }
    const done = Math.max(0, Math.min(at, data.length))
    const distance = done - last
    this.#mask = distance > 3 ? 0 : (mask << (distance - 1)) & 7
    return done
  }
}

/** @param next where the next instruction begins */
function relative(absolute: number, next: number, mask: number): number {
  let source = absolute
  for (;;) {
    const result = (source - next) | 0
    if (mask === 0) return result
    const bits = COVERED[mask]! * 8
    if (!isSign((result >>> (24 - bits)) & 0xff)) return result
    // The packer would not have made this of it: it had turned these bytes once more.
    source = result ^ ((1 << (32 - bits)) - 1)
  }
}

function isSign(byte: number): boolean {
  return byte === 0 || byte === 0xff
}

function target(data: Uint8Array, at: number): number {
  return data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)
}

function putTarget(data: Uint8Array, at: number, value: number): void {
  data[at] = value
  data[at + 1] = value >> 8
  data[at + 2] = value >> 16
  // Bit 24 is the sign; the packer kept no more of the highest byte.
  data[at + 3] = value & (1 << 24) ? 0xff : 0
}
