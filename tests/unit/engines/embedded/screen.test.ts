/** v86's own screen, set up through the ports that guests use: a new version that changes what the screen stands on fails here. */
import { expect, onTestFinished, test } from 'vitest'
import { provideImageData } from '../../../../src-main/engines/embedded/patches.ts'
import { EmbeddedScreen } from '../../../../src-main/engines/embedded/screen.ts'
import { createEmulator, type Emulator, type Vga } from '../../../../src-main/engines/embedded/v86.ts'
import type { Rect } from '../../../../src-main/engines/rfb/screen.ts'

interface Probe {
  emulator: Emulator
  screen: EmbeddedScreen
  running: { now: boolean }
  vga: Vga & { svga_memory: Uint8Array }
  out8(port: number, ...values: number[]): void
  /** Bochs' display interface: register and value. */
  dispi(register: number, value: number): void
  look(): { width: number; height: number; pixels: Uint32Array; rects: Rect[] }
}

async function probe(): Promise<Probe> {
  provideImageData()
  const emulator = await createEmulator(
    {
      memory_size: 1 << 20,
      vga_memory_size: 8 << 20,
      bios: { buffer: new Uint8Array(64 * 1024).fill(0xf4).buffer },
      vga_bios: { buffer: new ArrayBuffer(512) },
      acpi: true,
      net_device: { type: 'none' },
    },
    () => performance.now(),
  )
  onTestFinished(() => emulator.v86.stop())
  const { cpu } = emulator.v86
  const vga = cpu.devices.vga as Probe['vga']
  const running = { now: true }
  const screen = new EmbeddedScreen(emulator, () => running.now)
  return {
    ...{ emulator, screen, vga, running },
    out8: (port, ...values) => values.forEach((value) => cpu.io.ports[port]!.write8.call(vga, value)),
    dispi: (register, value) => {
      cpu.io.ports[0x1ce]!.write16.call(vga, register)
      cpu.io.ports[0x1cf]!.write16.call(vga, value)
    },
    look: () => {
      const rects: Rect[] = []
      const { width, height, pixels } = screen.look((rect) => void rects.push(rect))
      return { width, height, pixels, rects }
    },
  }
}

function vesa({ dispi }: Probe, width: number, height: number, bitsPerPixel: number): void {
  dispi(4, 0)
  dispi(1, width)
  dispi(2, height)
  dispi(3, bitsPerPixel)
  dispi(4, 0x41)
}

test('VESA modes of 32, 16 and 8 bits', async () => {
  const made = await probe()
  const { vga, look, screen, out8 } = made
  vesa(made, 640, 480, 32)
  vga.svga_memory.set([1, 2, 3, 0], 4 * (5 * 640 + 70))
  vga.complete_redraw()
  const first = look()
  expect(first).toMatchObject({ width: 640, height: 480 })
  expect(first.pixels[5 * 640 + 70]).toBe(0xff010203)
  expect(first.rects).toEqual([{ x: 64, y: 0, width: 64, height: 16 }])
  expect(look().rects).toEqual([])

  vesa(made, 320, 200, 16)
  vga.svga_memory.set([0x00, 0xf8], 0)
  vga.complete_redraw()
  expect(look()).toMatchObject({ width: 320, height: 200 })
  expect(look().pixels[0]! & 0xf8).toBe(0xf8)

  vesa(made, 320, 200, 8)
  out8(0x3c8, 7)
  out8(0x3c9, 63, 0, 0)
  vga.svga_memory[10] = 7
  expect((look().pixels[10]! & 0xff) > 0xf0, 'six bits of red from the palette').toBe(true)

  // Forgotten and looked at again, it is whole, though the guest touched nothing.
  screen.rest()
  expect((look().pixels[10]! & 0xff) > 0xf0).toBe(true)
})

test('the guest’s absolute pointer is told from its relative one', async () => {
  const { emulator, screen } = await probe()
  const { vmware } = emulator.v86.cpu.devices
  expect([vmware.enabled, vmware.absolute, screen.absolute]).toEqual([false, false, false])
  vmware.enabled = vmware.absolute = true
  expect(screen.absolute).toBe(true)
})

test('a screen that is off is dark', async () => {
  const { look, out8 } = await probe()
  out8(0x3c4, 1)
  out8(0x3c5, 0x21)
  const dark = look()
  expect(dark).toMatchObject({ width: 720, height: 400 })
  expect(new Set(dark.pixels)).toEqual(new Set([0xff000000]))
})

test('keys reach the keyboard controller; of a paused guest they can only be let go', async () => {
  const { emulator, screen, running } = await probe()
  const ps2 = (emulator.v86.cpu.devices as unknown as { ps2: { enable_keyboard_stream: boolean; kbd_buffer: { length: number } } }).ps2
  ps2.enable_keyboard_stream = true
  screen.key(0xc8, true)
  screen.key(0xc8, false)
  const { ports } = emulator.v86.cpu.io
  const read = (): number => ports[0x60]!.read8.call(ps2)
  expect([read(), read(), read(), read()]).toEqual([0xe0, 0x48, 0xe0, 0xc8])
  screen.key(0x1e, true)
  running.now = false
  screen.key(0x30, true)
  screen.key(0x30, false)
  screen.key(0x1e, false)
  expect([read(), read()]).toEqual([0x1e, 0x9e])
  expect(ps2.kbd_buffer.length).toBe(0)
})
