/** One <VirtualSystem> (DSP0243 1.1, section 7.2 and chapter 9), with what VirtualBox and VMware add to it. */
import { guestByCim, guestByName } from '../device-names.ts'
import { longText, shortText, type ForeignDrive, type ForeignGuest, type ForeignMachine, type ForeignNic } from '../foreign-machine.ts'
import type { Arch } from '../../../../src-shared/model/machine.ts'
import { countOf, isTrue } from '../text/counts.ts'
import { Remarks, shown } from '../text/remarks.ts'
import { readHardware, type VirtualBoxHardware } from '../virtualbox/machine-hardware.ts'
import { attribute, child, childrenOf, childText, type XmlElement } from '../xml/parse-xml.ts'
import { readItems, RESOURCE } from './hardware-items.ts'
import { readDevices, type DescriptorFiles } from './system-devices.ts'

export interface SystemContext extends DescriptorFiles {
  configuration: string | null
  /** Of the envelope and of the collections around the machine. */
  licences: readonly string[]
  /** Sentences about the whole descriptor. */
  unknown: readonly string[]
  what: string
}

/** @throws AppError `corrupt`, `unsupported` */
export function readSystem(system: XmlElement, context: SystemContext): ForeignMachine {
  const { what } = context
  const remarks = new Remarks()
  for (const sentence of context.unknown) remarks.add(sentence)
  const [section, ...alternatives] = childrenOf(system, 'VirtualHardwareSection')
  if (alternatives.length > 0) remarks.add(`Of ${alternatives.length + 1} alternative sets of hardware the first is taken.`)
  const vbox = vboxHardware(system, remarks, what)
  const listed = section === undefined ? [] : readItems(section, context.configuration, what)
  // VirtualBox names its sound card twice, by two names.
  const items = vbox === null ? listed : listed.filter(({ type }) => type !== RESOURCE.sound)
  const devices = readDevices(items, context, remarks, what)
  const config = vmwareConfig(section ?? null)
  const { guest, arch } = readGuest(system)
  listSections(system, remarks)
  const nvram = config.get('nvram')
  if (nvram !== undefined) remarks.leftOut('Saved firmware settings (nvram)')
  return {
    name: shortText(childText(system, 'Name') ?? '') || shortText(attribute(system, 'id') ?? ''),
    notes: readNotes(system),
    guest,
    arch,
    firmware: readFirmware(config, vbox),
    tpm: devices.tpm || (vbox?.tpm ?? false),
    cpus: devices.cpus ?? vbox?.cpus ?? null,
    memoryMiB: devices.memoryMiB ?? vbox?.memoryMiB ?? null,
    drives: inBootOrder(devices.drives, system, vbox),
    nics: devices.nics.map((nic, at) => ({ ...nic, ...vboxCard(nic, vbox?.nics[at]) })),
    serialPorts: Math.max(devices.serialPorts, vbox?.serialPorts ?? 0),
    display: null,
    licences: [...context.licences, ...licencesOf(system)],
    unknown: remarks.list(),
  }
}

/** Texts of the End-User Licence Agreements right below an element (DSP0243 1.1, section 9.6). */
export function licencesOf(element: XmlElement): string[] {
  return childrenOf(element, 'EulaSection')
    .map((section) => longText(childText(section, 'License') ?? ''))
    .filter((text) => text !== '')
}

function vboxHardware(system: XmlElement, remarks: Remarks, what: string): VirtualBoxHardware | null {
  const machine = child(system, 'Machine')
  return machine === null || !/virtualbox/i.test(machine.space) ? null : readHardware(machine, remarks, what)
}

/** The OVF's own item says the model where it says one at all; VirtualBox's part adds what items have no place for. */
function vboxCard(nic: ForeignNic, card: ForeignNic | undefined): Partial<ForeignNic> {
  return card === undefined ? {} : { model: card.model ?? nic.model, mac: nic.mac ?? card.mac, connected: nic.connected && card.connected }
}

/** VMware's settings for which OVF has no place: <vmw:Config> and <vmw:ExtraConfig>, by lower-case key. */
function vmwareConfig(section: XmlElement | null): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of ['ExtraConfig', 'Config'])
    for (const one of childrenOf(section, name)) found.set((attribute(one, 'key') ?? '').toLowerCase(), attribute(one, 'value') ?? '')
  return found
}

function readFirmware(config: ReadonlyMap<string, string>, vbox: VirtualBoxHardware | null): ForeignMachine['firmware'] {
  const vmware = config.get('firmware')?.toLowerCase()
  if (vmware !== 'efi' && vmware !== 'uefi' && vbox?.firmware !== 'uefi') return 'bios'
  // vSphere's word, then Workstation's.
  const secure = isTrue(config.get('bootoptions.efisecurebootenabled')) || isTrue(config.get('uefi.secureboot.enabled'))
  return secure ? 'uefi-secure' : 'uefi'
}

/** What the product's own name says counts more than CIM's number, which knows few systems. */
function readGuest(system: XmlElement): { guest: ForeignGuest; arch: Arch | null } {
  const section = child(system, 'OperatingSystemSection')
  const description = childText(section, 'Description')
  const own = childText(section, 'OSType') ?? attribute(section, 'osType')
  const cim = guestByCim(countOf(attribute(section, 'id')) ?? 0)
  const named = guestByName(own ?? '')
  const described = guestByName(description ?? '')
  const family = [named.guest.family, cim?.family, described.guest.family].find((one) => one !== undefined && one !== 'other') ?? 'other'
  return {
    guest: { family, label: described.guest.label ?? named.guest.label },
    arch: named.arch ?? cim?.arch ?? described.arch,
  }
}

/** The annotation, and what product it is (DSP0243 1.1, sections 9.3 and 9.5). */
function readNotes(system: XmlElement): string {
  const annotation = childText(child(system, 'AnnotationSection'), 'Annotation') ?? ''
  const products = childrenOf(system, 'ProductSection').flatMap((section) => {
    const product = childText(section, 'Product') ?? ''
    const version = childText(section, 'FullVersion') ?? childText(section, 'Version') ?? ''
    const vendor = childText(section, 'Vendor') ?? ''
    const name = shown(`${product} ${version}`)
    return name === '' ? [] : [vendor === '' ? name : `${name} (${shown(vendor)})`]
  })
  return longText([annotation, ...products].filter((text) => text !== '').join('\n\n'))
}

const KINDS: Readonly<Record<string, ForeignDrive['kind']>> = { disk: 'disk', hdd: 'disk', cdrom: 'cdrom', floppy: 'floppy' }

/** VMware's <vmw:BootOrderSection vmw:type="cdrom">, one of each kind; else VirtualBox's boot order. */
function inBootOrder(drives: readonly ForeignDrive[], system: XmlElement, vbox: VirtualBoxHardware | null): ForeignDrive[] {
  const places = new Map(vbox?.bootPlace)
  childrenOf(system, 'BootOrderSection').forEach((section, at) => {
    const kind = (attribute(section, 'type') ?? '').toLowerCase()
    if (Object.hasOwn(KINDS, kind)) places.set(KINDS[kind]!, at + 1)
  })
  return drives.map((drive) => ({ ...drive, bootOrder: places.get(drive.kind) ?? null }))
}

/** Read, or without a meaning here. */
const KNOWN_SECTIONS: ReadonlySet<string> = new Set([
  ...['Info', 'Name', 'AnnotationSection', 'EulaSection', 'ProductSection', 'OperatingSystemSection', 'VirtualHardwareSection'],
  ...['Machine', 'BootOrderSection'],
])

function listSections(system: XmlElement, remarks: Remarks): void {
  const properties = childrenOf(system, 'ProductSection').flatMap((section) => childrenOf(section, 'Property'))
  if (properties.length > 0)
    remarks.leftOut(
      `Values that the machine asks for when it is deployed (${shown(properties.map((one) => attribute(one, 'key') ?? '').join(', '))})`,
    )
  for (const { name } of system.children) if (!KNOWN_SECTIONS.has(name)) remarks.leftOut(`Part “${shown(name)}” of the description`)
}
