/**
 * Domain names (RFC 1035, 3.1 and 4.1.4). As text they are written as in zone files (5.1): labels with full stops between, `\.`, `\\` and `\ddd` for bytes that would be read
 * otherwise; the root is "". Upper and lower case are kept; `keyOf` is what names are compared by (RFC 4343).
 */

/** RFC 1035, 2.3.4. */
const MAX_NAME = 255
const MAX_LABEL = 63

/**
 * The name at `at`, and where what follows it stands. Null: it goes beyond the end, is too long, or points anywhere but backwards.
 */
export function readName(bytes: Uint8Array, at: number): { name: string; end: number } | null {
  const labels: string[] = []
  let length = 1
  let end = -1
  let place = at
  // Pointers lead to what stands before, so this ends.
  let least = at
  for (;;) {
    const size = bytes[place]
    if (size === undefined) return null
    if (size >= 0xc0) {
      if (place + 1 >= bytes.length) return null
      if (end < 0) end = place + 2
      const target = ((size & 0x3f) << 8) | bytes[place + 1]!
      if (target >= least) return null
      place = target
      least = target
      continue
    }
    if (size > MAX_LABEL) return null
    if (size === 0) return { name: labels.join('.'), end: end < 0 ? place + 1 : end }
    length += size + 1
    if (length > MAX_NAME || place + 1 + size > bytes.length) return null
    labels.push(labelText(bytes, place + 1, place + 1 + size))
    place += size + 1
  }
}

function labelText(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += `\\${String(byte).padStart(3, '0')}`
  }
  return text
}

/** Without pointers. Null: no name: an empty or too long label, a wrong escape. */
export function encodeName(name: string): Uint8Array<ArrayBuffer> | null {
  const bytes: number[] = []
  if (name !== '')
    for (const label of labelsOf(name)) {
      const encoded = encodeLabel(label)
      if (!encoded || encoded.length === 0 || encoded.length > MAX_LABEL) return null
      bytes.push(encoded.length, ...encoded)
    }
  bytes.push(0)
  return bytes.length > MAX_NAME ? null : Uint8Array.from(bytes)
}

/** With their escapes; none of the root. */
export function labelsOf(name: string): string[] {
  if (name === '') return []
  if (!name.includes('\\')) return name.split('.')
  const labels = ['']
  for (let at = 0; at < name.length; at++) {
    if (name[at] === '.') labels.push('')
    else labels[labels.length - 1] += name[at] === '\\' ? name.slice(at, ++at + 1) : name[at]!
  }
  return labels
}

function encodeLabel(label: string): number[] | null {
  const bytes: number[] = []
  for (const [part] of label.matchAll(/\\\d{3}|\\[^\d]|[^\\]|\\/gs)) {
    const code = part.length === 4 ? Number(part.slice(1)) : part.charCodeAt(part.length - 1)
    if (part === '\\' || code > 255) return null
    bytes.push(code)
  }
  return bytes
}

/** Letters of ASCII only: others have no case here. */
export function keyOf(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** Whether a name is the domain or stands below it; both as keys. */
export function isWithin(name: string, domain: string): boolean {
  return domain === '' || name === domain || name.endsWith(`.${domain}`)
}
