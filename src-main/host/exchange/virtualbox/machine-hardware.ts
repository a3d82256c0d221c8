/**
 * The <Machine> element of VirtualBox's settings: a .vbox file has it, and so have the OVF descriptors that VirtualBox writes (vbox:Machine).
 * Source: VirtualBox Main, xml/VirtualBox-settings.xsd and Settings.cpp, settings versions 1.9 to 1.21. What has its default value is often
 * not written.
 */
import type { ForeignDrive, ForeignNic } from '../foreign-machine.ts'
import { checkCount, MAX_FOREIGN_NICS, shortText } from '../foreign-machine.ts'
import { nicModel } from '../device-names.ts'
import { countOf, isTrue, macOf } from '../text/counts.ts'
import { shown, type Remarks } from '../text/remarks.ts'
import { attribute, child, childrenOf, descendant, type XmlElement } from '../xml/parse-xml.ts'

export interface VirtualBoxHardware {
  /** "Ubuntu_64" */
  osType: string | null
  firmware: 'bios' | 'uefi'
  tpm: boolean
  cpus: number | null
  memoryMiB: number | null
  /** Those that are enabled, by slot. */
  nics: ForeignNic[]
  serialPorts: number
  /** Place of a kind of drive in the boot order, from 1. */
  bootPlace: ReadonlyMap<ForeignDrive['kind'], number>
}

/**
 * @param what the file, for sentences
 * @throws AppError `unsupported` past a limit
 */
export function readHardware(machine: XmlElement, remarks: Remarks, what: string): VirtualBoxHardware {
  const hardware = child(machine, 'Hardware')
  listUnknown(hardware, remarks)
  const tpm = attribute(child(hardware, 'TrustedPlatformModule'), 'type')?.toLowerCase() ?? 'none'
  return {
    osType: attribute(machine, 'OSType'),
    firmware: (attribute(child(hardware, 'Firmware'), 'type') ?? 'BIOS').toUpperCase().startsWith('EFI') ? 'uefi' : 'bios',
    tpm: tpm !== 'none',
    cpus: hardware === null ? null : (countOf(attribute(child(hardware, 'CPU'), 'count')) ?? 1),
    memoryMiB: countOf(attribute(child(hardware, 'Memory'), 'RAMSize')),
    nics: readNics(hardware, what),
    serialPorts: childrenOf(child(hardware, 'UART'), 'Port').filter((port) => isTrue(attribute(port, 'enabled'))).length,
    bootPlace: readBootOrder(hardware),
  }
}

const MODES: Readonly<Record<string, string>> = {
  ...{ NAT: 'NAT', BridgedInterface: 'bridged', HostInterface: 'bridged', HostOnlyInterface: 'host only', HostOnlyNetwork: 'host only' },
  ...{ InternalNetwork: 'internal', NATNetwork: 'NAT network', GenericInterface: 'generic', CloudNetwork: 'cloud' },
}

function readNics(hardware: XmlElement | null, what: string): ForeignNic[] {
  const adapters = childrenOf(child(hardware, 'Network'), 'Adapter').filter((adapter) => isTrue(attribute(adapter, 'enabled')))
  checkCount(adapters.length, MAX_FOREIGN_NICS, 'network cards', what)
  const slot = (adapter: XmlElement): number => countOf(attribute(adapter, 'slot')) ?? 0
  return adapters
    .sort((a, b) => slot(a) - slot(b))
    .map((adapter) => {
      const mode = adapter.children.find(({ name }) => Object.hasOwn(MODES, name))
      const name = attribute(mode ?? null, 'name')
      return {
        model: nicModel(attribute(adapter, 'type')),
        mac: macOf(attribute(adapter, 'MACAddress')),
        network: mode === undefined ? null : shortText(name ?? MODES[mode.name]!),
        connected: mode !== undefined && attribute(adapter, 'cable') !== 'false',
      }
    })
}

const BOOT_DEVICES: Readonly<Record<string, ForeignDrive['kind']>> = { HardDisk: 'disk', DVD: 'cdrom', Floppy: 'floppy' }

function readBootOrder(hardware: XmlElement | null): Map<ForeignDrive['kind'], number> {
  const places = new Map<ForeignDrive['kind'], number>()
  for (const order of childrenOf(child(hardware, 'Boot'), 'Order')) {
    const device = attribute(order, 'device') ?? ''
    const place = countOf(attribute(order, 'position'))
    if (Object.hasOwn(BOOT_DEVICES, device) && place !== null && place > 0) places.set(BOOT_DEVICES[device]!, place)
  }
  return places
}

function listUnknown(hardware: XmlElement | null, remarks: Remarks): void {
  const audio = child(hardware, 'AudioAdapter')
  if (isTrue(attribute(audio, 'enabled'))) remarks.leftOut(`Sound card (${shown(attribute(audio, 'controller') ?? 'AC97')})`)
  const folders = childrenOf(child(hardware, 'SharedFolders'), 'SharedFolder')
  if (folders.length > 0) remarks.leftOut(`Shared folders (${shown(folders.map((one) => attribute(one, 'name') ?? '').join(', '))})`)
  if (childrenOf(child(hardware, 'LPT'), 'Port').some((port) => isTrue(attribute(port, 'enabled')))) remarks.leftOut('Parallel port')
  if (isTrue(attribute(child(hardware, 'RemoteDisplay'), 'enabled'))) remarks.leftOut('Remote display')
  if (childrenOf(descendant(hardware, 'USB', 'DeviceFilters'), 'DeviceFilter').length > 0) remarks.leftOut('USB devices of the host')
  if (isTrue(attribute(child(hardware, 'Display'), 'accelerate3D'))) remarks.leftOut('3D acceleration of the display')
  const adapters = childrenOf(child(hardware, 'Network'), 'Adapter')
  if (adapters.some((adapter) => childrenOf(child(adapter, 'NAT'), 'Forwarding').length > 0)) remarks.leftOut('Port forwarding')
  const nvram = attribute(descendant(hardware, 'BIOS', 'NVRAM') ?? descendant(hardware, 'Firmware', 'NVRAM'), 'path')
  if (nvram !== null) remarks.leftOut(`Saved firmware settings (${shown(nvram)})`)
}
