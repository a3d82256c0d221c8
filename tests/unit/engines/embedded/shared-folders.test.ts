/** The 9P devices of the real v86, driven as a guest's driver does: by ports and memory. Also the patches that they stand on. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { clearAbsentBars } from '../../../../src-main/engines/embedded/patches.ts'
import { openSharedFolders, SharedFolders } from '../../../../src-main/engines/embedded/shared-folders.ts'
import { addVirtioDevice, repairPortMoves, shareInterruptLines, wakeGuest } from '../../../../src-main/engines/embedded/virtio-patches.ts'
import { createEmulator, type Core, type Cpu, type Virtio } from '../../../../src-main/engines/embedded/v86.ts'
import { message, u16, u32, u64 } from '../../../support/ninep-client.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const HALT = 0xf4
/** Where the driver's queue and buffers are in the guest's memory. */
const AT = { table: 0x10000, available: 0x11000, used: 0x12000, request: 0x20000, reply: 0x30000 }
/** Ports of the first device; its common configuration by offset (virtio 1.2, 4.1.4.3). */
const PORTS = 0x9000
const COMMON = { status: 20, queueSelect: 22, queueSize: 24, queueEnable: 28, table: 32, available: 40, used: 48 }
const NOTIFY = PORTS + 0x40
const NEEDS_RESET = 64

async function machine(): Promise<Core> {
  const bios = new Uint8Array(64 * 1024).fill(HALT)
  const emulator = await createEmulator(
    {
      ...{ memory_size: 1 << 20, vga_memory_size: 1 << 20, acpi: true, virtio_console: true },
      ...{ bios: { buffer: bios.buffer }, vga_bios: { buffer: new ArrayBuffer(512) } },
      net_device: { type: 'virtio' },
    },
    () => performance.now(),
  )
  onTestFinished(() => emulator.v86.stop())
  clearAbsentBars(emulator.v86.cpu)
  return emulator.v86
}

async function withFolders(count = 1): Promise<{ core: Core; folders: SharedFolders; path: string }> {
  const path = await tempFolder()
  const core = await machine()
  const tags = Array.from({ length: count }, (_, at) => ({ tag: `tag${at}`, path, readOnly: true }))
  const folders = new SharedFolders(core, await openSharedFolders(tags))
  onTestFinished(() => folders.close())
  return { core, folders, path }
}

/** A driver with one request at a time. */
class Driver {
  #cpu: Cpu
  #sent = 0

  constructor({ cpu }: Core) {
    this.#cpu = cpu
    const write = (offset: number, width: 'write8' | 'write16' | 'write32', value: number): void =>
      (cpu.io.ports[PORTS + offset] as unknown as Record<string, (value: number) => void>)[width]!.call(
        cpu.io.ports[PORTS + offset]!.device,
        value,
      )
    write(COMMON.queueSelect, 'write16', 0)
    write(COMMON.queueSize, 'write16', 8)
    write(COMMON.table, 'write32', AT.table)
    write(COMMON.available, 'write32', AT.available)
    write(COMMON.used, 'write32', AT.used)
    write(COMMON.queueEnable, 'write16', 1)
    write(COMMON.status, 'write8', 15)
  }

  get memory(): DataView {
    const { buffer, byteOffset, byteLength } = this.#cpu.mem8
    return new DataView(buffer, byteOffset, byteLength)
  }

  /** How many were answered. */
  get answered(): number {
    return this.memory.getUint16(AT.used + 2, true)
  }

  /** Offers a request that stands at `from`, with room for the answer behind it. */
  offer(length: number, { from = AT.request, room = 8192 } = {}): void {
    const { memory } = this
    const descriptor = (index: number, address: number, bytes: number, flags: number, next: number): void => {
      const at = AT.table + index * 16
      memory.setBigUint64(at, BigInt(address), true)
      memory.setUint32(at + 8, bytes, true)
      memory.setUint16(at + 12, flags, true)
      memory.setUint16(at + 14, next, true)
    }
    descriptor(0, from, length, 1, 1)
    descriptor(1, AT.reply, room, 2, 0)
    memory.setUint16(AT.available + 4 + 2 * (this.#sent % 8), 0, true)
    memory.setUint16(AT.available + 2, ++this.#sent, true)
    const port = this.#cpu.io.ports[NOTIFY]!
    port.write16.call(port.device, 0)
  }

  async ask(request: Uint8Array, options: { room?: number } = {}): Promise<Uint8Array> {
    this.#cpu.mem8.set(request, AT.request)
    this.offer(request.length, options)
    await expect.poll(() => this.answered).toBe(this.#sent)
    const length = this.memory.getUint32(AT.used + 4 + 8 * ((this.#sent - 1) % 8) + 4, true)
    return this.#cpu.mem8.slice(AT.reply, AT.reply + length)
  }
}

const VERSION = message(100, 0xffff, u32(8192), '9P2000.L')
const ATTACH = message(104, 1, u32(0), u32(0xffffffff), '', '', u32(0))
const OPEN_FILE = [message(110, 1, u32(0), u32(1), u16(1), 'file'), message(12, 1, u32(1), u32(0))]
const READ_FILE = message(116, 1, u32(1), u64(0), u32(100))
const text = (reply: Uint8Array): string => Buffer.from(reply.subarray(11)).toString()

describe('a shared folder’s device', () => {
  test('has its tag, answers requests in the guest’s memory, and tells it by its interrupt', async () => {
    const { core, folders, path } = await withFolders()
    await writeFile(join(path, 'file'), 'contents')
    const port = core.cpu.io.ports[PORTS + 0x80]!
    expect((port as unknown as { read16(): number }).read16.call(port.device)).toBe(4)
    expect([2, 3, 4, 5].map((at) => String.fromCharCode(core.cpu.io.ports[PORTS + 0x80 + at]!.read8.call(port.device))).join('')).toBe(
      'tag0',
    )
    const driver = new Driver(core)
    expect((await driver.ask(VERSION))[4]).toBe(101)
    expect((await driver.ask(ATTACH))[4]).toBe(105)
    for (const request of OPEN_FILE) await driver.ask(request)
    expect(text(await driver.ask(READ_FILE))).toBe('contents')
    expect(folders.devices[0]!.isr_status).toBe(1)
  })

  test('answers with an error where the answer does not fit, and with nothing where that does not, either', async () => {
    const { core } = await withFolders()
    const driver = new Driver(core)
    expect([...(await driver.ask(VERSION, { room: 12 }))]).toEqual([11, 0, 0, 0, 7, 0xff, 0xff, 5, 0, 0, 0])
    expect((await driver.ask(VERSION, { room: 4 })).length).toBe(0)
    expect((await driver.ask(VERSION))[4]).toBe(101)
  })

  test.each([
    ['without a header', 3, {}],
    ['larger than any', 600 * 1024, {}],
    ['of a negative length', 0x80000000, {}],
  ])('a request %s makes the device fail, and nothing else', async (_what, length, options) => {
    const { core, folders } = await withFolders()
    new Driver(core).offer(length, options)
    expect(folders.devices[0]!.device_status & NEEDS_RESET).toBe(NEEDS_RESET)
    core.cpu.devices.virtio_9p!.reset()
    expect((await new Driver(core).ask(VERSION))[4]).toBe(101)
  })

  test('buffers outside the guest’s memory do no harm', async () => {
    const { core } = await withFolders()
    const driver = new Driver(core)
    driver.offer(16, { from: 0x7ffffff0 })
    await expect.poll(() => driver.answered).toBe(1)
    expect((await driver.ask(VERSION))[4]).toBe(101)
  })

  test('answers to what was asked before a reset come to nobody', async () => {
    const { core, folders } = await withFolders()
    const driver = new Driver(core)
    core.cpu.mem8.set(VERSION, AT.request)
    driver.offer(VERSION.length)
    core.cpu.devices.virtio_9p!.reset()
    await folders.idle()
    expect(driver.answered).toBe(0)
  })

  test('goes into memory states with what the guest holds open', async () => {
    const { core, folders, path } = await withFolders()
    await writeFile(join(path, 'file'), 'contents')
    const driver = new Driver(core)
    for (const request of [VERSION, ATTACH, ...OPEN_FILE]) await driver.ask(request)
    await folders.idle()
    const state = core.save_state()
    const later = await machine()
    const again = new SharedFolders(later, await openSharedFolders([{ tag: 'tag0', path, readOnly: true }]))
    onTestFinished(() => again.close())
    later.restore_state(state)
    later.cpu.mem8.set(READ_FILE, AT.request)
    const memory = new DataView(later.cpu.mem8.buffer, later.cpu.mem8.byteOffset)
    const next = memory.getUint16(AT.available + 2, true)
    memory.setUint32(AT.table + 8, READ_FILE.length, true)
    memory.setUint16(AT.available + 2, next + 1, true)
    const port = later.cpu.io.ports[NOTIFY]!
    port.write16.call(port.device, 0)
    await expect.poll(() => memory.getUint16(AT.used + 2, true)).toBe(next + 1)
    expect(text(later.cpu.mem8.slice(AT.reply, AT.reply + 19))).toBe('contents')
  })

  test('a folder that is not there is named', async () => {
    await expect(openSharedFolders([{ tag: 'a', path: '/no/such/folder', readOnly: true }])).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('Sharing “/no/such/folder”') as string,
    })
  })
})

describe('what the devices stand on', () => {
  test('addVirtioDevice: eight of them beside v86’s own, each in a slot and with ports of its own', async () => {
    const { core, folders } = await withFolders(8)
    const { pci } = core.cpu.devices
    expect(new Set(folders.devices.map(({ pci_id: id }) => id)).size).toBe(8)
    for (const { pci_id: id } of folders.devices) expect(pci.device_spaces[id]![0]! >>> 0).toBe(0x10491af4)
    expect(pci.devices.filter((device) => device !== undefined).length).toBe(
      8 + (await machine()).cpu.devices.pci.devices.filter(Boolean).length,
    )
  })

  test('repairPortMoves: a device that moves away leaves another’s ports where they are', async () => {
    const { core } = await withFolders(2)
    const { pci, virtio_net: net } = core.cpu.devices
    const [own, theirs] = [0xc800, PORTS]
    const bars = (at: number) => pci.devices[at]!.pci_bars[0]!
    const netBar = bars(net!.virtio.pci_id)
    const shareBar = bars(19 << 3)
    const meet = (): boolean => {
      pci.set_io_bars(shareBar, theirs, own)
      pci.set_io_bars(netBar, own, 0xd000)
      return core.cpu.io.ports[own] === shareBar.entries[0] && core.cpu.io.ports[0xd000] === netBar.entries[0]
    }
    expect(meet(), 'v86 without the patch').toBe(false)
    pci.set_io_bars(netBar, 0xd000, own)
    pci.set_io_bars(shareBar, own, theirs)
    repairPortMoves(core.cpu)
    expect(meet()).toBe(true)
  })

  test('shareInterruptLines: a line stands while any device on it has something to tell', async () => {
    const { core, folders } = await withFolders(8)
    const { pci } = core.cpu.devices
    // All pins on one line, as firmware has it for two of four.
    pci.isa_bridge_space8.fill(11, 0x60, 0x64)
    const [one, other] = folders.devices as [Virtio, Virtio]
    const lowered = vi.fn()
    const cpu = core.cpu as unknown as { device_lower_irq(line: number): void }
    const lower = cpu.device_lower_irq
    cpu.device_lower_irq = (line) => {
      lowered(line)
      lower(line)
    }
    one.isr_status = 1
    other.isr_status = 1
    one.lower_irq()
    expect(lowered, 'v86 without the patch').toHaveBeenCalledTimes(1)
    shareInterruptLines(core.cpu, folders.devices)
    one.isr_status = 1
    one.lower_irq()
    expect(lowered).toHaveBeenCalledTimes(1)
    other.lower_irq()
    expect(lowered.mock.calls).toEqual([[11], [11]])
  })

  test('wakeGuest: a halted guest goes on at once, a stopped one does not', async () => {
    const core = await machine()
    const tick = vi.spyOn(core, 'next_tick')
    wakeGuest(core)
    expect(tick).not.toHaveBeenCalled()
    core.run()
    await expect.poll(() => core.cpu.in_hlt[0]).toBe(1)
    tick.mockClear()
    wakeGuest(core)
    expect(tick).toHaveBeenCalledWith(0)
  })

  test('addVirtioDevice: made of the part that v86’s own devices are made of', async () => {
    const core = await machine()
    const device = addVirtioDevice(core.cpu, {
      ...{ name: 'test', pci_id: 25 << 3, device_id: 0x1049, subsystem_device_id: 9 },
      common: { initial_port: 0x9800, queues: [{ size_supported: 8, notify_offset: 0 }], features: [32], on_driver_ok: () => {} },
      notification: { initial_port: 0x9840, single_handler: false, handlers: [() => {}] },
      isr_status: { initial_port: 0x9850 },
      device_specific: { initial_port: 0x9880, struct: [{ bytes: 1, name: 'x', read: () => 7, write: () => {} }] },
    })
    expect(device.queues.length).toBe(1)
    expect(core.cpu.io.ports[0x9880]!.read8.call(device)).toBe(7)
  })
})
