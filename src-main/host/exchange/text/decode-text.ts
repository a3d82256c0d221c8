/** Text files of other products as strings. Encoding names: WHATWG Encoding Standard, section 4.2. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'

/**
 * @param encoding a label, as in "UTF-8", "windows-1252", "GBK"
 * @param what the file, for the sentence: "debian.vmx"
 * @throws AppError `unsupported` (an encoding that nobody knows), `corrupt` (bytes that are not text of that encoding)
 */
export function decodeText(bytes: Uint8Array, encoding: string, what: string): string {
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(encoding, { fatal: true })
  } catch (cause) {
    throw new AppError('unsupported', `${what} is written in an unknown encoding (${encoding.slice(0, 40)}).`, { subject: what }, cause)
  }
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new AppError('corrupt', `${what} is not text: it has bytes that mean nothing in ${decoder.encoding}.`, { subject: what }, cause)
  }
}

/** The encoding that a byte order mark at the start tells (Unicode Standard, section 23.8); null without one. */
export function encodingByMark(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8'
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be'
  return null
}
