import { echoProgram } from './echo-bios.ts'

/**
 * A disk that any PC's BIOS boots, of one sector that matters: what it runs is echoBios's program, which prints "A" on the first serial port and
 * gives back what is typed.
 * @param bytes of the whole disk; SeaBIOS boots none of less than a cylinder
 */
export function echoDisk(bytes = 1024 * 1024): Uint8Array {
  const disk = new Uint8Array(bytes)
  disk.set(echoProgram())
  // What tells a BIOS that it may be started.
  disk.set([0x55, 0xaa], 510)
  return disk
}
