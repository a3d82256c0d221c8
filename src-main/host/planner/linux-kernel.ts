/** How a file's bytes tell that it is a Linux kernel for PCs, and of which kind. Pure. */

/** Bytes of a file's head in which everything stands that is asked here of a kernel, but an ELF file's notes. */
export const KERNEL_HEAD = 1024
/** Linux/x86 boot protocol: the magic at 0x202, the version at 0x206, and the load flags at 0x236, which came with 2.12. */
const MAGIC = 'HdrS'
const WITH_LOAD_FLAGS = 0x020c

/** A packed kernel (bzImage). */
export function isBzImage(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(0x202, 0x206)) === MAGIC
}

/** Whether a packed kernel is for 64-bit PCs: bit 0 (XLF_KERNEL_64) of `xloadflags`. */
export function isWideBzImage(head: Uint8Array): boolean {
  if (head.length < 0x238 || !isBzImage(head)) return false
  const view = viewOf(head)
  return view.getUint16(0x206, true) >= WITH_LOAD_FLAGS && (view.getUint16(0x236, true) & 1) === 1
}

/** ELF, "ELF Header" and "Program Header": what is asked of a program for PCs. */
const ELF = [0x7f, 0x45, 0x4c, 0x46]
const LITTLE_ENDIAN = 1
const EXEC = 2
const MACHINES = { i386: 3, x86_64: 62 } as const
const NOTE = 4

export interface ElfKernel {
  /** For 64-bit PCs. */
  wide: boolean
  /** Where the file's notes are, bytes. */
  notes: { offset: number; size: number }
}

/** An ELF program for PCs that has notes; whether it is a kernel stands in them (`isPvhEntry`). Null for everything else. */
export function elfProgram(head: Uint8Array): ElfKernel | null {
  if (head.length < 64 || !ELF.every((byte, at) => head[at] === byte) || head[5] !== LITTLE_ENDIAN) return null
  const view = viewOf(head)
  const wide = head[4] === 2
  if (view.getUint16(16, true) !== EXEC || view.getUint16(18, true) !== (wide ? MACHINES.x86_64 : MACHINES.i386)) return null
  const word = (at: number): number => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true))
  const table = word(wide ? 32 : 28)
  const entry = view.getUint16(wide ? 54 : 42, true)
  const count = view.getUint16(wide ? 56 : 44, true)
  if (entry < (wide ? 56 : 32)) return null
  for (let at = table; at < table + count * entry && at + entry <= head.length; at += entry) {
    if (view.getUint32(at, true) === NOTE) return { wide, notes: { offset: word(at + (wide ? 8 : 4)), size: word(at + (wide ? 32 : 16)) } }
  }
  return null
}

/** Bytes: a kernel's notes are some hundred. */
export const MAX_NOTES = 64 * 1024
/** Xen's public `elfnote.h`: the entry point of a direct start (x86/HVM direct boot ABI, "PVH"). */
const PHYS32_ENTRY = 18

/** Whether notes (ELF, "Note Section") name an entry for a direct start. */
export function hasPvhEntry(notes: Uint8Array): boolean {
  const view = viewOf(notes)
  for (let at = 0; at + 12 <= notes.length;) {
    const [name, size, type] = [view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true)]
    if (type === PHYS32_ENTRY && String.fromCharCode(...notes.subarray(at + 12, at + 16)) === 'Xen\0') return true
    at += 12 + Math.ceil(name / 4) * 4 + Math.ceil(size / 4) * 4
  }
  return false
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
