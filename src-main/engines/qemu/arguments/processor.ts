/** Board, processors, memory and firmware. */
import { isPc } from '../../../../src-shared/model/machine.ts'
import type { MachineSpec, QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { Board } from './board.ts'
import { json, option } from './option.ts'
import type { Platform } from './runtime.ts'

export function processorArguments(spec: MachineSpec, qemu: QemuSpec, board: Board, platform: Platform): string[] {
  const { maxCpus } = qemu
  // Cores of one processor: some systems take no second one. Said also where all are there, as it was said before the last was added.
  const room = maxCpus > 1 ? { sockets: 1, cores: maxCpus, threads: 1, maxcpus: maxCpus } : {}
  return [
    ...['-machine', machine(spec, qemu, board)],
    ...['-accel', accelerator(spec, qemu, platform)],
    ...['-cpu', processor(spec, qemu)],
    ...['-smp', option(`cpus=${spec.cpus}`, room)],
    ...['-m', `size=${spec.memoryMiB}M`],
    ...firmware(qemu),
    ...powerManagement(board),
  ]
}

function machine({ arch }: MachineSpec, { machineType, firmware }: QemuSpec, board: Board): string {
  const flash = firmware.kind !== 'bios' && firmware.vars !== null
  return option(machineType, {
    // The VMware backdoor: nothing here speaks it.
    vmport: board.pc ? false : null,
    // Without System Management Mode a guest could write Secure Boot's variables past the firmware.
    smm: firmware.kind === 'uefi-secure' && board.pc ? true : null,
    // The oldest interrupt controller, which is the default, takes 8 processors.
    'gic-version': arch === 'aarch64' ? 'max' : null,
    pflash0: flash ? 'firmware-code' : null,
    pflash1: flash ? 'firmware-vars' : null,
  })
}

function accelerator({ arch }: MachineSpec, { accelerator }: QemuSpec, platform: Platform): string {
  if (accelerator === 'whpx') return option('whpx', { 'kernel-irqchip': false })
  if (accelerator !== 'tcg') return accelerator
  // PCs order their memory accesses more strictly than ARM computers do: several threads would run such guests wrongly.
  return option('tcg', { thread: isPc(arch) && platform.arch === 'arm64' ? 'single' : 'multi' })
}

/** WHPX takes `host` from this major version on, and hangs with `max`; older ones refuse `host`. */
const WHPX_HOST = 11

function processor({ arch }: MachineSpec, { accelerator, version }: QemuSpec): string {
  if (accelerator === 'kvm' || accelerator === 'hvf') return 'host'
  if (accelerator === 'whpx') return Number.parseInt(version) >= WHPX_HOST ? 'host' : 'qemu64'
  // `max` is not there for RISC-V before QEMU 8.2.
  if (arch === 'riscv64') return 'rv64'
  // Pointer authentication by the architecture's own algorithm takes half of TCG's time.
  if (arch === 'aarch64') return option('max', { 'pauth-impdef': true })
  // Guests that hear of fast strings copy byte by byte, which TCG takes at its word: without them TCP into a guest is half as fast again, and so is all that copies.
  return option('max', { erms: false, fsrm: false })
}

/** Code and variables are flash memory; firmware without variables is read from one file. */
function firmware({ firmware }: QemuSpec): string[] {
  if (firmware.kind === 'bios') return firmware.code === null ? [] : ['-bios', firmware.code]
  const { format } = firmware
  if (firmware.vars === null) return ['-bios', firmware.code]
  const flash = (name: string, path: string, readOnly: boolean): string[] =>
    json('-blockdev', {
      driver: format,
      'node-name': name,
      'read-only': readOnly,
      file: { driver: 'file', filename: path },
    })
  return [
    ...flash('firmware-code', firmware.code, true),
    ...flash('firmware-vars', firmware.vars.path, false),
    ...(firmware.kind === 'uefi-secure' ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
  ]
}

/** No sleep states: a guest that goes to sleep would look dead, and nothing wakes it. Firmware with Secure Boot asks for it too. */
function powerManagement(board: Board): string[] {
  if (!board.pc) return []
  const controller = board.kind === 'pcie' ? 'ICH9-LPC' : 'PIIX4_PM'
  return ['-global', `${controller}.disable_s3=1`, '-global', `${controller}.disable_s4=1`]
}
