/**
 * A BIOS of 21 bytes: prints "A" on the first serial port, then gives back what is typed. It polls the line status register (16550) for
 * received bytes.
 */
export function echoBios(): Uint8Array {
  const bytes = new Uint8Array(64 * 1024).fill(0xf4)
  bytes.set(echoProgram(), 0xe000)
  // The processor starts at F000:FFF0.
  bytes.set([0xea, 0x00, 0xe0, 0x00, 0xf0], 0xfff0)
  return bytes
}

/** The 21 bytes, which run anywhere. */
export function echoProgram(): number[] {
  const hello = [0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee]
  const echo = [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf1]
  return [...hello, ...echo]
}
