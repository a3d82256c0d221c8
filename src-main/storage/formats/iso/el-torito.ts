/** The boot catalogue: "El Torito" Bootable CD-ROM Format Specification 1.0 (Phoenix and IBM, 1995), 2; the platform of UEFI: UEFI 2.10, 13.3.2.1. */
import { ascii, SECTOR, view } from './volume-descriptors.ts'

/** Bytes of a catalogue that are looked at. It has 32 bytes for each of its few entries. */
export const CATALOGUE_SIZE = 4 * SECTOR
const ENTRY = 32
const BOOTABLE = 0x88
const SECTION = 0x90
const LAST_SECTION = 0x91
const EXTENSION = 0x44

export type BootPlatform = 'bios' | 'uefi' | 'powerpc' | 'macintosh' | 'other'
const PLATFORMS: Record<number, BootPlatform> = { 0: 'bios', 1: 'powerpc', 2: 'macintosh', 0xef: 'uefi' }

/** What the loaded image pretends to be. */
export type BootEmulation = 'none' | 'floppy-1.2M' | 'floppy-1.44M' | 'floppy-2.88M' | 'hard-disk'
const EMULATIONS: readonly BootEmulation[] = ['none', 'floppy-1.2M', 'floppy-1.44M', 'floppy-2.88M', 'hard-disk']

export interface BootEntry {
  platform: BootPlatform
  emulation: BootEmulation
  /** Bytes: where the image is in the file. */
  at: number
  /** Bytes that a BIOS loads. What programs write for UEFI often is less than there is. */
  length: number
  isDefault: boolean
}

/** @returns what can be booted; nothing where the catalogue is damaged: firmware would find nothing either */
export function parseBootCatalogue(bytes: Uint8Array): BootEntry[] {
  if (!isValid(bytes.subarray(0, ENTRY))) return []
  const found: BootEntry[] = []
  let platform = bytes[1]!
  const add = (at: number): void => {
    if (bytes[at] !== BOOTABLE) return
    const fields = view(bytes)
    const emulation = EMULATIONS[bytes[at + 1]! & 0x0f]
    if (!emulation) return
    const entry = { at: fields.getUint32(at + 8, true) * SECTOR, length: fields.getUint16(at + 6, true) * 512 }
    found.push({ platform: PLATFORMS[platform] ?? 'other', emulation, ...entry, isDefault: at === ENTRY })
  }
  add(ENTRY)
  // Sections, each a header and its entries, up to the one that says it is the last.
  for (let at = 2 * ENTRY; at + ENTRY <= bytes.length;) {
    const kind = bytes[at]
    if (kind !== SECTION && kind !== LAST_SECTION) break
    platform = bytes[at + 1]!
    let left = view(bytes).getUint16(at + 2, true)
    at += ENTRY
    for (; left > 0 && at + ENTRY <= bytes.length; at += ENTRY) {
      if (bytes[at] === EXTENSION) continue
      add(at)
      left--
    }
    while (at + ENTRY <= bytes.length && bytes[at] === EXTENSION) at += ENTRY
    if (kind === LAST_SECTION) break
  }
  return found
}

/** 2.1: a one, a key, and words whose sum is zero. */
function isValid(entry: Uint8Array): boolean {
  if (entry.length < ENTRY || entry[0] !== 1 || ascii(entry, 30, 2) !== '\x55\xaa') return false
  let sum = 0
  for (let at = 0; at < ENTRY; at += 2) sum += view(entry).getUint16(at, true)
  return (sum & 0xffff) === 0
}
