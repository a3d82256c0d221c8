/** Which names a guest may use in a shared folder. Pure. */
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { ErrnoName } from './errno.ts'

/** Bytes: NAME_MAX of Linux. */
const MAX_NAME = 255

/** Names of devices in every folder of Windows, also with an extension. */
const WINDOWS_DEVICES = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)/i
/** What has a meaning in Windows' paths (":" begins another stream of a file), or cannot stand there. */
// eslint-disable-next-line no-control-regex
const WINDOWS_MARKS = /[\u0000-\u001f<>:"/\\|?*]/

/**
 * Why a name cannot be one of a file directly in a folder; null where it can. What this lets through, put behind a folder's path and a
 * separator, is a file directly in that folder, and nothing else.
 */
export function nameProblem(name: string, platform: NodeJS.Platform): ErrnoName | null {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return 'EINVAL'
  if (utf8(name).length > MAX_NAME) return 'ENAMETOOLONG'
  // Windows drops full stops and spaces at the end: such a name would mean another file.
  if (platform === 'win32' && (WINDOWS_MARKS.test(name) || WINDOWS_DEVICES.test(name) || /[. ]$/.test(name))) return 'EINVAL'
  return null
}
