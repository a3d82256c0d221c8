/**
 * The `ar` container of Debian packages (deb(5), and ar(5)'s common format): a magic, then members, each a header of 60 ASCII bytes and its
 * data, padded to an even length.
 */
import { AppError } from '../../src-shared/errors/app-error.ts'

export const AR_MAGIC = '!<arch>\n'
export const AR_HEADER_SIZE = 60

export interface ArMember {
  /** Without the trailing slash that some writers add. */
  name: string
  /** Bytes of data; the next header starts after them, at the next even offset. */
  size: number
}

export function isArMagic(bytes: Uint8Array): boolean {
  return ascii(bytes.subarray(0, 8)) === AR_MAGIC
}

/** Reads a member's header (60 bytes). Throws AppError `corrupt`. */
export function parseArHeader(header: Uint8Array): ArMember {
  const size = ascii(header.subarray(48, 58)).trimEnd()
  if (header.length < AR_HEADER_SIZE || header[58] !== 0x60 || header[59] !== 0x0a || !/^\d{1,10}$/.test(size))
    throw new AppError('corrupt', 'The archive is damaged: a member header is not as it should be.')
  return { name: ascii(header.subarray(0, 16)).trimEnd().replace(/\/$/, ''), size: Number(size) }
}

/** Offset of the header after a member whose data start at `offset`. */
export function nextArHeader(offset: number, size: number): number {
  return offset + size + (size % 2)
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
