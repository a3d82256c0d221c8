/**
 * What can be changed of a machine while it runs, one thing at a time: what the planner finds between two configurations, what an engine is
 * told, and what follows for the machine's spec.
 */
import { z } from 'zod'
import { cpusSchema, driveLimitsSchema, memoryMiBSchema, POINTERS } from './machine.ts'
import { driveSpecSchema, nicSpecSchema, type MachineSpec } from './machine-spec.ts'

const id = z.string().min(1)

export const liveChangeSchema = z.discriminatedUnion('kind', [
  /** Into a CD or floppy drive, in place of what is in it. */
  z.strictObject({ kind: z.literal('insert'), drive: id, path: z.string().min(1), readOnly: z.boolean() }),
  z.strictObject({ kind: z.literal('eject'), drive: id }),
  z.strictObject({ kind: z.literal('addDisk'), drive: driveSpecSchema }),
  /** The guest must let go of it first. */
  z.strictObject({ kind: z.literal('removeDisk'), drive: id }),
  z.strictObject({ kind: z.literal('limits'), drive: id, limits: driveLimitsSchema.nullable() }),
  /** Larger: to so many bytes. */
  z.strictObject({ kind: z.literal('growDisk'), drive: id, bytes: z.number().int().min(1) }),
  z.strictObject({ kind: z.literal('addNic'), nic: nicSpecSchema.omit({ bridge: true }) }),
  z.strictObject({ kind: z.literal('removeNic'), nic: id }),
  z.strictObject({ kind: z.literal('link'), nic: id, up: z.boolean() }),
  /** How much of its memory the guest may use; the rest it gives back. */
  z.strictObject({ kind: z.literal('memory'), memoryMiB: memoryMiBSchema }),
  /** All together, those that it has included. */
  z.strictObject({ kind: z.literal('cpus'), cpus: cpusSchema }),
  z.strictObject({ kind: z.literal('pointer'), pointer: z.enum(POINTERS) }),
])
export type LiveChange = z.output<typeof liveChangeSchema>

/** The spec of a machine after a change of it. Pure. */
export function changedSpec(spec: MachineSpec, change: LiveChange): MachineSpec {
  const withDrive = (drive: string, values: Partial<MachineSpec['drives'][number]>): MachineSpec => ({
    ...spec,
    drives: spec.drives.map((one) => (one.id === drive ? { ...one, ...values } : one)),
  })
  switch (change.kind) {
    case 'insert':
      return withDrive(change.drive, { inserted: true, path: change.path, readOnly: change.readOnly })
    case 'eject':
      return withDrive(change.drive, { inserted: false, path: null })
    case 'limits':
      return withDrive(change.drive, { limits: change.limits })
    case 'addDisk':
      return { ...spec, drives: [...placed(spec.drives), change.drive] }
    case 'removeDisk':
      return { ...spec, drives: placed(spec.drives).filter((drive) => drive.id !== change.drive) }
    case 'growDisk':
      // Its image knows its size.
      return spec
    case 'addNic':
      return { ...spec, nics: [...placed(spec.nics), change.nic] }
    case 'removeNic':
      return { ...spec, nics: placed(spec.nics).filter((nic) => nic.id !== change.nic) }
    case 'link':
      return { ...spec, nics: spec.nics.map((nic) => (nic.id === change.nic ? { ...nic, linkUp: change.up } : nic)) }
    case 'memory':
      return { ...spec, balloonMiB: change.memoryMiB }
    case 'cpus':
      return { ...spec, cpus: change.cpus }
    case 'pointer':
      return { ...spec, pointer: change.pointer }
  }
}

/** Where each of them is plugged in: where it says so, and else by its order among its kind. */
export function placed<Item extends { kind?: string; place?: number | undefined }>(items: readonly Item[]): (Item & { place: number })[] {
  const count = new Map<string | undefined, number>()
  return items.map((item) => {
    const at = count.get(item.kind) ?? 0
    count.set(item.kind, at + 1)
    return { ...item, place: item.place ?? at }
  })
}

/** The places that are taken. @param kind of those that have one */
export function placesOf(items: readonly { kind?: string; place?: number | undefined }[], kind?: string): number[] {
  return placed(items).flatMap((item) => (item.kind === kind ? [item.place] : []))
}
