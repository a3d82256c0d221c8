/**
 * Every patch against the real v86: a new version that changes what a patch stands on fails here. The machines run BIOSes of a few
 * instructions of our own, so nothing else is needed.
 */
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  clearAbsentBars,
  emptyUarts,
  InstructionCounter,
  limitTranslation,
  patchDisks,
  patchMainLoop,
  patchUart,
  pressPowerButton,
  READ_FAILED,
  repairAcpi,
  repairReset,
  repairRetrace,
  setLink,
  setUpNic,
  watchPowerOff,
  type FlushableDisk,
} from '../../../../src-main/engines/embedded/patches.ts'
import {
  createEmulator,
  V86_VERSION,
  type Core,
  type Cpu,
  type V86Disk,
  type V86Options,
} from '../../../../src-main/engines/embedded/v86.ts'

/** For a guest on a busy computer, ms. */
const PATIENCE = 20_000
vi.setConfig({ testTimeout: 2 * PATIENCE })

/** A BIOS whose first instructions are `program` (16-bit). Processors start at F000:FFF0 (Intel SDM vol. 3, 10.1.4). */
function bios(program: number[]): ArrayBuffer {
  const bytes = new Uint8Array(64 * 1024).fill(0xf4)
  bytes.set(program, 0xe000)
  bytes.set([0xea, 0x00, 0xe0, 0x00, 0xf0], 0xfff0)
  return bytes.buffer
}

async function machine(program: number[] = [], options: Partial<V86Options> = {}): Promise<Core> {
  const emulator = await createEmulator(
    {
      memory_size: 1 << 20,
      vga_memory_size: 1 << 20,
      bios: { buffer: bios(program) },
      vga_bios: { buffer: new ArrayBuffer(512) },
      acpi: true,
      net_device: { type: 'none' },
      ...options,
    },
    () => performance.now(),
  )
  const core = emulator.v86
  onTestFinished(() => core.stop())
  return core
}

/** Lets the guest execute until `done`. */
async function run(core: Core, done: () => boolean): Promise<void> {
  core.run()
  await expect.poll(done, { timeout: PATIENCE }).toBe(true)
  core.stop()
}

const outWord = (port: number, value: number): number[] => [0xba, port & 255, port >> 8, 0xb8, value & 255, value >> 8, 0xef]

test('the version is the pinned one', () => {
  expect(V86_VERSION).toBe('v86 0.5.462')
})

describe('ACPI', () => {
  test('event status bits are cleared by writing them, and no slot asks to be ejected', async () => {
    const { cpu } = await machine()
    const port = cpu.io.ports[0xafe0]!
    const hotplug = (): number => cpu.io.ports[0xae08]!.read8()
    expect(hotplug(), 'v86 without the patch').toBe(255)
    repairAcpi(cpu)
    cpu.devices.acpi!.gpe[0] = 0xff
    port.write8(0x0f)
    expect(cpu.devices.acpi!.gpe[0]).toBe(0xf0)
    expect(hotplug()).toBe(0)
  })

  test('the guest’s power-off is seen', async () => {
    const core = await machine([...outWord(0xb004, 0x2000), 0xf4])
    const off = vi.fn()
    watchPowerOff(core.cpu, off)
    await run(core, () => off.mock.calls.length === 1)
  })

  test('sleep to RAM is no power-off: the guest wakes at once', async () => {
    const core = await machine([...outWord(0xb004, 0x2400), 0xf4])
    const off = vi.fn()
    watchPowerOff(core.cpu, off)
    await run(core, () => (core.cpu.devices.acpi!.pm1_status & 0x8000) !== 0)
    expect(off).not.toHaveBeenCalled()
  })

  test('the power button’s interrupt stands until the guest clears its status, where the guest wants it', async () => {
    const { cpu } = await machine()
    repairAcpi(cpu)
    const acpi = cpu.devices.acpi!
    const raise = vi.spyOn(cpu, 'device_raise_irq')
    pressPowerButton(cpu)
    acpi.timer(1)
    expect(raise).not.toHaveBeenCalled()
    acpi.pm1_enable = 0x100
    acpi.timer(2)
    acpi.timer(3)
    expect(raise.mock.calls).toEqual([[9], [9]])
    cpu.io.ports[0xb000]!.write16.call(acpi, 0x100)
    acpi.timer(4)
    expect(raise).toHaveBeenCalledTimes(2)
  })
})

describe('screen', () => {
  test('in graphics modes the vertical retrace comes once a frame though nobody looks', async () => {
    const { cpu } = await machine()
    const { vga } = cpu.devices
    const status = (): boolean => (cpu.io.ports[0x3da]!.read8.call(vga) & 8) !== 0
    vga.graphical_mode = true
    status()
    expect([status(), status()], 'v86 without the patch').toEqual([false, false])
    let now = 0
    repairRetrace(cpu, () => now)
    const seen = [0, 5, 15, 16, 17, 30, 31].map((at) => {
      now = at
      return status()
    })
    expect(seen).toEqual([false, false, true, false, false, true, false])
  })
})

describe('reset', () => {
  test('by the guest is told, and a kernel’s memory is as before the first instruction', async () => {
    // mov byte [0x500], 7; unless port 0x92 (which a reset leaves alone) was written: write it, pulse the reset line; hlt.
    const core = await machine([
      ...[0x31, 0xc0, 0x8e, 0xd8, 0xc6, 0x06, 0x00, 0x05, 0x07],
      ...[0xe4, 0x92, 0x08, 0xc0, 0x75, 0x08, 0xb0, 0x02, 0xe6, 0x92, 0xb0, 0xfe, 0xe6, 0x64, 0xf4],
    ])
    core.cpu.mem8[0x600] = 42
    const reset = vi.fn(() => core.stop())
    repairReset(core.cpu, true, reset)
    let before = -1
    const patched = core.cpu.reboot_internal
    core.cpu.reboot_internal = function () {
      before = this.mem8[0x500]!
      patched.call(this)
    }
    core.cpu.mem8[0x600] = 1
    core.cpu.devices.acpi!.pm1_enable = 0x101
    await run(core, () => reset.mock.calls.length > 0)
    expect(before).toBe(7)
    expect(core.cpu.mem8[0x600]).toBe(42)
    expect(core.cpu.devices.acpi!.pm1_enable).toBe(0)
  })

  test('by the host is told too', async () => {
    const core = await machine()
    const reset = vi.fn()
    repairReset(core.cpu, false, reset)
    core.restart()
    expect(reset).toHaveBeenCalledOnce()
  })

  test('leaves no interrupt of the last system to the next one', async () => {
    const core = await machine()
    repairReset(core.cpu, false, () => {})
    const [apic, ioapic] = [core.cpu.get_state_apic().slice(), core.cpu.get_state_ioapic().slice()]
    core.cpu.get_state_apic().fill(0xff, 64, 96)
    core.cpu.get_state_ioapic().fill(0x21, 36, 40)
    core.restart()
    expect(core.cpu.get_state_apic()).toEqual(apic)
    expect(core.cpu.get_state_ioapic()).toEqual(ioapic)
  })
})

test('a memory state can be loaded that was saved before any firmware ran', async () => {
  const [first, second] = [await machine(), await machine()]
  expect(() => second.restore_state(first.save_state()), 'v86 without the patch').toThrow()
  const [third, fourth] = [await machine(), await machine()]
  for (const { cpu } of [third, fourth]) clearAbsentBars(cpu)
  third.cpu.mem8[0x700] = 9
  fourth.restore_state(third.save_state())
  expect(fourth.cpu.mem8[0x700]).toBe(9)
})

describe('network cards', () => {
  const mac = '52:54:00:12:34:56'
  const bytes = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56]

  test('virtio has the address and its link, which goes up and down', async () => {
    const { cpu } = await machine([], { net_device: { type: 'virtio' } })
    setUpNic(cpu, mac, false)
    // Device configuration (virtio 1.2, 5.1.4): the address, then the status.
    const read = (at: number): number => cpu.io.ports[50688 + at]!.read8()
    expect([0, 1, 2, 3, 4, 5].map(read)).toEqual(bytes)
    expect(read(6)).toBe(0)
    // No driver runs yet: there is nobody to interrupt.
    const { virtio } = cpu.devices.virtio_net!
    expect(setLink(cpu, true)).toBe(true)
    expect([read(6), virtio.isr_status]).toEqual([1, 0])
    virtio.device_status = 4
    expect(setLink(cpu, false)).toBe(true)
    expect([read(6), virtio.isr_status & 2]).toEqual([0, 2])
  })

  test('ne2k has the address in its registers and its PROM', async () => {
    const { cpu } = await machine([], { net_device: { type: 'ne2k' } })
    setUpNic(cpu, mac, true)
    expect(setLink(cpu, false), 'it has no link to tell of').toBe(false)
    const { net } = cpu.devices
    expect([...net!.mac]).toEqual(bytes)
    expect([...net!.memory.subarray(0, 12)]).toEqual(bytes.flatMap((byte) => [byte, byte]))
    expect(net!.memory[28]).toBe(0x57)
  })
})

describe('the main loop', () => {
  test('tells of its turns and of a halt', async () => {
    const core = await machine([0xf4])
    const turns = { before: 0, halted: false }
    patchMainLoop(core, {
      before: () => turns.before++,
      after: (halted) => (turns.halted = halted),
      fault: (error) => expect.unreachable(String(error)),
    })
    await run(core, () => turns.halted)
    expect(turns.before).toBeGreaterThan(0)
  })

  test('gives a fault to its owner and does not go on', async () => {
    const core = await machine()
    const faults: unknown[] = []
    const after = vi.fn()
    patchMainLoop(core, { before: () => {}, after, fault: (error) => faults.push(error) })
    core.cpu.main_loop = () => {
      throw new WebAssembly.RuntimeError('unreachable')
    }
    await run(core, () => faults.length > 0)
    expect(faults).toEqual([new WebAssembly.RuntimeError('unreachable')])
    expect(after).not.toHaveBeenCalled()
  })

  test('sleeps to the deadline instead of polling for it', async () => {
    const core = await machine()
    patchMainLoop(core, { before: () => {}, after: () => {}, fault: () => {} })
    const timeout = vi.spyOn(globalThis, 'setTimeout')
    const immediate = vi.spyOn(globalThis, 'setImmediate')
    onTestFinished(() => void vi.restoreAllMocks())
    const due = vi.spyOn(core, 'yield_callback').mockImplementation(() => {})
    core.yield(3.2, 1)
    expect(timeout.mock.calls.at(-1)?.[1]).toBe(4)
    core.yield(0.4, 2)
    expect(timeout.mock.calls.at(-1)?.[1]).toBe(1)
    expect(immediate).not.toHaveBeenCalled()
    core.yield(0, 3)
    expect(immediate).toHaveBeenCalledOnce()
    await expect.poll(() => due.mock.calls.map(([tick]) => tick).sort()).toEqual([1, 2, 3])
  })
})

describe('serial ports', () => {
  test('print to us, each its own', async () => {
    const core = await machine([...outWord(0x2f8, 0x42).slice(0, 6), 0xee, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xf4], { uart1: true })
    const printed: string[] = []
    for (const index of [0, 1])
      patchUart(
        core.cpu,
        index,
        (byte) => printed.push(`${index}:${String.fromCharCode(byte)}`),
        () => {},
      )
    await run(core, () => printed.length === 2)
    expect(printed).toEqual(['1:B', '0:A'])
  })

  test('take 16 bytes, and say when there is room again', async () => {
    const { cpu } = await machine()
    const room = vi.fn()
    const { feed } = patchUart(cpu, 0, () => {}, room)
    const typed = Uint8Array.from({ length: 20 }, (_, at) => 100 + at)
    expect(feed(typed)).toBe(16)
    expect(feed(typed)).toBe(0)
    const port = cpu.io.ports[0x3f8]!
    const read = (): number => port.read8.call(port.device)
    expect(Array.from({ length: 15 }, read)).toEqual([...typed.subarray(0, 15)])
    expect(room).not.toHaveBeenCalled()
    expect(read()).toBe(115)
    expect(room).toHaveBeenCalledOnce()
  })

  test('hold nothing after a memory state was loaded', async () => {
    const { cpu } = await machine()
    const { feed } = patchUart(
      cpu,
      0,
      () => {},
      () => {},
    )
    feed(Uint8Array.of(1, 2))
    expect(cpu.devices.uart0.lsr & 1).toBe(1)
    emptyUarts(cpu)
    expect(cpu.devices.uart0.lsr & 1).toBe(0)
    expect(cpu.devices.uart0.input).toHaveLength(0)
  })
})

describe('disks', () => {
  class Disk implements V86Disk, FlushableDisk {
    byteLength = 1 << 20
    onload?: (event: object) => void
    onWriteError: (() => void) | null = null
    onAnswered: (() => void) | null = null
    writeCache = true
    flushes: ((ok: boolean) => void)[] = []
    load(): void {
      this.onload?.({})
    }
    get(_offset: number, _length: number, done: (bytes: Uint8Array) => void): void {
      done(READ_FAILED)
    }
    set(): void {}
    get_and_cache(_offset: number, length: number, done: (bytes: Uint8Array) => void): void {
      done(new Uint8Array(length))
    }
    get_from_cache(_offset: number, length: number): Uint8Array {
      return new Uint8Array(length)
    }
    get_state(): unknown[] {
      return [0]
    }
    set_state(): void {}
    flush(done: (ok: boolean) => void): void {
      this.flushes.push(done)
    }
  }
  async function withDisk(): Promise<{ disk: Disk; cpu: Cpu }> {
    const disk = new Disk()
    const { cpu } = await machine([], { hda: disk })
    const drive = cpu.devices.ide.primary!.master
    const prototype = Object.getPrototypeOf(drive) as Record<string, unknown>
    const { ata_command, read_buffer, create_identify_packet } = prototype
    onTestFinished(() => void Object.assign(prototype, { ata_command, read_buffer, create_identify_packet }))
    const onAnswered = vi.fn()
    patchDisks(cpu, (each) => (each === disk ? disk : null), onAnswered)
    return { disk, cpu }
  }

  test('say that they have a write cache, so that guests flush it', async () => {
    const { cpu } = await withDisk()
    const drive = cpu.devices.ide.primary!.master
    drive.ata_command(0xec)
    const word = (at: number): number => drive.data[at * 2]! | (drive.data[at * 2 + 1]! << 8)
    expect([word(82) & 0x20, word(85) & 0x20]).toEqual([0x20, 0x20])
    // FLUSH CACHE and FLUSH CACHE EXT are there (word 83, bits 12 and 13).
    expect(word(83) & 0x3000).toBe(0x3000)
  })

  test.each([0xe7, 0xea])('are busy with command %i until everything is on disk', async (command) => {
    const { cpu, disk } = await withDisk()
    const drive = cpu.devices.ide.primary!.master
    drive.ata_command(command)
    expect(drive.status_reg & 0x80).toBe(0x80)
    disk.flushes[0]!(true)
    expect(drive.status_reg).toBe(0x50)
    drive.ata_command(command)
    disk.flushes[1]!(false)
    expect(drive.status_reg & 1).toBe(1)
  })

  test('switch their write cache on and off, empty it then, and say which it is', async () => {
    const { cpu, disk } = await withDisk()
    const drive = cpu.devices.ide.primary!.master
    const setFeatures = (feature: number): void => {
      drive.features_reg = feature
      drive.ata_command(0xef)
    }
    setFeatures(0x82)
    expect([disk.writeCache, disk.flushes.length, drive.status_reg & 0x80]).toEqual([false, 1, 0x80])
    disk.flushes[0]!(true)
    expect(drive.status_reg).toBe(0x50)
    drive.ata_command(0xec)
    expect([drive.data[164]! & 0x20, drive.data[170]! & 0x20]).toEqual([0x20, 0])
    setFeatures(0x02)
    expect([disk.writeCache, disk.flushes.length, drive.status_reg]).toEqual([true, 1, 0x50])
    // Transfer modes and the like are v86's own.
    setFeatures(0x03)
    expect([disk.flushes.length, drive.status_reg]).toEqual([1, 0x50])
  })

  test('give the guest an error where a read or write failed', async () => {
    const { cpu, disk } = await withDisk()
    const drive = cpu.devices.ide.primary!.master
    drive.ata_command(0x20)
    expect([drive.status_reg & 0x81, drive.error_reg]).toEqual([1, 0x40])
    drive.status_reg = 0x50
    disk.onWriteError!()
    expect([drive.status_reg & 0x81, cpu.devices.ide.primary!.dma_status & 3]).toEqual([1, 2])
  })
})

describe('translation', () => {
  test('goes page by page, and leaves out code that would become too large', async () => {
    const { cpu } = await machine()
    const translated = vi.fn()
    const finished = vi.fn()
    const overwritten = vi.fn()
    Object.assign(cpu, { codegen_finalize: translated, codegen_finalize_finished: finished, jit_dirty_cache: overwritten })
    limitTranslation(cpu)
    const { exports } = (cpu as unknown as { wm: { exports: { get_jit_config(setting: number): number } } }).wm
    expect(exports.get_jit_config(1)).toBe(1)
    cpu.codegen_finalize(3, 0x1000, 0, 0, 100_000)
    expect(translated).toHaveBeenCalledOnce()
    cpu.codegen_finalize(4, 0x2000, 1, 0, 500_000)
    expect(finished, 'not from within').not.toHaveBeenCalled()
    await expect.poll(() => finished.mock.calls).toEqual([[4, 0x2000, 1]])
    expect(overwritten).toHaveBeenCalledWith(0x2000, 0x2001)
    expect(translated).toHaveBeenCalledOnce()
  })

  test('survives code that V8 cannot optimise: a page full of the smallest instructions', async () => {
    // 4 KiB of "inc ax" in a loop, hot enough to be translated.
    const body = new Array<number>(0xf00).fill(0x40)
    const back = 0x10000 - (body.length + 3)
    const core = await machine([...body, 0xe9, back & 0xff, back >> 8])
    limitTranslation(core.cpu)
    const counter = new InstructionCounter(core.cpu)
    await run(core, () => counter.read() > 5_000_000)
  })
})

test('instructions are counted beyond 2^32', () => {
  const cpu = { instruction_counter: Uint32Array.of(4_294_967_290) }
  const counter = new InstructionCounter(cpu as unknown as Cpu)
  cpu.instruction_counter[0] = 4
  expect(counter.read()).toBe(10)
  cpu.instruction_counter[0] = 4_000_000_000
  expect(counter.read()).toBe(4_000_000_006)
  cpu.instruction_counter[0] = 1
  expect(counter.read()).toBe(4_294_967_303)
})
