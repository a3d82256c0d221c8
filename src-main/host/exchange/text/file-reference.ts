/**
 * Names of files that a description of a machine refers to. Such names are hostile: only plain relative names below the folder or inside
 * the archive of the description are followed.
 */

/** Characters of a name, and folders deep. */
export const MAX_REFERENCE = 1024
const MAX_FOLDERS = 8

// eslint-disable-next-line no-control-regex -- finding control characters is the point
const CONTROL = /[\u0000-\u001f\u007f]/

/**
 * The name with "/" between its parts ("Snapshots/a.vdi"), or null for what is not followed: absolute paths, drive letters, URLs and
 * alternate streams (any colon), "..", control characters.
 */
export function plainName(reference: string): string | null {
  if (reference.length > MAX_REFERENCE || CONTROL.test(reference) || reference.includes(':') || !reference.isWellFormed()) return null
  const parts = reference.replaceAll('\\', '/').split('/')
  // "./a.vmdk" is a.vmdk; an empty first part is an absolute path.
  while (parts.length > 1 && parts[0] === '.') parts.shift()
  if (parts.length > MAX_FOLDERS || parts.some((part) => part === '' || part === '.' || part === '..')) return null
  return parts.join('/')
}

/**
 * A URI reference of an OVF descriptor (DSP0243 1.1, section 7.1: `ovf:href`) as a plain name. Some products write names as they are and some
 * percent-encode them (RFC 3986, section 2.1): what is present decides, else the decoded one is meant.
 */
export function plainHref(href: string, present: (name: string) => boolean): string | null {
  const raw = plainName(href)
  if (raw !== null && present(raw)) return raw
  const decoded = percentDecoded(href)
  return decoded === null ? raw : plainName(decoded)
}

function percentDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
