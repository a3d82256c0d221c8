/** Hardware of machines that run, by value: what can change, how, and what they are then. */
import { describe, expect, test } from 'vitest'
import { asRuns, asSuspended } from '../../../../src-main/host/planner/as-built.ts'
import { liveHardware } from '../../../../src-main/host/planner/live-hardware.ts'
import { imageOf, planLive, type LivePlan } from '../../../../src-main/host/planner/plan-live.ts'
import { changedSpec, placesOf } from '../../../../src-shared/model/live-change.ts'
import { LIVE_KINDS, type LiveKind } from '../../../../src-shared/model/live-hardware.ts'
import { linksUp, parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import { qemuSpec } from '../../../support/qemu-spec.ts'
import { specDrive } from '../../../support/spec-drive.ts'

const config = (change: object = {}): MachineConfig =>
  parseMachineConfig({
    ...{ schema: 1, id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', created: '2026-01-01T00:00:00Z', name: 'web-1' },
    ...{ arch: 'x86_64', memoryMiB: 512, boot: { kind: 'firmware' } },
    drives: [
      { id: 'disk0', kind: 'disk', path: '/images/disk0' },
      { id: 'cd0', kind: 'cdrom', path: null },
    ],
    nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }],
    ...change,
  })
const RUNNING = qemuSpec(
  {
    drives: [specDrive('disk0', 'disk'), specDrive('cd0', 'cdrom', { inserted: false, path: null })],
    nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01', linkUp: false }],
  },
  { maxCpus: 4 },
)
const EMBEDDED: MachineSpec = { ...RUNNING, engine: 'embedded', arch: 'i386', qemu: null }
const MAC = { two: '52:54:00:00:00:02' }

/** What the next configuration's drives and cards would be built as. */
function plan(next: MachineConfig, running = RUNNING, state: 'running' | 'paused' = 'running', before = config()): LivePlan {
  return planLive({
    ...{ before, next, running, live: liveHardware(running, state) },
    drives: next.drives.map((drive) => ({ ...drive, readOnly: drive.readOnly || drive.kind === 'cdrom', inserted: drive.path !== null })),
    nics: next.nics.map(({ link, network, ...nic }) => ({ ...nic, linkUp: linksUp({ link, network }) })),
  })
}
const fields = ({ problems }: LivePlan): string[] | undefined => problems?.map(({ path }) => path)
const can = (spec: MachineSpec, state: 'running' | 'paused' = 'running'): LiveKind[] =>
  LIVE_KINDS.filter((kind) => liveHardware(spec, state).why[kind] === null)

describe('disks on other buses', () => {
  const add = (id: string, more: object): MachineConfig =>
    config({ drives: [...config().drives, { id, kind: 'disk', path: `/images/${id}`, ...more }] })

  test('come and go where their bus can', () => {
    expect(plan(add('fast', { bus: 'nvme' })).steps).toMatchObject([{ change: { kind: 'addDisk', drive: { bus: 'nvme' } } }])
    const refused = (more: object, running = RUNNING): string[] | undefined =>
      plan(add('more', more), running).problems?.map(({ path, message }) => `${path}: ${message}`)
    expect(refused({ bus: 'ata' })).toEqual([expect.stringMatching(/^drives\.2\.bus: A SATA or IDE disk can be added only while/)])
    expect(refused({ bus: 'usb' })).toEqual([expect.stringMatching(/^drives\.2\.bus: The machine was started without a controller/)])
    expect(refused({ bus: 'virtio' }, qemuSpec({ ...RUNNING }, { devices: 'legacy' }))).toEqual([expect.stringContaining('older devices')])
    const withUsb = { ...RUNNING, drives: [specDrive('disk0', 'disk', { bus: 'usb' }), RUNNING.drives[1]!] }
    const before = config({ drives: [{ ...config().drives[0], bus: 'usb' }, config().drives[1]] })
    const next = { ...before, drives: [...before.drives, { ...before.drives[0]!, id: 'more', path: '/images/more' }] }
    expect(plan(next, withUsb, 'running', before).steps).toMatchObject([{ change: { kind: 'addDisk', drive: { id: 'more' } } }])
  })

  test('stay, with their cache, while the machine runs', () => {
    const ata = { ...RUNNING, drives: [specDrive('disk0', 'disk', { bus: 'ata' }), RUNNING.drives[1]!] }
    const before = config({ drives: [{ ...config().drives[0], bus: 'ata' }, config().drives[1]] })
    expect(liveHardware(ata, 'running').why).toMatchObject({ addDisk: null, removeDisk: expect.stringContaining('SATA or IDE') as string })
    expect(fields(plan({ ...before, drives: [before.drives[1]!] }, ata, 'running', before))).toEqual(['drives'])
    const changed = config({ drives: [{ ...config().drives[0], bus: 'nvme', cache: 'none' }, config().drives[1]] })
    expect(fields(plan(changed))).toEqual(['drives.0.bus', 'drives.0.cache'])
  })

  test('there are as many places as from the start', () => {
    const full = { ...RUNNING, drives: ['a', 'b', 'c', 'd'].map((id) => specDrive(id, 'disk')) }
    expect(liveHardware(full, 'running').why.addDisk).toContain('places for 4 disks')
  })
})

describe('what can change', () => {
  test('on QEMU, and with older devices', () => {
    expect(can(RUNNING)).toEqual(LIVE_KINDS.filter((kind) => kind !== 'floppy'))
    expect(can(RUNNING, 'paused')).not.toContain('removeDisk')
    expect(liveHardware(RUNNING, 'running')).toMatchObject({ memoryMiB: { min: 64, max: 512 }, cpus: { min: 1, max: 4 }, leaving: [] })
    const legacy = qemuSpec({ ...RUNNING }, { devices: 'legacy', maxCpus: 1 })
    expect(can(legacy)).toEqual(['cdrom', 'limits', 'growDisk', 'addNic', 'removeNic', 'link', 'pointer'])
    const arm = qemuSpec({ ...RUNNING, arch: 'aarch64' }, { machineType: 'virt' })
    expect(liveHardware(arm, 'running').why.cpus).toContain('not to aarch64 machines')
  })

  test('on the embedded engine', () => {
    expect(can(EMBEDDED)).toEqual(['cdrom', 'link'])
    const { why, memoryMiB, cpus } = liveHardware(EMBEDDED, 'running')
    expect(why.cpus).toBe('The embedded engine has one processor.')
    expect(why.floppy).toBe('The machine has no floppy drive. Add one while it is off.')
    expect([memoryMiB, cpus]).toEqual([
      { min: 512, max: 512 },
      { min: 1, max: 1 },
    ])
    expect(liveHardware({ ...EMBEDDED, nics: [] }, 'running').why.link).toContain('no network card')
  })

  test('only as far as there is room, and every refusal is a sentence', () => {
    const full = {
      ...RUNNING,
      cpus: 4,
      drives: [0, 1, 2, 3].map((at) => specDrive(`disk${at}`, 'disk')),
      nics: [0, 1, 2, 3].map((at) => ({ id: `nic${at}`, model: 'virtio' as const, mac: `52:54:00:00:00:0${at}` })),
    }
    const bare = { ...RUNNING, drives: [], nics: [] }
    expect(can(full)).toEqual(['removeDisk', 'limits', 'growDisk', 'removeNic', 'link', 'memory', 'pointer'])
    expect(can(bare)).toEqual(['addDisk', 'addNic', 'memory', 'cpus', 'pointer'])
    for (const spec of [full, bare, EMBEDDED, { ...EMBEDDED, nics: [] }])
      for (const why of Object.values(liveHardware(spec, 'paused').why)) if (why !== null) expect(why).toMatch(/^[A-Z].*\.$/)
  })
})

describe('a change of the configuration', () => {
  test('a card that is plugged into a network gets its link, one that moves keeps it, one that is plugged out loses it', () => {
    const nic = { id: 'nic0', mac: '52:54:00:00:00:01' }
    const plugged = config({ nics: [{ ...nic, network: 'default' }] })
    expect(plan(plugged).steps?.map(({ change }) => change)).toEqual([{ kind: 'link', nic: 'nic0', up: true }])
    const linked = { ...RUNNING, nics: RUNNING.nics.map((one) => ({ ...one, linkUp: true })) }
    expect(plan(config({ nics: [{ ...nic, network: 'lab' }] }), linked, 'running', plugged).steps).toEqual([])
    expect(plan(config(), linked, 'running', plugged).steps?.map(({ change }) => change)).toEqual([
      { kind: 'link', nic: 'nic0', up: false },
    ])
    expect(plan(config({ nics: [{ ...nic, network: 'lab', link: 'down' }] }), linked, 'running', plugged).steps).toHaveLength(1)
    // What runs as it is plugged in leaves the configuration as it is.
    expect(asRuns(plugged, linked, (path) => path)).toBe(plugged)
  })

  test('is made of steps, each with its way back; what cannot be undone is last', () => {
    const next = config({
      ...{ memoryMiB: 256, cpus: 2, pointer: 'mouse' },
      drives: [
        { id: 'cd0', kind: 'cdrom', path: '/images/a.iso' },
        { id: 'data', kind: 'disk', path: '/images/data' },
      ],
      nics: [
        { id: 'nic0', mac: '52:54:00:00:00:01', link: 'up' },
        { id: 'nic1', mac: MAC.two },
      ],
    })
    const data = specDrive('data', 'disk')
    const card = { id: 'nic1', model: 'virtio', mac: MAC.two, linkUp: false }
    expect(plan(next).steps).toEqual([
      {
        change: { kind: 'insert', drive: 'cd0', path: '/images/a.iso', readOnly: true },
        undo: { kind: 'eject', drive: 'cd0' },
      },
      { change: { kind: 'link', nic: 'nic0', up: true }, undo: { kind: 'link', nic: 'nic0', up: false } },
      { change: { kind: 'pointer', pointer: 'mouse' }, undo: { kind: 'pointer', pointer: 'tablet' } },
      { change: { kind: 'memory', memoryMiB: 256 }, undo: { kind: 'memory', memoryMiB: 512 } },
      { change: { kind: 'removeDisk', drive: 'disk0' }, undo: { kind: 'addDisk', drive: specDrive('disk0', 'disk', { place: 0 }) } },
      { change: { kind: 'addDisk', drive: data }, undo: { kind: 'removeDisk', drive: 'data' } },
      { change: { kind: 'addNic', nic: card }, undo: { kind: 'removeNic', nic: 'nic1' } },
      { change: { kind: 'cpus', cpus: 2 }, undo: null },
    ])
  })

  test('of nothing that the machine has is no step', () => {
    expect(plan(config())).toEqual({ steps: [], problems: null })
    expect(plan(config({ drives: config().drives.toReversed() }))).toEqual({ steps: [], problems: null })
  })

  test('puts back what a CD drive had', () => {
    const running = { ...RUNNING, drives: [RUNNING.drives[0]!, specDrive('cd0', 'cdrom')] }
    expect(plan(config(), running).steps).toEqual([
      { change: { kind: 'eject', drive: 'cd0' }, undo: { kind: 'insert', drive: 'cd0', path: '/images/cd0', readOnly: true } },
    ])
  })

  test('puts back a card that QEMU had joined to a Mac’s network as one of Coppice’s', () => {
    const nic = RUNNING.nics[0]!
    const running = { ...RUNNING, nics: [{ ...nic, bridge: { network: 'lan', card: 'en0' } }] }
    expect(plan(config({ nics: [] }), running).steps).toEqual([
      { change: { kind: 'removeNic', nic: nic.id }, undo: { kind: 'addNic', nic: { ...nic, place: 0 } } },
    ])
  })

  test('is refused at every field that cannot change now', () => {
    const next = config({
      ...{ arch: 'i386', tpm: true, serialPorts: 2, memoryMiB: 1024, boot: { kind: 'firmware', order: ['cdrom'] } },
      drives: [
        { id: 'disk0', kind: 'disk', path: '/images/other', readOnly: true },
        { id: 'floppy0', kind: 'floppy', path: null },
      ],
      nics: [{ id: 'nic0', mac: MAC.two, model: 'e1000' }],
    })
    expect(fields(plan(next))).toEqual([
      ...['arch', 'tpm', 'boot', 'serialPorts', 'drives.0.path', 'drives.0.readOnly', 'drives.1', 'drives'],
      ...['nics.0.model', 'nics.0.mac', 'memoryMiB'],
    ])
    expect(fields(plan(config({ memoryMiB: 32, cpus: 8 })))).toEqual(['memoryMiB', 'cpus'])
    expect(fields(plan(config(), { ...RUNNING, cpus: 2 }))).toEqual(['cpus'])
    expect(plan(config({ drives: [config().drives[1]] }), RUNNING, 'paused').problems).toEqual([
      { path: 'drives', message: 'The machine is paused, and its guest must do this itself. Resume it first.' },
    ])
  })

  test('on the embedded engine opens the image that is inserted', () => {
    const change = { kind: 'insert', drive: 'cd0', path: '/images/a.iso', readOnly: true } as const
    expect(imageOf(change, EMBEDDED)).toEqual({ drive: 'cd0', path: '/images/a.iso', format: 'raw', readOnly: true })
    expect(imageOf(change, RUNNING)).toBeNull()
    expect(imageOf({ kind: 'eject', drive: 'cd0' }, EMBEDDED)).toBeNull()
  })
})

describe('after changes', () => {
  const changed = [
    { kind: 'addDisk', drive: specDrive('data', 'disk', { place: 1 }) },
    { kind: 'removeDisk', drive: 'disk0' },
    { kind: 'memory', memoryMiB: 256 },
    { kind: 'cpus', cpus: 2 },
    { kind: 'link', nic: 'nic0', up: true },
    { kind: 'insert', drive: 'cd0', path: '/lib/web-1.coppice/a.iso', readOnly: true },
  ] as const
  const spec = changed.reduce<MachineSpec>(changedSpec, RUNNING)

  test('every part is where it was', () => {
    expect(placesOf(spec.drives, 'disk')).toEqual([1])
    expect(spec).toMatchObject({ memoryMiB: 512, balloonMiB: 256, cpus: 2 })
  })

  test('the configuration follows, as it would write it itself', () => {
    const before = config({
      drives: [
        { id: 'disk0', kind: 'disk', path: '/images/disk0' },
        { id: 'cd0', kind: 'cdrom', path: 'a.iso' },
      ],
    })
    const absolute = (path: string): string => (path.startsWith('/') ? path : `/lib/web-1.coppice/${path}`)
    const after = asRuns(before, spec, absolute)
    expect(after).toEqual(
      config({
        ...{ memoryMiB: 256, cpus: 2 },
        drives: [
          { id: 'cd0', kind: 'cdrom', path: 'a.iso' },
          { id: 'data', kind: 'disk', path: '/images/data' },
        ],
        nics: [{ id: 'nic0', mac: '52:54:00:00:00:01', link: 'up' }],
      }),
    )
    expect(asRuns(after, spec, absolute)).toBe(after)
    expect(asRuns(config(), RUNNING, absolute), 'a link that is left to its network is down').toEqual(config())
  })

  test('a suspended machine goes on as it was built, from files that may have moved', () => {
    const planned = qemuSpec(
      {
        ...{ cpus: 2, memoryMiB: 256 },
        drives: [specDrive('cd0', 'cdrom'), specDrive('data', 'disk', { path: '/moved/data' })],
        nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01', linkUp: true }],
      },
      { maxCpus: 16 },
    )
    expect(asSuspended(planned, spec)).toMatchObject({
      ...{ cpus: 2, memoryMiB: 512, balloonMiB: 256, qemu: { maxCpus: 4 } },
      drives: [
        { id: 'cd0', place: 0 },
        { id: 'data', place: 1, path: '/moved/data' },
      ],
    })
  })
})
