/**
 * The part of v86 that we use, typed by ourselves: its own typings leave out everything inside `emulator.v86`, and that is where the patches
 * work. Pinned to one exact version (package.json); `tests/unit/engines/embedded/patches.test.ts` fails when a new one changes a name here.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { V86 } from 'v86'

// Not named `require`: the build puts a shim of that name into the file.
const requireFrom = createRequire(import.meta.url)

/** "v86 0.5.462": also what a memory state must have been written by. */
export const V86_VERSION = `v86 ${(requireFrom('v86/package.json') as { version: string }).version.replace(/\+.*/, '')}`

/** Where v86's WebAssembly is: beside its JavaScript, from sources as from a bundle (v86 stays an external dependency). */
const wasmPath = requireFrom.resolve('v86/build/v86.wasm')

/** What v86 wants of a disk, CD or floppy. Offsets and lengths are in bytes. */
export interface V86Disk {
  readonly byteLength: number
  /** Called by v86 once; must call `onload`. */
  load(): void
  onload?: (event: object) => void
  get(offset: number, length: number, done: (bytes: Uint8Array) => void): void
  set(offset: number, bytes: Uint8Array, done: () => void): void
  get_and_cache(offset: number, length: number, done: (bytes: Uint8Array) => void): void
  get_from_cache(offset: number, length: number): Uint8Array | undefined
  get_state(): unknown[]
  set_state(state: unknown[]): void
}

export interface IoPort {
  read8(this: unknown): number
  write8(this: unknown, value: number): void
  write16(this: unknown, value: number): void
  device: object
}

export interface Io {
  ports: IoPort[]
  create_empty_entry(): IoPort
  register_read(port: number, device: object, read8: () => number, read16?: () => number, read32?: () => number): void
}

export interface Acpi {
  status: number
  pm1_status: number
  pm1_enable: number
  gpe: Uint8Array
  timer(now: number): number
}

export interface Uart {
  input: number[]
  line_control: number
  baud_rate: number
  modem_control: number
  lsr: number
  data_received(byte: number): void
  write_data(byte: number): void
  ThrowInterrupt(line: number): void
  ClearInterrupt(line: number): void
}

export interface IdeChannel {
  master: IdeInterface
  slave: IdeInterface
  dma_status: number
}

export interface IdeInterface {
  readonly buffer: V86Disk | null
  readonly channel: IdeChannel
  readonly is_atapi: boolean
  readonly data: Uint8Array
  status_reg: number
  error_reg: number
  features_reg: number
  current_command: number
  push_irq(): void
  ata_command(command: number): void
  create_identify_packet(): void
  read_buffer(start: number, length: number, done: (bytes: Uint8Array) => void): void
  cancel_io_operations(): void
  atapi_check_condition_response(senseKey: number, additionalSense: number): void
  /** Of CD drives. */
  eject(): void
  set_cdrom(disk: V86Disk): void
}

export interface FloppyDrive {
  read_only: boolean
  /** False: no format of this drive has that size. */
  insert_disk(disk: V86Disk, readOnly: boolean): boolean
  eject_disk(): void
}

/** The VGA's registers and memories, as v86 keeps them. */
export interface Vga {
  graphical_mode: boolean
  readonly vga_memory: Uint8Array
  readonly plane2: Uint8Array
  /** 0xRRGGBB */
  readonly vga256_palette: Int32Array
  readonly dac_map: Uint8Array
  dac_mask: number
  color_select: number
  attribute_mode: number
  clocking_mode: number
  character_map_select: number
  max_scan_line: number
  line_compare: number
  offset_register: number
  start_address: number
  cursor_address: number
  cursor_scanline_start: number
  cursor_scanline_end: number
  /** Of text modes. */
  max_cols: number
  max_rows: number
  /** Of graphics modes. */
  screen_width: number
  screen_height: number
  image_data: object | null
  /** Marks everything as touched. */
  complete_redraw(): void
  complete_replot(): void
  /** Converts what was touched and hands it to the adapter's update_buffer. */
  screen_fill_buffer(): void
  update_vertical_retrace(): void
}

/** A part of a frame buffer and where it is shown; all in pixels. */
export interface ScreenLayer {
  image_data: { readonly data: Uint8ClampedArray; readonly width: number; readonly height: number }
  screen_x: number
  screen_y: number
  buffer_x: number
  buffer_y: number
  buffer_width: number
  buffer_height: number
}

export interface VirtQueue {
  is_configured(): unknown
  has_request(): boolean
  pop_request(): VirtBuffers
  push_reply(buffers: VirtBuffers): void
  flush_replies(): void
  notify_me_after(requests: number): void
}

/** A chain of the guest's buffers. */
export interface VirtBuffers {
  /** Bytes that the guest wrote. */
  length_readable: number
  /** Bytes that it has room for. */
  length_writable: number
  /** Fills `into` with what the guest wrote. */
  get_next_blob(into: Uint8Array): number
  /** Fills the guest's room. */
  set_next_blob(from: Uint8Array): number
}

/** A virtio device's part that is the same in all of them: PCI, features, queues. */
export interface Virtio {
  readonly queues: VirtQueue[]
  readonly pci_id: number
  /** What it has to tell the guest, by an interrupt. */
  isr_status: number
  device_status: number
  reset(): void
  /** Tells the guest that the device failed. */
  needs_reset(): void
  /** Tells a guest whose driver runs that the device's configuration has changed. */
  notify_config_changes(): void
  lower_irq(): void
  get_state(): unknown[]
  set_state(state: unknown[]): void
}

/** One register of a virtio device's configuration. */
export interface VirtioField {
  bytes: number
  name: string
  read(): number
  write(value: number): void
}

export interface VirtioOptions {
  name: string
  pci_id: number
  device_id: number
  subsystem_device_id: number
  common: {
    initial_port: number
    queues: { size_supported: number; notify_offset: number }[]
    features: number[]
    on_driver_ok(): void
  }
  notification: { initial_port: number; single_handler: boolean; handlers: ((queue: number) => void)[] }
  isr_status: { initial_port: number }
  device_specific: { initial_port: number; struct: VirtioField[] }
}

/** A range of I/O ports of a PCI device, which firmware may move. */
export interface PciBar {
  size: number
  entries: IoPort[]
}

export interface Pci {
  devices: ({ pci_bars: (PciBar | undefined)[] } | undefined)[]
  device_spaces: (Int32Array | undefined)[]
  /** Configuration space of the bridge; at 0x60 which interrupt line each of four pins is on. */
  isa_bridge_space8: Uint8Array
  set_io_bars(bar: PciBar, from: number, to: number): void
  raise_irq(pciId: number): void
  lower_irq(pciId: number): void
}

export interface VirtioConsole {
  ports: number
  readonly virtio: Virtio
  SendEvent(port: number, event: number, value: number): void
  SendName(port: number, name: string): void
  SendWindowSize(port: number): void
  /** Gives buffers back to the guest, filled. */
  Send(queue: number, buffers: VirtBuffers, bytes: Uint8Array): void
  /** Gives buffers back to the guest, empty. */
  Ack(queue: number, buffers: VirtBuffers): void
  get_state(): unknown[]
  set_state(state: unknown[]): void
}

export interface Cpu {
  io: Io
  devices: {
    acpi?: Acpi
    vga: Vga
    /** VMware's mouse, by which guests take absolute places. */
    vmware: { enabled: boolean; absolute: boolean }
    pci: Pci
    ide: { primary?: IdeChannel; secondary?: IdeChannel }
    /** The drive alone, without its channel. */
    cdrom: IdeInterface
    fdc: { drives: FloppyDrive[] }
    virtio_console?: VirtioConsole
    virtio_net?: { mac: Uint8Array; status: number; readonly virtio: Virtio }
    /** v86 keeps its state with the machine's and resets it with the machine. */
    virtio_9p?: { get_state(): unknown[]; set_state(state: unknown[]): void; reset(): void }
    net?: { mac: Uint8Array; memory: Uint8Array }
    uart0: Uart
    uart1?: Uart
    uart2?: Uart
    uart3?: Uart
  }
  wasm_memory: WebAssembly.Memory
  mem8: Uint8Array
  memory_size: Uint32Array
  /** Wraps at 2^32. */
  instruction_counter: Uint32Array
  in_hlt: Uint8Array
  cpl: Uint8Array
  /** Physical address of the instruction at which the processor stands. */
  instruction_pointer: Int32Array
  flags: Int32Array
  cr: Int32Array
  main_loop(): number
  device_raise_irq(irq: number): void
  reboot_internal(): void
  get_state_apic(): Uint8Array
  get_state_ioapic(): Uint8Array
  set_state_apic(state: Uint8Array): void
  set_state_ioapic(state: Uint8Array): void
  pack_memory(): { bitmap: object; packed_memory: Uint8Array }
  unpack_memory(bitmap: object, packed: Uint8Array): void
  jit_clear_cache(): void
  jit_dirty_cache(start: number, end: number): void
  set_jit_config(setting: number, value: number): void
  codegen_finalize(slot: number, start: number, flags: number, code: number, length: number): void
  codegen_finalize_finished(slot: number, start: number, flags: number): void
}

/** v86's main loop. */
export interface Core {
  readonly cpu: Cpu
  running: boolean
  stopping: boolean
  idle: boolean
  do_tick(): void
  next_tick(ms: number): void
  yield(ms: number, tick: number): void
  yield_callback(tick: number): void
  run(): void
  stop(): void
  restart(): void
  save_state(): ArrayBuffer
  restore_state(state: ArrayBuffer): void
}

export interface Emulator {
  readonly v86: Core
  readonly screen_adapter: { get_text_screen(): string[]; update_buffer(layers: ScreenLayer[]): void }
  readonly bus: { send(event: string, data: unknown): void }
  add_listener(event: string, listener: (value: never) => void): void
  remove_listener(event: string, listener: (value: never) => void): void
}

export interface V86Options {
  memory_size: number
  vga_memory_size: number
  bios: { buffer: ArrayBuffer }
  vga_bios: { buffer: ArrayBuffer }
  bzimage?: { buffer: ArrayBuffer }
  initrd?: { buffer: ArrayBuffer }
  cmdline?: string
  boot_order?: number
  hda?: V86Disk
  hdb?: V86Disk
  cdrom?: V86Disk
  fda?: V86Disk
  fdb?: V86Disk
  uart1?: boolean
  uart2?: boolean
  uart3?: boolean
  acpi: boolean
  virtio_console?: boolean
  net_device: { type: 'virtio' | 'ne2k' | 'none' }
}

/** Replaces v86's clock (milliseconds that only grow). */
export type Clock = () => number

/**
 * Builds a machine up to, not including, its first instruction. v86 reports nothing that goes wrong while it builds: such a fault appears
 * as an unhandled rejection of the thread.
 */
export async function createEmulator(options: V86Options, clock: Clock): Promise<Emulator> {
  const wasm = await readFile(wasmPath)
  return new Promise((resolve, reject) => {
    const emulator = new V86({
      ...(options as object),
      wasm_fn: async (imports: { env: Record<string, unknown> }) => {
        try {
          imports.env['microtick'] = clock
          const { instance } = await WebAssembly.instantiate(wasm, imports as WebAssembly.Imports)
          return instance.exports
        } catch (error) {
          reject(error as Error)
          throw error
        }
      },
      autostart: false,
      disable_keyboard: true,
      disable_mouse: true,
      disable_speaker: true,
    } as unknown as ConstructorParameters<typeof V86>[0]) as unknown as Emulator
    emulator.add_listener('emulator-loaded', () => {
      // Devices read the clock from the main loop's class.
      ;(emulator.v86.constructor as unknown as { microtick: Clock }).microtick = clock
      resolve(emulator)
    })
  })
}
