/**
 * The same for 64-bit ARM (see x86-image.ts), for `-bios` of QEMU's `virt` board: flash at 0, where the processor starts, and memory from
 * 1 GiB on. Memory without an MMU is uncached, and slow on real processors too: so the MMU goes on first, with a table that lies ready in
 * the flash and maps these two GiB to themselves (Arm ARM, section D8.3 "Translation table descriptor formats"). The end is PSCI's SYSTEM_OFF
 * (Arm DEN0022, section 5.10), upon which QEMU ends with 0.
 */
import { COUNT } from './count.ts'

const TABLE = 0x1000
const SIZE = 0x2000
const MEMORY = 0x4000_0000
/** Valid block, attribute 0, inner shareable, accessed already: nothing has to be written into the flash. */
const BLOCK = 0x701
/** Attribute 0: normal memory, write-back. */
const MAIR = 0xff
/** 39 bits of addresses in pages of 4 KiB, write-back and inner shareable walks from TTBR0, none from TTBR1. */
const TCR = 25 | (1 << 8) | (1 << 10) | (3 << 12) | (1 << 23)
/** MMU, data cache, instruction cache. */
const SCTLR_ON = 0x1005
const SYSTEM_OFF = 0x8400_0008

export const AARCH64_EXIT_CODE = 0

/** movz, movk: a value of 32 bits into a register. */
const load = (register: number, value: number): number[] => [
  0xd280_0000 | ((value & 0xffff) << 5) | register,
  0xf2a0_0000 | (((value >>> 16) & 0xffff) << 5) | register,
]
const ISB = 0xd503_3fdf

const CODE = [
  ...[...load(0, MAIR), 0xd518_a200], // msr mair_el1, x0
  ...[...load(0, TCR), 0xd518_2040], // msr tcr_el1, x0
  ...[...load(0, TABLE), 0xd518_2000], // msr ttbr0_el1, x0
  ISB,
  ...[0xd508_871f, 0xd503_3f9f, ISB], // tlbi vmalle1; dsb sy
  ...[0xd538_1000, ...load(1, SCTLR_ON), 0xaa01_0000, 0xd518_1000, ISB], // mrs x0, sctlr_el1; orr x0, x0, x1; msr sctlr_el1, x0
  ...load(0, MEMORY),
  ...load(1, COUNT),
  0xf940_0002, // loop: ldr x2, [x0]
  0x9100_0442, // add x2, x2, #1
  0xf900_0002, // str x2, [x0]
  0xf100_0421, // subs x1, x1, #1
  0x54ff_ff81, // b.ne loop
  ...[...load(0, SYSTEM_OFF), 0xd400_0002], // hvc #0
  0x1400_0000, // b .
]

/** 8 KiB, for `-bios`. */
export function aarch64Image(): Uint8Array {
  const view = new DataView(new ArrayBuffer(SIZE))
  CODE.forEach((instruction, at) => view.setUint32(at * 4, instruction, true))
  view.setBigUint64(TABLE, BigInt(BLOCK), true)
  view.setBigUint64(TABLE + 8, BigInt(MEMORY | BLOCK), true)
  return new Uint8Array(view.buffer)
}
