/** What the machine talks through: QMP, serial ports, agents, network cards, TPM. */
import { busOf, isOnPci } from '../../../../src-shared/model/disk-bus.ts'
import { placed } from '../../../../src-shared/model/live-change.ts'
import type { MachineSpec, QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { NicModel } from '../../../../src-shared/model/machine.ts'
import { hotPorts, hotSlot, slot, type Board } from './board.ts'
import { device, listeningSocket, option, type DeviceValues } from './option.ts'
import type { Endpoint, QemuRuntime } from './runtime.ts'

/** The ports' names inside of the guest: /dev/virtio-ports/…. The first one is qemu-guest-agent's. */
export const GUEST_AGENT_PORT = 'org.qemu.guest_agent.0'
export const COPPICE_AGENT_PORT = 'org.coppice.agent.0'

export function monitorArguments(runtime: QemuRuntime): string[] {
  const monitor = (id: string, endpoint: Endpoint): string[] => [
    ...listeningSocket(id, endpoint),
    ...['-mon', option(`chardev=${id}`, { mode: 'control' })],
  ]
  return [...monitor('qmp', runtime.qmp), ...monitor('tools', runtime.tools)]
}

/** PCs have four ports at their usual addresses. The other boards have one; the rest are PCI cards. */
export function serialArguments(runtime: QemuRuntime, board: Board): string[] {
  return runtime.serial.flatMap(({ endpoint, log }, port) => {
    const id = `serial${port}`
    const chardev = listeningSocket(id, endpoint, log === null ? {} : { logfile: log, logappend: true })
    const onBoard = board.pc || port === 0
    return [
      ...chardev,
      ...(onBoard ? ['-serial', `chardev:${id}`] : device('pci-serial', { chardev: id, ...slot(board, 'serial', port - 1) })),
    ]
  })
}

/** Older systems have no driver for it, and would show an unknown device. */
export function agentArguments(runtime: QemuRuntime, { devices }: QemuSpec, board: Board): string[] {
  if (devices === 'legacy') return []
  const port = (id: string, endpoint: Endpoint, name: string): string[] => [
    ...listeningSocket(id, endpoint),
    // The id: QEMU tells only of ports that have one when a guest opens them.
    ...device('virtserialport', { id, bus: 'agents.0', chardev: id, name }),
  ]
  return [
    ...device('virtio-serial-pci', { id: 'agents', ...slot(board, 'agents') }),
    ...port('guest-agent', runtime.guestAgent, GUEST_AGENT_PORT),
    ...port('coppice-agent', runtime.coppiceAgent, COPPICE_AGENT_PORT),
  ]
}

const NIC_DRIVERS: Record<NicModel, string> = {
  virtio: 'virtio-net-pci',
  e1000e: 'e1000e',
  e1000: 'e1000',
  rtl8139: 'rtl8139',
  ne2k: 'ne2k_pci',
}

type Nic = MachineSpec['nics'][number]

export function nicArguments(spec: MachineSpec, runtime: QemuRuntime, board: Board): string[] {
  return placed(spec.nics).flatMap((nic) => {
    const { driver, ...values } = nicDevice(nic, board)
    const backend = nic.bridge ? option('vmnet-bridged', { id: nicBackend(nic.id), ifname: nic.bridge.card }) : stream(nic.id, runtime)
    return [...['-netdev', backend], ...device(driver, values)]
  })
}

/** QEMU listens there and takes the switch back after it was gone (as the side that connects it would try once). */
function stream(nic: string, runtime: QemuRuntime): string {
  const endpoint = runtime.nics[nic]!
  const where =
    endpoint.kind === 'unix'
      ? { 'addr.type': 'unix', 'addr.path': endpoint.path }
      : { 'addr.type': 'inet', 'addr.host': '127.0.0.1', 'addr.port': endpoint.port }
  return option('stream', { id: nicBackend(nic), server: true, ...where })
}

/** The other end of a network card: Coppice's network thread, or (NetdevVmnetBridgedOptions, qapi/net.json) macOS. */
export function nicBackend(id: string): string {
  return `${id}-net`
}

/** No card boots from a network. */
export function nicDevice({ id, model, mac, place }: Nic & { place: number }, board: Board): DeviceValues {
  return { driver: NIC_DRIVERS[model], id, ...hotSlot(board, 'nic', place), netdev: nicBackend(id), mac, romfile: '' }
}

export function tpmArguments(runtime: QemuRuntime, board: Board): string[] {
  const { tpm } = runtime
  if (tpm === null) return []
  const where = tpm.kind === 'unix' ? { path: tpm.path } : { host: '127.0.0.1', port: tpm.port }
  return [
    // swtpm listens here, and QEMU connects.
    ...['-chardev', option('socket', { id: 'tpm', ...where })],
    ...['-tpmdev', option('emulator', { id: 'tpm0', chardev: 'tpm' })],
    ...device(board.pc ? 'tpm-tis' : 'tpm-tis-device', { tpmdev: 'tpm0' }),
  ]
}

/** Before what is plugged into them. */
export function portArguments({ drives }: MachineSpec, qemu: QemuSpec, board: Board): string[] {
  const disks = placed(drives).flatMap((drive) => (drive.kind === 'disk' && isOnPci(busOf(drive, qemu.devices)) ? [drive.place] : []))
  return hotPorts(board, qemu, disks).flatMap(({ chassis, ...values }) => device('pcie-root-port', { ...values, chassis, port: chassis }))
}
