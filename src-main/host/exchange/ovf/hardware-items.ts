/**
 * The items of a <VirtualHardwareSection> (DSP0243 1.1, section 8.2 and annex on CIM; 2.1, section 8.2 adds StorageItem and EthernetPortItem):
 * each is a CIM_ResourceAllocationSettingData, what it is says its ResourceType.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { countOf } from '../text/counts.ts'
import { attribute, childText, type XmlElement } from '../xml/parse-xml.ts'

/** Items of a machine. */
export const MAX_ITEMS = 2048

/** CIM_ResourceAllocationSettingData.ResourceType; 35 is VirtualBox's own. */
export const RESOURCE = {
  ...{ other: 1, processor: 3, memory: 4, ide: 5, scsi: 6, fibreChannel: 7, iscsi: 8, ethernet: 10, otherNetwork: 11 },
  ...{ floppy: 14, cd: 15, dvd: 16, disk: 17, tape: 18, otherStorage: 20, serial: 21, parallel: 22, usb: 23, graphics: 24 },
  ...{ firewire: 25, logicalDisk: 31, sound: 35 },
} as const

const ITEMS: ReadonlySet<string> = new Set(['Item', 'StorageItem', 'EthernetPortItem'])

export interface HardwareItem {
  type: number | null
  id: string
  /** InstanceID of the controller it is on. */
  parent: string | null
  addressOnParent: number
  /** A controller's number, or a network card's MAC address. */
  address: string
  /** Lower case. */
  subType: string
  /** "ovf:/disk/vmdisk1" */
  hostResource: string | null
  connection: string | null
  automatic: boolean
  quantity: number | null
  units: string | null
  /** For people. */
  title: string
  /** Where the descriptor has it, from 0. */
  index: number
}

/**
 * The items that hold in the descriptor's usual configuration (DSP0243 1.1, section 9.8): those without ovf:configuration or with that one; such
 * with ovf:bound give limits and are no devices (section 8.4).
 * @throws AppError `unsupported` past a limit
 */
export function readItems(section: XmlElement, configuration: string | null, what: string): HardwareItem[] {
  const elements = section.children.filter(({ name }) => ITEMS.has(name))
  if (elements.length > MAX_ITEMS)
    throw new AppError('unsupported', `${what} has a machine with more than ${MAX_ITEMS} parts.`, { subject: what })
  const items = new Map<string, HardwareItem>()
  elements.forEach((element, index) => {
    const configurations = attribute(element, 'configuration')?.trim().split(/\s+/) ?? null
    const bound = attribute(element, 'bound')
    if (bound === 'min' || bound === 'max') return
    if (configurations !== null && (configuration === null || !configurations.includes(configuration))) return
    const item = readItem(element, index)
    // One of the configuration takes the place of the usual one; others that share an id are a writer's mistake.
    const key = item.id === '' || (configurations === null && items.has(item.id)) ? `#${index}` : item.id
    items.set(key, item)
  })
  return [...items.values()]
}

function readItem(element: XmlElement, index: number): HardwareItem {
  const text = (name: string): string | null => childText(element, name)
  return {
    type: countOf(text('ResourceType')),
    id: text('InstanceID') ?? text('InstanceId') ?? '',
    parent: text('Parent'),
    addressOnParent: countOf(text('AddressOnParent')) ?? 0,
    address: text('Address') ?? '',
    subType: (text('ResourceSubType') ?? '').toLowerCase(),
    hostResource: text('HostResource'),
    connection: text('Connection'),
    automatic: text('AutomaticAllocation')?.toLowerCase() !== 'false',
    quantity: countOf(text('VirtualQuantity')),
    units: text('AllocationUnits') ?? text('VirtualQuantityUnits'),
    title: text('ElementName') ?? text('Caption') ?? text('Description') ?? '',
    index,
  }
}
