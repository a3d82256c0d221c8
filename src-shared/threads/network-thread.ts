/**
 * Control of the network thread: which networks there are, and what is plugged in where. All that it is told is told anew to the thread that comes after one that died, so
 * nothing needs to be asked back but what it learned (leases). Frames never pass here: a network card is joined by shared memory (frame-ring.ts) or by the socket on which
 * its QEMU listens.
 */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import { impairmentSchema, networkSchema, routerSchema, type Watch } from '../model/network.ts'
import { macSchema } from '../model/mac.ts'
import type { PacketSummary } from '../model/packet.ts'
import { call, defineService, event, stream } from '../rpc/service.ts'

/** How a card's frames come: of QEMU, 4 bytes of length in network order before each frame (`-netdev stream`). */
export const frameLinkSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('unix'), path: z.string().min(1) }),
  z.strictObject({ kind: z.literal('inet'), port: z.number().int().min(1).max(65_535) }),
  z.strictObject({ kind: z.literal('ring'), ring: z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer) }),
])
export type FrameLink = z.output<typeof frameLinkSchema>
/** A socket on which a card's engine listens. */
export type SocketLink = Exclude<FrameLink, { kind: 'ring' }>

/** What is plugged into a network: `machine/nic`. */
const port = z.string().min(3).max(80)
export const plugSchema = z.strictObject({
  port,
  network: z.string(),
  machine: z.uuid(),
  /** For names in DNS and in captures: as people call the machine. */
  name: z.string(),
  nic: z.string(),
  mac: macSchema,
  link: frameLinkSchema,
  /** The machine's counters (counters.ts), for netReceivedBytes and netSentBytes. */
  counters: z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer).nullable(),
  impairment: impairmentSchema,
  cut: z.boolean(),
  /** Its frames are not kept. */
  private: z.boolean(),
})
export type Plug = z.output<typeof plugSchema>

/** A lease of DHCPv4 (RFC 2131). */
export const leaseSchema = z.strictObject({
  network: z.string(),
  mac: macSchema,
  address: z.string(),
  /** As the machine calls itself; null where it did not say. Hostile. */
  hostName: z.string().max(255).nullable(),
  /** ms since 1970. */
  from: z.number(),
  until: z.number(),
})
export type Lease = z.output<typeof leaseSchema>
export interface LeaseChange {
  kind: 'put' | 'removed'
  lease: Lease
}

/** Grow only. `out`: from the machine, `in`: to it. */
export interface PortCounters {
  framesOut: number
  bytesOut: number
  framesIn: number
  bytesIn: number
  /** For want of room, by the impairment, by the policy. */
  dropped: number
  lost: number
  denied: number
}

export interface PortState extends PortCounters {
  port: string
  network: string
  /** Frames pass: its other end is there. */
  connected: boolean
  /** Bytes and ms of frames that are kept. */
  keptBytes: number
}

export interface NetworkState {
  network: string
  /** Of the gateway; null where there is none. */
  gateway: PortCounters | null
  flows: { tcp: number; udp: number }
  /** Why a forward does not listen, by its id. */
  forwards: Record<string, WireError | null>
  /** Of bridged networks: why it is not joined. */
  problem: WireError | null
}

export interface NetworkAlert {
  id: string
  /** ms since 1970. */
  at: number
  network: string
  /** Who did it; null: nobody that is plugged in (its address was made up). */
  port: string | null
  mac: string
  watch: Watch | 'policy'
  /** A sentence. */
  message: string
  /** How often since, until it was quiet. */
  count: number
  cut: boolean
}

export const networkThread = defineService('network', {
  /** All networks and routers as they are from now on. What did not change goes on undisturbed. */
  configure: call(
    z.strictObject({ networks: z.array(networkSchema), routers: z.array(routerSchema), names: z.record(z.string(), z.string()) }),
  ).returns<void>(),
  /** Leases that an earlier thread or host gave: after `configure`, before the first `plug`. */
  restoreLeases: call(z.strictObject({ leases: z.array(leaseSchema) })).returns<void>(),
  /** Joins a card, or joins it anew. The link is made, and made again when the other end comes back, until `unplug`. */
  plug: call(plugSchema).returns<void>(),
  /** Its flows are closed on the host's side. Unknown ports are fine. */
  unplug: call(z.strictObject({ port })).returns<void>(),
  /** What may change while it is plugged in. */
  setPort: call(
    z.strictObject({ port, impairment: impairmentSchema.optional(), cut: z.boolean().optional(), private: z.boolean().optional() }),
  ).returns<void>(),
  /** Ends its flows cleanly (FIN or RST), for a machine that stands still for long. */
  closeFlows: call(z.strictObject({ machine: z.uuid() })).returns<void>(),
  releaseLease: call(z.strictObject({ network: z.string(), mac: macSchema })).returns<void>(),
  /** Of everything, with counters. Cheap: asked once a second while somebody looks. */
  state: call(z.strictObject({})).returns<{ networks: NetworkState[]; ports: PortState[] }>(),
  leases: call(z.strictObject({ network: z.string() })).returns<Lease[]>(),
  /**
   * Writes a capture (pcapng) to a new file, absolute. `target`: ports, or all of a network's. `last`: ms back; `duration`: ms from now on, or until `endCapture`
   * with its `id`; one of the two. Resolves when the file is whole (temp + fsync + rename); aborted, a capture of what comes is kept as far as it is.
   */
  capture: call(
    z.strictObject({
      target: z.union([z.strictObject({ port }), z.strictObject({ network: z.string() })]),
      path: z.string().min(1),
      last: z.number().positive().nullable(),
      duration: z.number().positive().nullable(),
      id: z.uuid().optional(),
    }),
  ).returns<{ frames: number; bytes: number; path: string }>(),
  /** A capture of what comes is long enough: its call resolves. Unknown ids are fine. */
  endCapture: call(z.strictObject({ id: z.uuid() })).returns<void>(),
  /**
   * Packets as they come, and before them those that are kept: lines of JSON, each a PacketSummary (model/packet.ts). A reader that is slow misses some, and is told how
   * many. @param filter see model/packet-filter.ts
   */
  packets: stream(
    z.strictObject({
      target: z.union([z.strictObject({ port }), z.strictObject({ network: z.string() })]),
      filter: z.string().max(1000),
      kept: z.boolean(),
    }),
  ).returns<void>(),
  /** One packet in all its layers, and its bytes; null where it is no longer kept. */
  packet: call(z.strictObject({ id: z.string() })).returns<
    (PacketSummary & { layers: PacketLayerView[]; bytes: Uint8Array<ArrayBuffer> }) | null
  >(),
  /** Both ways of the flow that the packet belongs to, as far as it is kept; null where it belongs to none. */
  flow: call(z.strictObject({ id: z.string() })).returns<FlowView | null>(),

  /** Some 50 ms after the first of them; each lease once. */
  leasesChanged: event<LeaseChange[]>(),
  /** A port, a forward or a bridge changed: `state` has it. */
  stateChanged: event<{ network: string }>(),
  alert: event<NetworkAlert>(),
  /** The policy logged a frame; at most some a second. */
  logged: event<{ network: string; port: string | null; message: string }>(),
})

export interface PacketLayerView {
  /** "Ethernet", "IPv4", "TCP". */
  name: string
  fields: { name: string; value: string }[]
  /** Bytes of the packet. */
  offset: number
  length: number
}

export interface FlowView {
  protocol: 'tcp' | 'udp'
  /** "10.0.2.15:41000". The first is who began. */
  ends: [string, string]
  /** In their order; `from` 0 or 1. Of TCP in the order of their sequence numbers, each byte once. */
  parts: { from: 0 | 1; bytes: Uint8Array<ArrayBuffer> }[]
  /** Bytes are missing (not kept, or more than 1 MiB). */
  incomplete: boolean
}
