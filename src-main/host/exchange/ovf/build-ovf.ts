/**
 * An OVF 1.0 descriptor of a machine (DMTF DSP0243 1.1; the schema dsp8023_1.1.0 orders the elements), as VirtualBox, VMware's products and
 * QEMU-based tools read it: disks on IDE, AHCI or LSI Logic controllers, network cards that all of them have, capacities in bytes, VMware's
 * settings for what OVF has no place for. VirtualBox's reader (Main/xml/ovfreader.cpp) wants memory in "byte * 2^20", a controller for every CD
 * drive, and skips types it does not know only where an item says ovf:required="false".
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { FORMAT_URIS, writtenGuest } from '../device-names.ts'
import type { ForeignDrive, ForeignMachine, ForeignNic } from '../foreign-machine.ts'
import { plainName } from '../text/file-reference.ts'
import { shown } from '../text/remarks.ts'
import { buildXml, node, type XmlNode } from '../xml/build-xml.ts'

export interface BuiltOvf {
  xml: string
  /** Names of the files that it refers to, in its order: that of an archive too. */
  references: string[]
  /** What the descriptor cannot say, as sentences for people; those of the machine first. */
  losses: string[]
}

/**
 * @param sizes bytes of every file that a drive refers to, or what stands for them until they are known
 * @throws AppError `invalid-input` for a disk without size, or a file without size or with a name that is not plain
 */
export function buildOvf(machine: ForeignMachine, sizes: ReadonlyMap<string, number | string>): BuiltOvf {
  const losses = new Set(machine.unknown)
  const files = listFiles(machine, sizes)
  const name = machine.name === '' ? 'machine' : machine.name
  const networks = [...new Set(machine.nics.map(networkOf))]
  const { cim, vmware, description } = writtenGuest(machine.guest, machine.arch)
  const xml = node('Envelope', NAMESPACES, [
    node(
      'References',
      {},
      files.map(({ id, file, size }) => node('File', { 'ovf:href': file, 'ovf:id': id, 'ovf:size': String(size) })),
    ),
    section('DiskSection', {}, 'Virtual disks', diskNodes(machine, files)),
    section(
      'NetworkSection',
      {},
      'Logical networks',
      networks.map((network) => node('Network', { 'ovf:name': network }, [node('Description', {}, network)])),
    ),
    section('VirtualSystem', { 'ovf:id': name }, 'A virtual machine', [
      node('Name', {}, name),
      ...machine.licences.map((licence) => section('EulaSection', {}, 'Licence', [node('License', {}, licence)])),
      ...(machine.notes === '' ? [] : [section('AnnotationSection', {}, 'Notes', [node('Annotation', {}, machine.notes)])]),
      section('OperatingSystemSection', { 'ovf:id': String(cim), ...(vmware === null ? {} : { 'vmw:osType': vmware }) }, 'The guest', [
        node('Description', {}, description),
      ]),
      hardware(machine, name, files, losses),
    ]),
  ])
  return { xml: buildXml(xml), references: files.map(({ file }) => file), losses: [...losses] }
}

const NAMESPACES = {
  'xml:lang': 'en-US',
  xmlns: 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:ovf': 'http://schemas.dmtf.org/ovf/envelope/1',
  'xmlns:rasd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData',
  'xmlns:vssd': 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData',
  'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
  'xmlns:vmw': 'http://www.vmware.com/schema/ovf',
} as const

function section(name: string, attributes: XmlNode['attributes'], info: string, content: readonly XmlNode[]): XmlNode {
  return node(name, attributes, [node('Info', {}, info), ...content])
}

interface ListedFile {
  id: string
  file: string
  size: number | string
}

function listFiles(machine: ForeignMachine, sizes: ReadonlyMap<string, number | string>): ListedFile[] {
  const names = [...new Set(machine.drives.flatMap(({ file }) => file ?? []))]
  return names.map((file, at) => {
    const size = sizes.get(file)
    if (plainName(file) !== file || size === undefined)
      throw AppError.invalid([{ path: 'drives', message: `“${shown(file)}” cannot be listed: its size or a plain name is missing.` }])
    return { id: `file${at + 1}`, file, size }
  })
}

/** The id of a disk of the machine: those of kind disk are described, in their order. */
function diskId(machine: ForeignMachine, drive: ForeignDrive): string {
  return `vmdisk${machine.drives.filter(({ kind }) => kind === 'disk').indexOf(drive) + 1}`
}

function diskNodes(machine: ForeignMachine, files: readonly ListedFile[]): XmlNode[] {
  return machine.drives
    .filter(({ kind }) => kind === 'disk')
    .map((drive) => {
      const file = files.find((one) => one.file === drive.file)
      if (drive.capacity === null) throw AppError.invalid([{ path: 'drives', message: 'A disk cannot be described without its size.' }])
      return node('Disk', {
        'ovf:capacity': String(drive.capacity),
        'ovf:capacityAllocationUnits': 'byte',
        'ovf:diskId': diskId(machine, drive),
        ...(file === undefined ? {} : { 'ovf:fileRef': file.id }),
        'ovf:format': FORMAT_URIS[drive.format ?? 'vmdk'],
      })
    })
}

/** What CIM calls an item; the schema wants its parts in the order of the alphabet. */
function item(parts: Readonly<Record<string, string | number>>, attributes: XmlNode['attributes'] = {}): XmlNode {
  const sorted = Object.entries(parts).sort(([a], [b]) => (a < b ? -1 : 1))
  return node(
    'Item',
    attributes,
    sorted.map(([name, value]) => node(`rasd:${name}`, {}, String(value))),
  )
}

function hardware(machine: ForeignMachine, name: string, files: readonly ListedFile[], losses: Set<string>): XmlNode {
  const cpus = machine.cpus ?? 1
  const memory = machine.memoryMiB ?? 1024
  let lastId = 2
  const nextId = (): number => ++lastId
  const drives = driveItems(machine, files, nextId)
  const nics = machine.nics.map((nic, at) => nicItem(nic, at, nextId(), losses))
  if (machine.tpm) losses.add('The TPM: left out. What it keeps cannot be moved.')
  if (machine.serialPorts > 1) losses.add('Serial ports: left out.')
  if (machine.firmware !== 'bios') losses.add('VirtualBox does not read that the machine has UEFI: switch EFI on there after the import.')
  return section('VirtualHardwareSection', {}, 'Virtual hardware', [
    node('System', {}, [
      node('vssd:ElementName', {}, 'Virtual Hardware Family'),
      node('vssd:InstanceID', {}, '0'),
      node('vssd:VirtualSystemIdentifier', {}, name),
      // Hardware version 10 is the first with AHCI, 13 the first with secure boot.
      node('vssd:VirtualSystemType', {}, machine.firmware === 'uefi-secure' ? 'vmx-13' : 'vmx-10'),
    ]),
    item({
      ...{ AllocationUnits: 'hertz * 10^6', Description: 'Number of virtual CPUs', ElementName: `${cpus} virtual CPU(s)` },
      ...{ InstanceID: 1, ResourceType: 3, VirtualQuantity: cpus },
    }),
    item({
      ...{ AllocationUnits: 'byte * 2^20', Description: 'Memory size', ElementName: `${memory} MB of memory` },
      ...{ InstanceID: 2, ResourceType: 4, VirtualQuantity: memory },
    }),
    ...drives,
    ...nics,
    ...(machine.firmware === 'bios' ? [] : [config('firmware', 'efi')]),
    ...(machine.firmware === 'uefi-secure' ? [config('bootOptions.efiSecureBootEnabled', 'true')] : []),
  ])
}

function config(key: string, value: string): XmlNode {
  return node('vmw:Config', { 'ovf:required': 'false', 'vmw:key': key, 'vmw:value': value })
}

type WrittenBus = 'ide' | 'scsi' | 'sata'
/** Drives on one controller. */
const PLACES: Record<WrittenBus, number> = { ide: 2, scsi: 7, sata: 30 }

function controllerItem(bus: WrittenBus, number: number, id: number): XmlNode {
  const parts: Record<WrittenBus, Record<string, string | number>> = {
    ide: { Description: 'IDE Controller', ElementName: `VirtualIDEController ${number}`, ResourceType: 5 },
    scsi: { Description: 'SCSI Controller', ElementName: `SCSI Controller ${number}`, ResourceSubType: 'lsilogic', ResourceType: 6 },
    sata: {
      Description: 'SATA Controller',
      ElementName: `SATA Controller ${number}`,
      ResourceSubType: 'vmware.sata.ahci',
      ResourceType: 20,
    },
  }
  return item({ ...parts[bus], Address: number, InstanceID: id })
}

/** Controllers, those of a kind together, kinds in the order in which drives need them; then the drives. */
function driveItems(machine: ForeignMachine, files: readonly ListedFile[], nextId: () => number): XmlNode[] {
  const controllers = new Map<WrittenBus, XmlNode[]>()
  const drives: XmlNode[] = []
  const open = new Map<WrittenBus, { id: number; used: number; number: number }>()
  const place = (bus: WrittenBus): { Parent: number; AddressOnParent: number } => {
    let controller = open.get(bus)
    if (controller === undefined || controller.used === PLACES[bus]) {
      controller = { id: nextId(), used: 0, number: controller === undefined ? 0 : controller.number + 1 }
      open.set(bus, controller)
      controllers.set(bus, [...(controllers.get(bus) ?? []), controllerItem(bus, controller.number, controller.id)])
    }
    return { Parent: controller.id, AddressOnParent: controller.used++ }
  }
  machine.drives.forEach((drive, at) => {
    if (drive.kind === 'floppy') {
      drives.push(
        item(
          {
            ...{ AddressOnParent: 0, AutomaticAllocation: 'false', Description: 'Floppy Drive', ElementName: `Floppy ${at + 1}` },
            ...{ InstanceID: nextId(), ResourceSubType: 'vmware.floppy.remotedevice', ResourceType: 14 },
          },
          { 'ovf:required': 'false' },
        ),
      )
      return
    }
    const bus = drive.controller === 'ide' || drive.controller === 'scsi' ? drive.controller : 'sata'
    const where = place(bus)
    const file = files.find((one) => one.file === drive.file)
    if (drive.kind === 'disk')
      drives.push(
        item({
          ...where,
          ...{ ElementName: `Hard Disk ${at + 1}`, HostResource: `ovf:/disk/${diskId(machine, drive)}` },
          ...{ InstanceID: nextId(), ResourceType: 17 },
        }),
      )
    else
      drives.push(
        item(
          {
            ...where,
            ...{ AutomaticAllocation: file === undefined ? 'false' : 'true', ElementName: `CD/DVD ${at + 1}`, InstanceID: nextId() },
            ...(file === undefined ? {} : { HostResource: `ovf:/file/${file.id}` }),
            ...{ ResourceSubType: file === undefined ? 'vmware.cdrom.remotepassthrough' : 'vmware.cdrom.iso', ResourceType: 15 },
          },
          { 'ovf:required': 'false' },
        ),
      )
  })
  return [...[...controllers.values()].flat(), ...drives]
}

/** What every one of the three kinds of product emulates. */
function nicItem(nic: ForeignNic, at: number, id: number, losses: Set<string>): XmlNode {
  const subType = nic.model === 'pcnet' || nic.model === 'ne2k' || nic.model === 'rtl8139' ? 'PCNet32' : 'E1000'
  if (nic.model !== null && nic.model !== 'e1000' && nic.model !== 'pcnet')
    losses.add(
      `Network card ${at + 1} (${nic.model}): becomes ${subType === 'E1000' ? 'an Intel E1000' : 'an AMD PCnet'}, which all products have.`,
    )
  return item({
    ...(nic.mac === null ? {} : { Address: nic.mac }),
    ...{ AddressOnParent: at, AutomaticAllocation: nic.connected ? 'true' : 'false', Connection: networkOf(nic) },
    ...{ Description: `${subType} ethernet adapter`, ElementName: `Ethernet ${at + 1}`, InstanceID: id },
    ...{ ResourceSubType: subType, ResourceType: 10 },
  })
}

/** VirtualBox knows this name as its own address translation. */
function networkOf(nic: ForeignNic): string {
  return nic.network ?? 'NAT'
}
