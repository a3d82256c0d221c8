/**
 * The contract of every engine. An engine lives in a worker thread, is served by serve-engine.ts, and knows nothing of the library, the window
 * or other engines. What an engine cannot do is absent from its capabilities; it never throws "not implemented".
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Event } from '../../src-shared/base/event.ts'
import type { LiveChange } from '../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import type { Client } from '../../src-shared/rpc/service.ts'
import type { blockPort } from '../../src-shared/threads/block-port.ts'
import type { Counters } from '../../src-shared/threads/counters.ts'
import type { SocketLink } from '../../src-shared/threads/network-thread.ts'
import type { EngineCapabilities, EngineEvent, MemoryHeader, MemoryPlace } from '../../src-shared/threads/engine-thread.ts'

export type BlockClient = Client<typeof blockPort>

/** What the host lends a machine. */
export interface Attachments {
  /** By drive id; one for each drive with an image. */
  blocks: ReadonlyMap<string, BlockClient>
  counters: Counters
  /** By network card: shared memory for its frames (frame-ring.ts). */
  rings: Readonly<Record<string, SharedArrayBuffer>>
  /** A memory state to go on from instead of booting. */
  memory: MemoryPlace | null
}

/** Bytes to and from one serial port. Output is not replayed: the console hub keeps it. */
export interface SerialPort {
  readonly onOutput: Event<Uint8Array>
  /** Types bytes into the guest, as fast as its UART takes them. Resolves when they are all in its FIFO. */
  input(bytes: Uint8Array): Promise<void>
  /** What it printed before this host came, of a machine that ran already. */
  readonly earlier?: Uint8Array
  /** The engine writes the port's log file itself. */
  readonly keepsLog?: boolean
}

/** A machine's screen. */
export interface DisplaySource {
  /**
   * One more viewer. The stream, which is the source's from here on, carries RFB 3.8 (RFC 6143) with the security type None. It ends with the
   * machine, or with an error that says what the viewer did wrong.
   */
  attach(stream: ByteStream): void
  /** What is on the screen now, as a PNG file; also where nobody views it. */
  screenshot(): Promise<Uint8Array<ArrayBuffer>>
}

/**
 * The bytes to and from an agent in the guest: the port org.qemu.guest_agent.0 of its virtio console. The guest's end is open while a
 * program there has it open.
 */
export interface AgentChannel {
  readonly open: boolean
  readonly onOpen: Event<boolean>
  readonly onOutput: Event<Uint8Array>
  /** Whether output is taken; not at first. What the guest sends otherwise waits in it, or is lost. */
  listen(on: boolean): void
  /** Resolves when they are all on their way into the guest. Rejects where its end is, or is being, closed. */
  write(bytes: Uint8Array): Promise<void>
}

export interface CaptureOrder {
  memory: MemoryPlace | null
  disks: readonly { drive: string; path: string }[]
}

/** Two layers of a disk, and what the lower one rests on: real paths. */
export interface DiskMerge {
  lower: string
  upper: string
  base: string | null
}

type WithoutMachine<T> = T extends unknown ? Omit<T, 'machine'> : never
export type MachineEvent = WithoutMachine<EngineEvent>

export interface EngineMachine extends Disposable {
  start(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  powerButton(): Promise<void>
  reset(): Promise<void>
  powerOff(): Promise<void>
  /**
   * Changes its hardware while it runs or is paused, as engine-thread.ts says; one change at a time.
   * @param block of what is inserted, where one was lent
   */
  change(change: LiveChange, block: BlockClient | null, signal: AbortSignal): Promise<void>
  /** Where its network cards' frames are had; absent: in the rings that it was lent. */
  nicLinks?(): Record<string, SocketLink>
  /** As engine-thread.ts says. */
  cutLink(nic: string, cut: boolean): Promise<void>
  /** Its memory cannot be saved while the guest has a shared folder mounted; absent: it can. */
  readonly unmountsShares?: boolean
  /** Paused only. Durable when it resolves. */
  saveMemory(place: MemoryPlace): Promise<MemoryHeader>
  /** Paused only; as engine-thread.ts says. */
  capture(order: CaptureOrder): Promise<void>
  /** @throws AppError why the memory that was captured last is not kept */
  captured(): Promise<MemoryHeader>
  /** As engine-thread.ts says; absent where the engine does not open its disks itself. */
  mergeDisk?(merge: DiskMerge, signal: AbortSignal): Promise<void>
  readonly serial: readonly SerialPort[]
  /** Null: the machine has no screen. */
  readonly display: DisplaySource | null
  /** Null: the machine has no such port. */
  readonly agent: AgentChannel | null
  readonly onEvent: Event<MachineEvent>
}

export interface Engine {
  describe(): Promise<EngineCapabilities>
  create(spec: MachineSpec, attach: Attachments): Promise<EngineMachine>
}
