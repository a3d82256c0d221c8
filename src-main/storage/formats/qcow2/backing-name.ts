/**
 * Where a header says what the image rests on (qcow2.rst, "Header", "Header extensions"): the format in an extension, the name behind the extensions.
 * Pure.
 *
 * A change must be there or not, whatever tears. So the first sector is changed by one write, and all that lies behind it is written before, to
 * where the old header has nothing: the new name beside the old one, a new extension behind the last one. An extension that is there already is
 * changed in place; its eight bytes do not cross a sector.
 */
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { NamedBacking } from '../../disk-image.ts'
import { EXTENSION, FIELD, formatName, HEADER_SECTOR, V2_HEADER_BYTES } from './header.ts'
import { MAX_BACKING_NAME_BYTES } from './limits.ts'

/**
 * @param head the first cluster, as it was accepted by `readQcow2Header`
 * @returns the first cluster as it is to be; all that differs past the first sector is not used by the old header, or an extension's format
 * @throws AppError `invalid-input`: the name does not fit
 */
export function withBacking(head: Uint8Array, backing: NamedBacking | null): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(head)
  const fields = new DataView(bytes.buffer)
  const oldAt = Number(fields.getBigUint64(FIELD.backingOffset))
  const oldEnd = oldAt === 0 ? 0 : oldAt + fields.getUint32(FIELD.backingLength)
  const refuse = (): never => {
    const message = `“${backing?.path ?? ''}” cannot be the name of a backing file in this image.`
    throw AppError.invalid([{ path: 'backing.path', message }])
  }
  // Old and new may share room only in the first sector.
  const clear = (from: number, to: number): boolean =>
    to <= bytes.length && (to <= HEADER_SECTOR || oldEnd <= HEADER_SECTOR || Math.max(from, oldAt, HEADER_SECTOR) >= Math.min(to, oldEnd))

  const { at, length, end } = formatExtension(fields, oldAt)
  const format = utf8(!backing || backing.format === null ? '' : formatName(backing.format))
  const free = end + (at === null && format.length > 0 ? 24 : 8) // behind the extension that ends the list
  if (!clear(end, free)) refuse()
  bytes.fill(0, end, free)
  if (at !== null && backing) {
    const room = Math.ceil(length / 8) * 8
    if (format.length > room) refuse()
    // The next extension stays where it is.
    if (Math.ceil(format.length / 8) * 8 === room) fields.setUint32(at + 4, format.length)
    bytes.fill(0, at + 8, at + 8 + room)
    bytes.set(format, at + 8)
  } else if (format.length > 0) {
    fields.setUint32(end, EXTENSION.backingFormat)
    fields.setUint32(end + 4, format.length)
    bytes.set(format, end + 8)
  }

  const name = utf8(backing?.path ?? '')
  if (backing && (name.length === 0 || name.length > MAX_BACKING_NAME_BYTES || backing.path.includes('\0'))) refuse()
  const place = backing ? ([free, Math.max(free, oldEnd)].find((start) => clear(start, start + name.length)) ?? refuse()) : 0
  if (backing) bytes.set(name, place)
  fields.setBigUint64(FIELD.backingOffset, BigInt(place))
  fields.setUint32(FIELD.backingLength, name.length)
  return bytes
}

/** @returns where the extension with the backing's format begins and how long its data is, and where the list ends */
function formatExtension(fields: DataView, nameAt: number): { at: number | null; length: number; end: number } {
  let at = fields.getUint32(FIELD.version) === 2 ? V2_HEADER_BYTES : fields.getUint32(FIELD.headerLength)
  const limit = nameAt >= at ? nameAt : fields.byteLength
  let found: number | null = null
  let length = 0
  while (at + 8 <= limit && fields.getUint32(at) !== EXTENSION.end) {
    const size = fields.getUint32(at + 4)
    if (fields.getUint32(at) === EXTENSION.backingFormat && found === null) {
      found = at
      length = size
    }
    at += 8 + Math.ceil(size / 8) * 8
  }
  return { at: found, length, end: at }
}
