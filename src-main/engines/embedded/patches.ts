/**
 * Every change to v86's insides, in one place (those for many devices of a kind in virtio-patches.ts). v86 has no extension points for these; its properties keep their names in the published
 * build, so objects are patched after they are built and before the first instruction. Each patch has a test of its name that fails when a new
 * version of v86 changes what it stands on.
 *
 * Sources: ACPI 6.5 sections 4.8.3 (PM1 registers) and 4.8.4 (general-purpose events); Intel 82371AB (PIIX4) data sheet; ATA/ATAPI-6 (T13
 * 1410D) 8.15 IDENTIFY DEVICE and 8.12 FLUSH CACHE; 16550 UART data sheet.
 */
import type { Clock, Core, Cpu, IdeInterface, Uart } from './v86.ts'

/** PM1a status (PIIX4 base 0xB000) is followed by enable and, at +4, control. */
const PM1_CONTROL = 0xb004
const SLP_EN = 1 << 13
/** SLP_TYPx as SeaBIOS's DSDT names them in its _S3 package; every other type switches off. */
const SLP_TYP_MASK = 7 << 10
const SLP_TYP_S3 = 1 << 10
const PM1_WAK_STS = 1 << 15
const PM1_PWRBTN_STS = 1 << 8
const SCI_IRQ = 9

/** General-purpose event status, two bytes. */
const GPE0_STATUS = 0xafe0
/** PCI hot-plug block of SeaBIOS's DSDT: which slots to add and eject. */
const HOTPLUG = { first: 0xae00, last: 0xae1f }

/**
 * ACPI as Linux expects it. v86 stores what is written to the event status (hardware clears the written bits) and lets the hot-plug block
 * float (all ones: "eject every slot"), upon which Linux throws away its PCI devices.
 */
export function repairAcpi(cpu: Cpu): void {
  const acpi = cpu.devices.acpi!
  for (const at of [0, 1]) {
    cpu.io.ports[GPE0_STATUS + at]!.write8 = (value) => {
      acpi.gpe[at]! &= ~value
    }
  }
  // The interrupt is a level: it stands while an enabled event does. v86 lowers it at every turn.
  const timer = acpi.timer
  acpi.timer = function (now) {
    const next = timer.call(this, now)
    if (this.pm1_status & this.pm1_enable) cpu.device_raise_irq(SCI_IRQ)
    return next
  }
  const none = (): number => 0
  for (let port = HOTPLUG.first; port <= HOTPLUG.last; port++) cpu.io.register_read(port, acpi, none, none, none)
}

/**
 * Tells of the guest's power-off: a write to PM1 control with SLP_EN. Sleep to RAM (S3) is answered with an immediate wake, as nothing here
 * could wake it later.
 */
export function watchPowerOff(cpu: Cpu, onPowerOff: () => void): void {
  const acpi = cpu.devices.acpi!
  const port = cpu.io.ports[PM1_CONTROL]!
  const write16 = port.write16
  port.write16 = function (value) {
    write16.call(this, value & ~SLP_EN)
    if (!(value & SLP_EN)) return
    if ((value & SLP_TYP_MASK) === SLP_TYP_S3) acpi.pm1_status |= PM1_WAK_STS
    else onPowerOff()
  }
}

/** The interrupt follows at the next turn (repairAcpi). */
export function pressPowerButton(cpu: Cpu): void {
  cpu.devices.acpi!.pm1_status |= PM1_PWRBTN_STS
}

/**
 * Makes a reset whole. v86 puts a kernel into memory once, when it builds the machine, and resets neither ACPI, nor the interrupt controllers (the
 * next kernel is then interrupted by the last one's devices), nor disk transfers that are under way. So interrupt controllers and memory as they were before the first instruction are kept (packed: pages of zeroes cost nothing) and put back.
 */
export function repairReset(cpu: Cpu, kernelBoot: boolean, onReset: () => void): void {
  const first = kernelBoot ? cpu.pack_memory() : null
  const apic = cpu.get_state_apic().slice()
  const ioapic = cpu.get_state_ioapic().slice()
  const reset = cpu.reboot_internal
  cpu.reboot_internal = function () {
    for (const disk of ideInterfaces(this)) disk.cancel_io_operations()
    const acpi = this.devices.acpi!
    acpi.status = 1
    acpi.pm1_status = 0
    acpi.pm1_enable = 0
    acpi.gpe.fill(0)
    this.set_state_apic(apic)
    this.set_state_ioapic(ioapic)
    if (first) this.unpack_memory(first.bitmap, first.packed_memory)
    this.jit_clear_cache()
    reset.call(this)
    onReset()
  }
}

/** Configuration space: the first base address register is word 4 (PCI 3.0, 6.1). */
const FIRST_BAR = 4

/**
 * Base address registers that a device does not have read 0. v86 leaves "I/O at 0" in those of an IDE channel without drives, and cannot load
 * a memory state that was saved before the firmware had overwritten them.
 */
export function clearAbsentBars(cpu: Cpu): void {
  const { devices, device_spaces: spaces } = cpu.devices.pci
  devices.forEach((device, at) => {
    device?.pci_bars.forEach((bar, index) => {
      if (!bar) spaces[at]![FIRST_BAR + index] = 0
    })
  })
}

/** Gives the network card its address and its link. */
export function setUpNic(cpu: Cpu, mac: string, linkUp: boolean): void {
  const bytes = Uint8Array.from(mac.split(':'), (pair) => parseInt(pair, 16))
  const { virtio_net: virtio, net: ne2k } = cpu.devices
  if (virtio) {
    virtio.mac.set(bytes)
    setLink(cpu, linkUp)
  }
  if (ne2k) {
    ne2k.mac.set(bytes)
    // The card's address PROM: each byte twice (DP8390, 16-bit mode).
    bytes.forEach((byte, at) => ne2k.memory.fill(byte, at * 2, at * 2 + 2))
  }
}

/** Device status: the guest's driver runs (Virtio 1.2, 2.1). */
const DRIVER_OK = 4

/**
 * Plugs the network card's cable in or out, and tells the guest (Virtio 1.2, 5.1.4: VIRTIO_NET_S_LINK_UP).
 * @returns false for a card that has no way to tell (ne2k)
 */
export function setLink(cpu: Cpu, up: boolean): boolean {
  const { virtio_net: card } = cpu.devices
  if (!card) return false
  card.status = up ? 1 : 0
  if (card.virtio.device_status & DRIVER_OK) card.virtio.notify_config_changes()
  return true
}

/** Timer waits shorter than this are spun away; longer ones sleep. */
const SPIN_BELOW_MS = 0.1

export interface TickHooks {
  /** Before the guest executes. */
  before(): void
  /** After it executed; true where it is halted. */
  after(halted: boolean): void
  /** v86 or the guest's WebAssembly failed. The machine must not run again. */
  fault(error: unknown): void
}

/**
 * The main loop: told of each turn, its faults caught, and asleep while the guest is halted. v86 polls the event loop for the last
 * millisecond before each timer deadline; with Linux's 250 ticks a second that is a quarter of a core for an idle guest. Rounded up to the
 * timer's resolution a tick comes up to a millisecond late, and the PIT and APIC models keep their phase from the clock.
 */
export function patchMainLoop(core: Core, hooks: TickHooks): void {
  const tick = core.do_tick
  const cpu = core.cpu
  core.do_tick = function () {
    hooks.before()
    try {
      tick.call(core)
    } catch (error) {
      hooks.fault(error)
      return
    }
    hooks.after(cpu.in_hlt[0] === 1)
  }
  core.yield = (ms, id) => {
    if (ms < SPIN_BELOW_MS) setImmediate(resume, core, id)
    else setTimeout(resume, Math.ceil(ms), core, id)
  }
}

function resume(core: Core, id: number): void {
  core.yield_callback(id)
}

/** Characters waiting in the guest's receive FIFO (16550A: 16). */
const UART_FIFO = 16
const LSR_DATA_READY = 1
const INTERRUPT_TRANSMIT = 2
const INTERRUPT_RECEIVE = [4, 12]
const LCR_DLAB = 0x80
const MCR_LOOPBACK = 0x10

/** The guest's side of one serial port. */
export interface UartPatch {
  /** Puts bytes into the receive FIFO as far as there is room; returns how many. */
  feed(bytes: Uint8Array): number
}

const UART_PORTS = [0x3f8, 0x2f8, 0x3e8, 0x2e8] as const

/**
 * Serial output goes straight to `onByte` (v86 sends each byte over its event bus and keeps the current line as a string), and `onRoom`
 * tells when the guest has emptied its receive FIFO, so that input is typed no faster than it is read.
 */
export function patchUart(cpu: Cpu, index: number, onByte: (byte: number) => void, onRoom: () => void): UartPatch {
  const uart = [cpu.devices.uart0, cpu.devices.uart1, cpu.devices.uart2, cpu.devices.uart3][index]!
  uart.write_data = (byte) => {
    if (uart.line_control & LCR_DLAB) {
      uart.baud_rate = (uart.baud_rate & ~0xff) | byte
      return
    }
    uart.ThrowInterrupt(INTERRUPT_TRANSMIT)
    if (uart.modem_control & MCR_LOOPBACK) uart.data_received(byte)
    else onByte(byte)
  }
  const port = cpu.io.ports[UART_PORTS[index]!]!
  const read8 = port.read8
  port.read8 = function () {
    const value = read8.call(this)
    if (uart.input.length === 0) onRoom()
    return value
  }
  return {
    feed(bytes) {
      const count = Math.max(0, Math.min(bytes.length, UART_FIFO - uart.input.length))
      for (let at = 0; at < count; at++) uart.data_received(bytes[at]!)
      return count
    },
  }
}

/** After a memory state was loaded: the bytes in the receive FIFOs are not part of it, so the ports must not claim to hold any. */
export function emptyUarts(cpu: Cpu): void {
  for (const uart of [cpu.devices.uart0, cpu.devices.uart1, cpu.devices.uart2, cpu.devices.uart3] as (Uart | undefined)[]) {
    if (!uart) continue
    uart.input.length = 0
    uart.lsr &= ~LSR_DATA_READY
    for (const line of INTERRUPT_RECEIVE) uart.ClearInterrupt(line)
  }
}

/** What the block adapter and the drive tell each other beyond v86's disk interface. */
export interface FlushableDisk {
  /** Calls back when all that was written is on disk; false where that failed. */
  flush(done: (ok: boolean) => void): void
  /** Told of a write that failed before its drive had answered. */
  onWriteError: (() => void) | null
  /** Told when the drive has answered what its guest waits for. */
  onAnswered: (() => void) | null
  /** Whether a write may be answered before it is on disk. */
  writeCache: boolean
}

/** What `get` gives instead of data when a read failed. */
export const READ_FAILED = new Uint8Array(0)

const ATA_FLUSH_CACHE = 0xe7
const ATA_FLUSH_CACHE_EXT = 0xea
const ATA_SET_FEATURES = 0xef
/** SET FEATURES (ATA/ATAPI-6, 8.46): what to set. */
const FEATURE = { cacheOn: 0x02, cacheOff: 0x82 }
const STATUS = { ready: 0x50, busy: 0xd0, error: 0x51 }
const ERROR_UNCORRECTABLE = 0x40
const DMA_ACTIVE = 1
const DMA_ERROR = 2
/** SCSI sense: medium error, unrecovered read error. */
const SENSE_MEDIUM_ERROR = [3, 0x11] as const
/** IDENTIFY DEVICE words 82 and 85, bit 5: write cache supported, enabled. */
const WRITE_CACHE_SUPPORTED = 82
const WRITE_CACHE_ENABLED = 85
const WRITE_CACHE = 1 << 5

/**
 * Disks that can fail and that flush. v86's drive knows no failed transfer and says it has no write cache, so that guests never flush. Here a
 * failed transfer ends with an error the guest's driver sees, and the drive has a write cache that FLUSH CACHE empties and SET FEATURES switches.
 * @param onAnswered a drive has answered its guest, which may be halted
 */
export function patchDisks(cpu: Cpu, isOurs: (disk: unknown) => FlushableDisk | null, onAnswered: () => void): void {
  const drives = ideInterfaces(cpu)
  const drive = drives[0]
  if (!drive) return
  for (const each of drives) {
    const disk = isOurs(each.buffer)
    if (!disk) continue
    disk.onWriteError = () => failTransfer(each)
    disk.onAnswered = onAnswered
  }
  // The drives are sealed objects: their prototype takes the patch. One machine lives in a thread, so nobody shares it.
  const prototype = Object.getPrototypeOf(drive) as IdeInterface
  const { ata_command: command, read_buffer: read, create_identify_packet: identify } = prototype
  prototype.ata_command = function (code) {
    const disk = this.is_atapi ? null : isOurs(this.buffer)
    const feature = code === ATA_SET_FEATURES ? this.features_reg & 255 : null
    if (disk && feature === FEATURE.cacheOn) disk.writeCache = true
    if (disk && feature === FEATURE.cacheOff) disk.writeCache = false
    // A cache that is switched off is emptied.
    const flushes = code === ATA_FLUSH_CACHE || code === ATA_FLUSH_CACHE_EXT || feature === FEATURE.cacheOff
    if (!disk || !flushes) return command.call(this, code)
    this.current_command = code
    this.error_reg = 0
    this.status_reg = STATUS.busy
    disk.flush((ok) => {
      if (!ok) return failTransfer(this)
      this.status_reg = STATUS.ready
      this.push_irq()
    })
  }
  prototype.read_buffer = function (start, length, done) {
    read.call(this, start, length, (bytes) => {
      if (bytes === READ_FAILED) failTransfer(this)
      else done(bytes)
    })
  }
  prototype.create_identify_packet = function () {
    identify.call(this)
    if (this.is_atapi) return
    this.data[WRITE_CACHE_SUPPORTED * 2]! |= WRITE_CACHE
    if (isOurs(this.buffer)?.writeCache !== false) this.data[WRITE_CACHE_ENABLED * 2]! |= WRITE_CACHE
  }
}

function failTransfer(drive: IdeInterface): void {
  drive.channel.dma_status = (drive.channel.dma_status & ~DMA_ACTIVE) | DMA_ERROR
  if (drive.is_atapi) {
    drive.atapi_check_condition_response(...SENSE_MEDIUM_ERROR)
  } else {
    drive.error_reg = ERROR_UNCORRECTABLE
    drive.status_reg = STATUS.error
    drive.current_command = -1
  }
  drive.push_irq()
}

function ideInterfaces(cpu: Cpu): IdeInterface[] {
  const { primary, secondary } = cpu.devices.ide
  return [primary, secondary].flatMap((channel) => (channel ? [channel.master, channel.slave] : []))
}

const INPUT_STATUS_1 = [0x3da, 0x3ba]
/** ms between two vertical retraces: 70 Hz. */
const FRAME_MS = 1000 / 70

/**
 * Vertical retraces in graphics modes. v86 has one for each time its screen is painted; here nothing paints while nobody watches, and a guest
 * that waits for the retrace would wait for ever.
 */
export function repairRetrace(cpu: Cpu, clock: Clock): void {
  const { vga } = cpu.devices
  let frame = 0
  for (const number of INPUT_STATUS_1) {
    const port = cpu.io.ports[number]!
    const read8 = port.read8
    port.read8 = function () {
      const now = Math.floor(clock() / FRAME_MS)
      if (vga.graphical_mode && now !== frame) {
        frame = now
        vga.update_vertical_retrace()
      }
      return read8.call(this)
    }
  }
}

/** v86's settings by number (its JitConfig). */
const JIT_MAX_PAGES = 1
/** Bytes of WebAssembly for one page of guest code. Linux's largest has 110 KiB. */
const MAX_MODULE = 128 * 1024

/**
 * Translates guest code one page at a time, and no page that becomes too large. V8's optimising compiler needs time and memory that grow much faster
 * than a function: at v86's three pages it used half of the boot's processor time, and for a page full of tiny instructions (a guest that runs
 * through zeroes) it used all memory and took the whole process along. A page that is too large stays interpreted.
 */
export function limitTranslation(cpu: Cpu): void {
  cpu.set_jit_config(JIT_MAX_PAGES, 1)
  const finalize = cpu.codegen_finalize
  cpu.codegen_finalize = function (slot, start, flags, code, length) {
    if (length >>> 0 <= MAX_MODULE) return finalize.call(this, slot, start, flags, code, length)
    // v86 waits for the answer, and must not be called back from within: take the page as translated, then as overwritten.
    setImmediate(() => {
      this.codegen_finalize_finished(slot, start, flags)
      this.jit_dirty_cache(start, start + 1)
    })
  }
}

/** Instructions since the machine's birth: v86's counter wraps at 2^32, some seconds apart. Read at least once a second. */
export class InstructionCounter {
  #cpu: Cpu
  #last: number
  #total = 0

  constructor(cpu: Cpu) {
    this.#cpu = cpu
    this.#last = cpu.instruction_counter[0]!
  }

  read(): number {
    const now = this.#cpu.instruction_counter[0]!
    this.#total += (now - this.#last) >>> 0
    this.#last = now
    return this.#total
  }
}

/**
 * v86 wraps frame buffers in ImageData when a guest enters a graphics mode. Nothing paints here, but the class must exist.
 */
export function provideImageData(): void {
  const scope = globalThis as { ImageData?: unknown }
  scope.ImageData ??= class {
    data: Uint8ClampedArray
    width: number
    height: number
    constructor(data: Uint8ClampedArray, width: number, height: number) {
      this.data = data
      this.width = width
      this.height = height
    }
  }
}
