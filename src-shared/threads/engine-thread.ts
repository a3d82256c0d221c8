/**
 * Control of an engine's thread. The same for every engine: `src-main/engines/serve-engine.ts` serves any `Engine` over it. The embedded
 * engine has one thread for each machine, QEMU one for all, so every call names its machine.
 */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import { guestCommandSchema } from '../model/guest-command.ts'
import { liveChangeSchema } from '../model/live-change.ts'
import type { LiveKind } from '../model/live-hardware.ts'
import { machineSpecSchema, type MachineSpec } from '../model/machine-spec.ts'
import type { Arch } from '../model/machine.ts'
import { call, defineService, event, stream } from '../rpc/service.ts'
import type { SocketLink } from './network-thread.ts'

export interface EngineCapabilities {
  engine: 'embedded' | 'qemu'
  /** The engine's own version, for Doctor: "v86 0.5.462". */
  version: string
  arches: Arch[]
  maxMemoryMiB: number
  maxCpus: number
  serialPorts: number
  maxDisks: number
  /** What separates guest code from the host, as a sentence. */
  isolation: string
  features: ('pause' | 'suspend' | 'powerButton' | 'reset' | 'mergeDisk')[]
  /** What `change` takes; what of it a machine takes is a matter of its hardware. */
  live: LiveKind[]
}

/** Why an engine stopped running a machine. */
export type StopReason =
  | 'guest-poweroff' // the guest switched itself off
  | 'powered-off' // on request
  | 'trap' // the engine failed; see error

export type EngineEvent = { machine: string } & (
  | { kind: 'running' }
  /** `error`: why the engine paused it by itself. */
  | { kind: 'paused'; error?: WireError }
  | { kind: 'stopped'; reason: StopReason; error?: WireError }
  /** The guest restarted itself, or `reset` did. */
  | { kind: 'rebooted' }
  /** The guest's first prompt or boot-complete mark was seen on a serial port. `ms` since start. */
  | { kind: 'booted'; ms: number }
  /** An agent in the guest answered, or is gone again. */
  | { kind: 'agent'; present: boolean }
  /**
   * Its hardware was changed while it ran, by `change` or by the guest, which may eject a CD and let go late of what it was asked for. `leaving`:
   * what it was asked for in vain and may still let go of.
   */
  | { kind: 'hardware'; spec: MachineSpec; leaving: string[] }
  | { kind: 'health'; health: 'working' | 'idle' | 'spinning'; detail: string }
  /** How far `mergeDisk` is: bytes of the disk. */
  | { kind: 'merging'; done: number; total: number }
)

/** Stands in front of a memory state, beside which it is useless without the same machine. */
export interface MemoryHeader {
  format: 1 | 2
  engine: 'embedded' | 'qemu'
  engineVersion: string
  machine: string
  memoryMiB: number
  savedAt: string
  /** Bytes of the state file. */
  bytes: number
}

export interface SerialOpening {
  /** Offset (bytes since the port's birth) of the first byte that will be sent. */
  start: number
  /** Offset after the newest byte at the time of opening. */
  end: number
}

/** A network interface as the guest names and sees it. */
export interface GuestInterface {
  name: string
  /** In small letters; null where it has none. */
  mac: string | null
  /** IPv4 and IPv6, without prefix lengths. */
  addresses: string[]
}

const machine = z.uuid()
/** Of a memory state, absolute: its file, and the folder of the pages that states of this machine share. */
const memoryPlace = z.strictObject({ path: z.string(), pages: z.string() })
export type MemoryPlace = z.output<typeof memoryPlace>
const m = z.strictObject({ machine })

export const engineThread = defineService('engine', {
  describe: call(z.strictObject({})).returns<EngineCapabilities>(),
  /** Builds the machine; it does not run yet. `blocks` has a MessagePort (block-port.ts) for each inserted drive, by drive id. */
  create: call(
    z.strictObject({
      spec: machineSpecSchema,
      blocks: z.record(z.string(), z.custom<object>()),
      counters: z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer),
      /** By network card, of an engine that takes and gives frames in shared memory (frame-ring.ts). A card without one hears nothing. */
      rings: z
        .record(
          z.string(),
          z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer),
        )
        .default({}),
      /** A memory state to go on from, instead of booting. */
      memory: memoryPlace.nullable(),
    }),
  ).returns<void>(),
  start: call(m).returns<void>(),
  pause: call(m).returns<void>(),
  resume: call(m).returns<void>(),
  /** Asks the guest to shut down, by its agent where one answers, else by the ACPI power button; the guest decides. */
  powerButton: call(m).returns<void>(),
  reset: call(m).returns<void>(),
  /** Pulls the plug. */
  powerOff: call(m).returns<void>(),
  /**
   * Changes its hardware while it runs or stands still. `block`: a block port for what is inserted, on engines that take their drives' bytes by
   * such; null else. The event `hardware` comes before the answer. Removing waits for the guest: `timeout` where it does not let go.
   * An aborted call waits no longer, and undoes nothing. `unsupported`: this engine cannot.
   */
  change: call(m.extend({ change: liveChangeSchema, block: z.custom<object>().nullable() })).returns<void>(),
  /** Where each network card's frames are had now, of an engine that does not take rings for them: it listens there. Those that came late included. */
  nicLinks: call(m).returns<Record<string, SocketLink>>(),
  /** Pulls a card's cable, or plugs it in again, whatever its spec says; cut, the guest sees no link. */
  cutLink: call(m.extend({ nic: z.string(), cut: z.boolean() })).returns<void>(),
  /**
   * Running machine, before it is paused for `saveMemory`: puts away in the guest what this engine cannot save (QEMU: shared folders that are
   * mounted), by its agent, where one answers. It comes back by itself when the machine goes on, in this life or the next. Fails with
   * `busy` and who uses it where the guest cannot let go; everything is as before then.
   */
  prepareSave: call(m).returns<void>(),
  /**
   * Paused machine: flushes its disks and writes its memory state (temp + fsync + rename), where the engine can as what differs from the states whose
   * pages are there already. Nobody deletes pages meanwhile.
   */
  saveMemory: call(m.extend({ memory: memoryPlace })).returns<MemoryHeader>(),
  /**
   * Paused machine, for a snapshot of it: its disks are flushed, its memory is taken as it is now (`memory`: where it is written, which `captured` awaits;
   * null: not at all), and its disks go on in other files, which rest on the present ones. Of an engine that takes its drives' bytes from block ports, the host
   * sees to the latter, before it lets the machine go on. It stays paused; where this fails, `hardware` has told which disks went on.
   */
  capture: call(
    m.extend({ memory: memoryPlace.nullable(), disks: z.array(z.strictObject({ drive: z.string(), path: z.string() })) }),
  ).returns<void>(),
  /**
   * Of a machine that runs or is paused, which goes on meanwhile: two neighbouring layers of one of its disks become one file, `upper`, which then rests on
   * `base` (null: on nothing), as `lower` did. The disk is the same at every moment, also where the machine is killed. `lower` is not written, and nobody has
   * it open when this resolves, durably: it can be deleted. Real paths. An aborted call ends the work, of which nothing is lost when it is asked for again. One
   * at a time. Of an engine that takes its drives' bytes from block ports, the host sees to it (`unsupported`).
   */
  mergeDisk: call(m.extend({ lower: z.string(), upper: z.string(), base: z.string().nullable() })).returns<void>(),
  /** The memory that was captured last is on disk when this resolves; to be asked for once, when the guest goes on. */
  captured: call(m).returns<MemoryHeader>(),
  /**
   * A serial port: the peer's bytes are typed into the guest, the guest's come back, from `from` on where it is still kept
   * (null: everything that is kept).
   */
  serial: stream(m.extend({ port: z.number().int().min(0).max(3), from: z.number().int().min(0).nullable() })).returns<SerialOpening>(),
  /** One viewer of the screen: RFB 3.8 (RFC 6143), security type None. Several may be open. */
  display: stream(m).returns<void>(),
  /** What is on the screen now, as a PNG file. */
  screenshot: call(m).returns<{ png: Uint8Array<ArrayBuffer> }>(),
  /** All that the guest's agent tells, the loopback included. This and the following fail with `unavailable` where no agent answers. */
  guestInterfaces: call(m).returns<GuestInterface[]>(),
  /** The guest's clock becomes this computer's. Done by itself when a machine goes on. */
  setGuestTime: call(m).returns<void>(),
  /** Holds the guest's file systems still, with everything written out, until `thawGuest`. Snapshots of disks are whole meanwhile. */
  freezeGuest: call(m).returns<{ fileSystems: number }>(),
  thawGuest: call(m).returns<{ fileSystems: number }>(),
  /** Runs a program in the guest. Its standard input goes in; exec frames (model/exec-frames.ts) come back. Closing it kills the program. */
  exec: stream(m.extend({ command: guestCommandSchema })).returns<void>(),
  events: event<EngineEvent>(),
})
