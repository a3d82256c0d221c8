/** The keys of `coppice set`, and what each means for the machine's config. */
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { BUSES, CACHES, type Bus } from '../../../src-shared/model/disk-bus.ts'
import {
  ARCHES,
  CONFIG_WORDS,
  CPUS,
  ENGINES,
  LINKS,
  NIC_MODELS,
  POINTERS,
  SERIAL_PORTS,
  type Drive,
  type MachineConfig,
  type MachinePatch,
} from '../../../src-shared/model/machine.ts'
import { randomMac } from '../../../src-shared/model/mac.ts'
import { VNC_PORTS } from '../../../src-shared/model/vnc.ts'
import { diskArgument, memoryArgument, oneOf, serialPortsArgument, shareArgument, sizeArgument, wholeNumber } from './arguments.ts'
import { UsageError } from './errors.ts'
import { SNAPSHOT_KEYS } from './settable-snapshots.ts'

type Kernel = Extract<MachineConfig['boot'], { kind: 'kernel' }>

export interface Key {
  /** How the value is written, for the help. */
  value: string
  /** The field that it sets, as errors name it. Of a list whose items have keys of their own, one that no error names: those say what they are about. */
  field: string
  /** The patch; `patch` holds what the keys before set. */
  set(text: string, config: MachineConfig, patch: MachinePatch): MachinePatch
}

const BUS_WORDS: Readonly<Record<string, Bus | undefined>> = {
  auto: undefined,
  ...Object.fromEntries(BUSES.map((bus) => [bus, bus])),
  ...{ sata: 'ata', ide: 'ata' },
}
const BOOT_KINDS = ['disk', 'cdrom', 'floppy'] as const

export const KEYS: Readonly<Record<string, Key>> = {
  name: { value: 'TEXT', field: 'name', set: (name) => ({ name }) },
  memory: { value: 'SIZE, as in 256M', field: 'memoryMiB', set: (text) => ({ memoryMiB: memoryArgument(text) }) },
  engine: choice('engine', 'an engine', ENGINES),
  arch: choice('arch', 'a processor', ARCHES),
  cpus: {
    value: `${CPUS.min} to ${CPUS.max}`,
    field: 'cpus',
    set: (text) => ({ cpus: wholeNumber('a number of processors', CPUS.min, CPUS.max)(text) }),
  },
  firmware: choice('firmware', 'a firmware', CONFIG_WORDS.firmware),
  tpm: { value: 'on | off', field: 'tpm', set: (text) => ({ tpm: oneOf('on or off', ['on', 'off'])(text) === 'on' }) },
  devices: choice('devices', 'a kind of devices', CONFIG_WORDS.devices),
  display: choice('display', 'a display', CONFIG_WORDS.display),
  pointer: choice('pointer', 'a pointer', POINTERS),
  cd: medium('cdrom', 'CD drive', 'cd'),
  floppy: medium('floppy', 'floppy drive', 'floppy'),
  disk: {
    value: 'ID:FILE (a new one; ID:FILE:ro read-only), or ID: to remove it; --disk chooses an id',
    field: 'drives.disk',
    set: (text, config, patch) => {
      const [id, rest] = splitAt(text, ':')
      const drives = patch.drives ?? config.drives
      if (rest === '') return { drives: without(drives, id, 'drive') }
      const path = rest.replace(/:ro$/, '')
      return {
        drives: [
          ...drives,
          { id: fresh(drives, id), kind: 'disk', path: diskArgument(path), format: 'raw', readOnly: path !== rest, limits: null },
        ],
      }
    },
  },
  bus: diskChoice('bus', BUS_WORDS),
  cache: diskChoice('cache', Object.fromEntries(CACHES.map((cache) => [cache, cache]))),
  'read-only': {
    value: 'DISK:on | DISK:off',
    field: 'drives.readOnly',
    set: (text, config, patch) => {
      const [id, word] = splitAt(text, ':')
      const readOnly = oneOf('on or off', ['on', 'off'])(word) === 'on'
      return { drives: changed(patch.drives ?? config.drives, id, 'drive', (drive) => ({ ...drive, readOnly })) }
    },
  },
  'drive-order': {
    value: 'ID,ID,…, those that are left away last; of one kind the first is booted from',
    field: 'drives.order',
    set: (text, config, patch) => {
      const drives = patch.drives ?? config.drives
      const ids = text.split(',')
      const first = ids.map((id, at) => {
        if (ids.indexOf(id) !== at) throw new InvalidArgumentError(`“${id}” stands there twice.`)
        changed(drives, id, 'drive', (drive) => drive)
        return drives.find((drive) => drive.id === id)!
      })
      return { drives: [...first, ...drives.filter(({ id }) => !ids.includes(id))] }
    },
  },
  boot: {
    value: `what is tried, in this order, as in cdrom,disk (${BOOT_KINDS.join(', ')})`,
    field: 'boot.order',
    set: (text) => ({ boot: { kind: 'firmware', order: text.split(',').map((kind) => oneOf('a kind of drive', BOOT_KINDS)(kind)) } }),
  },
  nic: {
    value: 'ID:MODEL (a new one), or ID: to remove it',
    field: 'nics.nic',
    set: (text, config, patch) => {
      const [id, model] = splitAt(text, ':')
      const nics = patch.nics ?? config.nics
      if (model === '') return { nics: without(nics, id, 'network card') }
      return {
        nics: [...nics, { id: fresh(nics, id), model: oneOf('a model', NIC_MODELS)(model), mac: randomMac(), link: 'auto', network: null }],
      }
    },
  },
  link: {
    value: `NIC:LINK, as in nic0:down (${LINKS.join(', ')})`,
    field: 'nics.link',
    set: (text, config, patch) => {
      const [id, link] = splitAt(text, ':')
      return { nics: changed(patch.nics ?? config.nics, id, 'network card', (nic) => ({ ...nic, link: oneOf('a link', LINKS)(link) })) }
    },
  },
  'serial-ports': {
    value: `${SERIAL_PORTS.min} to ${SERIAL_PORTS.max}`,
    field: 'serialPorts',
    set: (text) => ({ serialPorts: serialPortsArgument(text) }),
  },
  kernel: {
    value: 'FILE',
    field: 'boot.kernel',
    set: (file, config, patch) => kernelPatch('kernel', config, patch, { kernel: resolve(file) }),
  },
  initrd: {
    value: 'FILE, or empty for none',
    field: 'boot.initrd',
    set: (file, config, patch) => kernelPatch('initrd', config, patch, { initrd: file === '' ? null : resolve(file) }),
  },
  cmdline: { value: 'TEXT', field: 'boot.cmdline', set: (cmdline, config, patch) => kernelPatch('cmdline', config, patch, { cmdline }) },
  'nic-model': {
    value: `NIC:MODEL, as in nic0:e1000e (${NIC_MODELS.join(', ')})`,
    field: 'nics.nic-model',
    set: (text, config, patch) => {
      const [id, model] = splitAt(text, ':')
      return {
        nics: changed(patch.nics ?? config.nics, id, 'network card', (nic) => ({ ...nic, model: oneOf('a model', NIC_MODELS)(model) })),
      }
    },
  },
  limits: {
    value: 'DISK:iops=N,bps=SIZE, as in disk0:iops=500,bps=20M, or DISK: for none',
    field: 'drives.limits',
    set: (text, config, patch) => {
      const [id, limits] = splitAt(text, ':')
      return { drives: changed(patch.drives ?? config.drives, id, 'drive', (drive) => ({ ...drive, limits: limitsOf(limits) })) }
    },
  },
  share: {
    value: 'TAG:FOLDER (read-only), TAG:FOLDER:rw, or TAG: to share it no more',
    field: 'sharedFolders',
    set: (text, config, patch) => {
      const folder = shareArgument(text)
      const others = (patch.sharedFolders ?? config.sharedFolders).filter(({ tag }) => tag !== folder.tag)
      return { sharedFolders: folder.path === '' ? others : [...others, folder] }
    },
  },
  vnc: {
    value: 'on (any free port) | off | PORT of 127.0.0.1; first set vnc-password',
    field: 'vncExport',
    set: (text, config) => {
      if (text === 'off') return { vncExport: { ...config.vncExport, enabled: false } }
      const port = text === 'on' ? null : wholeNumber('on, off or a port', VNC_PORTS.min, VNC_PORTS.max)(text)
      return { vncExport: { enabled: true, port } }
    },
  },
  ...SNAPSHOT_KEYS,
  private: {
    value: 'on | off (what its network cards send and receive is not kept)',
    field: 'private',
    set: (text) => ({ private: oneOf('on or off', ['on', 'off'])(text) === 'on' }),
  },
  folder: { value: 'A/B, or empty for none', field: 'folder', set: (text) => ({ folder: text === '' ? [] : text.split('/') }) },
  tags: { value: 'A,B, or empty for none', field: 'tags', set: (text) => ({ tags: text.split(',').filter((tag) => tag.trim() !== '') }) },
  notes: { value: 'TEXT', field: 'notes', set: (notes) => ({ notes }) },
}

/** A choice of one disk's. @param words what each means; undefined: left to Coppice */
function diskChoice<Field extends 'bus' | 'cache'>(field: Field, words: Readonly<Record<string, Drive[Field]>>): Key {
  const names = Object.keys(words)
  return {
    value: `DISK:${field.toUpperCase()}, as in disk0:${names[1]} (${names.join(', ')})`,
    field: `drives.${field}`,
    set: (text, config, patch) => {
      const [id, word] = splitAt(text, ':')
      const value = words[oneOf(`a ${field}`, names)(word)]
      const choose = (drive: Drive): Drive => {
        const next = { ...drive }
        delete next[field]
        return value === undefined ? next : { ...next, [field]: value }
      }
      return { drives: changed(patch.drives ?? config.drives, id, 'disk', choose) }
    },
  }
}

/** Stands beside the machine's config, and is read from standard input. */
export const PASSWORD_KEY = 'vnc-password'
const PASSWORD_VALUE = '-: it is asked for, or read from standard input'

/** Every key with how its value is written, for the help. */
export const KEY_HELP: readonly [string, string][] = [
  ...Object.entries(KEYS).map(([key, { value }]): [string, string] => [key, value]),
  [PASSWORD_KEY, PASSWORD_VALUE],
]

/** Fields to keys, for errors. */
export const KEY_OF_FIELD: ReadonlyMap<string, string> = new Map([
  ...Object.entries(KEYS).map(([key, { field }]): [string, string] => [field, key]),
  ['password', PASSWORD_KEY],
])

/**
 * Whether the VNC password is to be set, and the other assignments.
 * @throws UsageError where the password itself stands on the command line
 */
export function withoutPassword(assignments: readonly string[]): { asksPassword: boolean; others: string[] } {
  const isPassword = (text: string): boolean => text.split('=', 1)[0] === PASSWORD_KEY
  const given = assignments.filter(isPassword)
  if (given.some((text) => text !== `${PASSWORD_KEY}=-`))
    throw new UsageError(
      `${PASSWORD_KEY}: others can see a password on the command line. Write ${PASSWORD_KEY}=- and give it on standard input.`,
    )
  return { asksPassword: given.length > 0, others: assignments.filter((text) => !isPassword(text)) }
}

/**
 * What `key=value` texts ask for, all together.
 * @throws UsageError that names the key
 */
export function patchOf(assignments: readonly string[], config: MachineConfig): MachinePatch {
  let patch: MachinePatch = {}
  for (const assignment of assignments) {
    const at = assignment.indexOf('=')
    const name = at < 0 ? assignment : assignment.slice(0, at)
    const key = Object.hasOwn(KEYS, name) ? KEYS[name] : undefined
    if (!key) throw new UsageError(`There is no key “${name}”. What can be set: ${KEY_HELP.map(([name]) => name).join(', ')}.`)
    if (at < 0) throw new UsageError(`“${name}” has no value. Write ${name}=VALUE (${key.value}).`)
    try {
      patch = { ...patch, ...key.set(assignment.slice(at + 1), config, patch) }
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw new UsageError(`${name}: ${error.message}`)
      throw error
    }
  }
  return patch
}

function choice<Field extends 'engine' | 'arch' | 'firmware' | 'devices' | 'display' | 'pointer'>(
  field: Field,
  what: string,
  words: readonly MachineConfig[Field][],
): Key {
  return { value: words.join(' | '), field, set: (text) => ({ [field]: oneOf<string>(what, words)(text) }) }
}

/** What is in the first drive of a kind, or in the one that is named. A machine without one gets one. */
function medium(kind: 'cdrom' | 'floppy', what: string, stem: string): Key {
  return {
    value: `FILE | none (what is in the ${what}; ID:FILE for one of several)`,
    field: `drives.${stem}`,
    set: (text, config, patch) => {
      const drives = patch.drives ?? config.drives
      const [before, after] = splitAt(text, ':')
      const named = drives.find((drive) => drive.kind === kind && drive.id === before && text !== before)
      const drive = named ?? drives.find((one) => one.kind === kind)
      const file = named ? after : text
      const path = file === 'none' || file === '' ? null : resolve(file)
      if (drive) return { drives: changed(drives, drive.id, what, (one) => ({ ...one, path })) }
      if (path === null) throw new InvalidArgumentError(`The machine has no ${what}.`)
      return { drives: [...drives, { id: unused(drives, stem), kind, path, format: 'raw', readOnly: kind === 'cdrom', limits: null }] }
    },
  }
}

/** "cd0", or the next that no drive has. */
function unused(drives: readonly { id: string }[], stem: string): string {
  let number = 0
  while (drives.some(({ id }) => id === `${stem}${number}`)) number++
  return `${stem}${number}`
}

/** @throws InvalidArgumentError where it is taken */
function fresh(items: readonly { id: string }[], id: string): string {
  if (items.some((item) => item.id === id)) throw new InvalidArgumentError(`There is “${id}” already. Choose another id.`)
  return id
}

/** @throws InvalidArgumentError where there is none of that id */
function without<Item extends { id: string }>(items: readonly Item[], id: string, what: string): Item[] {
  changed(items, id, what, (item) => item)
  return items.filter((item) => item.id !== id)
}

/** What is before and after the first `mark`; all of it before where there is none. */
function splitAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** The list with one item changed. @throws InvalidArgumentError where there is none of that id */
function changed<Item extends { id: string }>(items: readonly Item[], id: string, what: string, change: (item: Item) => Item): Item[] {
  if (!items.some((item) => item.id === id)) {
    const ids = items.map((item) => item.id)
    throw new InvalidArgumentError(
      `There is no ${what} “${id}”. ${ids.length === 0 ? 'The machine has none.' : `There is ${ids.join(', ')}.`}`,
    )
  }
  return items.map((item) => (item.id === id ? change(item) : item))
}

/** "iops=500,bps=20M" */
function limitsOf(text: string): Drive['limits'] {
  if (text === '') return null
  const limits: NonNullable<Drive['limits']> = {}
  for (const part of text.split(',')) {
    const [name, value] = splitAt(part, '=')
    if (name === 'iops') limits.iops = wholeNumber('a number of operations a second', 1, 10_000_000)(value)
    else if (name === 'bps') limits.bytesPerSecond = sizeArgument(value)
    else throw new InvalidArgumentError(`“${name}” is not a limit. Choose iops or bps.`)
  }
  return limits
}

function kernelPatch(key: string, config: MachineConfig, patch: MachinePatch, change: Partial<Kernel>): MachinePatch {
  const boot = patch.boot ?? config.boot
  if (boot.kind !== 'kernel') throw new UsageError(`${key}: “${config.name}” does not boot a kernel of its own, but from its drives.`)
  return { boot: { ...boot, ...change } }
}
