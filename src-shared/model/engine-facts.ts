/**
 * What was found of QEMU on this computer, and what of it works: the facts from which the planner chooses an engine and Doctor speaks. They
 * cross threads and rest in the cache, so they have a schema.
 */
import { z } from 'zod'
import { ACCELERATORS } from './machine-spec.ts'
import { ARCHES } from './machine.ts'

/** Named limits of what is believed of a found program's answers. */
export const MAX_MACHINE_TYPES = 2000
export const MAX_DEVICES = 5000
export const MAX_FIRMWARE = 200
export const MAX_TRIED = 500
const MAX_NAME = 128
const MAX_PATH = 4096
const MAX_SENTENCE = 2000

/** What a build of QEMU may or may not bring; each is used somewhere. */
export const QEMU_FEATURES = [
  'sandbox', // can forbid itself system calls (seccomp; Linux only)
  'vnc', // serves its screen
  'netdev-stream', // network cards over sockets that can come back
  'netdev-vmnet', // network cards that join this computer's own network (macOS only)
  'screendump-png', // pictures of the screen as PNG
  'throttle-group', // limits for drives
  'tpm-emulator', // a TPM by swtpm
  'shared-folders', // 9p
  'snapshot-save', // snapshots inside of qcow2 images, as jobs
  'background-snapshot', // memory saved while the guest runs
  'disk-nbd', // disks on the network, by each of these
  'disk-iscsi',
  'disk-nfs',
  'ignore-shared', // memory left in its file when a state is saved
] as const
export type QemuFeature = (typeof QEMU_FEATURES)[number]

const name = z.string().min(1).max(MAX_NAME)
const path = z.string().min(1).max(MAX_PATH)
const sentence = z.string().min(1).max(MAX_SENTENCE)

export const qemuProgramSchema = z.strictObject({
  /** Of the guests that it runs. */
  arch: z.enum(ARCHES),
  path,
  /** "7.2.22" */
  version: z.string().regex(/^\d{1,4}\.\d{1,4}\.\d{1,4}$/),
  /** `alias`: the name without a version ("q35" of "pc-q35-7.2"). Both can be given to -machine. */
  machineTypes: z.array(z.strictObject({ name, alias: name.nullable(), maxCpus: z.number().int().min(1) })).max(MAX_MACHINE_TYPES),
  /** As -device names them. */
  devices: z.array(name).max(MAX_DEVICES),
  features: z.array(z.enum(QEMU_FEATURES)),
})
export type QemuProgram = z.output<typeof qemuProgramSchema>

export const acceleratorFactSchema = z.strictObject({
  name: z.enum(ACCELERATORS),
  /** It was tried, and is fast enough to be used. */
  usable: z.boolean(),
  /** The guests that it is for; empty where it is not usable. */
  arches: z.array(z.enum(ARCHES)),
  /** What was found, for people. */
  detail: sentence,
  /** What to do, for people; null where nothing is to be done. */
  advice: sentence.nullable(),
})
export type AcceleratorFact = z.output<typeof acceleratorFactSchema>

export const firmwareFactSchema = z.strictObject({
  arch: z.enum(ARCHES),
  /** `uefi-secure` holds Secure Boot’s keys already, and needs q35 with SMM on a PC. */
  kind: z.enum(['bios', 'uefi', 'uefi-secure']),
  code: path,
  /** What a machine's own variables begin as; null where this firmware keeps none. */
  vars: path.nullable(),
  /** Of both files, as a block node's driver names it. */
  format: z.enum(['raw', 'qcow2']),
})
export type FirmwareFact = z.output<typeof firmwareFactSchema>

export const qemuFactsSchema = z.strictObject({
  /** At least one program was found that answers. */
  found: z.boolean(),
  /** What was looked at, in this order: programs that are there and folders that have none. For Doctor's details. */
  tried: z.array(z.string().max(MAX_PATH + MAX_SENTENCE)).max(MAX_TRIED),
  /** At most one for each architecture: the first in the order of the search. */
  programs: z.array(qemuProgramSchema).max(ARCHES.length),
  /** Those of this platform, best first; `tcg` is last. Empty where no program was found. */
  accelerators: z.array(acceleratorFactSchema).max(ACCELERATORS.length),
  /** Best first for each architecture and kind. */
  firmware: z.array(firmwareFactSchema).max(MAX_FIRMWARE),
  swtpm: path.nullable(),
  qemuImg: path.nullable(),
})
export type QemuFacts = z.output<typeof qemuFactsSchema>

/** As long as nothing was found. */
export const NO_QEMU: QemuFacts = {
  found: false,
  tried: [],
  programs: [],
  accelerators: [],
  firmware: [],
  swtpm: null,
  qemuImg: null,
}
