/**
 * The smallest x86 guest that shows whether an accelerator executes a real system's code, and how fast: a BIOS of 64 KiB that goes the way of
 * every boot loader (real mode, protected mode with paging, long mode), counts in memory, and says so through `isa-debug-exit`. Hypervisors
 * that are useless run firmware in real mode and hang after it.
 *
 * Theory of operation. The processor starts at FFFF:FFF0 (Intel SDM volume 3, section "First Instruction Executed"), the last 16 bytes of the
 * image, which also shows at F0000. There it jumps to the start of the image at F000:0000, and builds page tables that map the first 2 MiB
 * to themselves: PML4 at 1000, PDPT at 2000, PD at 3000. Then in the order of SDM volume 3, section "Initializing IA-32e Mode": CR4.PAE,
 * CR3, EFER.LME, CR0.PG with CR0.PE, and a far jump into a 64-bit code segment.
 */
import { COUNT } from './count.ts'

/** Where the processor finds the image below 1 MiB. */
const BASE = 0xf0000
const SIZE = 0x10000
const RESET_VECTOR = 0xfff0
const HALT = 0xf4

const PML4 = 0x1000
const PDPT = 0x2000
const PAGE_DIRECTORY = 0x3000
const COUNTER = 0x9000
/** Present, writable. */
const TABLE_ENTRY = 0b11
/** Present, writable, a page of 2 MiB. */
const LARGE_PAGE = 0b1000_0011

/** Port of isa-debug-exit. */
export const EXIT_PORT = 0xf4
/** QEMU ends with (value << 1) | 1. */
const EXIT_VALUE = 0x2a
export const X86_EXIT_CODE = (EXIT_VALUE << 1) | 1

const u16 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff]
const u32 = (value: number): number[] => [...u16(value), ...u16(value >>> 16)]
/** mov dword [address], value – in 16-bit code */
const store = (address: number, value: number): number[] => [0x66, 0xc7, 0x06, ...u16(address), ...u32(value)]

/** Null, 64-bit code (selector 8), data (selector 16). */
const GDT = [...u32(0), ...u32(0), ...u32(0x0000ffff), ...u32(0x00af9a00), ...u32(0x0000ffff), ...u32(0x00cf9200)]

// Where the parts lie in the image; the code in 16 bits is shorter than what is left for it.
const REAL_MODE = 0x0000
const GDT_POINTER = 0x0100
const GDT_AT = 0x0110
const LONG_MODE = 0x0200

const realMode = [
  ...[0xfa, 0xfc], // cli; cld
  ...[0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0], // xor ax, ax; mov ds, ax; mov es, ax
  ...[0xbf, ...u16(PML4), 0xb9, ...u16(0x3000 / 2), 0xf3, 0xab], // mov di, PML4; mov cx, words of three tables; rep stosw
  ...store(PML4, PDPT | TABLE_ENTRY),
  ...store(PDPT, PAGE_DIRECTORY | TABLE_ENTRY),
  ...store(PAGE_DIRECTORY, LARGE_PAGE),
  ...[0x0f, 0x20, 0xe0, 0x66, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0], // mov eax, cr4; or eax, PAE; mov cr4, eax
  ...[0x66, 0xb8, ...u32(PML4), 0x0f, 0x22, 0xd8], // mov eax, PML4; mov cr3, eax
  ...[0x66, 0xb9, ...u32(0xc0000080), 0x0f, 0x32], // mov ecx, EFER; rdmsr
  ...[0x66, 0x0d, ...u32(0x100), 0x0f, 0x30], // or eax, LME; wrmsr
  ...[0x2e, 0x66, 0x0f, 0x01, 0x16, ...u16(GDT_POINTER)], // lgdt cs:[GDT_POINTER]
  ...[0x0f, 0x20, 0xc0, 0x66, 0x0d, ...u32(0x80000001), 0x0f, 0x22, 0xc0], // mov eax, cr0; or eax, PG | PE; mov cr0, eax
  ...[0x66, 0xea, ...u32(BASE + LONG_MODE), ...u16(8)], // jmp far 8:LONG_MODE
]

const loop = [
  ...[0x48, 0xff, 0x04, 0x25, ...u32(COUNTER)], // inc qword [COUNTER]
  ...[0xff, 0xc9], // dec ecx
]
const longMode = [
  ...[0x66, 0xb8, ...u16(16), 0x8e, 0xd8, 0x8e, 0xd0], // mov ax, 16; mov ds, ax; mov ss, ax
  ...[0xb9, ...u32(COUNT)], // mov ecx, COUNT
  ...loop,
  ...[0x75, 0x100 - loop.length - 2], // jnz loop
  ...[0xb0, EXIT_VALUE, 0xe6, EXIT_PORT], // mov al, EXIT_VALUE; out EXIT_PORT, al
  HALT,
]

/** 64 KiB, for `-bios`. */
export function x86Image(): Uint8Array {
  const image = new Uint8Array(SIZE).fill(HALT)
  image.set(realMode, REAL_MODE)
  image.set([...u16(GDT.length - 1), ...u32(BASE + GDT_AT)], GDT_POINTER)
  image.set(GDT, GDT_AT)
  image.set(longMode, LONG_MODE)
  image.set([0xea, ...u16(REAL_MODE), ...u16(BASE >>> 4)], RESET_VECTOR) // jmp far F000:0000
  return image
}
