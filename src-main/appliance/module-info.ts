/**
 * Reads what a Linux kernel module says about itself: the `.modinfo` section of its ELF file, a row of zero-ended "key=value" texts
 * (System V ABI, "Sections"; the kernel's modpost). Debian's packages carry no modules.dep (depmod makes it at installation), so the
 * dependencies come from here. Little-endian ELF32 and ELF64.
 */
import { AppError } from '../../src-shared/errors/app-error.ts'

export interface ModuleInfo {
  /** The kernel's name for it, with underscores. */
  name: string
  /** Names of the modules that must be loaded before it. */
  depends: string[]
  /** Patterns of device and feature names that ask for it: "pci:v00001AF4d*…", "fs-ext4". */
  aliases: string[]
}

/** Sections in a module; real ones have under a thousand. */
const MAX_SECTIONS = 10_000

/** Throws AppError `corrupt` where the bytes are not such a module. */
export function parseModuleInfo(file: Uint8Array): ModuleInfo {
  const section = findSection(file, '.modinfo')
  const info: ModuleInfo = { name: '', depends: [], aliases: [] }
  for (const text of new TextDecoder().decode(section).split('\0')) {
    const equals = text.indexOf('=')
    const key = text.slice(0, equals)
    const value = text.slice(equals + 1)
    if (key === 'name') info.name = value
    else if (key === 'alias') info.aliases.push(value)
    else if (key === 'depends' && value !== '') info.depends.push(...value.split(','))
  }
  if (info.name === '') throw notAModule()
  return info
}

function notAModule(): AppError {
  return new AppError('corrupt', 'A file of the kernel package is not a kernel module.')
}

function findSection(file: Uint8Array, wanted: string): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  try {
    if (view.getUint32(0) !== 0x7f454c46 || view.getUint8(5) !== 1) throw notAModule()
    const wide = view.getUint8(4) === 2
    const word = (at: number): number => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true))
    const tableAt = word(wide ? 0x28 : 0x20)
    const entrySize = view.getUint16(wide ? 0x3a : 0x2e, true)
    const count = view.getUint16(wide ? 0x3c : 0x30, true)
    const namesIndex = view.getUint16(wide ? 0x3e : 0x32, true)
    if (count > MAX_SECTIONS) throw notAModule()
    const contents = (index: number): Uint8Array => {
      const at = tableAt + index * entrySize
      const offset = word(at + (wide ? 0x18 : 0x10))
      const size = word(at + (wide ? 0x20 : 0x14))
      return file.subarray(offset, offset + size)
    }
    const names = contents(namesIndex)
    for (let index = 0; index < count; index++) {
      const nameAt = view.getUint32(tableAt + index * entrySize, true)
      const end = names.indexOf(0, nameAt)
      if (end >= 0 && new TextDecoder().decode(names.subarray(nameAt, end)) === wanted) return contents(index)
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw notAModule()
}
