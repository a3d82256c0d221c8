/**
 * The form of VMware's .vmx files: lines of `key = "value"`, keys in any case, `#` before comments, `|22` for a character in hexadecimal, and
 * the encoding in the file itself (`.encoding`). Nobody publishes a specification: this is what Workstation 17 and ESXi 8 write, and what
 * open-vm-tools' lib/dict (dictll.c) reads.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { decodeText, encodingByMark } from '../text/decode-text.ts'

export const MAX_VMX_BYTES = 1024 * 1024
export const MAX_VMX_KEYS = 20_000

/** By lower-case key; of two with one key the last. */
export type VmxDictionary = ReadonlyMap<string, string>

/**
 * @param what the file, for sentences: "debian.vmx"
 * @throws AppError `corrupt` with the line; `unsupported` past a limit
 */
export function parseDictionary(bytes: Uint8Array, what: string): VmxDictionary {
  const limit = (is: string): AppError => new AppError('unsupported', `${what} ${is}.`, { subject: what })
  if (bytes.length > MAX_VMX_BYTES) throw limit(`has more than ${MAX_VMX_BYTES / 1024} KiB, too much for a description of a machine`)
  const text = decodeText(bytes, encodingByMark(bytes) ?? declaredEncoding(bytes), what)
  const entries = new Map<string, string>()
  text.split(/\r\n|\n|\r/).forEach((line, index) => {
    if (/^\s*(#|$)/.test(line)) return
    const setting = parseLine(line)
    if (setting === null)
      throw new AppError('corrupt', `${what}, line ${index + 1}: it is no setting of the form name = "value".`, { subject: what })
    entries.set(setting.key, setting.value)
    if (entries.size > MAX_VMX_KEYS) throw limit(`has more than ${MAX_VMX_KEYS} settings`)
  })
  return entries
}

/** By hand: an expression for all of it takes time that grows with the square of a line's length. Values may stand without quotes. */
function parseLine(line: string): { key: string; value: string } | null {
  const equals = line.indexOf('=')
  const key = line.slice(0, equals).trim().toLowerCase()
  if (equals < 0 || !/^[^\s"#]+$/.test(key)) return null
  const rest = line.slice(equals + 1).trim()
  if (!rest.startsWith('"')) {
    const value = rest.split('#', 1)[0]!.trim()
    return /["\s]/.test(value) ? null : { key, value: unescape(value) }
  }
  const end = rest.indexOf('"', 1)
  const after = rest.slice(end + 1).trim()
  return end < 0 || (after !== '' && !after.startsWith('#')) ? null : { key, value: unescape(rest.slice(1, end)) }
}

function unescape(value: string): string {
  return value.replace(/\|([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)))
}

/** The encodings there are agree in ASCII, so that its name can be read before it is known. */
function declaredEncoding(bytes: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(bytes)
  // No \s: over many empty lines it would look from each of them to the last.
  return /^[ \t]*\.encoding[ \t]*=[ \t]*"([^"\r\n]{1,40})"/im.exec(text)?.[1] ?? 'utf-8'
}
