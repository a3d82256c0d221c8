import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { MACHINE_SCHEMA, MAX_DRIVES, parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import type { ForeignDrive, ForeignMachine } from '../../../../src-main/host/exchange/foreign-machine.ts'
import { emptyDrive } from '../../../../src-main/host/exchange/foreign-machine.ts'
import { draftMachine, type MachineDraft, type Here } from '../../../../src-main/host/exchange/import-machine.ts'
import { parseOvf } from '../../../../src-main/host/exchange/ovf/parse-ovf.ts'
import { parseUtm } from '../../../../src-main/host/exchange/utm/parse-utm.ts'
import { parseVbox } from '../../../../src-main/host/exchange/virtualbox/parse-vbox.ts'
import { parseVmx } from '../../../../src-main/host/exchange/vmware/parse-vmx.ts'
import { anyMachine } from './any-machine.ts'
import { UTM_4, VIRTUALBOX_7_VBOX, WORKSTATION_17_VMX } from './fixtures/folders.ts'
import { COLLECTION_2, ESXI_8, VIRTUALBOX_7 } from './fixtures/ovf.ts'

const NONE: Here = { macs: new Set(), hasNetwork: (name) => name === 'default' }

/** As the importer makes it: the images are in the bundle. */
function configOf({ config, drives }: MachineDraft): MachineConfig {
  return parseMachineConfig({
    ...config,
    ...{ schema: MACHINE_SCHEMA, id: newId(), created: new Date(0).toISOString() },
    drives: drives.map(({ id, kind, readOnly, bus, source }) => ({
      ...{ id, kind, readOnly },
      ...(bus && { bus }),
      path: source.file === null && source.capacity === null ? null : `disks/${id}.raw`,
    })),
  })
}

const bare = (more: Partial<ForeignMachine>): ForeignMachine => ({
  ...{ name: 'a', notes: '', guest: { family: 'other', label: null }, arch: null, firmware: 'bios', tpm: false, cpus: 1, memoryMiB: 64 },
  ...{ drives: [], nics: [], serialPorts: 0, display: null, licences: [], unknown: [] },
  ...more,
})
const disk = (controller: ForeignDrive['controller'], file = 'a.vmdk'): ForeignDrive => ({ ...emptyDrive('disk'), controller, file })

describe('machines of other products', () => {
  test('VirtualBox’s OVF', () => {
    const draft = draftMachine(parseOvf(utf8(VIRTUALBOX_7), 'a.ovf').machines[0]!, NONE)
    const config = configOf(draft)
    expect(config).toMatchObject({
      ...{
        name: 'Ubuntu server',
        arch: 'x86_64',
        cpus: 2,
        memoryMiB: 2048,
        firmware: 'uefi',
        tpm: true,
        devices: 'legacy',
        serialPorts: 1,
      },
      boot: { kind: 'firmware', order: ['cdrom', 'disk', 'floppy'] },
      drives: [{ kind: 'cdrom', path: null }, { kind: 'disk' }, { kind: 'disk' }],
      nics: [{ id: 'nic0', model: 'virtio', mac: '08:00:27:a1:b2:c3', link: 'auto', network: 'default' }],
    })
    expect(draft.losses).toEqual([
      'Sound card (AC97): left out.',
      'Port forwarding: left out.',
      'What its TPM keeps, such as keys of encrypted disks: left out. Have recovery keys at hand.',
      'There is no network of these names here: NAT. Network cards that were in one are plugged into “default”.',
    ])
  })

  test('VMware’s, ESXi’s, VirtualBox’s own and UTM’s make valid machines', () => {
    const found = [
      parseVmx(utf8(WORKSTATION_17_VMX), 'a.vmx'),
      ...parseOvf(utf8(ESXI_8), 'a.ovf').machines,
      ...parseOvf(utf8(COLLECTION_2), 'a.ovf').machines,
      parseVbox(utf8(VIRTUALBOX_7_VBOX), 'a.vbox'),
      parseUtm(utf8(UTM_4), 'a.utm'),
    ].map((machine) => configOf(draftMachine(machine, NONE)))
    expect(found.map(({ name }) => name)).toEqual(['Fedora 40 -work-', 'appliance', 'web', 'Database', 'Windows 11', 'Debian on Arm'])
    expect(found.map(({ devices }) => devices)).toEqual(['legacy', 'legacy', 'modern', 'auto', 'legacy', 'auto'])
    expect(found.map(({ nics }) => nics.map(({ model }) => model))).toEqual([
      ['e1000e', 'e1000e'],
      ['e1000e'],
      ['virtio'],
      [],
      ['e1000', 'virtio'],
      ['virtio'],
    ])
    expect(found[5]).toMatchObject({ arch: 'aarch64', firmware: 'bios', display: 'virtio' })
  })
})

describe('losses', () => {
  test('disks come to a bus that is said where it is another', () => {
    const losses = (more: Partial<ForeignMachine>): string[] => draftMachine(bare(more), NONE).losses
    expect(losses({ drives: [disk('ide')] })).toEqual([])
    expect(losses({ drives: [disk('virtio')] })).toEqual([])
    expect(losses({ drives: [disk('sata')], firmware: 'uefi' })).toEqual([])
    expect(losses({ drives: [disk('sata')] })).toEqual(['Disks on SATA are on IDE here. A system without a driver for it does not start.'])
    expect(losses({ drives: [disk('scsi')], firmware: 'uefi' })).toEqual([
      'Disks on SCSI are on SATA here. A system without a driver for it does not start.',
    ])
    expect(losses({ drives: [disk('scsi')], arch: 'aarch64' })).toEqual([
      'Disks on SCSI are on virtio here. A system without a driver for it does not start.',
    ])
  })

  test('disks stay on a bus that machines have here, too', () => {
    const draft = draftMachine(bare({ drives: [disk('virtio'), disk('sata'), disk('nvme'), disk('usb')], firmware: 'uefi' }), NONE)
    expect(draft.config.devices).toBe('modern')
    expect(draft.drives.map(({ bus }) => bus)).toEqual([undefined, 'ata', 'nvme', 'usb'])
    expect(draft.losses).toEqual([])
    expect(draftMachine(bare({ drives: [disk('ide'), disk('nvme')] }), NONE).drives.map(({ bus }) => bus)).toEqual([undefined, 'nvme'])
  })

  test('too many drives: disks stay, empty drives go first', () => {
    const drives = [
      emptyDrive('floppy'),
      emptyDrive('cdrom'),
      ...['1', '2', '3', '4', '5', '6', '7'].map((name) => disk('ide', `${name}.vmdk`)),
      { ...emptyDrive('cdrom'), file: 'a.iso' },
    ]
    const draft = draftMachine(bare({ drives }), NONE)
    expect(draft.drives.map(({ id, source }) => [id, source.file])).toEqual([
      ['drive0', '1.vmdk'],
      ['drive1', '2.vmdk'],
      ...['3', '4', '5', '6', '7'].map((name, at) => [`drive${at + 2}`, `${name}.vmdk`]),
      ['drive7', 'a.iso'],
    ])
    expect(draft.losses).toHaveLength(2)
  })

  test('processors, memory and ports are brought into range', () => {
    const draft = draftMachine(bare({ cpus: 256, memoryMiB: 4, serialPorts: 9 }), NONE)
    expect(draft.config).toMatchObject({ cpus: 64, memoryMiB: 16, serialPorts: 4 })
    expect(draft.losses).toHaveLength(3)
    expect(draftMachine(bare({ memoryMiB: null }), NONE).losses).toEqual(['How much memory it needs is not said. It gets 1024 MiB.'])
  })

  test('addresses of network cards are kept, unless another has them', () => {
    const nic = { model: 'e1000', mac: '08:00:27:00:00:01', network: null, connected: false } as const
    let last = 0
    const newMac = (): string => `52:54:00:00:00:0${++last}`
    const draft = draftMachine(
      bare({ nics: [nic, nic, { ...nic, mac: '08:00:27:00:00:02' }, { ...nic, mac: null }] }),
      { ...NONE, macs: new Set(['08:00:27:00:00:02', '52:54:00:00:00:01']) },
      newMac,
    )
    expect(draft.config.nics.map(({ mac }) => mac)).toEqual([
      '08:00:27:00:00:01',
      '52:54:00:00:00:02',
      '52:54:00:00:00:03',
      '52:54:00:00:00:04',
    ])
    expect(draft.config.nics[0]!.link).toBe('down')
    expect(draft.losses).toEqual(['Network card 3 gets a new MAC address: 08:00:27:00:00:02 is another machine’s.'])
  })

  test('network cards go to the networks of their names, and to the default one where there is none', () => {
    const nic = (network: string | null, connected = true) => ({ model: 'e1000', mac: null, network, connected }) as const
    const nics = [nic('Lab'), nic('VM Network'), nic(null), nic('lab', false), nic('VM Network', false)]
    const draft = draftMachine(bare({ nics }), { ...NONE, hasNetwork: (name) => name === 'lab' || name === 'default' })
    expect(draft.config.nics.map(({ link, network }) => [link, network])).toEqual([
      ['auto', 'lab'],
      ['auto', 'default'],
      ['auto', 'default'],
      ['down', 'lab'],
    ])
    expect(draft.losses).toEqual([
      'It had 5 network cards and has the first 4 of them here.',
      'Its network cards are plugged into this library’s networks of the same names: lab.',
      'There is no network of these names here: VM Network. Network cards that were in one are plugged into “default”.',
    ])
    // What is named so that no network can be is none.
    expect(draftMachine(bare({ nics: [nic('constructor'), nic('../../x'), nic('default')] }), NONE)).toMatchObject({
      config: { nics: [{ network: 'default' }, { network: 'default' }, { network: 'default' }] },
      losses: [expect.stringMatching(/constructor, \.\.\/\.\.\/x/)],
    })
  })
})

test.each([
  ['a/b:c', 'a-b-c'],
  ['  .hidden. ', 'hidden'],
  ['con', 'con machine'],
  ['', 'Imported machine'],
  ['...', 'Imported machine'],
  ['x'.repeat(500), 'x'.repeat(200)],
  ['\ud800x', '\ufffdx'],
])('the name “%s”', (wish, name) => expect(draftMachine(bare({ name: wish }), NONE).config.name).toBe(name))

test('any machine becomes a valid one', () => {
  fc.assert(
    fc.property(anyMachine, (foreign) => {
      expect(configOf(draftMachine(foreign, NONE)).drives.length).toBeLessThanOrEqual(MAX_DRIVES)
    }),
  )
})
