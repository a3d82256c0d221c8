/** Names that people give and that become parts of paths. */
import { z } from 'zod'
import { utf8 } from '../base/bytes.ts'

/** Characters (code points). */
export const MAX_NAME_LENGTH = 200
/** Bytes of UTF-8: with ".coppice" a name stays under the 255 of common file systems. */
const MAX_NAME_BYTES = 240

// eslint-disable-next-line no-control-regex -- finding control characters is the point
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/u
/** Forbidden in Windows file names (and `/` everywhere): a bundle must be movable to any system. */
const RESERVED = /[<>:"/\\|?*]/u
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/iu

/** Why `name` cannot be a machine's or folder's name, as a sentence; null where it can. */
export function nameProblem(name: string): string | null {
  if (name.trim() === '') return 'The name is empty. Give it at least one character.'
  if (name !== name.trim()) return 'The name begins or ends with a space. Remove it.'
  if ([...name].length > MAX_NAME_LENGTH) return `The name is longer than ${MAX_NAME_LENGTH} characters. Choose a shorter one.`
  if (utf8(name).length > MAX_NAME_BYTES) return 'The name is too long for a file name. Choose a shorter one.'
  if (!name.isWellFormed()) return 'The name contains half a character (an unpaired surrogate). Type it again.'
  if (CONTROL.test(name)) return 'The name contains a control character. Use visible characters only.'
  const reserved = RESERVED.exec(name)
  if (reserved) return `The name contains “${reserved[0]}”, which file names cannot have on every system.`
  if (name.startsWith('.') || name.endsWith('.')) return 'The name begins or ends with a full stop. Choose another one.'
  if (WINDOWS_DEVICE.test(name)) return `“${name}” is a reserved name on Windows. Choose another one.`
  return null
}

export const nameSchema = z.string().superRefine((name, context) => {
  const problem = nameProblem(name)
  if (problem !== null) context.addIssue({ code: 'custom', message: problem })
})
