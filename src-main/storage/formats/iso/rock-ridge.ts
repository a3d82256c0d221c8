/**
 * Names, modes, links and times of POSIX in the system use fields: the System Use Sharing Protocol (SUSP 1.12: SP, CE, ST) and the Rock Ridge Interchange
 * Protocol (RRIP 1.12: NM, PX, SL, TF, CL, RE). Entries are two letters, a length, a version, and data; a CE entry goes on elsewhere on the disc.
 */
import { longTime, shortTime } from './directory-record.ts'
import { ascii, view } from './volume-descriptors.ts'

/** Areas that one record may go on in. */
const MOST_CONTINUATIONS = 16
/** Bytes of one such area: a sector is the usual most. */
const LARGEST_CONTINUATION = 32 * 1024
/** Characters of a link's target, as of Linux's paths. */
const LONGEST_TARGET = 4096
const LONGEST_NAME = 1024

export interface RockRidge {
  /** null: the record's own name stands. */
  name: string | null
  /** POSIX file mode with its type; null: not said. */
  mode: number | null
  target: string | null
  modified: number | null
  /** The block of the folder that this record stands for: folders deeper than eight levels are kept elsewhere. */
  childBlock: number | null
  /** The folder is in this place only because it is too deep for its own, where a record stands for it. */
  isRelocated: boolean
  /** The file's bytes are compressed on the disc (zisofs). */
  isCompressed: boolean
}

/** Reads `length` bytes from `offset` of a block on. */
export type ReadArea = (block: number, offset: number, length: number) => Promise<Uint8Array>

/**
 * SUSP 5.3: whether the root's own record begins with the SP entry.
 * @returns bytes to pass over in the system use field of all other records; null: the disc does not use SUSP
 */
export function suspSkip(systemUse: Uint8Array): number | null {
  const isThere = systemUse.length >= 7 && ascii(systemUse, 0, 2) === 'SP' && systemUse[4] === 0xbe && systemUse[5] === 0xef
  return isThere ? systemUse[6]! : null
}

/** What is malformed ends its area; the record stands with what was read before. */
export async function readRockRidge(systemUse: Uint8Array, read: ReadArea): Promise<RockRidge> {
  const found: RockRidge = {
    name: null,
    mode: null,
    target: null,
    modified: null,
    childBlock: null,
    isRelocated: false,
    isCompressed: false,
  }
  const link = new LinkTarget()
  const nameParts: Uint8Array[] = []
  let area: Uint8Array | null = systemUse
  for (let count = 0; area && count <= MOST_CONTINUATIONS; count++) {
    let next: { block: number; offset: number; length: number } | null = null
    for (const { signature, data } of entries(area)) {
      const fields = view(data)
      if (signature === 'ST') break
      if (signature === 'CE' && data.length >= 24)
        next = { block: fields.getUint32(0, true), offset: fields.getUint32(8, true), length: fields.getUint32(16, true) }
      else if (signature === 'NM' && data.length > 1 && (data[0]! & 6) === 0) nameParts.push(data.subarray(1))
      else if (signature === 'PX' && data.length >= 4) found.mode = fields.getUint32(0, true)
      else if (signature === 'SL' && data.length >= 1) link.add(data.subarray(1))
      else if (signature === 'TF' && data.length >= 1) found.modified = modifiedOf(data) ?? found.modified
      else if (signature === 'CL' && data.length >= 4) found.childBlock = fields.getUint32(0, true)
      else if (signature === 'RE') found.isRelocated = true
      else if (signature === 'ZF') found.isCompressed = true
    }
    area = next && next.length <= LARGEST_CONTINUATION ? await read(next.block, next.offset, next.length) : null
  }
  if (nameParts.length > 0) found.name = new TextDecoder().decode(Buffer.concat(nameParts)).slice(0, LONGEST_NAME)
  found.target = link.text
  return found
}

function* entries(area: Uint8Array): Generator<{ signature: string; data: Uint8Array }> {
  for (let at = 0; at + 4 <= area.length;) {
    const length = area[at + 2]!
    if (length < 4 || at + length > area.length) return
    yield { signature: ascii(area, at, 2), data: area.subarray(at + 4, at + length) }
    at += length
  }
}

/** RRIP 4.1.6: the flags say which times follow each other, and in which form. The second one is of modification. */
function modifiedOf(data: Uint8Array): number | null {
  const flags = data[0]!
  if (!(flags & 2)) return null
  const long = (flags & 0x80) !== 0
  const at = 1 + (flags & 1 ? (long ? 17 : 7) : 0)
  return long ? longTime(data.subarray(at, at + 17)) : shortTime(data.subarray(at, at + 7))
}

/** RRIP 4.1.3: components, each of which may go on in the next, in one SL entry or several. */
class LinkTarget {
  #path: string | null = null
  #goesOn = false

  add(components: Uint8Array): void {
    for (let at = 0; at + 2 <= components.length;) {
      const flags = components[at]!
      const length = components[at + 1]!
      const part =
        flags & 2 ? '.' : flags & 4 ? '..' : flags & 8 ? '/' : new TextDecoder().decode(components.subarray(at + 2, at + 2 + length))
      const before = this.#path
      if (before === null) this.#path = part
      else this.#path = (this.#goesOn || before.endsWith('/') ? before : `${before}/`) + part
      if (this.#path.length > LONGEST_TARGET) this.#path = this.#path.slice(0, LONGEST_TARGET)
      this.#goesOn = (flags & 1) !== 0
      at += 2 + length
    }
  }

  get text(): string | null {
    return this.#path
  }
}
