/** The keys of `coppice set`, and what each means for the machine's config. */
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import type { MachineConfig, MachinePatch } from '../../../src-shared/model/machine.ts'
import { memoryArgument, wholeNumber } from './arguments.ts'
import { UsageError } from './errors.ts'

type Kernel = Extract<MachineConfig['boot'], { kind: 'kernel' }>

interface Key {
  /** How the value is written, for the help. */
  value: string
  /** The field that it sets, as errors name it. */
  field: string
  /** The patch; `patch` holds what the keys before set. */
  set(text: string, config: MachineConfig, patch: MachinePatch): MachinePatch
}

export const KEYS: Readonly<Record<string, Key>> = {
  name: { value: 'TEXT', field: 'name', set: (name) => ({ name }) },
  memory: { value: 'SIZE, as in 256M', field: 'memoryMiB', set: (text) => ({ memoryMiB: memoryArgument(text) }) },
  engine: { value: 'auto | embedded', field: 'engine', set: (engine) => ({ engine: engine as MachineConfig['engine'] }) },
  'serial-ports': {
    value: '1 to 4',
    field: 'serialPorts',
    set: (text) => ({ serialPorts: wholeNumber('a number of serial ports', 1, 4)(text) }),
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
  folder: { value: 'A/B, or empty for none', field: 'folder', set: (text) => ({ folder: text === '' ? [] : text.split('/') }) },
  tags: { value: 'A,B, or empty for none', field: 'tags', set: (text) => ({ tags: text.split(',').filter((tag) => tag.trim() !== '') }) },
  notes: { value: 'TEXT', field: 'notes', set: (notes) => ({ notes }) },
}

/** Fields to keys, for errors. */
export const KEY_OF_FIELD: ReadonlyMap<string, string> = new Map(Object.entries(KEYS).map(([key, { field }]) => [field, key]))

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
    if (!key) throw new UsageError(`There is no key “${name}”. What can be set: ${Object.keys(KEYS).join(', ')}.`)
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

function kernelPatch(key: string, config: MachineConfig, patch: MachinePatch, change: Partial<Kernel>): MachinePatch {
  const boot = patch.boot ?? config.boot
  if (boot.kind !== 'kernel') throw new UsageError(`${key}: “${config.name}” does not boot a kernel of its own, but from its drives.`)
  return { boot: { ...boot, ...change } }
}
