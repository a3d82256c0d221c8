/** The machines of the library: find, make, change, run. */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import type { HardwareVerdict } from '../model/hardware-verdict.ts'
import {
  ARCHES,
  CONFIG_WORDS,
  cpusSchema,
  diskPathSchema,
  ENGINES,
  filePathSchema,
  machinePatchSchema,
  MAX_DRIVES,
  MAX_NICS,
  memoryMiBSchema,
  sharedFoldersSchema,
  type MachineConfig,
} from '../model/machine.ts'
import type { Dependent } from '../model/dependent.ts'
import type { MachineHealth, MachineState } from '../model/machine-state.ts'
import { guestCommandSchema } from '../model/guest-command.ts'
import type { LiveHardware } from '../model/live-hardware.ts'
import { nameSchema } from '../model/names.ts'
import { DEFAULT_NETWORK, networkNameSchema } from '../model/network.ts'
import { newDiskBytesSchema, newDiskSchema } from '../model/new-disk.ts'
import { RUN_ENDS } from '../model/run.ts'
import { vncPasswordSchema } from '../model/vnc.ts'
import { call, defineService, event, stream } from '../rpc/service.ts'
import type { TaskStarted } from './tasks.ts'

/** The addresses of one of the guest's network interfaces, as an agent in the guest tells them. */
export interface GuestAddresses {
  /** The machine's network card; null for an interface that is none (a bridge of the guest's own, say). */
  nic: string | null
  /** As the guest names it: "eth0". */
  name: string
  mac: string | null
  /** IPv4 before IPv6; none of the loopback or link-local. At least one. */
  addresses: string[]
}

/** The screen of a machine that runs, for VNC viewers. One of the two is null. */
export interface VncState {
  /** Where it listens: "127.0.0.1:5901". */
  address: string | null
  /** Why it does not, though it should. */
  problem: WireError | null
}

/** A machine as the window and the command line see it. */
export interface MachineView {
  /** The config's id; for a bundle that cannot be read, an id derived from its path. */
  id: string
  name: string
  /** Absolute path of the bundle. */
  bundle: string
  /** False for a bundle that was opened from outside of the library folder. */
  inLibrary: boolean
  state: MachineState
  health: MachineHealth | null
  /** A sentence about `health` where it is worth saying. */
  healthDetail: string | null
  /** What runs it, or would if it were started now. */
  engine: 'embedded' | 'qemu'
  /** Why this engine, as a sentence. */
  why: string
  /** How QEMU executes it: kvm, hvf, whpx or tcg; null on the embedded engine. */
  accelerator: string | null
  /** QEMU's, as in "7.2.22"; null on the embedded engine, and where nothing can run it. */
  engineVersion: string | null
  /** All of `interfaces`, in their order: what the machine can be reached by. */
  addresses: string[]
  /** The machine's network cards first. As the guest's agent told them when it was asked last; empty without an agent. */
  interfaces: GuestAddresses[]
  /** One answers in the guest: addresses can be asked for, and programs run. */
  agent: boolean
  /** Null for a bundle that cannot be read; `problem` says why. */
  config: MachineConfig | null
  problem: WireError | null
  /** Why it last crashed or could not start; cleared by the next start. */
  lastError: WireError | null
  /** ISO times; null where it does not apply. */
  startedAt: string | null
  /** When the guest's first prompt or boot-complete mark was seen. */
  bootedAt: string | null
  suspendedAt: string | null
  /** Null where the screen is not offered to VNC viewers now. */
  vnc: VncState | null
  /** What `update` can change of its hardware now; null unless it runs or is paused. */
  live: LiveHardware | null
  /** The task that works on it now. */
  task: string | null
}

export type MachineChange = { kind: 'put'; machine: MachineView } | { kind: 'removed'; id: string }

/** What a new machine is made from. */
export const newMachineSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('sample') }),
  z.strictObject({ kind: z.literal('iso'), path: filePathSchema }),
  /** `copy`: the image (of a disk on the network too) is copied into the bundle; otherwise it is used where it is. */
  z.strictObject({ kind: z.literal('disk'), path: diskPathSchema, copy: z.boolean().default(true) }),
  z.strictObject({ kind: z.literal('floppy'), path: filePathSchema }),
  z.strictObject({
    kind: z.literal('kernel'),
    kernel: filePathSchema,
    initrd: filePathSchema.nullable().default(null),
    cmdline: z.string().max(2047).default(''),
  }),
])
export type NewMachineSource = z.output<typeof newMachineSourceSchema>

export const newMachineSchema = z.strictObject({
  name: nameSchema,
  source: newMachineSourceSchema,
  engine: z.enum(ENGINES).default('auto'),
  /** Absent: the source's own; for Coppice Linux the one that suits the engine. */
  arch: z.enum(ARCHES).optional(),
  cpus: cpusSchema.optional(),
  memoryMiB: memoryMiBSchema.optional(),
  firmware: z.enum(CONFIG_WORDS.firmware).optional(),
  tpm: z.boolean().optional(),
  /** Absent: those that the source is likely to know. */
  devices: z.enum(CONFIG_WORDS.devices).optional(),
  /** Bytes; a new empty disk beside an ISO. */
  newDiskBytes: newDiskBytesSchema.optional(),
  /** More disks, behind the source's own. Image files are copied into the bundle; a disk on the network is used where it is. */
  disks: z.array(newDiskSchema).max(MAX_DRIVES, `A machine has at most ${MAX_DRIVES} drives.`).default([]),
  serialPorts: z.number().int().min(1).max(4).default(1),
  sharedFolders: sharedFoldersSchema.default([]),
  /** A network card for each, plugged into it; null: into nothing. */
  networks: z
    .array(networkNameSchema.nullable())
    .max(MAX_NICS, `A machine has at most ${MAX_NICS} network cards.`)
    .default([DEFAULT_NETWORK]),
  folder: z.array(nameSchema).max(8).default([]),
  /** Starts it as soon as it is made, whoever still watches then. What keeps it from starting is its `lastError`. */
  start: z.boolean().default(false),
})
export type NewMachine = z.input<typeof newMachineSchema>

/** What is known of a new machine while it is still chosen. */
export const newHardwareSchema = newMachineSchema
  .pick({ engine: true, arch: true, cpus: true, memoryMiB: true, firmware: true, tpm: true, devices: true, serialPorts: true })
  .extend({
    /** A kernel tells which processors it is for. */
    source: z.strictObject({ kind: z.enum(['sample', 'iso', 'disk', 'floppy', 'kernel']), kernel: filePathSchema.optional() }),
  })
export type NewHardware = z.input<typeof newHardwareSchema>

export interface ConsoleOpening {
  start: number
  end: number
  /** False: the machine is off; the stream gives what was kept and ends. */
  live: boolean
  /** Changes with every start of the machine: offsets of another life mean nothing. */
  life: string
}

const id = z.strictObject({ id: z.string() })

export const machines = defineService('machines', {
  list: call(z.strictObject({})).returns<MachineView[]>(),
  get: call(id).returns<MachineView>(),
  changed: event<MachineChange>(),

  /** A name nobody has yet, from a wish: "Coppice Linux", "Coppice Linux 2" … */
  suggestName: call(z.strictObject({ wish: z.string() })).returns<{ name: string }>(),
  /** The machine appears in the library when the task is done; its result is `{ id }`. */
  create: call(newMachineSchema).returns<TaskStarted>(),
  duplicate: call(id.extend({ name: nameSchema })).returns<TaskStarted>(),
  /** What would come of a change of hardware; nothing is changed. Fails with `invalid-input` as `update` does for values that are wrong by themselves. */
  consider: call(id.extend({ patch: machinePatchSchema })).returns<HardwareVerdict>(),
  /** The same of a machine that is not made yet: which engine it would get, and what can be chosen. */
  considerNew: call(newHardwareSchema).returns<HardwareVerdict>(),
  /**
   * Name, notes, tags and folder any time; hardware while it is off, and of a machine that runs what `live` allows: then the answer comes when
   * the machine has it, which can take as long as the guest needs to let go of a device (an aborted call waits no longer). Fails with
   * `invalid-input` at each wrong field, and with `wrong-state`, with the fields, for hardware that cannot change now. A new name renames
   * the bundle when it can, and no other machine needs files in it.
   */
  update: call(id.extend({ patch: machinePatchSchema })).returns<MachineView>(),
  /** What other machines need of the files in its bundle: drives that they use where they are, and images that theirs rest on. */
  dependents: call(id).returns<Dependent[]>(),
  /**
   * Moves the bundle to the system's trash, or the library's own where there is none. Stopped machines only. Fails with `wrong-state` where another machine
   * needs files in it (`dependents`), unless `needed` says that it may do without.
   */
  trash: call(id.extend({ needed: z.boolean().default(false) })).returns<{ trashedTo: string }>(),
  /** Undoes a `trash`. */
  restore: call(z.strictObject({ trashedTo: z.string() })).returns<MachineView>(),
  /** Shows a bundle that is somewhere else. */
  open: call(z.strictObject({ bundle: z.string() })).returns<MachineView>(),
  /** Forgets a bundle that was opened from somewhere else; the files stay. */
  forget: call(id).returns<void>(),

  /**
   * Boots it, or resumes it where it is suspended. Answers when it runs. `end`: what becomes of what it does to its disks (model/run.ts); absent: as its
   * configuration says.
   */
  start: call(id.extend({ end: z.enum(RUN_ENDS).optional() })).returns<MachineView>(),
  pause: call(id).returns<MachineView>(),
  resume: call(id).returns<MachineView>(),
  /** Asks the guest to shut down: `stopping` until it is off, or a minute is over. One that still boots is asked again when it has booted. */
  powerButton: call(id).returns<MachineView>(),
  powerOff: call(id).returns<MachineView>(),
  reset: call(id).returns<MachineView>(),
  suspend: call(id).returns<TaskStarted>(),
  /** Throws the suspended state away: the machine is off, as after a power cut. */
  discardSuspend: call(id).returns<MachineView>(),
  /** Answers when the running guest's first prompt or boot-complete mark was seen; fails when it stops before. */
  waitBooted: call(id).returns<MachineView>(),

  /** Serial console, with all that is kept from `from` on. */
  console: stream(id.extend({ port: z.number().int().min(0).max(3), from: z.number().int().min(0).nullable() })).returns<ConsoleOpening>(),
  /** One viewer of the screen of a machine that runs: RFB 3.8 (RFC 6143), security type None. Several may be open. */
  display: stream(id).returns<void>(),
  /** What is on the screen now: the bytes of a PNG file, then the end. */
  screenshot: stream(id).returns<{ bytes: number }>(),
  /**
   * Sets the password that VNC viewers need (config.vncExport): from now on, also for a machine that runs. Those that look are disconnected.
   */
  setVncPassword: call(id.extend({ password: vncPasswordSchema })).returns<void>(),
  /** For the person who shares it; null where none was set. */
  vncPassword: call(id).returns<{ password: string | null }>(),
  /**
   * Asks the guest's agent for its addresses: for those who look at a machine. Fails with `wrong-state` where it does not run, and
   * with `unavailable` where no agent answers.
   */
  addresses: call(id).returns<GuestAddresses[]>(),
  /**
   * Runs a program in the guest, through its agent. Bytes of the stream are its standard input; exec frames (model/exec-frames.ts) come
   * back, the last of them with its exit code. Closing the stream kills the program. Errors as of `addresses`.
   */
  exec: stream(id.extend({ command: guestCommandSchema })).returns<void>(),
  /** Types text into a serial port. */
  type: call(id.extend({ port: z.number().int().min(0).max(3).default(0), text: z.string().max(64 * 1024) })).returns<void>(),
})
